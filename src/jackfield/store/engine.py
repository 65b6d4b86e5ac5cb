"""The store: one writer that commits many requests together, and readers that see one moment.

    caller ──work──▶ ┌───────┐  BEGIN  [savepoint work]  [savepoint work] …  COMMIT  ┌─────────┐
    caller ──work──▶ │ queue │ ───────────────────── one batch ────────────────────▶ │ replies │
    caller ──work──▶ └───────┘                                                       └─────────┘

An acknowledged write survives kill -9 and power loss. Throughput comes from the batch: while one COMMIT
waits for the disk, the next callers queue up.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from datetime import datetime
from functools import cache, partial
from queue import Empty, SimpleQueue
from typing import Any, Generic, Self, TypeVar

from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from jackfield.effect import Ids, RandomIds
from jackfield.model.error import Unavailable
from jackfield.store import meta, schema
from jackfield.store.connect import database_time, dispose, engines, file_of, is_failure, parse, unavailable
from jackfield.store.lock import FileLock

T = TypeVar("T")
Work = Callable[[Connection], T]


class _Piece(Generic[T]):
    """One caller's work, and where its reply goes."""

    def __init__(self, work: Work[T]) -> None:
        self.work = work
        self.reply: Future[T] = Future()


class Store:
    """A database with our schema. Thread-safe; made by `open` or `open_memory`, ended by `close`.

    Work is a function of a connection. What it does beside the connection is not undone when it raises or
    when the COMMIT fails. It never calls the store again.
    """

    def __init__(self, url: URL, *, inline: bool, now: Callable[[], datetime] | None) -> None:
        self._url = url
        self._now = now
        self._writer, self._reader = engines(url)
        self._alone: AbstractContextManager[Any] = (
            threading.RLock() if self._writer is self._reader else contextlib.nullcontext()
        )
        self._lock: FileLock | None = None
        self._gate = threading.Lock()
        self._is_closed = False
        self._waiting: SimpleQueue[_Piece[Any] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        if not inline:
            self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
            self._thread.start()

    @classmethod
    def open(
        cls,
        url: str,
        *,
        inline: bool = False,
        exclusive: bool = False,
        now: Callable[[], datetime] | None = None,
        ids: Ids | None = None,
    ) -> Self:
        """The store at `url`: `sqlite:///<path>`, `sqlite://` (in memory) or `postgresql+psycopg://…`.

        An empty database gets our schema and an installation id, an older one is brought up. `inline` writes
        in the caller's thread instead of the writer's. `exclusive` takes the lock file of a SQLite database,
        which the one process that serves it must; elsewhere it means nothing. `now` replaces the database's
        clock, `ids` makes the installation id.

        Raises `Conflict` (`store-locked`), `Rejected` (`store-url`, `store-schema-newer`), `Unavailable`.
        """
        store = cls(parse(url), inline=inline, now=now)
        path = file_of(store._url)
        try:
            if exclusive and path is not None:
                store._lock = FileLock(path)
            if store._writer is store._reader:
                store._deserialize(_empty_world())
            else:
                schema.bring_up(store._writer)
            store.write(partial(meta.begin, ids=ids or RandomIds()))
        except BaseException as error:
            store.close()
            if is_failure(error):
                raise unavailable(store._url, error) from error
            raise
        return store

    @classmethod
    def open_memory(
        cls,
        snapshot: bytes | None = None,
        *,
        now: Callable[[], datetime] | None = None,
        ids: Ids | None = None,
    ) -> Self:
        """A store in memory, inline, as `snapshot` was when it was taken; an empty one without."""
        if snapshot is None:
            return cls.open("sqlite://", inline=True, now=now, ids=ids)
        store = cls(parse("sqlite://"), inline=True, now=now)
        store._deserialize(snapshot)
        return store

    def write(self, work: Work[T]) -> T:
        """What `work` gives, once it is committed; blocks until then.

        Other callers' work may run before and after it in the same transaction. If it raises, nothing of it
        remains and the exception is the caller's. Raises `Unavailable` (`store-unavailable`) when the
        transaction could not be committed: then it may be unknown whether it was; also (`store-closed`).
        """
        assert threading.current_thread() is not self._thread, "work may not write by the store"
        piece = _Piece(work)
        with self._gate:
            if self._is_closed:
                raise Unavailable("store-closed", "the store is closing down; try again when it is back")
            if self._thread is not None:
                self._waiting.put(piece)
        if self._thread is None:
            self._commit([piece])
        return piece.reply.result()

    def read(self, work: Work[T]) -> T:
        """What `work` reads, all at one moment, in the caller's thread; it cannot write.

        Raises `Unavailable` (`store-unavailable`).
        """
        try:
            with self._transaction(self._reader) as connection:
                return work(connection)
        except SQLAlchemyError as error:
            if is_failure(error):
                raise unavailable(self._url, error) from error
            raise

    def now(self, connection: Connection) -> datetime:
        """The time by the database's clock, UTC, which leases and deadlines are measured by."""
        return self._now() if self._now is not None else database_time(connection)

    def snapshot(self) -> bytes:
        """The whole content of a store in memory, for `open_memory`."""
        with self._alone, self._writer.connect() as connection:
            return _raw(connection).serialize()

    def close(self) -> None:
        """Ends the store after all work that waits; idempotent."""
        with self._gate:
            if self._is_closed:
                return
            self._is_closed = True
            self._waiting.put(None)
        if self._thread is not None:
            self._thread.join()
        dispose(self._writer, self._reader)
        if self._lock is not None:
            self._lock.release()

    @contextlib.contextmanager
    def _transaction(self, engine: Engine) -> Any:
        with self._alone, engine.connect() as connection, connection.begin():
            yield connection

    def _run(self) -> None:
        while True:
            batch = [self._waiting.get()]
            with contextlib.suppress(Empty):
                while True:
                    batch.append(self._waiting.get_nowait())
            pieces = [piece for piece in batch if piece is not None]
            if pieces:
                self._commit(pieces)
            if len(pieces) < len(batch):
                return

    def _commit(self, pieces: Sequence[_Piece[Any]]) -> None:
        """Everybody's work in one transaction, then everybody's reply.

        Also a failure is told only after the COMMIT: it may be due to what a batch mate wrote, and if that
        was not committed, it was no failure.
        """
        replies: list[Callable[[], None]] = []
        try:
            with self._transaction(self._writer) as connection:
                replies.extend(self._attempt(connection, piece) for piece in pieces)
        except Exception as error:  # somebody waits for each of these replies
            for piece in pieces:
                failure = unavailable(self._url, error)
                failure.__cause__ = error
                piece.reply.set_exception(failure)
            return
        for reply in replies:
            reply()

    def _attempt(self, connection: Connection, piece: _Piece[T]) -> Callable[[], None]:
        """Does one piece behind its savepoint and gives the reply to send.

        Raises when the transaction is lost as a whole: SQLite ends it by itself when the disk is full,
        PostgreSQL when the connection dies.
        """
        savepoint = connection.begin_nested()
        try:
            result = piece.work(connection)
            savepoint.commit()
        except BaseException as error:
            if connection.invalidated:
                raise
            savepoint.rollback()
            failure = error
            if is_failure(error):
                failure = unavailable(self._url, error)
                failure.__cause__ = error
            return partial(piece.reply.set_exception, failure)
        return partial(piece.reply.set_result, result)

    def _deserialize(self, snapshot: bytes) -> None:
        with self._writer.connect() as connection:
            _raw(connection).deserialize(snapshot)


def _raw(connection: Connection) -> sqlite3.Connection:
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection), "only a store in memory can be copied so"
    return raw


@cache
def _empty_world() -> bytes:
    """An empty database with our schema: making one takes a hundred times as long as copying it."""
    writer, _same = engines(parse("sqlite://"))
    schema.bring_up(writer)
    with writer.connect() as connection:
        return _raw(connection).serialize()
