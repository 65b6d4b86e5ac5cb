"""PCI flavors: written by the operator, named by everybody."""

from __future__ import annotations

from dataclasses import dataclass

from jackfield.model.device import Attributes
from jackfield.model.error import Conflict
from jackfield.model.flavor import Flavor, check_name, parse_alternatives
from jackfield.model.migration import StrategyName
from jackfield.model.selector import Condition, check_attributes
from jackfield.service.placement import attributes_of
from jackfield.service.unit import Unit
from jackfield.store import attribute
from jackfield.store import claim as claims
from jackfield.store import device as devices
from jackfield.store import flavor as flavors
from jackfield.store import port as ports
from jackfield.store.device import StoredDevice


@dataclass(frozen=True, kw_only=True, slots=True)
class MatchingDevice:
    device: StoredDevice
    alternative: int
    """The index of the first alternative that it satisfies."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FailingDevice:
    device: StoredDevice
    conditions: tuple[Condition, ...]
    """For each alternative, the first condition that it fails."""
    attributes: Attributes


@dataclass(frozen=True, kw_only=True, slots=True)
class MatchReport:
    flavor: Flavor
    matching: tuple[MatchingDevice, ...]
    failing: tuple[FailingDevice, ...]


def create(
    unit: Unit,
    name: str,
    alternatives: object,
    description: str = "",
    strategy: StrategyName | None = None,
) -> Flavor:
    """Raises `Rejected` (`flavor-malformed`, `selector-…`), `Conflict` (`flavor-exists`)."""
    check_name("flavor", name)
    flavor = _flavor(unit, name, alternatives, description, strategy)
    flavors.insert(unit.connection, flavor)
    return flavor


def listing(unit: Unit) -> list[Flavor]:
    return flavors.listing(unit.connection)


def show(unit: Unit, name: str) -> Flavor:
    return flavors.get(unit.connection, name)


def replace(
    unit: Unit,
    name: str,
    alternatives: object,
    description: str = "",
    strategy: StrategyName | None = None,
) -> Flavor:
    """Writes the whole flavor anew; claims keep the devices that they have."""
    flavor = _flavor(unit, name, alternatives, description, strategy)
    flavors.replace(unit.connection, flavor)
    return flavor


def delete(unit: Unit, name: str, *, force: bool = False) -> None:
    """Raises `Conflict` (`flavor-in-use`) while ports or claims name it, unless forced: they stay whole."""
    flavors.get(unit.connection, name)
    using = [port.name for port in ports.listing(unit.connection, flavor=name)]
    held = [claim for claim in claims.listing(unit.connection) if claim.flavor == name]
    if (using or held) and not force:
        raise Conflict(
            "flavor-in-use",
            f"flavor {name} is named by {len(using)} ports and {len(held)} claims; delete those first, or "
            "use force, which leaves them as they are",
            detail={"ports": using, "claims": [claim.id for claim in held]},
        )
    flavors.remove(unit.connection, name)


def match(unit: Unit, name: str) -> MatchReport:
    """Which offered devices the flavor matches, and which condition the others fail."""
    flavor = flavors.get(unit.connection, name)
    matching: list[MatchingDevice] = []
    failing: list[FailingDevice] = []
    for device in devices.listing(unit.connection):
        if not device.offer.offered:
            continue
        attributes = attributes_of(unit, device)
        index = flavor.match(attributes)
        if index is not None:
            matching.append(MatchingDevice(device=device, alternative=index))
        else:
            firsts = (alternative.first_failing(attributes) for alternative in flavor.alternatives)
            failing.append(
                FailingDevice(
                    device=device,
                    conditions=tuple(first for first in firsts if first is not None),
                    attributes=attributes,
                )
            )
    return MatchReport(flavor=flavor, matching=tuple(matching), failing=tuple(failing))


def _flavor(
    unit: Unit, name: str, alternatives: object, description: str, strategy: StrategyName | None
) -> Flavor:
    where = f"flavor {name}"
    parsed = parse_alternatives(alternatives, where)
    check_attributes(
        parsed,
        attribute.declared(unit.connection),
        where=where,
        allow_location=unit.settings.allow_location,
    )
    return Flavor(name=name, alternatives=parsed, description=description, strategy=strategy)
