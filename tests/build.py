"""One-line builders: only the interesting values show in a test."""

from __future__ import annotations

from jackfield.model.address import MacAddress, PciAddress
from jackfield.model.device import Device, DeviceKind, OfferedDevice, Scalar


def pci(address: str = "0000:05:00.0", *, vendor: str = "10de", product: str = "1db6", **facts) -> Device:
    """A plain function, a GPU unless said otherwise."""
    facts.setdefault("class_id", "030200")
    return Device(
        identity=facts.pop("identity", f"path-{address}"),
        address=PciAddress.parse(address),
        kind=DeviceKind.PCI,
        vendor_id=vendor,
        product_id=product,
        **facts,
    )


def pf(netdev: str = "eth2", *, address: str = "0000:01:00.0", numa: int | None = None, **facts) -> Device:
    return Device(
        identity=facts.pop("identity", f"pf-{address}"),
        address=PciAddress.parse(address),
        kind=DeviceKind.PF,
        vendor_id=facts.pop("vendor", "8086"),
        product_id=facts.pop("product", "10c9"),
        class_id="020000",
        netdev=netdev,
        numa_node=numa,
        **facts,
    )


def vf(index: int = 0, *, of: Device | None = None, netdev: str | None = None, **facts) -> Device:
    parent = of or pf()
    at = parent.address
    routing = (at.slot << 3 | at.function) + 128 + 2 * index
    bus = at.bus + (routing >> 8)
    address = PciAddress(at.domain, bus, routing >> 3 & 0x1F, routing & 7)
    return Device(
        identity=f"{parent.identity}/vf{index}",
        address=address,
        kind=DeviceKind.VF,
        vendor_id=parent.vendor_id,
        product_id=facts.pop("product", "10ca"),
        class_id="020000",
        parent=parent.address,
        parent_identity=parent.identity,
        vf_index=index,
        numa_node=parent.numa_node,
        netdev=netdev or f"{parent.netdev}v{index}",
        mac=facts.pop("mac", MacAddress(f"02:00:00:00:{at.bus:02x}:{index:02x}")),
        **facts,
    )


def offered(device: Device, **attributes: Scalar) -> OfferedDevice:
    return OfferedDevice(device=device, offered=True, attributes=attributes)
