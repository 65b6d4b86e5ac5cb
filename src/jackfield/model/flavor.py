"""PCI flavors: named selectors that tenants may ask for by name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jackfield.model.device import Attributes
from jackfield.model.error import Rejected
from jackfield.model.migration import StrategyName
from jackfield.model.selector import Alternative, parse_alternative

ALTERNATIVES_MAX = 16
_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Flavor:
    """An ordered list of alternatives: the first that can be satisfied anywhere in the fleet wins."""

    name: str
    alternatives: tuple[Alternative, ...]
    description: str = ""
    strategy: StrategyName | None = None

    def match(self, attributes: Attributes) -> int | None:
        """The index of the first alternative that the attributes satisfy, or None."""
        return next((i for i, a in enumerate(self.alternatives) if a.matches(attributes)), None)


def check_name(noun: str, name: str) -> str:
    """The name itself, if it may name a `noun`.

    Raises `Rejected` (`name-malformed`).
    """
    if not _NAME.fullmatch(name):
        raise Rejected(
            "name-malformed",
            f"{noun} name {name[:80]!r}: use 1 to 64 of a-z, 0-9, '.', '_' and '-', "
            "beginning and ending with a letter or digit",
        )
    return name


def parse_alternatives(raw: object, where: str) -> tuple[Alternative, ...]:
    """The ordered alternatives of a flavor from their JSON form, a list of objects.

    Raises `Rejected` (`flavor-malformed`, `selector-malformed`).
    """
    if not isinstance(raw, Sequence) or isinstance(raw, str) or not 1 <= len(raw) <= ALTERNATIVES_MAX:
        raise Rejected(
            "flavor-malformed", f"{where}: alternatives are a list of 1 to {ALTERNATIVES_MAX} objects"
        )
    return tuple(parse_alternative(one, f"{where}.alternatives[{i}]") for i, one in enumerate(raw))


def alternatives_to_json(alternatives: Sequence[Alternative]) -> list[dict[str, Any]]:
    return [alternative.to_json() for alternative in alternatives]
