"""A host's inventory: what its spec makes of its devices, and what a new one changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from jackfield.model.device import Device, OfferedDevice
from jackfield.model.spec import HostSpec


def apply(spec: HostSpec, devices: Iterable[Device]) -> tuple[OfferedDevice, ...]:
    """Every device with what the spec decides of it, sorted by address.

    Devices that share an identity cannot be told apart after a reboot: none of them is offered, and each
    gets its address into its identity, so that it can still be named.
    """
    found = tuple(sorted(_told_apart(devices), key=lambda known: known.device.address))
    by_address = {known.device.address: known.device for known in found}
    inventory = []
    for known in found:
        device = known.device
        decision = spec.decide(device, by_address.get(device.parent) if device.parent else None)
        inventory.append(
            OfferedDevice(
                device=device,
                offered=decision.offer and known.refusal is None,
                attributes=decision.attributes,
                pool_network=decision.pool_network,
                refusal=known.refusal if decision.offer else None,
            )
        )
    return tuple(inventory)


@dataclass(frozen=True, kw_only=True, slots=True)
class InventoryChange:
    """What is offered after that was not before, and so on: each device in one of the four."""

    added: tuple[OfferedDevice, ...]
    removed: tuple[OfferedDevice, ...]
    """As they were. A device in use keeps its claim nevertheless."""
    kept: tuple[OfferedDevice, ...]
    changed: tuple[OfferedDevice, ...]
    """Offered before and after, but with other attributes or for another network pool; as they are now."""


def diff(before: Iterable[OfferedDevice], after: Iterable[OfferedDevice]) -> InventoryChange:
    """How the devices on offer differ. A device is the same by its identity: one that was renumbered or
    renamed is kept."""
    was = {entry.device.identity: entry for entry in before if entry.offered}
    now = {entry.device.identity: entry for entry in after if entry.offered}
    stayed = [(was[identity], entry) for identity, entry in now.items() if identity in was]
    return InventoryChange(
        added=tuple(entry for identity, entry in now.items() if identity not in was),
        removed=tuple(entry for identity, entry in was.items() if identity not in now),
        kept=tuple(entry for old, entry in stayed if _decided(old) == _decided(entry)),
        changed=tuple(entry for old, entry in stayed if _decided(old) != _decided(entry)),
    )


def _decided(entry: OfferedDevice) -> object:
    # True == 1 in Python, but a flavor tells a boolean from an integer.
    return {name: (type(value), value) for name, value in entry.attributes.items()}, entry.pool_network


@dataclass(frozen=True, kw_only=True, slots=True)
class _Known:
    device: Device
    refusal: str | None = None


def _told_apart(devices: Iterable[Device]) -> Iterable[_Known]:
    found = tuple(devices)
    counts = Counter(device.identity for device in found)
    renamed = {
        device.address: f"{device.identity}@{device.address}"
        for device in found
        if counts[device.identity] > 1
    }
    for device in found:
        parent = renamed.get(device.parent) if device.parent else None
        if device.address not in renamed:
            yield _Known(device=device if parent is None else replace(device, parent_identity=parent))
            continue
        others = sorted(
            other.address for other in found if other.identity == device.identity and other is not device
        )
        yield _Known(
            device=replace(
                device,
                identity=renamed[device.address],
                parent_identity=parent or device.parent_identity,
            ),
            refusal=f"it cannot be told from {', '.join(map(str, others))}: they say the same identity, "
            f"{device.identity}",
        )
