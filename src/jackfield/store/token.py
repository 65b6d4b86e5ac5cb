"""Tokens, by the hash of their secret: the secret itself is nowhere."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete

from jackfield.store import table
from jackfield.store.row import build, chosen, refuse_taken_name, values


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    id: str
    name: str
    role: str
    host: str | None = None
    """The one host whose objects it opens; None for all."""
    secret_hash: str
    created_at: datetime


def hash_secret(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def insert(connection: Connection, token: Token) -> None:
    """Raises `Conflict` (`token-exists`)."""
    refuse_taken_name(connection, table.token, "token", token.name)
    connection.execute(table.token.insert().values(values(token)))


def by_secret(connection: Connection, secret: str) -> Token | None:
    row = chosen(connection, table.token, secret_hash=hash_secret(secret)).one_or_none()
    return None if row is None else build(Token, row)


def listing(connection: Connection, *, role: str | None = None, host: str | None = None) -> list[Token]:
    return [build(Token, row) for row in chosen(connection, table.token, "name", role=role, host=host)]


def remove(connection: Connection, token_id: str) -> None:
    """Idempotent."""
    connection.execute(delete(table.token).where(table.token.c.id == token_id))
