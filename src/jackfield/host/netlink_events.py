"""Wakes the agent when a network interface of its host changes."""

from __future__ import annotations

import errno
import os
import select
import socket
import threading
from collections.abc import Callable

from pyroute2.netlink.rtnl import RTMGRP_LINK


class NetlinkEvents:
    """Calls `wake` from its own thread whenever a link appears, changes or goes.

    A wake carries no truth: look again. Several changes may be one wake, and a wake may find nothing
    changed. Listens in the network namespace of the thread that calls `start`.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._thread: threading.Thread | None = None
        self._stop_fd = -1

    def start(self) -> None:
        """Every change after the return of this call wakes."""
        assert self._thread is None, "started twice"
        events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        events.bind((0, RTMGRP_LINK))
        self._stop_fd = os.eventfd(0, os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, args=(events,), name="netlink-events", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Idempotent; after it no wake comes any more."""
        if self._thread is not None:
            os.eventfd_write(self._stop_fd, 1)
            self._thread.join()
            os.close(self._stop_fd)
            self._thread = None

    def _run(self, events: socket.socket) -> None:
        with events:
            while True:
                ready, _, _ = select.select([events.fileno(), self._stop_fd], [], [])
                if self._stop_fd in ready:
                    return
                try:
                    events.recv(65536)
                except OSError as error:
                    # ENOBUFS: more changes than fit into the buffer. They wake like any other.
                    if error.errno != errno.ENOBUFS:
                        raise
                self._wake()
