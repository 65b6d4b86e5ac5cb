"""Hosts: their agents' epochs, inventories, desired states and reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from jackfield.model.attachment import (
    Attachment,
    AttachmentReport,
    AttachmentState,
    DesiredDomain,
    DesiredState,
    ObservedState,
    PlainPort,
    Power,
    Wanted,
)
from jackfield.model.claim import Claim, ClaimState
from jackfield.model.device import OfferedDevice
from jackfield.model.error import Gone
from jackfield.model.flavor import check_name
from jackfield.model.instance import Instance, InstanceStatus
from jackfield.service import instance as instance_use
from jackfield.service import saga
from jackfield.service import token as token_use
from jackfield.service.token import Role
from jackfield.service.unit import Unit
from jackfield.store import claim as claims
from jackfield.store import device as devices
from jackfield.store import host as hosts
from jackfield.store import instance as instances
from jackfield.store import inventory
from jackfield.store import migration as migrations
from jackfield.store import network as networks
from jackfield.store import port as ports
from jackfield.store import tombstone as tombstones
from jackfield.store.host import Host
from jackfield.xml.domain import build

if TYPE_CHECKING:
    from jackfield.service.context import Service


def add(unit: Unit, name: str) -> tuple[Host, str]:
    """A new host and its agent's token, which is shown this once. Raises `Conflict` (`host-exists`)."""
    check_name("host", name)
    host = Host(name=name, created_at=unit.now)
    hosts.insert(unit.connection, host)
    return host, token_use.create(unit, f"host/{name}", Role.HOST, host=name)


def listing(unit: Unit) -> list[Host]:
    return hosts.listing(unit.connection)


def show(unit: Unit, name: str) -> Host:
    return hosts.get(unit.connection, name)


def begin_epoch(
    unit: Unit, name: str, *, boot_id: str, migrate_uri: str, bridge_mappings: Mapping[str, str]
) -> tuple[str, int]:
    """The installation's id and a fresh epoch: whoever speaks with an older one is answered `Gone`."""
    before = hosts.get(unit.connection, name)
    epoch = hosts.begin_epoch(
        unit.connection, name, boot_id=boot_id, migrate_uri=migrate_uri, bridge_mappings=bridge_mappings
    )
    unit.touch(name)
    if before.boot_id is not None and before.boot_id != boot_id:
        instance_use.after_reboot(unit, name)
    return unit.installation, epoch


def put_inventory(unit: Unit, name: str, epoch: int, offered: Sequence[OfferedDevice]) -> bool:
    """Takes a host's inventory over; says whether anything changed. Unchanged, it writes nothing."""
    _check_epoch(unit, name, epoch)
    return inventory.replace(unit.connection, name, offered)


def deliver(service: Service, name: str, epoch: int, after: int) -> DesiredState | None:
    """The desired state if it is newer than `after`, else None; also the agent's sign of life.

    That it was delivered is durable before it is given: from then on the agent has seen its claims.
    """
    service.heard(name)
    if not service.read(lambda unit: _check_epoch(unit, name, epoch).desired_version > after):
        return None

    def served(unit: Unit) -> DesiredState | None:
        fresh = desired(unit, name, epoch, after)
        # A state that was overtaken while it was read is not given: the newer one wakes the agent again.
        return fresh if fresh is not None and hosts.serve(unit.connection, name, fresh.version) else None

    return service.write(served)


def desired(unit: Unit, name: str, epoch: int, after: int) -> DesiredState | None:
    """What is wanted of a host, made of the rows, if it is newer than version `after`."""
    host = _check_epoch(unit, name, epoch)
    if host.desired_version <= after:
        return None
    stones = tombstones.listing(unit.connection, host=name)
    buried = {stone.instance_id for stone in stones}
    domains = [
        _domain(unit, one) for one in instances.listing(unit.connection, host=name) if one.id not in buried
    ]
    domains += [
        DesiredDomain(instance_id=stone.instance_id, name="", power=stone.power, start=None, xml="")
        for stone in stones
    ]
    return DesiredState(
        installation=unit.installation,
        host=name,
        epoch=epoch,
        version=host.desired_version,
        domains=tuple(domains),
        attachments=tuple(
            _attachment(unit, claim)
            for claim in claims.listing(unit.connection, host=name)
            if claim.port_id is not None
        ),
        orders=tuple(
            order
            for move in migrations.listing(unit.connection, include_ended=False)
            if move.source == name
            for order in saga.orders_of(unit, move)
        ),
    )


def put_observed(unit: Unit, name: str, epoch: int, observed: ObservedState) -> None:
    """Takes a report and everything that follows from it. A repeated or overtaken report does nothing."""
    _check_epoch(unit, name, epoch)
    if not hosts.record_observed(unit.connection, name, observed, unit.now) or observed.frozen is not None:
        return
    for report in observed.attachments:
        if report.state is AttachmentState.RELEASED:
            _release(unit, report)
    for stone in tombstones.listing(unit.connection, host=name):
        told = {domain.instance_id for domain in observed.domains if domain.state.value != "absent"}
        if observed.version >= stone.version and stone.instance_id not in told:
            tombstones.remove(unit.connection, name, stone.instance_id)
            unit.touch(name)
    instance_use.follow(unit, name, observed)
    saga.advance_all(unit, name)


def _release(unit: Unit, report: AttachmentReport) -> None:
    """The agent proved a device released. A report on an earlier generation changes nothing."""
    claim = claims.get(unit.connection, report.claim_id)
    if not claims.release(unit.connection, claim.id, report.generation):
        return
    unit.touch(claim.host)
    if claim.instance_id is not None:
        instance_use.finish_deletion(unit, claim.instance_id)


def _check_epoch(unit: Unit, name: str, epoch: int) -> Host:
    host = hosts.get(unit.connection, name)
    if host.epoch != epoch:
        raise Gone(
            "epoch-over",
            f"epoch {epoch} of host {name} is over, the present one is {host.epoch}: begin a new one",
        )
    return host


_POWER = {
    InstanceStatus.BUILDING: Power.RUN,
    InstanceStatus.RUNNING: Power.RUN,
    InstanceStatus.STOPPING: Power.STOP,
    # It is off already. To say "stop" of it for good would end a guest that somebody starts by hand.
    InstanceStatus.STOPPED: Power.RUN,
    InstanceStatus.ERROR: Power.STOP,
    InstanceStatus.DELETING: Power.DELETE,
}


def _domain(unit: Unit, instance: Instance) -> DesiredDomain:
    is_due = (
        instance.status is InstanceStatus.BUILDING and instance.started_generation < instance.start_generation
    )
    plain = [port for port in ports.listing(unit.connection, instance_id=instance.id) if port.flavor is None]
    return DesiredDomain(
        instance_id=instance.id,
        name=instance.name,
        power=_POWER[instance.status],
        start=instance.start_generation if is_due else None,
        xml=build(instance.machine, uuid=instance.id, name=instance.name) if is_due else "",
        plain_ports=tuple(
            PlainPort(
                port_id=port.id,
                port_number=port.number or 0,
                mac=port.mac,
                physical_network=networks.find(unit.connection, port.network_id).physical_network,
                guest_address=port.guest_address,
            )
            for port in plain
        ),
    )


def _attachment(unit: Unit, claim: Claim) -> Attachment:
    assert claim.port_id is not None and claim.instance_id is not None
    assert claim.flavor is not None and claim.strategy is not None
    port = ports.find(unit.connection, claim.port_id)
    network = networks.find(unit.connection, port.network_id)
    device = devices.get(unit.connection, claim.device_id).offer.device
    is_wanted = claim.state in (ClaimState.HELD, ClaimState.ACTIVE)
    return Attachment(
        claim_id=claim.id,
        generation=claim.generation,
        wanted=Wanted.PREPARED if is_wanted else Wanted.RELEASED,
        instance_id=claim.instance_id,
        port_id=claim.port_id,
        port_number=port.number or 0,
        identity=device.identity,
        address=device.address,
        mac=port.mac,
        vnic_type=port.vnic_type,
        flavor=claim.flavor,
        strategy=claim.strategy,
        physical_network=network.physical_network,
        vlan=network.vlan,
        guest_address=port.guest_address,
    )
