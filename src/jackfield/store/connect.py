"""Connections as the store needs them: a writing one that is alone, reading ones that see one moment.

A write transaction is alone in its database from its first statement: BEGIN IMMEDIATE on SQLite, one
transaction-wide advisory lock on PostgreSQL. So a use case that is right by itself is right among others,
on both databases alike: nothing that it read can change before it commits, two writers never deadlock over
the order of their rows, and transactions commit in the order in which they began, which a change feed needs.
What it costs is small, since replicas commit many requests together. The constraints still stand below:
a second holder is refused also to somebody who takes no lock.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, StaticPool, create_engine, event, make_url, text
from sqlalchemy.exc import DatabaseError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from jackfield.model.error import Reach, Rejected, Unavailable

BUSY_SECONDS = 10
"""How long a writer waits for another process before it says that the store is busy."""
READERS_MAX = 32
WRITE_LOCK = int.from_bytes(b"jackfld")
"""The key of the advisory lock that every write transaction takes first."""
IDLE_SECONDS_MAX = 60
"""After so long without a statement PostgreSQL ends a write transaction: its process hangs."""

_idle_in_memory: list[Engine] = []


def parse(url: str) -> URL:
    """The address of a database.

    Raises `Rejected` (`store-url`) for a kind of database that the store does not speak.
    """
    parsed = make_url(url)
    if parsed.drivername in ("postgresql", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername != "sqlite":
        raise Rejected(
            "store-url",
            f"{parsed.render_as_string()} is neither SQLite nor PostgreSQL; write sqlite:///<path> or "
            "postgresql+psycopg://<user>@<host>/<database>",
        )
    return parsed


def file_of(url: URL) -> Path | None:
    """The database's file, or None where it is in memory or behind a server."""
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return Path(str(url.database))


def engines(url: URL) -> tuple[Engine, Engine]:
    """An engine for the one writer and one for readers. Nothing is connected yet.

    In memory they are the same, over one connection: whoever uses it, uses it alone.
    """
    if url.get_backend_name() == "postgresql":
        return _postgresql(url)
    path = file_of(url)
    if path is None:
        with contextlib.suppress(IndexError):
            idle = _idle_in_memory.pop()
            return idle, idle
        alone = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
        _take_over_transactions(alone, "BEGIN IMMEDIATE", "PRAGMA foreign_keys = ON")
        return alone, alone
    _make_private(path)
    arguments = {"timeout": BUSY_SECONDS, "check_same_thread": False}
    writer = create_engine(url, pool_size=1, max_overflow=0, connect_args=arguments)
    reader = create_engine(url, pool_size=READERS_MAX, max_overflow=0, connect_args=arguments)
    # FULL syncs the log at every commit. NORMAL, which most advice on WAL names, does so only at
    # checkpoints: what was acknowledged since the last one is gone after a power failure.
    # https://www.sqlite.org/pragma.html#pragma_synchronous
    _take_over_transactions(
        writer,
        "BEGIN IMMEDIATE",
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "PRAGMA foreign_keys = ON",
    )
    _take_over_transactions(reader, "BEGIN", "PRAGMA query_only = ON")
    return writer, reader


def dispose(writer: Engine, reader: Engine) -> None:
    """Ends both. An engine in memory is kept for the next store in memory, which overwrites its content: a
    simulation makes thousands, and each new engine would compile every statement anew."""
    if writer is reader:
        _idle_in_memory.append(writer)
    else:
        writer.dispose()
        reader.dispose()


def _take_over_transactions(engine: Engine, begin: str, *pragmas: str) -> None:
    """pysqlite begins transactions by itself, late and only before some statements, which breaks both
    BEGIN IMMEDIATE and SAVEPOINT; so it is told to begin none, and SQLAlchemy's events do."""

    def connected(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in pragmas:
            connection.execute(pragma)

    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begun)


def _make_private(path: Path) -> None:
    """Makes the file before SQLite does: it holds hashes of secrets, so it is its owner's alone (the log
    beside it gets the same mode from SQLite)."""
    with contextlib.suppress(FileExistsError):
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        except FileNotFoundError as error:
            raise Rejected(
                "store-url", f"cannot make the database {path}: its directory does not exist; make it first"
            ) from error
        except PermissionError as error:
            raise Rejected("store-url", f"cannot make the database {path}: {error.strerror}") from error


def _postgresql(url: URL) -> tuple[Engine, Engine]:
    arguments = {"connect_timeout": BUSY_SECONDS}
    writer = create_engine(url, pool_size=1, max_overflow=0, pool_pre_ping=True, connect_args=arguments)
    reader = create_engine(
        url,
        pool_size=READERS_MAX,
        max_overflow=0,
        pool_pre_ping=True,
        connect_args=arguments,
        isolation_level="REPEATABLE READ",
        execution_options={"postgresql_readonly": True},
    )

    def connected(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            # Whoever dies while it writes loses its lock with its connection; whoever hangs, after this.
            cursor.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS_MAX}s'")
            cursor.execute(f"SET lock_timeout = '{BUSY_SECONDS}s'")
        connection.commit()

    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITE_LOCK})")

    event.listen(writer, "connect", connected)
    event.listen(writer, "begin", begun)
    return writer, reader


def database_time(connection: Connection) -> datetime:
    """The time by the database's clock, which all replicas share, UTC."""
    if connection.dialect.name == "sqlite":
        stamp = connection.exec_driver_sql("SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now')").scalar_one()
        return datetime.fromisoformat(stamp).replace(tzinfo=UTC)
    # Not now(): that stands still from the transaction's beginning, before it waited for its turn.
    moment: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return moment.astimezone(UTC)


def is_failure(error: BaseException) -> bool:
    """The database itself fails. Any other error of it says that our statement is wrong."""
    if isinstance(error, OperationalError | InterfaceError | PoolTimeout):
        return True
    # What is more special than this is ours; SQLite says just this of a file that is damaged or none of its.
    return type(error) is DatabaseError


def unavailable(url: URL, error: BaseException) -> Unavailable:
    """What the caller is told when the database failed. Whether a write took place may be unknown then:
    repeat it under the same idempotency key."""
    cause = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
    return Unavailable(
        "store-unavailable",
        f"the database {url.render_as_string()} failed: {cause}; try again, a write under the same "
        "idempotency key",
        reach=Reach.EVERYTHING,
    )
