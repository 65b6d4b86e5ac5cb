"""What both shells are given from outside, so that a simulation can replay them: time, ids, work.

The bodies here are the real ones; `jackfield.sim` has the others.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
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
    """Work in threads. `on_finished` is called from the worker's thread: it may only wake somebody."""

    def __init__(self, on_finished: Callable[[], None], threads: int = 16) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="effect")
        self._busy: set[Hashable] = set()
        self._results: SimpleQueue[tuple[frozenset[Hashable], T]] = SimpleQueue()
        self._on_finished = on_finished

    def submit(self, keys: frozenset[Hashable], work: Callable[[], T]) -> bool:
        if self._busy & keys:
            return False
        self._busy |= keys

        def run() -> None:
            self._results.put((keys, work()))
            self._on_finished()

        self._pool.submit(run)
        return True

    def busy(self) -> frozenset[Hashable]:
        return frozenset(self._busy)

    def finished(self) -> list[T]:
        ended: list[T] = []
        while True:
            try:
                keys, result = self._results.get_nowait()
            except Empty:
                return ended
            self._busy -= keys
            ended.append(result)
