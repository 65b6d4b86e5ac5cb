"""Wakes whoever waits for news, in this process. A wake-up carries no truth: the woken one reads again."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable


class Notifier:
    """Thread-safe. `wake` functions are called by the thread that notifies and may only set something."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sleepers: defaultdict[str, list[Callable[[], None]]] = defaultdict(list)

    def subscribe(self, key: str, wake: Callable[[], None]) -> Callable[[], None]:
        """Calls `wake` at every notification of `key`, until the returned function is called."""
        with self._lock:
            self._sleepers[key].append(wake)

        def unsubscribe() -> None:
            with self._lock:
                waiting = self._sleepers[key]
                waiting.remove(wake)
                if not waiting:
                    del self._sleepers[key]

        return unsubscribe

    def notify(self, key: str) -> None:
        with self._lock:
            woken = list(self._sleepers.get(key, ()))
        for wake in woken:
            wake()
