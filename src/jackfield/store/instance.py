"""Instances."""

from __future__ import annotations

from sqlalchemy import Connection, delete, update

from jackfield.model.instance import Instance
from jackfield.store import table
from jackfield.store.row import (
    build,
    by_name_or_id,
    chosen,
    not_found,
    refuse_taken_name,
    rewrite,
    values,
)


def insert(connection: Connection, instance: Instance) -> None:
    """Raises `Conflict` (`instance-exists`)."""
    refuse_taken_name(connection, table.instance, "instance", instance.name)
    connection.execute(table.instance.insert().values(values(instance)))


def find(connection: Connection, name_or_id: str) -> Instance:
    """Raises `NotFound` (`instance-not-found`)."""
    return build(Instance, by_name_or_id(connection, table.instance, "instance", name_or_id))


def listing(connection: Connection, *, host: str | None = None) -> list[Instance]:
    return [build(Instance, row) for row in chosen(connection, table.instance, "name", host=host)]


def replace(connection: Connection, instance: Instance) -> None:
    """Writes every field. Raises `NotFound`."""
    if not rewrite(connection, table.instance, instance, id=instance.id):
        raise not_found("instance", instance.id)


def remove(connection: Connection, instance_id: str) -> None:
    """Lets its ports go and forgets it; claims and migrations keep its id. Idempotent."""
    connection.execute(
        update(table.port)
        .where(table.port.c.instance_id == instance_id)
        .values(instance_id=None, number=None, guest_address=None)
    )
    connection.execute(delete(table.instance).where(table.instance.c.id == instance_id))
