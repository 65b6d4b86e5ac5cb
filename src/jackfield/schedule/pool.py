"""Pools: the free devices of one host that no flavor can tell apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from jackfield.model.device import Attributes, DeviceId, DeviceKind, Scalar, type_of

Signature: TypeAlias = tuple[tuple[str, str, Scalar], ...]
"""Selectable attributes by name: name, type, value. The type, since True equals 1 in Python."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FreeDevice:
    """A device that may be given away now: offered, healthy, held by nobody, its PF or VFs neither."""

    device_id: DeviceId
    host: str
    identity: str
    kind: DeviceKind
    attributes: Attributes
    """All that a flavor may ask for."""
    parent_id: DeviceId | None = None
    """A VF's PF, whether that is free or not. A PF has none."""
    spec_attribute_count: int = 0
    """How many of the attributes the host spec gave: what makes a device special to its operator."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pool:
    host: str
    signature: Signature
    parent_id: DeviceId | None
    devices: tuple[FreeDevice, ...]
    """At least one; fewest spec attributes first, then by identity."""
    ids: frozenset[DeviceId]
    """Of the devices."""

    @property
    def attributes(self) -> Mapping[str, Scalar]:
        return {name: value for name, _, value in self.signature}


def signature_of(attributes: Attributes) -> Signature:
    return tuple((name, type_of(value).value, value) for name, value in sorted(attributes.items()))


def pools(free: Iterable[FreeDevice]) -> tuple[Pool, ...]:
    """The devices by host, attributes and PF: each is in exactly one pool. Costs one sort of them all."""
    groups: dict[tuple[str, Signature, DeviceId | None], list[FreeDevice]] = {}
    for device in sorted(
        free, key=lambda device: (device.host, device.spec_attribute_count, device.identity)
    ):
        key = device.host, signature_of(device.attributes), device.parent_id
        groups.setdefault(key, []).append(device)
    return tuple(
        Pool(
            host=host,
            signature=signature,
            parent_id=parent_id,
            devices=tuple(devices),
            ids=frozenset(device.device_id for device in devices),
        )
        for (host, signature, parent_id), devices in groups.items()
    )
