"""The attributes that host specs made up, with the one type that each has in the whole fleet."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, select

from jackfield.model.device import BUILT_IN, Attributes, AttributeType, type_of
from jackfield.model.error import Rejected
from jackfield.store import table


def declared(connection: Connection) -> dict[str, AttributeType]:
    """Every attribute that a flavor may ask for: the built-in ones and those that a host reported."""
    rows = connection.execute(select(table.attribute.c.name, table.attribute.c.type))
    return {**BUILT_IN, **{row.name: row.type for row in rows}}


def declare(connection: Connection, host: str, reported: Iterable[Attributes]) -> None:
    """Declares what is new among the attributes of a host's devices, each with the type it has there.

    Raises `Rejected` (`attribute-type`) for one that has another type elsewhere, or twice here.
    """
    types = declared(connection)
    for attributes in reported:
        for name, value in attributes.items():
            kind = type_of(value)
            wanted = types.get(name)
            if wanted is None:
                types[name] = kind
                connection.execute(table.attribute.insert().values(name=name, type=kind, host=host))
            elif wanted is not kind:
                raise Rejected(
                    "attribute-type",
                    f"the spec of host {host} gives attribute {name!r} the {kind.value} {value!r}, but it "
                    f"is a {wanted.value} {_since(connection, name)}; write it as one or rename it",
                    detail={"attribute": name, "host": host},
                )


def _since(connection: Connection, name: str) -> str:
    if name in BUILT_IN:
        return "built in"
    first = connection.execute(
        select(table.attribute.c.host).where(table.attribute.c.name == name)
    ).scalar_one()
    return f"since host {first} declared it"
