"""Waiting for news without a thread: the long polls that are open, and how they are woken and ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import anyio

from jackfield.service.notifier import Notifier

READERS = 8
"""Threads that polls may take at once: when a thousand wake together, other requests still find one."""


class Polls:
    """The open polls of one application, all on one event loop."""

    def __init__(self) -> None:
        self.closed = False
        self._open: set[asyncio.Event] = set()
        self._limiter: anyio.CapacityLimiter | None = None

    @property
    def limiter(self) -> anyio.CapacityLimiter:
        if self._limiter is None:  # a limiter belongs to the event loop that it was made on
            self._limiter = anyio.CapacityLimiter(READERS)
        return self._limiter

    @contextlib.contextmanager
    def woken_by(self, notifier: Notifier, key: str) -> Iterator[asyncio.Event]:
        """An event that is set, on this loop, whenever `key` is notified, and when the server ends."""
        loop = asyncio.get_running_loop()
        woken = asyncio.Event()

        def wake() -> None:
            # Called from the writer's thread, perhaps after the loop has ended.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(woken.set)

        unsubscribe = notifier.subscribe(key, wake)
        self._open.add(woken)
        try:
            yield woken
        finally:
            self._open.discard(woken)
            unsubscribe()

    def close(self) -> None:
        """Lets every poll answer now and no new one wait, so that a server can end without breaking
        connections off. Call it on the event loop; idempotent."""
        self.closed = True
        for woken in self._open:
            woken.set()
