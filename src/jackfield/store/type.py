"""Column types that hold the model's own values, alike on SQLite and PostgreSQL.

With them a row and its frozen dataclass have the same names and the same values, and `jackfield.store.row`
can turn one into the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from sqlalchemy import JSON, DateTime, Dialect, Enum, String, TypeDecorator

from jackfield.model.address import PciAddress
from jackfield.model.flavor import alternatives_to_json, parse_alternatives
from jackfield.model.selector import Alternative
from jackfield.store import document

T = TypeVar("T")


class Moment(TypeDecorator[datetime]):
    """A time of day, UTC and aware on both sides.

    SQLite has no time zones: there it stands as text without one, in UTC, and sorts and compares rightly.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        assert value.tzinfo is not None, "a naive datetime means nothing to a fleet"
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Document(TypeDecorator[T], Generic[T]):
    """A nested value of the model, or a mapping, as a JSON document.

    JSON and not JSONB on PostgreSQL: JSONB forgets the order of an object's keys.
    """

    impl = JSON
    cache_ok = True

    def __init__(self, holds: Any) -> None:
        super().__init__(none_as_null=True)
        self.holds = holds

    def process_bind_param(self, value: T | None, dialect: Dialect) -> Any:
        return None if value is None else document.dump(self.holds, value)

    def process_result_value(self, value: Any, dialect: Dialect) -> T | None:
        return None if value is None else document.load(self.holds, value)


class Alternatives(TypeDecorator[Sequence[Alternative]]):
    """A flavor's alternatives in the form that users write; the order of conditions is kept."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Sequence[Alternative] | None, dialect: Dialect) -> Any:
        return None if value is None else alternatives_to_json(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[Alternative, ...] | None:
        return None if value is None else parse_alternatives(value, "stored flavor")


class Address(TypeDecorator[PciAddress]):
    """A PCI address in its full form, so that text order is bus order."""

    impl = String(16)
    cache_ok = True

    def process_bind_param(self, value: PciAddress | None, dialect: Dialect) -> str | None:
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> PciAddress | None:
        return None if value is None else PciAddress.parse(value)


def choice(of: type[StrEnum]) -> Enum:
    """One member of an enum by its value. Plain text in the database: a new member needs no migration."""
    return Enum(
        of,
        native_enum=False,
        create_constraint=False,
        length=32,
        values_callable=lambda members: [member.value for member in members],
    )
