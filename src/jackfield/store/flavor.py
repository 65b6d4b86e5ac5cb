"""PCI flavors."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select, update

from jackfield.model.error import Conflict
from jackfield.model.flavor import Flavor
from jackfield.store import table
from jackfield.store.row import build, not_found, values


def insert(connection: Connection, flavor: Flavor) -> None:
    """Raises `Conflict` (`flavor-exists`)."""
    if _find(connection, flavor.name) is not None:
        raise Conflict("flavor-exists", f"there is already a flavor {flavor.name!r}; choose another name")
    connection.execute(table.flavor.insert().values(values(flavor)))


def get(connection: Connection, name: str) -> Flavor:
    """Raises `NotFound` (`flavor-not-found`)."""
    found = _find(connection, name)
    if found is None:
        raise not_found("flavor", name)
    return found


def listing(connection: Connection) -> list[Flavor]:
    rows = connection.execute(select(table.flavor).order_by(table.flavor.c.name))
    return [build(Flavor, row) for row in rows]


def replace(connection: Connection, flavor: Flavor) -> None:
    """Claims keep the devices that the flavor gave them before. Raises `NotFound`."""
    changed = connection.execute(
        update(table.flavor).where(table.flavor.c.name == flavor.name).values(values(flavor))
    )
    if changed.rowcount == 0:
        raise not_found("flavor", flavor.name)


def remove(connection: Connection, name: str) -> None:
    """Ports and claims keep the name; whether that is wanted, the caller asks first. Raises `NotFound`."""
    if connection.execute(delete(table.flavor).where(table.flavor.c.name == name)).rowcount == 0:
        raise not_found("flavor", name)


def _find(connection: Connection, name: str) -> Flavor | None:
    row = connection.execute(select(table.flavor).where(table.flavor.c.name == name)).one_or_none()
    return None if row is None else build(Flavor, row)
