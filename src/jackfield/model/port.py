"""Ports and their bindings, with Neutron's names for what they carry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from jackfield.model.address import MacAddress
from jackfield.model.device import Device
from jackfield.model.error import Rejected
from jackfield.model.migration import StrategyName
from jackfield.model.network import Network, SegmentKind


class VnicType(StrEnum):
    NORMAL = "normal"
    DIRECT = "direct"
    MACVTAP = "macvtap"
    DIRECT_PHYSICAL = "direct-physical"
    VDPA = "vdpa"


PASS_THROUGH = frozenset({VnicType.DIRECT, VnicType.MACVTAP, VnicType.DIRECT_PHYSICAL, VnicType.VDPA})
"""The types of port that need a device; the others need none."""


def logical_name(port_id: str) -> str:
    """The netdev name that `netdev-rename` gives a port's device on every host: `eth` and the first 11
    characters of the UUID, 14 in all (the kernel allows 15: IFNAMSIZ less its terminating zero)."""
    return f"eth{port_id[:11]}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Port:
    id: str
    name: str
    network_id: str
    mac: MacAddress
    vnic_type: VnicType = VnicType.NORMAL
    flavor: str | None = None
    strategy: StrategyName | None = None
    instance_id: str | None = None
    number: int | None = None
    """The port's stable number within its instance, from 0, in the order of the request."""
    guest_address: str | None = None
    """The guest's PCI address of this NIC, as read back after the first start."""


class VifType(StrEnum):
    UNBOUND = "unbound"
    BRIDGE = "bridge"
    HW_VEB = "hw_veb"
    HOSTDEV_PHYSICAL = "hostdev_physical"
    BINDING_FAILED = "binding_failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Binding:
    """What joins a port to a host; one of a port's bindings is active, a second one only during a move."""

    port_id: str
    host: str
    is_active: bool
    vif_type: VifType = VifType.UNBOUND
    profile: Mapping[str, Any] = field(default_factory=dict)
    """Describes the host's device: `pci_slot`, `pci_vendor_info`, `physical_network`."""
    vif_details: Mapping[str, Any] = field(default_factory=dict)


def binding_of(port: Port, network: Network, host: str, device: Device | None, *, active: bool) -> Binding:
    """The binding of a port on a host, from the device claimed for it (None for `normal`)."""
    details: dict[str, Any] = {"port_filter": False, "connectivity": "l2"}
    if network.segment is SegmentKind.VLAN:
        details["vlan"] = str(network.vlan)
    profile: dict[str, Any] = {"physical_network": network.physical_network}
    if device is None:
        vif_type = VifType.BRIDGE
    else:
        vif_type = VifType.HOSTDEV_PHYSICAL if port.vnic_type is VnicType.DIRECT_PHYSICAL else VifType.HW_VEB
        profile["pci_slot"] = str(device.address)
        profile["pci_vendor_info"] = f"{device.vendor_id}:{device.product_id}"
    return Binding(
        port_id=port.id, host=host, is_active=active, vif_type=vif_type, profile=profile, vif_details=details
    )


SERVED = frozenset({VnicType.NORMAL, VnicType.MACVTAP})
"""What this version can give a guest; the others are Neutron's words, known and not served yet."""


def check_port(vnic_type: VnicType, flavor: str | None, network: Network) -> None:
    """Raises `Rejected` unless type, flavor and network belong together: `vnic-type-not-served`,
    `port-flavor`, `device-cannot-vlan` (a `normal` port on a VLAN network: a plain bridge does not tag)."""
    if vnic_type not in SERVED:
        raise Rejected(
            "vnic-type-not-served",
            f"binding:vnic_type {vnic_type.value} is not served yet; use "
            f"{' or '.join(sorted(kind.value for kind in SERVED))}",
        )
    if vnic_type is VnicType.NORMAL and network.segment is SegmentKind.VLAN:
        raise Rejected(
            "device-cannot-vlan",
            f"network {network.name} tags with VLAN {network.vlan}, and the bridge of a normal port does not "
            "tag: use a flat network, or a macvtap port with a flavor of real VFs",
        )
    if vnic_type in PASS_THROUGH and flavor is None:
        raise Rejected("port-flavor", f"a port of binding:vnic_type {vnic_type.value} needs a PCI flavor")
    if vnic_type not in PASS_THROUGH and flavor is not None:
        raise Rejected(
            "port-flavor",
            f"a port of binding:vnic_type {vnic_type.value} takes no device: drop flavor {flavor!r}",
        )
