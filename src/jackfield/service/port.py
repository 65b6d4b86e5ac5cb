"""Ports of the built-in networks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from jackfield.model.address import MacAddress, parse_mac
from jackfield.model.error import Conflict
from jackfield.model.flavor import check_name
from jackfield.model.migration import StrategyName
from jackfield.model.port import Binding, Port, VnicType, check_port
from jackfield.service.unit import Unit
from jackfield.store import claim as claims
from jackfield.store import flavor as flavors
from jackfield.store import network as networks
from jackfield.store import port as ports

MAC_PREFIX = "fa:16:3e"
"""As Neutron's: locally administered, and known by sight to those who run it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PortView:
    port: Port
    bindings: tuple[Binding, ...]
    """The active one first; a second one only during a migration."""


def create(
    unit: Unit,
    name: str,
    network: str,
    vnic_type: VnicType,
    flavor: str | None = None,
    mac: str | None = None,
    strategy: StrategyName | None = None,
) -> Port:
    """Raises `Rejected` (`port-flavor`, `mac-malformed`, …), `NotFound`, `Conflict` (`mac-taken`, …)."""
    check_name("port", name)
    its_network = networks.find(unit.connection, network)
    check_port(vnic_type, flavor, its_network)
    if flavor is not None:
        flavors.get(unit.connection, flavor)
    id = unit.ids.new()
    port = Port(
        id=id,
        name=name,
        network_id=its_network.id,
        mac=parse_mac(mac) if mac is not None else _mac_of(id),
        vnic_type=vnic_type,
        flavor=flavor,
        strategy=strategy,
    )
    ports.insert(unit.connection, port)
    return port


def listing(unit: Unit) -> list[PortView]:
    return [_view(unit, port) for port in ports.listing(unit.connection)]


def show(unit: Unit, name: str) -> PortView:
    return _view(unit, ports.find(unit.connection, name))


def delete(unit: Unit, name: str) -> None:
    """Raises `Conflict` (`port-in-use`) while an instance or a claim has it."""
    port = ports.find(unit.connection, name)
    if port.instance_id is not None or claims.listing(unit.connection, port_id=port.id):
        raise Conflict("port-in-use", f"port {port.name} belongs to an instance; delete that first")
    ports.remove(unit.connection, port.id)


def _view(unit: Unit, port: Port) -> PortView:
    return PortView(port=port, bindings=tuple(ports.bindings(unit.connection, port.id)))


def _mac_of(id: str) -> MacAddress:
    """Three octets out of the port's UUID: a clash is possible, and refused like any other."""
    tail = hashlib.sha256(id.encode()).hexdigest()[:6]
    return MacAddress(":".join((MAC_PREFIX, tail[:2], tail[2:4], tail[4:])))
