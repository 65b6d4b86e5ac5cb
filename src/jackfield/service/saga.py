"""Drives migrations: each move of the saga is one transaction.

What a move changes for the agents and where the saga now stands become true together, so no reply can be
lost in between and any replica may carry on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from jackfield.migrate.saga import (
    Advance,
    Alarm,
    Facts,
    Finish,
    Move,
    RemoveSource,
    RequestAbort,
    Sighting,
    TurnBack,
    Wait,
    next_move,
)
from jackfield.model.attachment import (
    AttachmentReport,
    DomainState,
    ObservedDomain,
    ObservedState,
    Order,
    OrderKind,
    OrderReport,
    Power,
)
from jackfield.model.claim import Claim, ClaimState
from jackfield.model.migration import ENDED, Direction, Migration, MigrationState, StepName, StepRecord
from jackfield.model.port import binding_of
from jackfield.service import instance as instance_use
from jackfield.service.placement import requests_of
from jackfield.service.unit import Unit
from jackfield.store import claim as claims
from jackfield.store import device as devices
from jackfield.store import host as hosts
from jackfield.store import instance as instances
from jackfield.store import migration as migrations
from jackfield.store import network as networks
from jackfield.store import port as ports
from jackfield.store import tombstone as tombstones

MIGRATE_ORDER, RESUME_ORDER = 1, 2
"""The generations of the two orders that one migration may give."""

MOVES_MAX = 32
"""More moves than the saga has at one go: only a bug makes more."""


def advance_all(unit: Unit, host: str) -> None:
    """Carries every migration that involves this host as far as it goes now."""
    for row in migrations.listing(unit.connection, include_ended=False):
        if host in (row.source, row.target):
            advance(unit, row)


def advance(unit: Unit, row: Migration) -> Migration:
    """Decides and carries out moves until the saga waits for somebody. Idempotent."""
    for _ in range(MOVES_MAX):
        move = next_move(row, _facts(unit, row))
        if isinstance(move, Wait) or not _carry_out(unit, row, move):
            return row
        row = migrations.get(unit.connection, row.id)
    raise AssertionError(f"migration {row.id} does not come to rest")


def request_abort(unit: Unit, row: Migration) -> Migration:
    """From now on the saga looks for the way back. Idempotent."""
    changed = _write(unit, row, replace(row, abort_requested=True))
    unit.touch(row.source)
    return advance(unit, changed)


def orders_of(unit: Unit, row: Migration) -> list[Order]:
    """What the source's agent is ordered to do for this migration at present."""
    if row.direction is Direction.BACK and row.resume_source and row.state not in ENDED:
        return [Order(id=row.id, generation=RESUME_ORDER, kind=OrderKind.RESUME, instance_id=row.instance_id)]
    is_pivot = row.position is StepName.MIGRATE and row.direction is Direction.FORWARD
    if row.state is not MigrationState.RUNNING or not is_pivot:
        return []
    return [
        Order(
            id=row.id,
            generation=MIGRATE_ORDER,
            kind=OrderKind.MIGRATE,
            instance_id=row.instance_id,
            target_uri=hosts.get(unit.connection, row.target).migrate_uri or "",
            netdevs={
                move.mac: move.target_netdev
                for move in row.plan.moves
                if move.target_netdev is not None and move.target_netdev != move.source_netdev
            }
            | _other_bridges(unit, row),
            abort=row.abort_requested,
            bandwidth_mib=row.bandwidth_mib,
        )
    ]


def _other_bridges(unit: Unit, row: Migration) -> dict[str, str]:
    """MAC → bridge of the target, for the normal ports whose network is on a bridge of another name there."""
    here, there = (hosts.get(unit.connection, host).bridge_mappings for host in (row.source, row.target))
    plain = [p for p in ports.listing(unit.connection, instance_id=row.instance_id) if p.flavor is None]
    physical = {p.mac: networks.find(unit.connection, p.network_id).physical_network for p in plain}
    return {
        mac: there[name] for mac, name in physical.items() if name in there and there[name] != here.get(name)
    }


def order_report(unit: Unit, row: Migration) -> OrderReport | None:
    """What the source's agent last said of the move that it was ordered to make; None before it began."""
    return _order_report(row, hosts.get(unit.connection, row.source).observed)


def _carry_out(unit: Unit, row: Migration, move: Move) -> bool:
    """Makes one move true, here and for the agents; says whether it changed anything."""
    match move:
        case Advance(step):
            _enter(unit, row, step)
        case RequestAbort(why):
            _write(unit, row, replace(row, abort_requested=True, error=why))
            unit.touch(row.source)
        case TurnBack(why, resume_source):
            _turn_back(unit, row, why, resume_source=resume_source)
        case RemoveSource():
            if row.source in _buried(unit, row):
                return False
            _bury(unit, row, row.source)
            _write(unit, row, replace(row, survey=_call_survey(unit, row)))
        case Alarm(why):
            if row.state is MigrationState.ALARM and row.error == why:
                return False
            _write(unit, row, replace(row, state=MigrationState.ALARM, error=why))
        case Finish(state, note):
            _finish(unit, row, state, note)
        case Wait():
            return False
        case _:
            assert_never(move)
    return True


def _enter(unit: Unit, row: Migration, step: StepName) -> None:
    changed = replace(row, position=step, records=_next_record(unit, row, step, row.direction))
    match step:
        case StepName.BIND:
            _bind(unit, row)
        case StepName.MIGRATE:
            unit.touch(row.source)
        case StepName.SURVEY:
            report = order_report(unit, row)
            changed = replace(
                changed,
                survey=_call_survey(unit, row),
                error=report.error if report else None,
                paused_seconds=report.paused_seconds if report else None,
            )
        case StepName.ACTIVATE:
            _activate(unit, row)
            changed = replace(changed, error=None, state=MigrationState.RUNNING)
        case StepName.RELEASE_SOURCE:
            changed = replace(changed, deadline=unit.after(unit.settings.settle_seconds))
        case StepName.PREPARE:
            raise AssertionError("a migration begins at prepare, it never goes on to it")
    _write(unit, row, changed)


def _turn_back(unit: Unit, row: Migration, why: str, *, resume_source: bool) -> None:
    for port in ports.listing(unit.connection, instance_id=row.instance_id):
        ports.unbind(unit.connection, port.id, row.target)
    for claim in _claims(unit, row, source=False):
        instance_use.begin_release(unit, claim)
    if row.position is StepName.SURVEY:
        _bury(unit, row, row.target)
    unit.touch(row.source)
    unit.touch(row.target)
    _write(
        unit,
        row,
        replace(
            row,
            direction=Direction.BACK,
            state=MigrationState.RUNNING,
            error=why,
            resume_source=resume_source,
            deadline=unit.after(unit.settings.settle_seconds),
            records=_next_record(unit, row, row.position, Direction.BACK, why),
        ),
    )


def _finish(unit: Unit, row: Migration, state: MigrationState, note: str | None) -> None:
    error = "; ".join(text for text in (row.error, note) if text) or None
    records = (*row.records[:-1], replace(row.records[-1], ended_at=unit.now, note=note or ""))
    _write(unit, row, replace(row, state=state, error=error, ended_at=unit.now, records=records))
    instance_use.settle(unit, row.instance_id)
    unit.touch(row.source)


def _bind(unit: Unit, row: Migration) -> None:
    target_devices = {
        claim.port_id: devices.get(unit.connection, claim.device_id).offer.device
        for claim in _claims(unit, row, source=False)
    }
    for one in requests_of(unit, ports.listing(unit.connection, instance_id=row.instance_id)):
        ports.bind(
            unit.connection,
            binding_of(one.port, one.network, row.target, target_devices.get(one.port.id), active=False),
        )


def _activate(unit: Unit, row: Migration) -> None:
    """Bindings, claims and instance change over together (behaviour 46)."""
    for port in ports.listing(unit.connection, instance_id=row.instance_id):
        ports.activate_binding(unit.connection, port.id, row.target)
        ports.unbind(unit.connection, port.id, row.source)
    for move in row.plan.moves:
        claims.change_over(unit.connection, move.source_claim_id, move.target_claim_id)
    instance = instances.find(unit.connection, row.instance_id)
    instances.replace(unit.connection, replace(instance, host=row.target))
    tombstones.remove(unit.connection, row.target, row.instance_id)
    unit.touch(row.source)
    unit.touch(row.target)


def _facts(unit: Unit, row: Migration) -> Facts:
    source = hosts.get(unit.connection, row.source).observed
    target = hosts.get(unit.connection, row.target).observed
    reports = {report.claim_id: report for report in (target.attachments if target else ())}
    ours = _claims(unit, row, source=False)
    return Facts(
        now=unit.now,
        source=_sighting(row, row.source, source),
        target=_sighting(row, row.target, target),
        attachments=tuple(_current(claim, reports.get(claim.id)) for claim in ours),
        order=_order_report(row, source),
        target_is_released=_are_released(ours),
        source_is_released=_are_released(_claims(unit, row, source=True)),
    )


def _sighting(row: Migration, name: str, observed: ObservedState | None) -> Sighting:
    told = [d for d in (observed.domains if observed else ()) if d.instance_id == row.instance_id]
    domain = told[0] if told else ObservedDomain(instance_id=row.instance_id, state=DomainState.ABSENT)
    version = observed.version if observed is not None and observed.frozen is None else -1
    return Sighting(
        state=domain.state,
        has_job=domain.has_job or domain.is_busy,
        is_fresh=version >= row.survey.get(name, 0),
    )


def _current(claim: Claim, report: AttachmentReport | None) -> AttachmentReport | None:
    """What was said of an earlier generation of the claim says nothing."""
    return report if report is not None and report.generation == claim.generation else None


def _order_report(row: Migration, source: ObservedState | None) -> OrderReport | None:
    for report in source.orders if source else ():
        if (report.id, report.generation) == (row.id, MIGRATE_ORDER):
            return report
    return None


def _claims(unit: Unit, row: Migration, *, source: bool) -> list[Claim]:
    """The claims of one end of the move, in the order of its plan."""
    ids = [move.source_claim_id if source else move.target_claim_id for move in row.plan.moves]
    return [claims.get(unit.connection, id) for id in ids]


def _are_released(some: Sequence[Claim]) -> bool:
    return all(claim.state is ClaimState.RELEASED for claim in some)


def _call_survey(unit: Unit, row: Migration) -> dict[str, int]:
    """Both hosts get a new version to read; whoever reports on it looked after this moment."""
    return {host: unit.touch(host) for host in (row.source, row.target)}


def _buried(unit: Unit, row: Migration) -> set[str]:
    return {
        stone.host
        for host in (row.source, row.target)
        for stone in tombstones.listing(unit.connection, host=host, instance_id=row.instance_id)
    }


def _bury(unit: Unit, row: Migration, host: str) -> None:
    stone = tombstones.Tombstone(
        host=host,
        instance_id=row.instance_id,
        power=Power.DELETE_UNLESS_RUNNING,
        version=unit.touch(host),
    )
    tombstones.put(unit.connection, stone)


def _next_record(
    unit: Unit, row: Migration, step: StepName, direction: Direction, note: str = ""
) -> tuple[StepRecord, ...]:
    ended = (*row.records[:-1], replace(row.records[-1], ended_at=unit.now)) if row.records else ()
    return (*ended, StepRecord(name=step, direction=direction, began_at=unit.now, note=note))


def _write(unit: Unit, row: Migration, changed: Migration) -> Migration:
    """Writes over the generation it was decided on. Raises `Conflict` when another one moved it."""
    fresh = replace(changed, generation=row.generation + 1)
    migrations.replace(unit.connection, fresh, over=row.generation)
    return fresh
