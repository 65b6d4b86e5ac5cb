"""One-line builders: only the interesting values show in a test."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from jackfield.model.address import MacAddress, PciAddress
from jackfield.model.attachment import Attachment, Wanted
from jackfield.model.device import Device, DeviceKind, OfferedDevice, Scalar
from jackfield.model.migration import Direction, Migration, MigrationState, Plan, StepName, StrategyName
from jackfield.model.port import VnicType


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


NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def migration(**facts) -> Migration:
    """A move of instance `vm` from host a to host b, in its first step at noon, with a minute to go."""
    given = {
        "id": "m1",
        "instance_id": "vm",
        "source": "a",
        "target": "b",
        "plan": Plan(source="a", target="b", reasons=(), moves=(), steps=()),
        "state": MigrationState.RUNNING,
        "direction": Direction.FORWARD,
        "position": StepName.PREPARE,
        "generation": 1,
        "deadline": NOON + timedelta(minutes=1),
        "created_at": NOON,
    }
    return Migration(**{**given, **facts})


def attachment(device: Device, **facts) -> Attachment:
    """What is wanted for claim c1 of port 02bc4aec-…, number 0 of instance `vm`."""
    given = {
        "claim_id": "c1",
        "generation": 1,
        "wanted": Wanted.PREPARED,
        "instance_id": "vm",
        "port_id": "02bc4aec-b4a8-4b4f-9b1c-1f0e6f2a7d11",
        "port_number": 0,
        "identity": device.identity,
        "address": device.address,
        "mac": MacAddress("fa:16:3e:46:d3:e8"),
        "vnic_type": VnicType.MACVTAP,
        "flavor": "fast",
        "strategy": StrategyName.NETDEV_RENAME,
        "physical_network": "physnet1",
    }
    return Attachment(**{**given, **facts})
