"""Tombstones: what a host is told to remove, and only then removes."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete

from jackfield.model.attachment import Power
from jackfield.store import table
from jackfield.store.row import build, chosen, values


@dataclass(frozen=True, kw_only=True, slots=True)
class Tombstone:
    host: str
    instance_id: str
    power: Power
    """`delete` or `delete-unless-running`."""
    version: int
    """The host's desired version from which on it shows: a report on an older one answers nothing."""


def put(connection: Connection, tombstone: Tombstone) -> None:
    """In the place of one that stands there for the instance."""
    remove(connection, tombstone.host, tombstone.instance_id)
    connection.execute(table.tombstone.insert().values(values(tombstone)))


def listing(
    connection: Connection, *, host: str | None = None, instance_id: str | None = None
) -> list[Tombstone]:
    rows = chosen(connection, table.tombstone, "host", "instance_id", host=host, instance_id=instance_id)
    return [build(Tombstone, row) for row in rows]


def remove(connection: Connection, host: str, instance_id: str) -> None:
    """Idempotent."""
    connection.execute(
        delete(table.tombstone).where(
            table.tombstone.c.host == host, table.tombstone.c.instance_id == instance_id
        )
    )
