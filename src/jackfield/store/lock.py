"""One writing process for each SQLite file: the lock file beside it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from jackfield.model.error import Conflict, Reach


class FileLock:
    """Held from the making until `release`, or until the process ends, however it ends: the kernel lets an
    flock go with its holder. The file itself stays, since removing it would race with the next taker.

    Raises `Conflict` (`store-locked`) when another holder lives.
    """

    def __init__(self, database: Path) -> None:
        path = database.with_name(database.name + ".lock")
        self._file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(self._file, 32).decode(errors="replace").strip() or "unknown"
            os.close(self._file)
            raise Conflict(
                "store-locked",
                f"the database {database} is in use by process {holder}, which holds {path}; stop it first, "
                "or use PostgreSQL to run several",
                reach=Reach.EVERYTHING,
                detail={"file": str(path), "process": holder},
            ) from error
        os.ftruncate(self._file, 0)
        os.write(self._file, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        os.close(self._file)
