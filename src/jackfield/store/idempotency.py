"""What was answered to a request under a client's key, so that a repetition gets the same answer.

Recalled and remembered in the transaction of the request itself: either both stand or neither.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, select

from jackfield.model.error import Conflict
from jackfield.store import table

KEPT = timedelta(hours=24)


def recall(connection: Connection, scope: str, key: str, request_hash: str, now: datetime) -> Any | None:
    """The remembered answer, or None for a key that is new or expired. `scope` is token and route.

    Raises `Conflict` (`idempotency-key-reused`) when the key stands for another request.
    """
    row = connection.execute(
        select(table.idempotency.c.request_hash, table.idempotency.c.response).where(
            table.idempotency.c.scope == scope,
            table.idempotency.c.key == key,
            table.idempotency.c.expires_at > now,
        )
    ).one_or_none()
    if row is None:
        return None
    if row.request_hash != request_hash:
        raise Conflict(
            "idempotency-key-reused",
            f"the idempotency key {key!r} was used for another request in the last 24 hours; make a new one",
        )
    return row.response


def remember(
    connection: Connection, scope: str, key: str, request_hash: str, response: Any, *, now: datetime
) -> None:
    """Keeps the answer, JSON-serialisable and not None, for 24 hours, and forgets all that are older."""
    assert response is not None, "None is what recall says of a new key"
    connection.execute(delete(table.idempotency).where(table.idempotency.c.expires_at <= now))
    connection.execute(
        table.idempotency.insert().values(
            scope=scope, key=key, request_hash=request_hash, response=response, expires_at=now + KEPT
        )
    )
