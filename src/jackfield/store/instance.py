"""Instances."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select, update

from jackfield.model.instance import Instance
from jackfield.store import table
from jackfield.store.row import build, by_name_or_id, matching, not_found, refuse_taken_name, values


def insert(connection: Connection, instance: Instance) -> None:
    """Raises `Conflict` (`instance-exists`)."""
    refuse_taken_name(connection, table.instance, "instance", instance.name)
    connection.execute(table.instance.insert().values(values(instance)))


def find(connection: Connection, name_or_id: str) -> Instance:
    """Raises `NotFound` (`instance-not-found`)."""
    return build(Instance, by_name_or_id(connection, table.instance, "instance", name_or_id))


def listing(connection: Connection, *, host: str | None = None) -> list[Instance]:
    rows = connection.execute(
        select(table.instance).where(*matching(table.instance, host=host)).order_by(table.instance.c.name)
    )
    return [build(Instance, row) for row in rows]


def replace(connection: Connection, instance: Instance) -> None:
    """Writes every field. Raises `NotFound`."""
    changed = connection.execute(
        update(table.instance).where(table.instance.c.id == instance.id).values(values(instance))
    )
    if changed.rowcount == 0:
        raise not_found("instance", instance.id)


def remove(connection: Connection, instance_id: str) -> None:
    """Lets its ports go and forgets it; claims and migrations keep its id. Idempotent."""
    connection.execute(
        update(table.port)
        .where(table.port.c.instance_id == instance_id)
        .values(instance_id=None, number=None, guest_address=None)
    )
    connection.execute(delete(table.instance).where(table.instance.c.id == instance_id))
