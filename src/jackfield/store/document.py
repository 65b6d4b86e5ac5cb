"""Nested values of the model to and from JSON documents.

Only for what the store itself reads again: the wire has shapes of its own, with versions.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import TypeAdapter


@cache
def _adapter(holds: Any) -> TypeAdapter[Any]:
    return TypeAdapter(holds)


def dump(holds: Any, value: Any) -> Any:
    """`value`, of the type `holds`, as JSON-serialisable dicts, lists and scalars."""
    return _adapter(holds).dump_python(value, mode="json")


def load(holds: Any, raw: Any) -> Any:
    """The value of type `holds` that `dump` was given."""
    return _adapter(holds).validate_python(raw)
