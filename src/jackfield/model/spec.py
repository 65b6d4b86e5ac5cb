"""The host spec: a host's own ordered rules saying which devices are offered, and with which attributes.

    [[rule]]
    match = {vendor = "8086", product = "10ca"}
    attributes = {physical_network = "physnet1", trusted = true}

Opt-in: a device that no rule matches is not offered. The first rule that matches decides. A wrong spec is
refused as a whole, with the file, the rule and the field.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from jackfield.model.address import parse_hex_id
from jackfield.model.address_pattern import AddressPattern, parse_address_pattern
from jackfield.model.device import (
    BUILT_IN,
    IDENTITY,
    Attributes,
    AttributeType,
    Device,
    DeviceKind,
    Scalar,
    type_of,
)
from jackfield.model.error import Rejected
from jackfield.model.flavor import check_name
from jackfield.model.spec_match import Match

RULES_MAX = 1024
TEXT_LENGTH_MAX = 256
_FROM_THE_SPEC = "physical_network"
_MATCH_KEYS = ("vendor", "product", "class", "address", "netdev", "pf", "kind", "driver")
_RULE_KEYS = ("match", "offer", "attributes", "pool_network")
_ATTRIBUTE = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)
_CLASS = re.compile(r"(?:0x)?((?:[0-9a-f]{2}){1,3})", re.ASCII)

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    match: Match = field(default_factory=Match)
    offer: bool = True
    attributes: Attributes = field(default_factory=dict)
    pool_network: str | None = None


class Decision(NamedTuple):
    """What a spec says of one device."""

    offer: bool
    attributes: Attributes
    pool_network: str | None
    rule: int | None
    """The number of the rule that decided, from 1; None where none matched."""


@dataclass(frozen=True, slots=True)
class HostSpec:
    """Ordered rules; without any, nothing is offered."""

    rules: tuple[Rule, ...] = ()

    def decide(self, device: Device, pf: Device | None) -> Decision:
        """What the first matching rule says of `device`; `pf` is the PF of a VF, where it is known."""
        for number, rule in enumerate(self.rules, 1):
            if rule.match.holds(device, pf):
                return Decision(rule.offer, rule.attributes, rule.pool_network, number)
        return Decision(False, {}, None, None)

    def declared(self) -> dict[str, AttributeType]:
        """The attributes that the rules give, with their types."""
        return {name: type_of(value) for rule in self.rules for name, value in rule.attributes.items()}


def parse_spec(text: str, source: str) -> HostSpec:
    """The spec that a TOML text says; `source` names its file in messages.

    Raises `Rejected` (`spec-malformed`); its detail has `file`, `rule` (from 1) and `field`.
    """
    place = _Place(source=source)
    try:
        document = tomllib.loads(text)
    # A ValueError is also what an integer of thousands of digits gives, and thousands of opening
    # brackets exhaust the parser's stack.
    except (ValueError, RecursionError) as error:
        raise place.refused(f"this is not TOML: {error}") from None
    place.check_keys(document, ("rule",))
    tables = document.get("rule", [])
    if not isinstance(tables, list) or len(tables) > RULES_MAX:
        raise place.at("rule").wrong(tables, f"write at most {RULES_MAX} tables [[rule]]")
    rules = tuple(_rule(raw, _Place(source=source, rule=number)) for number, raw in enumerate(tables, 1))
    _check_types(rules, source)
    return HostSpec(rules)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """Where in a spec something stands."""

    source: str
    rule: int | None = None
    field: str = ""

    def at(self, name: str) -> _Place:
        return _Place(source=self.source, rule=self.rule, field=f"{self.field}.{name}".lstrip("."))

    def refused(self, sentence: str) -> Rejected:
        rule = f", rule {self.rule}" if self.rule else ""
        where = f", field {self.field[:80]}" if self.field else ""
        return Rejected(
            "spec-malformed",
            f"host spec {self.source}{rule}{where}: {sentence}",
            detail={"file": self.source, "rule": self.rule, "field": self.field or None},
        )

    def wrong(self, value: object, way_out: str) -> Rejected:
        return self.refused(_cannot_use(value, way_out))

    def table(self, raw: object) -> Mapping[str, object]:
        if not isinstance(raw, dict):
            raise self.wrong(raw, "write a table")
        return raw

    def check_keys(self, table: Mapping[str, object], known: Iterable[str]) -> None:
        for name in table:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"use {', '.join(known)}"
                raise self.at(name).refused(f"there is no such field: {hint}")

    def read(self, table: Mapping[str, object], name: str, reader: Callable[[object], T]) -> T | None:
        """What `reader` makes of the table's field; None without the field."""
        if name not in table:
            return None
        try:
            return reader(table[name])
        except Rejected as error:
            raise self.at(name).refused(error.message) from None


def _rule(raw: object, place: _Place) -> Rule:
    table = place.table(raw)
    place.check_keys(table, _RULE_KEYS)
    offer = place.read(table, "offer", _boolean)
    return Rule(
        match=_match(place.at("match").table(table.get("match", {})), place.at("match")),
        offer=True if offer is None else offer,
        attributes=_attributes(
            place.at("attributes").table(table.get("attributes", {})), place.at("attributes")
        ),
        pool_network=place.read(
            table, "pool_network", lambda value: check_name("network pool", _text(value))
        ),
    )


def _match(table: Mapping[str, object], place: _Place) -> Match:
    place.check_keys(table, _MATCH_KEYS)
    return Match(
        vendor=place.read(table, "vendor", lambda value: parse_hex_id(_text(value))),
        product=place.read(table, "product", lambda value: parse_hex_id(_text(value))),
        class_prefix=place.read(table, "class", _class_prefix),
        address=place.read(table, "address", parse_address_pattern),
        netdev=place.read(table, "netdev", _text),
        pf=place.read(table, "pf", _pf),
        kind=place.read(table, "kind", _kind),
        driver=place.read(table, "driver", _text),
    )


def _attributes(table: Mapping[str, object], place: _Place) -> Attributes:
    for name in table:
        if not _ATTRIBUTE.fullmatch(name):
            raise place.at(name).wrong(
                name, "an attribute's name is a lower-case letter, then a-z, 0-9 and '_', at most 63 in all"
            )
        if name in IDENTITY or (name in BUILT_IN and name != _FROM_THE_SPEC):
            raise place.at(name).refused("the host itself says this of a device: take another name")
    if _FROM_THE_SPEC in table:
        place.read(table, _FROM_THE_SPEC, _text)
    return {name: value for name in table if (value := place.read(table, name, _scalar)) is not None}


def _check_types(rules: Iterable[Rule], source: str) -> None:
    """One attribute has one type: flavors compare by it."""
    declared: dict[str, tuple[AttributeType, int]] = {}
    for number, rule in enumerate(rules, 1):
        for name, value in rule.attributes.items():
            kind, first = declared.setdefault(name, (type_of(value), number))
            if kind is not type_of(value):
                raise _Place(source=source, rule=number, field=f"attributes.{name}").wrong(
                    value, f"rule {first} made it a {kind.value}; give it one type"
                )


def _text(raw: object) -> str:
    if not isinstance(raw, str):
        raise _unusable(raw, 'write a text in quotes, as "8086"')
    if not 1 <= len(raw) <= TEXT_LENGTH_MAX:
        raise _unusable(raw, f"write 1 to {TEXT_LENGTH_MAX} characters")
    return raw


def _boolean(raw: object) -> bool:
    if not isinstance(raw, bool):
        raise _unusable(raw, "write true or false")
    return raw


def _scalar(raw: object) -> Scalar:
    if isinstance(raw, str):
        return _text(raw)
    if isinstance(raw, int) and -(2**63) <= raw < 2**63:
        return raw
    raise _unusable(raw, "write a text, a 64-bit integer, true or false")


def _class_prefix(raw: object) -> str:
    match = _CLASS.fullmatch(_text(raw).lower())
    if match is None:
        raise _unusable(raw, 'write 2, 4 or 6 hexadecimal digits, as "02", "0200" or "020000"')
    return match[1]


def _pf(raw: object) -> AddressPattern | str:
    # The kernel lets no netdev's name have a colon.
    text = _text(raw)
    return parse_address_pattern(text) if ":" in text else text


def _kind(raw: object) -> DeviceKind:
    try:
        return DeviceKind(_text(raw))
    except ValueError:
        raise _unusable(raw, f"write one of {', '.join(kind.value for kind in DeviceKind)}") from None


def _unusable(value: object, way_out: str) -> Rejected:
    return Rejected("spec-malformed", _cannot_use(value, way_out))


def _cannot_use(value: object, way_out: str) -> str:
    return f"cannot use {repr(value)[:80]}: {way_out}"
