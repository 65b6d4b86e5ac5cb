"""Patterns over PCI addresses, as host specs write them.

    "0000:01:10.2"                        exactly this one (the domain may be left out)
    "0000:01:10.*"                        a glob, over the address in full
    {bus = "0[1-3]", slot = "1[0-7]"}     a regular expression for each field; a missing field means any
    {regex = {bus = "0[1-3]"}}            the same
    {regex = "0000:0[1-3]:.*"}            one over the address in full

Regular expressions run on RE2 with bounded memory, match from end to end and know no upper case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import re2

from jackfield.model.address import PciAddress
from jackfield.model.error import Rejected

TEXT_LENGTH_MAX = 256
FIELDS = ("domain", "bus", "slot", "function")
_REGEX_MEMORY_MAX = 1 << 18


@dataclass(frozen=True, slots=True)
class ExactAddress:
    address: PciAddress

    def holds(self, address: PciAddress) -> bool:
        return address == self.address


@dataclass(frozen=True, slots=True)
class AddressGlob:
    pattern: str

    def holds(self, address: PciAddress) -> bool:
        text = str(address)
        # As in an address without a domain, the domain is 0.
        return fnmatchcase(text, self.pattern) or (
            address.domain == 0 and fnmatchcase(text.removeprefix("0000:"), self.pattern)
        )


@dataclass(frozen=True, slots=True)
class AddressRegex:
    pattern: str

    def holds(self, address: PciAddress) -> bool:
        return _fullmatch(self.pattern, str(address))


@dataclass(frozen=True, slots=True)
class FieldRegexes:
    """A regular expression for each of some fields, in their order."""

    patterns: tuple[tuple[str, str], ...]

    def holds(self, address: PciAddress) -> bool:
        domain, bus, rest = str(address).split(":")
        slot, function = rest.split(".")
        fields = {"domain": domain, "bus": bus, "slot": slot, "function": function}
        return all(_fullmatch(pattern, fields[name]) for name, pattern in self.patterns)


AddressPattern = ExactAddress | AddressGlob | AddressRegex | FieldRegexes


def parse_address_pattern(raw: object) -> AddressPattern:
    """The pattern that a text or a table says.

    Raises `Rejected` (`address-pattern-malformed`, `address-malformed`).
    """
    if isinstance(raw, str):
        text = _bounded(raw.strip().lower())
        return AddressGlob(text) if set(text) & set("*?[") else ExactAddress(PciAddress.parse(text))
    if isinstance(raw, Mapping):
        if set(raw) == {"regex"}:
            inner = raw["regex"]
            return _field_regexes(inner) if isinstance(inner, Mapping) else AddressRegex(_regex(inner))
        return _field_regexes(raw)
    raise _malformed(raw, 'write an address, a glob, or a table as {bus = "0[1-3]", slot = "10"}')


def _field_regexes(raw: Mapping[object, object]) -> FieldRegexes:
    if not raw or set(raw) - set(FIELDS):
        raise _malformed(raw, f"give regular expressions for some of {', '.join(FIELDS)}, and nothing else")
    return FieldRegexes(tuple((name, _regex(raw[name])) for name in FIELDS if name in raw))


def _regex(raw: object) -> str:
    if not isinstance(raw, str):
        raise _malformed(raw, 'a regular expression is a text, as "1[0-7]"')
    try:
        _compiled(_bounded(raw))
    except re2.error as error:
        reason = error.args[0]
        raise _malformed(raw, f"RE2 refuses it: {reason.decode(errors='replace')}") from None
    return raw


def _fullmatch(pattern: str, text: str) -> bool:
    return _compiled(pattern).fullmatch(text) is not None


def _compiled(pattern: str) -> re2._Regexp:
    # The library keeps what it compiled, so that asking again costs a look-up.
    options = re2.Options()
    options.max_mem = _REGEX_MEMORY_MAX
    options.case_sensitive = False
    options.log_errors = False
    return re2.compile(pattern, options)


def _bounded(text: str) -> str:
    if len(text) > TEXT_LENGTH_MAX:
        raise _malformed(f"{text[:16]}…", f"use at most {TEXT_LENGTH_MAX} characters")
    return text


def _malformed(value: object, way_out: str) -> Rejected:
    return Rejected("address-pattern-malformed", f"cannot use {repr(value)[:80]}: {way_out}")
