"""Ports and their bindings on the wire, with Neutron's names."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from jackfield.model import port as model
from jackfield.model.address import MacAddress
from jackfield.model.migration import StrategyName
from jackfield.model.port import VifType, VnicType
from jackfield.wire.shape import Line, Name, Request, Shape


class PortCreate(Request):
    """`binding:profile` is not among the fields: it says what the host found, never what a user wants."""

    name: Name
    network_id: Name
    """The network's id or name."""
    vnic_type: Annotated[VnicType, Field(alias="binding:vnic_type")] = VnicType.NORMAL
    flavor: Name | None = None
    mac_address: Line | None = None
    strategy: StrategyName | None = None


class BindingStatus(StrEnum):
    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"


class Binding(Shape):
    host: str
    status: BindingStatus
    vif_type: VifType
    profile: dict[str, Any]
    vif_details: dict[str, Any]

    @classmethod
    def of(cls, binding: model.Binding) -> Binding:
        return cls(
            host=binding.host,
            status=BindingStatus.ACTIVE if binding.is_active else BindingStatus.INACTIVE,
            vif_type=binding.vif_type,
            profile=dict(binding.profile),
            vif_details=dict(binding.vif_details),
        )


class Port(Shape):
    """The `binding:` fields are those of the active binding; `bindings` has both during a migration."""

    id: str
    name: str
    network_id: str
    mac_address: MacAddress
    vnic_type: Annotated[VnicType, Field(alias="binding:vnic_type")]
    host_id: Annotated[str, Field(alias="binding:host_id")]
    """Empty while the port is bound to no host, as in Neutron."""
    vif_type: Annotated[VifType, Field(alias="binding:vif_type")]
    profile: Annotated[dict[str, Any], Field(alias="binding:profile")]
    vif_details: Annotated[dict[str, Any], Field(alias="binding:vif_details")]
    flavor: str | None
    strategy: StrategyName | None
    instance_id: str | None
    number: int | None
    guest_address: str | None
    bindings: tuple[Binding, ...]

    @classmethod
    def of(cls, port: model.Port, bindings: Sequence[model.Binding] = ()) -> Port:
        shapes = tuple(Binding.of(binding) for binding in bindings)
        active = next((shape for shape in shapes if shape.status is BindingStatus.ACTIVE), None)
        return cls(
            id=port.id,
            name=port.name,
            network_id=port.network_id,
            mac_address=port.mac,
            vnic_type=port.vnic_type,
            host_id=active.host if active else "",
            vif_type=active.vif_type if active else VifType.UNBOUND,
            profile=active.profile if active else {},
            vif_details=active.vif_details if active else {},
            flavor=port.flavor,
            strategy=port.strategy,
            instance_id=port.instance_id,
            number=port.number,
            guest_address=port.guest_address,
            bindings=shapes,
        )


class Ports(Shape):
    ports: tuple[Port, ...]
