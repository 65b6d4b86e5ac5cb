"""Conditions of a flavor as a person types them, one an option."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from jackfield.model.device import BUILT_IN, AttributeType, Scalar
from jackfield.model.error import Rejected

_CONDITION = re.compile(r"([A-Za-z0-9_.-]+)\s*(!=|>=|<=|=)\s*(.*)", re.DOTALL)
_GLOB = re.compile(r"[*?\[]")
_INTEGER = re.compile(r"-?[0-9]{1,18}")


def parse_conditions(texts: Iterable[str]) -> dict[str, Any]:
    """One alternative in its JSON form from conditions such as `vendor=8086`, `product=10ca,1520`,
    `physical_network=phys*`, `link_speed_mbps>=10000` and `driver!=vfio-pci`.

    Raises `Rejected` (`condition-malformed`).
    """
    alternative: dict[str, Any] = {}
    for text in texts:
        match = _CONDITION.fullmatch(text.strip())
        if match is None:
            raise _malformed(text, "write attribute=value, with =, !=, >= or <=")
        attribute, operator, value = match.groups()
        test = _test(text, attribute, operator, value)
        present = alternative.get(attribute)
        if present is None:
            alternative[attribute] = test
        elif (
            isinstance(present, dict)
            and isinstance(test, dict)
            and set(present) ^ set(test) == {"min", "max"}
        ):
            alternative[attribute] = present | test  # the two ends of one range
        else:
            raise _malformed(text, f"there is a condition on {attribute!r} already; join values with a comma")
    return alternative


def _test(text: str, attribute: str, operator: str, value: str) -> Any:
    if operator in (">=", "<="):
        if not _INTEGER.fullmatch(value):
            raise _malformed(text, "the end of a range is an integer")
        return {"min" if operator == ">=" else "max": int(value)}
    test: Any
    if _GLOB.search(value):
        test = {"glob": value}
    elif "," in value:
        test = [_scalar(attribute, part) for part in value.split(",")]
    else:
        test = _scalar(attribute, value)
    return {"not": test} if operator == "!=" else test


def _scalar(attribute: str, text: str) -> Scalar:
    """The vendor 8086 is a text; of an attribute that a host spec makes, only the value's look is known."""
    declared = BUILT_IN.get(attribute)
    if declared is not AttributeType.STRING and _INTEGER.fullmatch(text):
        return int(text)
    if declared is None and text in ("true", "false"):
        return text == "true"
    return text


def _malformed(text: str, way_out: str) -> Rejected:
    return Rejected("condition-malformed", f"cannot use the condition {text!r}: {way_out}")
