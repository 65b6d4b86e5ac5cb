"""What both shells are given from outside, so that a simulation can replay them: time, ids, work.

The bodies here are the real ones; `jackfield.sim` has the others.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    def now(self) -> datetime:
        """The time of day, UTC, aware."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back."""
        ...


class Ids(Protocol):
    def new(self) -> str:
        """A fresh UUID in its usual text form."""
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class RandomIds:
    def new(self) -> str:
        return str(uuid.uuid4())


class Executor(Protocol[T]):
    """Runs work away from the loop, at most one piece for each key at a time."""

    def submit(self, keys: frozenset[Hashable], work: Callable[[], T]) -> bool:
        """Begins the work unless one of its keys is busy; says whether it began. Never blocks."""
        ...

    def busy(self) -> frozenset[Hashable]:
        """The keys of all work under way."""
        ...

    def finished(self) -> list[T]:
        """What has ended since the last call, in the order of ending. Never blocks."""
        ...


class ThreadExecutor(Generic[T]):
    """Work in threads, each with one of its own, so that none waits for the end of another's migration.

    They do not keep the process alive: whatever they do may be cut off at any time. `on_finished` is called
    from the worker's thread: it may only wake somebody.
    """

    def __init__(self, on_finished: Callable[[], None]) -> None:
        self._busy: set[Hashable] = set()
        self._results: SimpleQueue[tuple[frozenset[Hashable], Future[T]]] = SimpleQueue()
        self._on_finished = on_finished

    def submit(self, keys: frozenset[Hashable], work: Callable[[], T]) -> bool:
        if self._busy & keys:
            return False
        self._busy |= keys

        def run() -> None:
            result = Future[T]()
            try:
                result.set_result(work())
            except BaseException as bug:
                result.set_exception(bug)
            self._results.put((keys, result))
            self._on_finished()

        threading.Thread(target=run, name="effect", daemon=True).start()
        return True

    def busy(self) -> frozenset[Hashable]:
        return frozenset(self._busy)

    def finished(self) -> list[T]:
        """Raises what the work raised: only a bug does, and in silence its keys would stay busy for good."""
        ended: list[T] = []
        while True:
            try:
                keys, result = self._results.get_nowait()
            except Empty:
                return ended
            self._busy -= keys
            ended.append(result.result())
