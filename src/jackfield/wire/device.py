"""Devices on the wire, as operators see them."""

from __future__ import annotations

from dataclasses import fields

from jackfield.model import device as model
from jackfield.model.address import MacAddress, PciAddress
from jackfield.model.device import DeviceKind, OfferedDevice, Scalar
from jackfield.wire.shape import Line, Request, Shape


class Taint(Request):
    reason: Line


class Device(Shape):
    id: str
    """`<host>/<identity>`: stays when the address or the netdev's name changes."""
    host: str
    identity: str
    address: PciAddress
    kind: DeviceKind
    vendor_id: str
    product_id: str
    class_id: str
    parent: PciAddress | None
    vf_index: int | None
    numa_node: int | None
    iommu_group: int | None
    netdev: str | None
    driver: str | None
    mac: MacAddress | None
    link_speed_mbps: int | None
    link_state: str | None
    offered: bool
    refusal: str | None
    """Why a device that a rule of the host spec offers is not offered after all."""
    attributes: dict[str, Scalar]
    """What the host spec gives beside what the card itself says."""
    pool_network: str | None
    present: bool
    """Whether the host's last inventory has it."""
    tainted: str | None
    """Why it must not be given; None when it may."""
    claim_id: str | None
    """The claim that holds it, itself or as a part of what it claims."""

    @classmethod
    def of(
        cls,
        *,
        id: str,
        host: str,
        offer: OfferedDevice,
        present: bool,
        tainted: str | None,
        claim_id: str | None,
    ) -> Device:
        device = offer.device
        return cls(
            id=id,
            host=host,
            **{name: getattr(device, name) for name in _OWN},
            offered=offer.offered,
            refusal=offer.refusal,
            attributes=dict(offer.attributes),
            pool_network=offer.pool_network,
            present=present,
            tainted=tainted,
            claim_id=claim_id,
        )


_OWN = tuple(field.name for field in fields(model.Device) if field.name in Device.model_fields)


class Devices(Shape):
    devices: tuple[Device, ...]
