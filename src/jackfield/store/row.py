"""Between rows and frozen dataclasses: their names are the same, so the mapping is straight."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, Table, select

from jackfield.model.error import Conflict, NotFound

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from sqlalchemy import Row
    from sqlalchemy.sql import ColumnElement

T = TypeVar("T", bound="DataclassInstance")


def values(item: DataclassInstance) -> dict[str, Any]:
    """The columns of `item`, one for each field."""
    return {field.name: getattr(item, field.name) for field in fields(item)}


def build(of: type[T], row: Row[Any]) -> T:
    """The `of` that stands in a row; columns that it has no field for are left out."""
    mapping = row._mapping
    return of(**{field.name: mapping[field.name] for field in fields(of)})


def not_found(noun: str, name: str) -> NotFound:
    return NotFound(
        f"{noun}-not-found",
        f"there is no {noun} {name!r}; `jackfield {noun} list` shows those that exist",
        detail={noun: name},
    )


def by_name_or_id(connection: Connection, table: Table, noun: str, name: str) -> Row[Any]:
    """The row whose id is `name`, else the one whose name it is.

    Raises `NotFound` (`<noun>-not-found`).
    """
    for column in (table.c.id, table.c.name):
        found = connection.execute(table.select().where(column == name)).one_or_none()
        if found is not None:
            return found
    raise not_found(noun, name)


def matching(table: Table, **wanted: Any) -> list[ColumnElement[bool]]:
    """Conditions for WHERE: each column named equals its value; None asks for nothing."""
    return [table.c[name] == value for name, value in wanted.items() if value is not None]


def refuse_taken_name(connection: Connection, table: Table, noun: str, name: str) -> None:
    """Raises `Conflict` (`<noun>-exists`) when a row has the name."""
    if connection.execute(select(table.c.id).where(table.c.name == name)).first() is not None:
        raise Conflict(f"{noun}-exists", f"there is already a {noun} {name!r}; choose another name")
