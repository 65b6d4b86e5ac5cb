"""Tokens: who speaks, and what that opens."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import StrEnum

from jackfield.model.error import Forbidden
from jackfield.service.unit import Unit
from jackfield.store import token as tokens

ADMIN = "admin"
"""The name of the operator's first token."""


class Role(StrEnum):
    ADMIN = "admin"
    HOST = "host"


@dataclass(frozen=True, kw_only=True, slots=True)
class Principal:
    name: str
    role: Role
    host: str | None = None
    """The one host whose agent it is; None for an operator."""


def authenticate(unit: Unit, secret: str) -> Principal:
    """Raises `Forbidden` (`token-unknown`)."""
    token = tokens.by_secret(unit.connection, secret)
    if token is None:
        raise Forbidden("token-unknown", "this token is not known here; was it revoked, or made elsewhere?")
    return Principal(name=token.name, role=Role(token.role), host=token.host)


def create(unit: Unit, name: str, role: Role, *, host: str | None = None) -> str:
    """A new token's secret, which is stored nowhere. Raises `Conflict` (`token-exists`)."""
    secret = secrets.token_urlsafe(32)
    tokens.insert(
        unit.connection,
        tokens.Token(
            id=unit.ids.new(),
            name=name,
            role=role.value,
            host=host,
            secret_hash=tokens.hash_secret(secret),
            created_at=unit.now,
        ),
    )
    return secret


def first_admin(unit: Unit) -> str | None:
    """The operator's token, made at the first start; None at every later one."""
    if tokens.listing(unit.connection, role=Role.ADMIN.value):
        return None
    return create(unit, ADMIN, Role.ADMIN)
