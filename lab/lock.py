"""One holder at a time for the up and down of one laboratory."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.error import LabError


@contextmanager
def locked(path: Path, wait_seconds: float = 120) -> Iterator[None]:
    """Holds the lock file's flock, and removes the file at the end. Blocks up to `wait_seconds`.

    The kernel drops the lock of a holder that was killed; the file that such a holder leaves does no harm.
    """
    deadline = time.monotonic() + wait_seconds
    while True:
        # Closed on exec, so that no daemon of the laboratory keeps the lock of the process that started it.
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            _flock(descriptor, path, deadline)
            if _is_still(descriptor, path):
                try:
                    yield
                finally:
                    path.unlink(missing_ok=True)
                return
        finally:
            os.close(descriptor)


def _flock(descriptor: int, path: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise LabError(f"another process holds {path}: it is busy with this laboratory") from None
            time.sleep(0.05)
        else:
            return


def _is_still(descriptor: int, path: Path) -> bool:
    """Whether the locked file is the one at `path`: the holder before us removed the one we waited for."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
