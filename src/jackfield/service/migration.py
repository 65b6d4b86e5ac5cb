"""Live migrations: begun, planned, shown and aborted. What drives them is in `jackfield.service.saga`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from jackfield.migrate.plan import make_plan
from jackfield.migrate.strategy import NicFacts
from jackfield.model.claim import Claim, ClaimPurpose, ClaimState
from jackfield.model.error import Conflict, Rejected
from jackfield.model.instance import Instance, InstanceStatus
from jackfield.model.migration import (
    ENDED,
    Direction,
    Migration,
    MigrationState,
    Plan,
    StepName,
    StepRecord,
    StrategyName,
)
from jackfield.service import saga
from jackfield.service.placement import PortRequest, claim_device, place, requests_of
from jackfield.service.unit import Unit
from jackfield.store import claim as claims
from jackfield.store import device as devices
from jackfield.store import host as hosts
from jackfield.store import instance as instances
from jackfield.store import migration as migrations
from jackfield.store import port as ports
from jackfield.store import tombstone as tombstones
from jackfield.store.device import StoredDevice
from jackfield.xml.domain import build, local_disks


def begin(
    unit: Unit,
    name: str,
    target: str | None = None,
    strategy: StrategyName | None = None,
    bandwidth_mib: int | None = None,
) -> Migration:
    """Claims the target's devices and begins the move; the source is not touched yet.

    Raises `Rejected`, `NotFound`, or `Conflict` (`no-fit`, `device-taken`, `instance-busy`).
    """
    instance, wanted, where, chosen = _prepare(unit, name, target)
    id = unit.ids.new()
    draft = _plan(unit, instance, wanted, where, chosen, strategy)
    strategies = {move.port_id: move.strategy for move in draft.moves}
    claimed: dict[str, Claim] = {}
    for one in wanted:
        device = chosen.get(one.port.id)
        if device is not None:
            claimed[one.port.id] = claim_device(
                unit,
                one,
                device,
                instance_id=instance.id,
                strategy=strategies[one.port.id],
                purpose=ClaimPurpose.MIGRATION,
                lease_expires_at=unit.after(unit.settings.move_seconds),
                migration_id=id,
            )
    moves = tuple(replace(move, target_claim_id=claimed[move.port_id].id) for move in draft.moves)
    plan = replace(draft, moves=moves)
    # A stone of an earlier move must not meet the guest on its way in.
    tombstones.remove(unit.connection, where, instance.id)
    migration = Migration(
        id=id,
        instance_id=instance.id,
        source=plan.source,
        target=plan.target,
        plan=plan,
        state=MigrationState.RUNNING,
        direction=Direction.FORWARD,
        position=StepName.PREPARE,
        generation=1,
        deadline=unit.after(unit.settings.move_seconds),
        bandwidth_mib=bandwidth_mib,
        records=(StepRecord(name=StepName.PREPARE, direction=Direction.FORWARD, began_at=unit.now),),
        created_at=unit.now,
    )
    migrations.insert(unit.connection, migration)
    unit.touch(where)
    return migration


def plan(unit: Unit, name: str, target: str | None = None, strategy: StrategyName | None = None) -> Plan:
    """What `begin` would do now; nothing is written, and nothing is kept for later."""
    instance, wanted, where, chosen = _prepare(unit, name, target)
    return _plan(unit, instance, wanted, where, chosen, strategy)


def listing(unit: Unit) -> list[Migration]:
    return migrations.listing(unit.connection)


def show(unit: Unit, id: str) -> Migration:
    return migrations.get(unit.connection, id)


def progress(unit: Unit, row: Migration) -> Mapping[str, int]:
    """What the source's agent last told of the transfer under way; empty when there is none."""
    if row.position is not StepName.MIGRATE or row.state is not MigrationState.RUNNING:
        return {}
    report = saga.order_report(unit, row)
    return report.progress if report is not None else {}


def abort(unit: Unit, id: str) -> Migration:
    """Asks for the way back; refused once the guest has changed over. Idempotent."""
    row = migrations.get(unit.connection, id)
    if row.abort_requested and row.state not in ENDED:
        return row
    past = row.position in (StepName.SURVEY, StepName.ACTIVATE, StepName.RELEASE_SOURCE)
    if row.state in ENDED or row.direction is Direction.BACK or past:
        raise Conflict(
            "migration-past-abort",
            f"migration {id} is {row.state.value} at {row.position.value}, {row.direction.value}: "
            "there is nothing left to abort",
        )
    return saga.request_abort(unit, row)


def _prepare(
    unit: Unit, name: str, target: str | None
) -> tuple[Instance, list[PortRequest], str, dict[str, StoredDevice]]:
    instance = instances.find(unit.connection, name)
    if instance.status is not InstanceStatus.RUNNING or instance.host is None:
        raise Conflict(
            "instance-busy",
            f"instance {name} is {instance.status.value}; only a running one can be moved live",
            detail={"status": instance.status.value},
        )
    if migrations.under_way(unit.connection, instance.id) is not None:
        raise Conflict("instance-busy", f"instance {name} is already moving; see `jackfield migration list`")
    if target == instance.host:
        raise Rejected("migration-to-itself", f"instance {name} is on {target} already: name another host")
    _check_disks(unit, instance)
    if target is not None:
        hosts.get(unit.connection, target)
    names = [one.name for one in hosts.listing(unit.connection) if one.name != instance.host]
    wanted = requests_of(unit, ports.listing(unit.connection, instance_id=instance.id))
    where, chosen = place(
        unit,
        wanted,
        candidates=[target] if target is not None else names,
        what=f"instance {name} away from {instance.host}",
    )
    return instance, wanted, where, chosen


def _check_disks(unit: Unit, instance: Instance) -> None:
    """A disk that only the source has would be an empty one on the target: libvirt does not look."""
    shared = [PurePosixPath(folder) for folder in unit.settings.shared_storage]
    for disk in local_disks(build(instance.machine, uuid=instance.id, name=instance.name)):
        if not any(PurePosixPath(disk).is_relative_to(folder) for folder in shared):
            raise Rejected(
                "disk-not-shared",
                f"instance {instance.name} has the disk {disk}, which is in no folder that all hosts share; "
                "if it is, name the folder in the setting shared_storage of [migration]",
                detail={"disk": disk},
            )


def _plan(
    unit: Unit,
    instance: Instance,
    wanted: Sequence[PortRequest],
    where: str,
    chosen: dict[str, StoredDevice],
    strategy: StrategyName | None,
) -> Plan:
    assert instance.host is not None
    held = {
        claim.port_id: claim
        for claim in claims.listing(unit.connection, instance_id=instance.id)
        if claim.state is ClaimState.ACTIVE
    }
    observed = hosts.get(unit.connection, instance.host).observed
    seen = [d for d in (observed.domains if observed else ()) if d.instance_id == instance.id]
    netdevs = {nic.mac: nic.netdev for domain in seen for nic in domain.interfaces}
    nics: list[NicFacts] = []
    named: dict[str, StrategyName] = {}
    for one in wanted:
        if one.flavor is None:
            continue
        port, claim = one.port, held[one.port.id]
        nics.append(
            NicFacts(
                port_id=port.id,
                mac=port.mac,
                vnic_type=port.vnic_type,
                source_claim_id=claim.id,
                source_device=devices.get(unit.connection, claim.device_id).offer.device,
                source_netdev=netdevs.get(port.mac),
                target_device=chosen[port.id].offer.device,
            )
        )
        named[port.id] = (
            strategy or one.port.strategy or instance.strategy or one.flavor.strategy or StrategyName.AUTO
        )
    return make_plan(
        nics, source=instance.host, target=where, wanted=named, order=tuple(unit.settings.strategies)
    )
