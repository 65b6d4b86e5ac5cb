"""Devices: one PCI function each, and the attributes that selectors see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from jackfield.model.address import MacAddress, PciAddress

DeviceId = NewType("DeviceId", str)
"""`<host>/<identity>`: the same device keeps it when its address or its netdev's name changes."""

Scalar = str | int | bool
Attributes = Mapping[str, Scalar]


class DeviceKind(StrEnum):
    PCI = "pci"
    PF = "pf"
    VF = "vf"
    VDPA = "vdpa"


class AttributeType(StrEnum):
    STRING = "string"
    INTEGER = "integer"
    BOOLEAN = "boolean"


def type_of(value: Scalar) -> AttributeType:
    """The declared type that `value` belongs to (a bool is not an integer here)."""
    if isinstance(value, bool):
        return AttributeType.BOOLEAN
    return AttributeType.INTEGER if isinstance(value, int) else AttributeType.STRING


BUILT_IN: Mapping[str, AttributeType] = {
    "vendor": AttributeType.STRING,
    "product": AttributeType.STRING,
    "class": AttributeType.STRING,
    "kind": AttributeType.STRING,
    "driver": AttributeType.STRING,
    "numa_node": AttributeType.INTEGER,
    "link_speed_mbps": AttributeType.INTEGER,
    "link_state": AttributeType.STRING,
    "physical_network": AttributeType.STRING,
}
"""Attributes that any flavor may use, on any fleet. `physical_network` comes from the host spec."""

IDENTITY: frozenset[str] = frozenset(
    {
        "address", "host", "pf", "parent", "pcie_root", "mac", "netdev", "vf_index", "serial", "iommu_group",
        "identity", "pci_slot",
    }
)  # fmt: skip
"""Attributes that say *which* device or where: refused in flavors unless the operator allows location."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Device:
    """One PCI function as a host sees it. Ids are lower-case hex without `0x`; missing facts are None."""

    identity: str
    """Survives renumbering of addresses and renaming of netdevs; unique on its host."""
    address: PciAddress
    kind: DeviceKind
    vendor_id: str
    product_id: str
    class_id: str
    parent: PciAddress | None = None
    """The PF's address, for a VF."""
    parent_identity: str | None = None
    vf_index: int | None = None
    numa_node: int | None = None
    iommu_group: int | None = None
    netdev: str | None = None
    driver: str | None = None
    mac: MacAddress | None = None
    """The permanent MAC where the kernel tells it, else the current one as first seen."""
    link_speed_mbps: int | None = None
    link_state: str | None = None
    is_real_vf: bool = False
    """libvirt, too, sees a VF (`class/net/<netdev>/device/physfn`), so that it can tag VLANs."""

    def attributes(self) -> dict[str, Scalar]:
        """The built-in selectable attributes; what the device lacks is absent."""
        facts: dict[str, Scalar | None] = {
            "vendor": self.vendor_id,
            "product": self.product_id,
            "class": self.class_id,
            "kind": self.kind.value,
            "driver": self.driver,
            "numa_node": self.numa_node,
            "link_speed_mbps": self.link_speed_mbps,
            "link_state": self.link_state,
        }
        return {name: value for name, value in facts.items() if value is not None}

    def location(self, host: str) -> dict[str, Scalar]:
        """The identity attributes: which device this is, and where; what it lacks is absent."""
        facts: dict[str, Scalar | None] = {
            "host": host,
            "identity": self.identity,
            "address": str(self.address),
            "pf": str(self.parent) if self.parent else None,
            "vf_index": self.vf_index,
            "netdev": self.netdev,
            "mac": self.mac,
            "iommu_group": self.iommu_group,
        }
        return {name: value for name, value in facts.items() if value is not None}


@dataclass(frozen=True, kw_only=True, slots=True)
class OfferedDevice:
    """A device together with what the host spec decided of it: one entry of a host's inventory."""

    device: Device
    offered: bool
    attributes: Attributes
    """Only what the spec's rule gives."""
    pool_network: str | None = None
    refusal: str | None = None
    """Why a device that a rule offers is not offered after all (a foreign network contains it, …)."""

    def selectable(self, *, on_host: str | None = None) -> dict[str, Scalar]:
        """All attributes that a flavor may ask for; with `on_host`, the identity attributes as well, which
        tell each device from every other: only for an operator who allowed location."""
        return {
            **(self.device.location(on_host) if on_host is not None else {}),
            **self.device.attributes(),
            **self.attributes,
        }
