"""The simulation's clock, ids, work and journal: the same every time for the same seed."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Hashable
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from jackfield.reconcile.observation import Journal

T = TypeVar("T")


class SimClock:
    """Stands still until it is told to go on."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = self._now = start

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return (self._now - self._start).total_seconds()

    def go_on(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


class SeededIds:
    def __init__(self, seed: int | str) -> None:
        self._random = random.Random(seed)

    def new(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))


class SimExecutor(Generic[T]):
    """Work that waits until it is told to run, in a seeded order."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._waiting: list[tuple[frozenset[Hashable], Callable[[], T]]] = []
        self._done: list[T] = []
        self._busy: set[Hashable] = set()
        self._freed: set[Hashable] = set()

    def submit(self, keys: frozenset[Hashable], work: Callable[[], T]) -> bool:
        if keys & self._busy:
            return False
        self._busy |= keys
        self._waiting.append((keys, work))
        return True

    def busy(self) -> frozenset[Hashable]:
        return frozenset(self._busy)

    def finished(self) -> list[T]:
        done, self._done = self._done, []
        self._busy -= self._freed
        self._freed.clear()
        return done

    @property
    def is_waited_for(self) -> bool:
        """There is work that was not begun."""
        return bool(self._waiting)

    def run_one(self) -> None:
        """Does one piece of the waiting work; others may be done while it is under way."""
        keys, work = self._waiting.pop(self._chance.randrange(len(self._waiting)))
        self._done.append(work())
        self._freed |= keys


class MemoryKeeper:
    """A journal that survives its agent, as a file does."""

    def __init__(self, journal: Journal | None = None) -> None:
        self._journal = journal or Journal()

    def load(self) -> Journal:
        return self._journal

    def keep(self, journal: Journal) -> None:
        self._journal = journal
