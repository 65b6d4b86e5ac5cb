"""What the database knows of itself."""

from __future__ import annotations

from sqlalchemy import Connection, select

from jackfield.effect import Ids
from jackfield.store import table


def begin(connection: Connection, *, ids: Ids) -> str:
    """The installation's id, made at the first call."""
    found: str | None = connection.execute(select(table.meta.c.installation)).scalar_one_or_none()
    if found is None:
        found = ids.new()
        connection.execute(table.meta.insert().values(id=1, installation=found))
    return found


def installation(connection: Connection) -> str:
    """The id that every desired state carries, so that an agent never obeys another fleet's."""
    found: str = connection.execute(select(table.meta.c.installation)).scalar_one()
    return found
