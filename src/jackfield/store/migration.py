"""Migrations: the saga's rows."""

from __future__ import annotations

from sqlalchemy import Connection

from jackfield.model.error import Conflict
from jackfield.model.migration import ENDED, Migration
from jackfield.store import table
from jackfield.store.row import build, chosen, not_found, rewrite, values

_UNDER_WAY = table.migration.c.state.not_in(ENDED)


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
    row = chosen(connection, table.migration, id=migration_id).one_or_none()
    if row is None:
        raise not_found("migration", migration_id)
    return build(Migration, row)


def under_way(connection: Connection, instance_id: str) -> Migration | None:
    """The instance's migration that has not ended, in alarm included."""
    row = chosen(connection, table.migration, only=_UNDER_WAY, instance_id=instance_id).one_or_none()
    return None if row is None else build(Migration, row)


def listing(
    connection: Connection, *, instance_id: str | None = None, include_ended: bool = True
) -> list[Migration]:
    """The oldest first."""
    only = None if include_ended else _UNDER_WAY
    rows = chosen(connection, table.migration, "created_at", "id", only=only, instance_id=instance_id)
    return [build(Migration, row) for row in rows]


def replace(connection: Connection, migration: Migration, *, over: int) -> None:
    """Writes every field, over the generation that the change was decided on.

    Raises `Conflict` (`migration-moved`) when it has another one by now.
    """
    if not rewrite(connection, table.migration, migration, id=migration.id, generation=over):
        present = get(connection, migration.id)
        raise Conflict(
            "migration-moved",
            f"migration {migration.id} is at generation {present.generation} and not at {over} any more; "
            "look again",
        )
