"""Migrations: the saga's rows."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from jackfield.model.error import Conflict
from jackfield.model.migration import ENDED, Migration
from jackfield.store import table
from jackfield.store.row import build, matching, not_found, values


def insert(connection: Connection, migration: Migration) -> None:
    """Raises `Conflict` (`migration-under-way`) while the instance's last one has not ended."""
    other = under_way(connection, migration.instance_id)
    if other is not None:
        raise Conflict(
            "migration-under-way",
            f"migration {other.id} of instance {other.instance_id} from {other.source} to {other.target} is "
            f"{other.state}; wait for its end, or abort it",
            detail={"migration": other.id},
        )
    connection.execute(table.migration.insert().values(values(migration)))


def get(connection: Connection, migration_id: str) -> Migration:
    """Raises `NotFound` (`migration-not-found`)."""
    row = connection.execute(
        select(table.migration).where(table.migration.c.id == migration_id)
    ).one_or_none()
    if row is None:
        raise not_found("migration", migration_id)
    return build(Migration, row)


def under_way(connection: Connection, instance_id: str) -> Migration | None:
    """The instance's migration that has not ended, in alarm included."""
    row = connection.execute(
        select(table.migration).where(
            table.migration.c.instance_id == instance_id, table.migration.c.state.not_in(ENDED)
        )
    ).one_or_none()
    return None if row is None else build(Migration, row)


def listing(
    connection: Connection, *, instance_id: str | None = None, include_ended: bool = True
) -> list[Migration]:
    """The oldest first."""
    statement = (
        select(table.migration)
        .where(*matching(table.migration, instance_id=instance_id))
        .order_by(table.migration.c.created_at, table.migration.c.id)
    )
    if not include_ended:
        statement = statement.where(table.migration.c.state.not_in(ENDED))
    return [build(Migration, row) for row in connection.execute(statement)]


def replace(connection: Connection, migration: Migration, *, over: int) -> None:
    """Writes every field, over the generation that the change was decided on.

    Raises `Conflict` (`migration-moved`) when it has another one by now.
    """
    changed = connection.execute(
        update(table.migration)
        .where(table.migration.c.id == migration.id, table.migration.c.generation == over)
        .values(values(migration))
    )
    if changed.rowcount == 0:
        present = get(connection, migration.id)
        raise Conflict(
            "migration-moved",
            f"migration {migration.id} is at generation {present.generation} and not at {over} any more; "
            "look again",
        )
