"""Which processes belong to a laboratory, found on the machine and never remembered, and their end.

A process is ours by any of three signs, so that a kill -9 of anything at any time hides none of them:

* the mark in its environment: whatever the laboratory starts and what that starts in turn,
* the signed /dev in its mount namespace: also QEMU, for which libvirt clears the environment,
* its network namespace, when that is one of the laboratory's.
"""

import os
import select
import signal
import time
from pathlib import Path

from lab.error import LabError
from lab.mounts import mounts

MARK = "JACKFIELD_LAB"


def signature(state: Path, host: str) -> str:
    """The source of the tmpfs on the /dev of a host: it signs the host's mount namespace."""
    return f"jackfield-lab:{state}/{host}"


class Census:
    """One look at all processes of the machine."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self._mark = f"{MARK}={state}".encode()
        self._signature = signature(state, "")
        self._networks = {_identity(handle) for handle in (state / "ns").glob("*.net")} - {
            None,
            _identity(Path("/proc/self/ns/net")),
            _identity(Path("/proc/1/ns/net")),
        }
        self._host_of_namespace: dict[tuple[int, int] | None, str | None] = {}

    def members(self) -> list[int]:
        """The processes of the laboratory, without this one and its ancestors."""
        spared = _ancestry()
        return [pid for pid in _pids() if pid not in spared and self.has(pid)]

    def has(self, pid: int) -> bool:
        """Whether the process belongs to the laboratory. A zombie belongs to nobody."""
        return self._is_marked(pid) or self.host_of(pid) is not None or self._is_in_network(pid)

    def host_of(self, pid: int) -> str | None:
        """The name of the host in whose mount namespace the process lives."""
        namespace = _identity(Path(f"/proc/{pid}/ns/mnt"))
        if namespace is None:
            return None
        if namespace not in self._host_of_namespace:
            signed = (m.source for m in mounts(pid) if m.source.startswith(self._signature))
            self._host_of_namespace[namespace] = next((s.removeprefix(self._signature) for s in signed), None)
        return self._host_of_namespace[namespace]

    def _is_marked(self, pid: int) -> bool:
        try:
            return self._mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            return False

    def _is_in_network(self, pid: int) -> bool:
        return _identity(Path(f"/proc/{pid}/ns/net")) in self._networks


def end_all(state: Path, wait_seconds: float = 20) -> None:
    """Kills the processes of the laboratory until none is left. Blocks until they are gone. Idempotent."""
    deadline = time.monotonic() + wait_seconds
    while members := Census(state).members():
        if time.monotonic() > deadline:
            raise LabError("these processes do not end: " + ", ".join(describe(pid) for pid in members))
        for pid in members:
            _end(pid, state)


def describe(pid: int) -> str:
    """The process in a few words, for a message."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        words = []
    return f"{pid} ({b' '.join(words).decode(errors='replace').strip()[:80] or 'gone'})"


def _end(pid: int, state: Path) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        # Only from here on does the number stand for one process, so ask again whose it is.
        if Census(state).has(pid):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            select.select([descriptor], [], [], 5)
    except ProcessLookupError:
        return
    finally:
        os.close(descriptor)


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _ancestry() -> set[int]:
    pid, found = os.getpid(), set[int]()
    while pid > 0:
        found.add(pid)
        # "pid (name) state ppid …", and the name may hold anything, also brackets and blanks
        pid = int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    return found


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells one namespace from another. None for a dead process and a handle that is not mounted."""
    try:
        found = path.stat()
        if found.st_dev != Path("/proc/self/ns/net").stat().st_dev:
            return None
    except OSError:
        return None
    return found.st_dev, found.st_ino
