"""The interfaces of a domain: those that we put in, one class for each way to the wire, and any as found."""

from __future__ import annotations

from dataclasses import dataclass

from jackfield.model.address import MacAddress, PciAddress, parse_mac
from jackfield.model.attachment import ObservedInterface
from jackfield.xml.element import Attr, Child, Element, make
from jackfield.xml.parse import Node


@dataclass(frozen=True, kw_only=True, slots=True)
class MacvtapInterface:
    """A virtio NIC on a macvtap that has the whole netdev to itself.

    There is no `<rom enabled='no'/>`, though a guest that boots a kernel directly never needs the
    option ROM: the running domain must show the interface of the design and nothing more.
    """

    mac: MacAddress
    netdev: str
    vlan: int | None = None
    """Refused by libvirt at start unless the netdev is a real VF."""
    guest_address: str | None = None

    def to_xml(self) -> Node:
        return make(
            "interface",
            make("mac", address=self.mac),
            make("source", dev=self.netdev, mode="passthrough"),
            _vlan(self.vlan),
            make("model", type="virtio"),
            _guest(self.guest_address),
            type="direct",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class BridgeInterface:
    """A virtio NIC on a bridge of the host."""

    mac: MacAddress
    bridge: str
    guest_address: str | None = None

    def to_xml(self) -> Node:
        return make(
            "interface",
            make("mac", address=self.mac),
            make("source", bridge=self.bridge),
            make("model", type="virtio"),
            _guest(self.guest_address),
            type="bridge",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class HostdevInterface:
    """The PCI function itself, taken from its driver and given back by libvirt (`managed`)."""

    mac: MacAddress
    address: PciAddress
    vlan: int | None = None
    guest_address: str | None = None

    def to_xml(self) -> Node:
        return make(
            "interface",
            make("mac", address=self.mac),
            make("source", _address(self.address)),
            _vlan(self.vlan),
            _guest(self.guest_address),
            type="hostdev",
            managed="yes",
        )


Interface = MacvtapInterface | BridgeInterface | HostdevInterface


class _Mac(Element):
    address = Attr("address")


class _Source(Element):
    dev = Attr("dev")
    network = Attr("network")
    bridge = Attr("bridge")


class InterfaceElement(Element):
    """A view of one `<interface>`, whosever it is."""

    type = Attr("type")
    source = Child("source", _Source)
    _mac = Child("mac", _Mac)

    @property
    def mac(self) -> str:
        """In lower case; empty where libvirt has still to choose one."""
        mac = self._mac
        return (mac.address or "").lower() if mac else ""

    def observed(self) -> ObservedInterface:
        """Raises `Rejected`: `mac-malformed` (also without one), `address-malformed`."""
        source = self.source
        guest = self.node.find("address[@type='pci']")
        return ObservedInterface(
            mac=parse_mac(self.mac),
            netdev=source.dev if source and self.type == "direct" else None,
            network=source.network if source else None,
            guest_address=None if guest is None else str(pci_address(guest)),
        )


def pci_address(node: Node) -> PciAddress:
    """What an `<address>` of libvirt's says; parts that are missing are 0.

    Raises `Rejected` (`address-malformed`).
    """

    def part(name: str, digits: int) -> str:
        return node.get(name, "0").lower().removeprefix("0x").zfill(digits)

    return PciAddress.parse(f"{part('domain', 4)}:{part('bus', 2)}:{part('slot', 2)}.{part('function', 1)}")


def _address(address: PciAddress) -> Node:
    return make(
        "address",
        type="pci",
        domain=f"0x{address.domain:04x}",
        bus=f"0x{address.bus:02x}",
        slot=f"0x{address.slot:02x}",
        function=f"0x{address.function:x}",
    )


def _guest(address: str | None) -> Node | None:
    return None if address is None else _address(PciAddress.parse(address))


def _vlan(vlan: int | None) -> Node | None:
    return None if vlan is None else make("vlan", make("tag", id=str(vlan)))
