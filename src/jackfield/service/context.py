"""The control side in one process: a store, a clock, ids, and the thread that sees to deadlines."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

import structlog
from sqlalchemy import Connection

from jackfield.effect import Clock, Ids, RandomIds, SystemClock
from jackfield.model.error import Conflict, JackfieldError
from jackfield.service import sweep
from jackfield.service.notifier import Notifier
from jackfield.service.settings import Settings
from jackfield.service.unit import Unit
from jackfield.store import meta
from jackfield.store.engine import Store

T = TypeVar("T")
log = structlog.get_logger()

LOOK_AGAIN = frozenset({"device-taken", "migration-moved"})
"""Conflicts that a fresh look answers: another replica or use case was faster."""

TRIES_MAX = 16
"""How often a use case looks again when another one took the device under its hands."""


class Service:
    def __init__(
        self,
        store: Store,
        *,
        clock: Clock | None = None,
        ids: Ids | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.store = store
        self.notifier = Notifier()
        self.settings = settings or Settings()
        self._clock = clock or SystemClock()
        self._ids = ids or RandomIds()
        self._last_heard: dict[str, datetime] = {}
        self._installation = store.read(meta.installation)
        self._stopping = threading.Event()
        self._sweeper: threading.Thread | None = None

    def write(self, work: Callable[[Unit], T]) -> T:
        """Does the use case in one transaction and returns when it is durable.

        A lost race for a device is decided again from a fresh look, a bounded number of times. Blocks.
        """
        for tries_left in reversed(range(TRIES_MAX)):
            units: list[Unit] = []

            def once(connection: Connection, units: list[Unit] = units) -> T:
                unit = self._unit(connection)
                units.append(unit)
                return work(unit)

            try:
                result = self.store.write(once)
            except Conflict as conflict:
                if conflict.code not in LOOK_AGAIN or not tries_left:
                    raise
                continue
            for host in units[-1].touched:
                self.notifier.notify(f"host:{host}")
            return result
        raise AssertionError("the loop returns or raises")

    def read(self, work: Callable[[Unit], T]) -> T:
        """Does a use case that writes nothing, on a snapshot."""
        return self.store.read(lambda connection: work(self._unit(connection)))

    def heard(self, host: str) -> None:
        """The host's agent spoke: its sign of life, kept in memory."""
        self._last_heard[host] = self._clock.now()

    def is_alive(self, host: str) -> bool:
        """The host's agent was heard of lately; it may take new work."""
        heard = self._last_heard.get(host)
        silent_max = timedelta(seconds=self.settings.host_silent_seconds)
        return heard is not None and self._clock.now() - heard <= silent_max

    def sweep(self) -> None:
        """Ends what outlived its lease or deadline; cheap when there is nothing to do. Idempotent."""
        if self.read(sweep.is_due):
            self.write(sweep.sweep)

    def start(self) -> None:
        """Begins the thread that sweeps every second."""
        self._sweeper = threading.Thread(target=self._run, name="sweep", daemon=True)
        self._sweeper.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._sweeper is not None:
            self._sweeper.join()

    def _run(self) -> None:
        while not self._stopping.wait(1.0):
            try:
                self.sweep()
            except JackfieldError as error:
                log.warning("sweep-failed", code=error.code, reason=error.message)

    def _unit(self, connection: Connection) -> Unit:
        return Unit(
            connection=connection,
            now=self.store.now(connection),
            ids=self._ids,
            settings=self.settings,
            installation=self._installation,
            is_alive=self.is_alive,
        )
