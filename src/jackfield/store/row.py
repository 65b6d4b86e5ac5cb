"""Between rows and frozen dataclasses: their names are the same, so the mapping is straight."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, Table, bindparam, select, update

from jackfield.model.error import Conflict, NotFound

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from sqlalchemy import CursorResult, Row, Select, Update
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
    for column in ("id", "name"):
        found = connection.execute(_choice(table, (), None, (column,)), {column: name}).one_or_none()
        if found is not None:
            return found
    raise not_found(noun, name)


def chosen(
    connection: Connection,
    table: Table,
    *order: str,
    only: ColumnElement[bool] | None = None,
    **wanted: Any,
) -> CursorResult[Any]:
    """The rows in which each column named equals its value; None asks for nothing.

    `only` is a further condition, one that was made once.
    """
    given = {name: value for name, value in wanted.items() if value is not None}
    return connection.execute(_choice(table, order, only, tuple(given)), given)


def rewrite(connection: Connection, table: Table, item: DataclassInstance, **key: Any) -> bool:
    """Writes every field over the row in which each column of `key` has its value; False if there is none."""
    # A parameter that is called like a column would be taken for a new value of it.
    where = {f"where_{name}": value for name, value in key.items()}
    return connection.execute(_rewriting(table, tuple(key)), {**values(item), **where}).rowcount == 1


# Both made once for each form: building a statement takes SQLAlchemy twice as long as executing it.


@cache
def _choice(
    table: Table, order: tuple[str, ...], only: ColumnElement[bool] | None, columns: tuple[str, ...]
) -> Select[Any]:
    statement = select(table).where(*(table.c[name] == bindparam(name) for name in columns))
    if only is not None:
        statement = statement.where(only)
    return statement.order_by(*(table.c[name] for name in order))


@cache
def _rewriting(table: Table, columns: tuple[str, ...]) -> Update:
    return update(table).where(*(table.c[name] == bindparam(f"where_{name}") for name in columns))


def refuse_taken_name(connection: Connection, table: Table, noun: str, name: str) -> None:
    """Raises `Conflict` (`<noun>-exists`) when a row has the name."""
    if connection.execute(select(table.c.id).where(table.c.name == name)).first() is not None:
        raise Conflict(f"{noun}-exists", f"there is already a {noun} {name!r}; choose another name")
