"""Wakes the agent when a domain starts, stops, pauses or ends a job, and when libvirtd comes or goes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import libvirt

from jackfield.host.libvirt_session import close, connect
from jackfield.model.error import Unavailable

RETRY_SECONDS = 1.0

_EVENTS = (libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, libvirt.VIR_DOMAIN_EVENT_ID_JOB_COMPLETED)


class LibvirtEvents:
    """Calls `wake` from threads of its own; it must return soon and never call libvirt.

    A wake carries no truth: look again. What happens while libvirtd is away is told by the wake at its
    return. `is_connected` says whether events come at present.
    """

    def __init__(self, uri: str, wake: Callable[[], None]) -> None:
        self._uri = uri
        self._wake = wake
        self._changed = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self.is_connected = False

    def start(self) -> None:
        assert self._thread is None, "started twice"
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="libvirt-events", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Idempotent."""
        if self._thread is not None:
            self._stopping = True
            self._changed.set()
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while True:
            self._changed.clear()
            if self._stopping:
                return
            try:
                connection = connect(self._uri)
            except Unavailable:
                self._changed.wait(RETRY_SECONDS)
                continue
            # Of a connection that breaks right here, the next one tells.
            with suppress(libvirt.libvirtError):
                self._listen(connection)
            close(connection)
            self.is_connected = False
            self._wake()
            self._changed.wait(RETRY_SECONDS)

    def _listen(self, connection: Any) -> None:
        connection.registerCloseCallback(lambda *_: self._changed.set(), None)
        ids = [
            connection.domainEventRegisterAny(None, event, lambda *_: self._wake(), None) for event in _EVENTS
        ]
        self.is_connected = True
        self._wake()
        self._changed.wait()
        for id in ids:
            connection.domainEventDeregisterAny(id)
        connection.unregisterCloseCallback()
