"""A private PostgreSQL server, for as long as a test session lives.

It listens on a UNIX socket in its own directory and nowhere else, runs as an unprivileged user (the server
refuses root), and dies with the process that started it, however that ends; what a killed session left on
disk, the next one removes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

BINARIES = Path("/usr/lib/postgresql/15/bin")
PREFIX = "jackfield-postgresql-"
USER = "jackfield"
START_SECONDS_MAX = 60


class Missing(Exception):
    """What this machine lacks, in a sentence."""


class Server:
    def __init__(self) -> None:
        """Raises `Missing`."""
        needed = [BINARIES / name for name in ("initdb", "postgres")]
        absent = [str(path) for path in needed if not path.exists()]
        if absent:
            raise Missing(f"no {' and no '.join(absent)}; install the Debian package postgresql-15")
        _remove_leftovers()
        self._user = _unprivileged()
        self._root = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._guard = os.open(self._root, os.O_RDONLY)
        fcntl.flock(self._guard, fcntl.LOCK_EX)  # says "alive" to the next session's broom
        if self._user:
            shutil.chown(self._root, self._user)
        data = self._root / "data"
        self._run(
            "initdb", "--pgdata", data, "--username", USER, "--auth", "trust", "--encoding", "UTF8",
            "--locale", "C", "--no-sync",
        )  # fmt: skip
        self._log = (self._root / "log").open("wb")
        self._server = subprocess.Popen(
            [
                # SIGQUIT, when we die, is PostgreSQL's immediate shutdown.
                "setpriv", "--pdeathsig", "QUIT", "--", BINARIES / "postgres", "-D", data, "-k", self._root,
                "-c", "listen_addresses=", "-c", "fsync=on", "-c", "synchronous_commit=on",
                "-c", "max_connections=200",
            ],
            stdout=self._log, stderr=self._log, cwd=self._root, user=self._user,
        )  # fmt: skip
        self._wait()

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://{USER}@/{database}?host={self._root}"

    def create(self, database: str) -> str:
        """The address of a new, empty database."""
        with self._connect() as connection:
            connection.autocommit = True
            connection.execute(f'CREATE DATABASE "{database}"')
        return self.url(database)

    def stop(self) -> None:
        # SIGINT is the fast shutdown: it ends the sessions and leaves nothing to recover.
        self._server.send_signal(signal.SIGINT)
        self._server.wait()
        self._log.close()
        shutil.rmtree(self._root)
        os.close(self._guard)

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                self._connect().close()
                return
            except psycopg.OperationalError:
                if self._server.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL did not start: {self._last_words()}") from None
                time.sleep(0.02)

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(host=str(self._root), user=USER, dbname="postgres")

    def _last_words(self) -> str:
        return (self._root / "log").read_text(errors="replace")[-2000:]

    def _run(self, program: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [BINARIES / program, *arguments],
            cwd=self._root, user=self._user, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr[-2000:]}")


def _unprivileged() -> str | None:
    """Who runs the server: we ourselves, unless we are root."""
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("postgres").pw_name
    return "nobody"


def _remove_leftovers() -> None:
    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            guard = os.open(left, os.O_RDONLY)
            try:
                fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left)
            finally:
                os.close(guard)
