"""What an agent remembers over its own death, in one small file.

Every write is a whole new file, fsynced, renamed over the old one, and the folder fsynced: a crash at any
point leaves the old state or the new one.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from jackfield.model.attachment import OrderReport
from jackfield.model.error import Conflict, Rejected, Unavailable
from jackfield.reconcile.observation import Journal, Prior, Started, order_key

_ADAPTER = TypeAdapter(Journal)
V = TypeVar("V")


class Keeper(Protocol):
    """Where the journal lives. `keep` returns when it would survive a power loss."""

    def load(self) -> Journal: ...

    def keep(self, journal: Journal) -> None: ...


class FileKeeper:
    """The journal in `<state>/journal.json`, for one agent at a time."""

    def __init__(self, state: Path) -> None:
        """Makes the folder if need be. Raises `Conflict` (`agent-running`) if another agent has it."""
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = state
        self._path = state / "journal.json"
        self._lock = (state / "agent.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise Conflict("agent-running", f"another agent holds {state}: stop it first") from None

    def load(self) -> Journal:
        """Raises `Rejected` (`journal-damaged`) rather than forget what was done to the host."""
        try:
            return _ADAPTER.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return Journal()
        except ValidationError as error:
            raise Rejected(
                "journal-damaged",
                f"{self._path} cannot be read ({error.error_count()} errors); it says what this host's "
                "devices were before: restore it, or move it away and let the sweep go by the altnames",
            ) from error

    def keep(self, journal: Journal) -> None:
        fresh = self._path.with_suffix(".new")
        try:
            with fresh.open("wb") as file:
                file.write(_ADAPTER.dump_json(journal))
                file.flush()
                os.fsync(file.fileno())
            fresh.rename(self._path)
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise Unavailable("journal-unwritable", f"{self._path}: {error.strerror}") from error

    def close(self) -> None:
        self._lock.close()


class Notebook:
    """The journal in memory, written through to its keeper before any call returns. Thread-safe."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._lock = threading.Lock()
        self._journal = keeper.load()

    @property
    def journal(self) -> Journal:
        return self._journal

    def obey(self, installation: str, version: int) -> None:
        """Remembers who is obeyed, before it is done."""
        self._write(lambda j: replace(j, installation=installation, version=version))

    def remember_prior(self, claim_id: str, prior: Prior) -> None:
        """Before the first touch; a claim that has an entry keeps the first one."""
        self._write(lambda j: replace(j, priors={claim_id: prior, **j.priors}))

    def forget_prior(self, claim_id: str) -> None:
        self._write(lambda j: replace(j, priors=_without(j.priors, claim_id)))

    def record_start(self, instance_id: str, started: Started) -> None:
        self._write(lambda j: replace(j, started={**j.started, instance_id: started}))

    def forget_start(self, instance_id: str) -> None:
        self._write(lambda j: replace(j, started=_without(j.started, instance_id)))

    def record_order(self, report: OrderReport) -> None:
        key = order_key(report.id, report.generation)
        self._write(lambda j: replace(j, orders={**j.orders, key: report}))

    def forget_order(self, key: str) -> None:
        self._write(lambda j: replace(j, orders=_without(j.orders, key)))

    def _write(self, change: Callable[[Journal], Journal]) -> None:
        with self._lock:
            changed = change(self._journal)
            if changed != self._journal:
                self._keeper.keep(changed)
                self._journal = changed


def _without(entries: Mapping[str, V], key: str) -> dict[str, V]:
    return {name: value for name, value in entries.items() if name != key}
