"""Selectors: conditions over attributes, and how they are written in JSON and TOML.

    {"vendor": "8086", "product": ["10ca", "1520"], "physical_network": {"glob": "phys*"},
     "link_speed_mbps": {"min": 10000}, "driver": {"not": "vfio-pci"}}

A condition on an attribute that the device lacks is false, `not` included.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from jackfield.model.device import IDENTITY, Attributes, AttributeType, Scalar, type_of
from jackfield.model.error import Rejected

LIST_LENGTH_MAX = 256
TEXT_LENGTH_MAX = 256
CONDITIONS_MAX = 64
NOT_DEPTH_MAX = 8


@dataclass(frozen=True, slots=True)
class Equal:
    value: Scalar

    def holds(self, value: Scalar) -> bool:
        # True == 1 in Python, but a boolean attribute is not an integer one.
        return type_of(value) is type_of(self.value) and value == self.value

    def to_json(self) -> Any:
        return self.value


@dataclass(frozen=True, slots=True)
class OneOf:
    values: tuple[Scalar, ...]

    def holds(self, value: Scalar) -> bool:
        return any(Equal(wanted).holds(value) for wanted in self.values)

    def to_json(self) -> Any:
        return list(self.values)


@dataclass(frozen=True, slots=True)
class Glob:
    pattern: str

    def holds(self, value: Scalar) -> bool:
        return isinstance(value, str) and fnmatchcase(value, self.pattern)

    def to_json(self) -> Any:
        return {"glob": self.pattern}


@dataclass(frozen=True, slots=True)
class Range:
    """Both ends belong to the range; None leaves that side open."""

    minimum: int | None
    maximum: int | None

    def holds(self, value: Scalar) -> bool:
        if isinstance(value, bool) or not isinstance(value, int):
            return False
        return (self.minimum is None or value >= self.minimum) and (
            self.maximum is None or value <= self.maximum
        )

    def to_json(self) -> Any:
        ends = {"min": self.minimum, "max": self.maximum}
        return {name: end for name, end in ends.items() if end is not None}


@dataclass(frozen=True, slots=True)
class Not:
    test: Test

    def holds(self, value: Scalar) -> bool:
        return not self.test.holds(value)

    def to_json(self) -> Any:
        return {"not": self.test.to_json()}


Test = Equal | OneOf | Glob | Range | Not


@dataclass(frozen=True, slots=True)
class Condition:
    attribute: str
    test: Test

    def holds(self, attributes: Attributes) -> bool:
        value = attributes.get(self.attribute)
        return value is not None and self.test.holds(value)


@dataclass(frozen=True, slots=True)
class Alternative:
    """A conjunction of conditions; without any it matches every device."""

    conditions: tuple[Condition, ...]

    def matches(self, attributes: Attributes) -> bool:
        return all(condition.holds(attributes) for condition in self.conditions)

    def first_failing(self, attributes: Attributes) -> Condition | None:
        """The first condition that does not hold, in the order they were written."""
        return next((c for c in self.conditions if not c.holds(attributes)), None)

    def to_json(self) -> dict[str, Any]:
        return {condition.attribute: condition.test.to_json() for condition in self.conditions}


def parse_alternative(raw: object, where: str) -> Alternative:
    """The alternative that a JSON object or TOML table says; `where` names the place in messages.

    Raises `Rejected` (`selector-malformed`).
    """
    if not isinstance(raw, Mapping):
        raise _malformed(where, raw, "write an object of attribute: value")
    if len(raw) > CONDITIONS_MAX:
        raise _malformed(where, f"{len(raw)} conditions", f"use at most {CONDITIONS_MAX}")
    return Alternative(
        tuple(Condition(str(name), parse_test(value, f"{where}.{name}")) for name, value in raw.items())
    )


def parse_test(raw: object, where: str, *, depth: int = 0) -> Test:
    """The test that a condition's right-hand side says; `depth` counts the `not` around it.

    Raises `Rejected` (`selector-malformed`).
    """
    if isinstance(raw, str | int | bool):
        return Equal(_scalar(raw, where))
    if isinstance(raw, list | tuple):
        if not 1 <= len(raw) <= LIST_LENGTH_MAX:
            raise _malformed(where, f"{len(raw)} values", f"list between 1 and {LIST_LENGTH_MAX}")
        return OneOf(tuple(_scalar(value, where) for value in raw))
    if isinstance(raw, Mapping):
        keys = set(raw)
        if keys == {"glob"}:
            if not isinstance(raw["glob"], str):
                raise _malformed(where, raw["glob"], "a glob is a text")
            return Glob(str(_scalar(raw["glob"], where)))
        if keys == {"not"}:
            if depth == NOT_DEPTH_MAX:
                raise _malformed(where, raw, f"nest at most {NOT_DEPTH_MAX} of them")
            return Not(parse_test(raw["not"], f"{where}.not", depth=depth + 1))
        if keys and keys <= {"min", "max"}:
            ends = {name: _end(end, where) for name, end in raw.items()}
            low, high = ends.get("min"), ends.get("max")
            if low is not None and high is not None and low > high:
                raise _malformed(where, raw, "the range is empty: give a min no greater than max")
            return Range(low, high)
        raise _malformed(where, raw, 'use one of {"glob"}, {"min", "max"}, {"not"}')
    raise _malformed(where, raw, "use a value, a list of values or one of the tests")


def check_attributes(
    alternatives: Iterable[Alternative],
    declared: Mapping[str, AttributeType],
    *,
    where: str,
    allow_location: bool = False,
) -> None:
    """Refuses conditions that no device of the fleet could ever be asked for sensibly.

    Raises `Rejected`: `selector-location` for identity attributes, `selector-unknown-attribute` with the
    near misses, `selector-type` where the value's type is not the attribute's.
    """
    for alternative in alternatives:
        for condition in alternative.conditions:
            name = condition.attribute
            if name in IDENTITY:
                if not allow_location:
                    raise Rejected(
                        "selector-location",
                        f"{where}: the attribute {name!r} says which device or where, and a flavor says what "
                        "kind; select by other attributes, or let the operator set flavors.allow_location",
                        detail={"attribute": name},
                    )
                continue
            if name not in declared:
                near = difflib.get_close_matches(name, declared, n=3, cutoff=0.5)
                hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "no host reports it"
                raise Rejected(
                    "selector-unknown-attribute",
                    f"{where}: the attribute {name!r} is declared nowhere: {hint}",
                    detail={"attribute": name, "near": near},
                )
            _check_type(condition.test, declared[name], f"{where}.{name}")


def _check_type(test: Test, wanted: AttributeType, where: str) -> None:
    if isinstance(test, Not):
        _check_type(test.test, wanted, where)
        return
    if isinstance(test, Equal | OneOf):
        found = {type_of(value) for value in (test.values if isinstance(test, OneOf) else (test.value,))}
    else:
        found = {AttributeType.STRING if isinstance(test, Glob) else AttributeType.INTEGER}
    if found != {wanted}:
        names = ", ".join(sorted(kind.value for kind in found))
        raise Rejected(
            "selector-type", f"{where}: the attribute's type is {wanted.value}, the condition's {names}"
        )


def _scalar(raw: object, where: str) -> Scalar:
    if isinstance(raw, str):
        if len(raw) > TEXT_LENGTH_MAX:
            raise _malformed(where, f"{raw[:16]!r}…", f"use at most {TEXT_LENGTH_MAX} characters")
        return raw
    if isinstance(raw, bool | int):
        return raw
    raise _malformed(where, raw, "use a text, an integer or a boolean")


def _end(raw: object, where: str) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise _malformed(where, raw, "the ends of a range are integers")
    return raw


def _malformed(where: str, value: object, way_out: str) -> Rejected:
    return Rejected("selector-malformed", f"{where}: cannot use {str(value)[:80]!r}: {way_out}")
