"""Finds devices for the ports of an instance, and claims them: exactly, on what the transaction sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from jackfield.model.claim import Claim, ClaimPurpose, ClaimState
from jackfield.model.device import Scalar
from jackfield.model.error import Conflict, Rejected
from jackfield.model.flavor import Flavor
from jackfield.model.migration import StrategyName
from jackfield.model.network import Network, SegmentKind
from jackfield.model.port import PASS_THROUGH, Port
from jackfield.schedule.allocate import BoundHit, NoFit, Placement, allocate
from jackfield.schedule.match import Request
from jackfield.schedule.pool import FreeDevice, Pool, pools
from jackfield.service.unit import Unit
from jackfield.store import claim as claims
from jackfield.store import device as devices
from jackfield.store import flavor as flavors
from jackfield.store import host as hosts
from jackfield.store import network as networks
from jackfield.store.device import StoredDevice


@dataclass(frozen=True, kw_only=True, slots=True)
class PortRequest:
    """A port together with what it stands on."""

    port: Port
    network: Network
    flavor: Flavor | None
    """None for a port that needs no device."""


def requests_of(unit: Unit, ports: Sequence[Port]) -> list[PortRequest]:
    """Raises `NotFound` when a port's flavor was deleted."""
    return [
        PortRequest(
            port=port,
            network=networks.find(unit.connection, port.network_id),
            flavor=flavors.get(unit.connection, port.flavor) if port.flavor is not None else None,
        )
        for port in ports
    ]


def place(
    unit: Unit, wanted: Sequence[PortRequest], *, candidates: Sequence[str], what: str
) -> tuple[str, dict[str, StoredDevice]]:
    """A host of `candidates` for all ports together, and each pass-through port's device.

    Raises `Conflict` (`no-fit`) with the reasons of each host, `Rejected` (`device-cannot-vlan`) when only
    the lack of VLAN tagging is in the way, and `Unavailable`-like `Conflict` (`schedule-bound`) when the
    search had to be given up undecided.
    """
    able = [host for host in candidates if _reaches(unit, host, wanted)]
    if not able:
        names = ", ".join(candidates) or "none"
        raise Conflict(
            "no-fit",
            f"no host can take {what}: of the hosts asked ({names}) none has an agent that answers and a "
            "bridge for every normal port; see `jackfield host list`",
        )
    stored = devices.free(unit.connection, able)
    by_id = {one.id: one for one in stored}
    special = [one for one in wanted if one.flavor is not None]
    answer = _allocate(unit, special, stored, able)
    if isinstance(answer, NoFit):
        without_vlan = _allocate(unit, special, stored, able, ignore_vlan=True)
        if isinstance(without_vlan, Placement):
            vlans = ", ".join(one.network.name for one in special if one.network.segment is SegmentKind.VLAN)
            raise Rejected(
                "device-cannot-vlan",
                f"{what}: the devices that fit are no SR-IOV VFs to libvirt, which tags VLANs on VFs only; "
                f"network {vlans} needs tagging. Use a flat network or a flavor of real VFs",
            )
        reasons = "; ".join(f"{host}: {reason}" for host, reason in answer.hosts.items())
        raise Conflict("no-fit", f"nothing fits {what}: {reasons}", detail={"hosts": dict(answer.hosts)})
    if isinstance(answer, BoundHit):
        raise Conflict(
            "schedule-bound", f"{what}: the search for devices was given up undecided; ask for fewer at once"
        )
    return answer.host, {name: by_id[device_id] for name, device_id in answer.devices.items()}


def claim_device(
    unit: Unit,
    wanted: PortRequest,
    device: StoredDevice,
    *,
    instance_id: str,
    strategy: StrategyName,
    purpose: ClaimPurpose,
    lease_expires_at: datetime,
    migration_id: str | None = None,
) -> Claim:
    """Claims one device for one port. Raises `Conflict` (`device-taken`) when another one was faster."""
    claim = Claim(
        id=unit.ids.new(),
        device_id=device.id,
        host=device.host,
        state=ClaimState.HELD,
        purpose=purpose,
        generation=1,
        flavor=wanted.flavor.name if wanted.flavor else None,
        strategy=strategy,
        instance_id=instance_id,
        port_id=wanted.port.id,
        migration_id=migration_id,
        lease_expires_at=lease_expires_at,
        desired_version=unit.touch(device.host),
    )
    claims.take(unit.connection, claim, claims.holds_for(unit.connection, device.id))
    return claim


def _allocate(
    unit: Unit,
    special: Sequence[PortRequest],
    stored: Sequence[StoredDevice],
    able: Sequence[str],
    *,
    ignore_vlan: bool = False,
) -> Placement | NoFit | BoundHit:
    by_host: dict[str, list[StoredDevice]] = {host: [] for host in able}
    for one in stored:
        by_host[one.host].append(one)
    known = flavors.listing(unit.connection)

    def flavors_matching(pool: Pool) -> int:
        return sum(flavor.match(pool.attributes) is not None for flavor in known)

    return allocate(
        [_request(one, stored, ignore_vlan=ignore_vlan) for one in special],
        {host: pools(_free(unit, one) for one in owned) for host, owned in by_host.items()},
        flavors_matching,
    )


def attributes_of(unit: Unit, stored: StoredDevice) -> dict[str, Scalar]:
    """What flavors may ask of a device, as the operator allows."""
    return stored.offer.selectable(on_host=stored.host if unit.settings.allow_location else None)


def _free(unit: Unit, stored: StoredDevice) -> FreeDevice:
    device = stored.offer.device
    parent = device.parent_identity
    return FreeDevice(
        device_id=stored.id,
        host=stored.host,
        identity=device.identity,
        kind=device.kind,
        attributes=attributes_of(unit, stored),
        parent_id=devices.id_of(stored.host, parent) if parent is not None else None,
        spec_attribute_count=len(stored.offer.attributes),
    )


def _request(wanted: PortRequest, stored: Sequence[StoredDevice], *, ignore_vlan: bool) -> Request:
    assert wanted.flavor is not None
    needs_vf = wanted.network.segment is SegmentKind.VLAN and not ignore_vlan
    return Request(
        name=wanted.port.id,
        alternatives=wanted.flavor.alternatives,
        required={"physical_network": wanted.network.physical_network},
        excluded=frozenset(
            one.id
            for one in stored
            if one.offer.device.netdev is None or (needs_vf and not one.offer.device.is_real_vf)
        ),
    )


def _reaches(unit: Unit, host: str, wanted: Sequence[PortRequest]) -> bool:
    bridges = hosts.get(unit.connection, host).bridge_mappings
    return unit.is_alive(host) and all(
        one.port.vnic_type in PASS_THROUGH or one.network.physical_network in bridges for one in wanted
    )
