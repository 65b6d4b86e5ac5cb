"""PCI flavors on the wire; alternatives are written as `jackfield.model.selector` reads them."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field

from jackfield.model import flavor as model
from jackfield.model.device import Scalar
from jackfield.model.migration import StrategyName
from jackfield.wire.shape import Line, Name, Request, Shape

Alternatives = Annotated[
    list[dict[str, Any]],
    Field(examples=[[{"vendor": "8086", "product": ["10ca", "1520"], "physical_network": "physnet1"}]]),
]
"""Ordered: the first that can be satisfied anywhere in the fleet wins."""


class FlavorReplace(Request):
    """All that a flavor says beside its name; what is left out gets its default."""

    alternatives: Alternatives
    description: Line = ""
    strategy: StrategyName | None = None


class FlavorCreate(FlavorReplace):
    name: Name


class Flavor(Shape):
    name: str
    description: str
    strategy: StrategyName | None
    alternatives: Alternatives

    @classmethod
    def from_model(cls, value: object) -> Self:
        assert isinstance(value, model.Flavor)
        return cls(
            name=value.name,
            description=value.description,
            strategy=value.strategy,
            alternatives=model.alternatives_to_json(value.alternatives),
        )


class Flavors(Shape):
    pci_flavors: tuple[Flavor, ...]


class MatchingDevice(Shape):
    device_id: str
    alternative: int
    """The index of the first alternative that it satisfies."""


class FailedCondition(Shape):
    attribute: str
    wanted: Any
    """The test, as it is written in a flavor."""
    found: Scalar | None
    """None: the device has no such attribute, and then no condition on it holds."""


class OtherDevice(Shape):
    device_id: str
    failed: tuple[FailedCondition, ...]
    """For each alternative, the first condition that the device fails."""


class FlavorMatch(Shape):
    """What a flavor selects at present among the offered devices, whoever holds them."""

    matching: tuple[MatchingDevice, ...]
    others: tuple[OtherDevice, ...]
