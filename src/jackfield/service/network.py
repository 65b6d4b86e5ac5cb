"""The built-in networks."""

from __future__ import annotations

from jackfield.model.flavor import check_name
from jackfield.model.network import Network, SegmentKind, check_segment
from jackfield.service.unit import Unit
from jackfield.store import network as networks


def create(
    unit: Unit, name: str, physical_network: str, segment: SegmentKind, vlan: int | None = None
) -> Network:
    """Raises `Rejected` (`network-vlan`, `name-malformed`), `Conflict` (`network-exists`)."""
    check_name("network", name)
    check_name("physical network", physical_network)
    check_segment(segment, vlan)
    network = Network(
        id=unit.ids.new(), name=name, physical_network=physical_network, segment=segment, vlan=vlan
    )
    networks.insert(unit.connection, network)
    return network


def listing(unit: Unit) -> list[Network]:
    return networks.listing(unit.connection)


def show(unit: Unit, name: str) -> Network:
    return networks.find(unit.connection, name)


def delete(unit: Unit, name: str) -> None:
    """Raises `Conflict` (`network-in-use`) while a port is in it."""
    networks.remove(unit.connection, networks.find(unit.connection, name).id)
