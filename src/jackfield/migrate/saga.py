"""The saga of one migration: from its row and the facts to the next move.

    forward   prepare ─▶ bind ─▶ migrate ═▶ survey ─▶ activate ─▶ release-source ─▶ done
                 │         │        pivot      │ │
                 ▼         ▼                   │ └─▶ alarm: nothing is touched
    back      unbind, release the target ◀─────┘
                 └─▶ failed | aborted

Recovery is the normal path: every move is decided from the row and from what both hosts report, and is
written in one transaction, so whoever comes next carries on. Two rules that a model check showed to be
necessary: after the pivot, ask the hosts where the domain runs, never believe a reply or the row; and
begin an undo at the step that was attempted, which is why `position` is written before its effects show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from jackfield.model.attachment import AttachmentReport, AttachmentState, DomainState, OrderReport, OrderState
from jackfield.model.migration import ENDED, Direction, Migration, MigrationState, StepName


@dataclass(frozen=True, kw_only=True, slots=True)
class Sighting:
    """What one host's last report says of the domain."""

    state: DomainState
    has_job: bool
    is_fresh: bool
    """The host looked after the survey was called."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    now: datetime
    source: Sighting
    target: Sighting
    attachments: Sequence[AttachmentReport | None]
    """What the target's agent says of each claim, for its present generation; None before it spoke."""
    order: OrderReport | None
    """Of the present order, if it was begun."""
    target_is_released: bool
    source_is_released: bool


@dataclass(frozen=True, slots=True)
class Wait:
    why: str


@dataclass(frozen=True, slots=True)
class Advance:
    """Go on to this step."""

    to: StepName


@dataclass(frozen=True, slots=True)
class RequestAbort:
    why: str


@dataclass(frozen=True, slots=True)
class TurnBack:
    why: str
    resume_source: bool = False


@dataclass(frozen=True, slots=True)
class RemoveSource:
    """A paused or shut-off copy is left where the guest came from: remove it, then survey again."""


@dataclass(frozen=True, slots=True)
class Alarm:
    why: str


@dataclass(frozen=True, slots=True)
class Finish:
    state: MigrationState
    note: str | None = None


Move = Wait | Advance | RequestAbort | TurnBack | RemoveSource | Alarm | Finish

OFF = frozenset({DomainState.ABSENT, DomainState.SHUTOFF, DomainState.CRASHED})


def next_move(row: Migration, facts: Facts) -> Move:
    """The one thing to do now. Deciding twice from the same row and facts gives the same move."""
    if row.state in ENDED:
        return Wait("it has ended")
    if row.direction is Direction.BACK:
        return _back(row, facts)
    match row.position:
        case StepName.PREPARE:
            return _prepare(row, facts)
        case StepName.BIND:
            return _turn_before_pivot(row, facts) or Advance(StepName.MIGRATE)
        case StepName.MIGRATE:
            return _migrate(row, facts)
        case StepName.SURVEY:
            return _survey(row, facts)
        case StepName.ACTIVATE:
            return Advance(StepName.RELEASE_SOURCE)
        case StepName.RELEASE_SOURCE:
            return _release_source(row, facts)
    assert_never(row.position)


def _prepare(row: Migration, facts: Facts) -> Move:
    turn = _turn_before_pivot(row, facts)
    if turn is not None:
        return turn
    for report in facts.attachments:
        if report is not None and report.state is AttachmentState.FAILED:
            return TurnBack(f"{row.target} could not prepare a device: {report.problem}")
    if all(r is not None and r.state is AttachmentState.PREPARED for r in facts.attachments):
        return Advance(StepName.BIND)
    return Wait(f"{row.target} prepares the devices")


def _turn_before_pivot(row: Migration, facts: Facts) -> Move | None:
    if row.abort_requested:
        return TurnBack("aborted on request")
    if facts.now >= row.deadline:
        return TurnBack(f"the deadline passed before the guest moved, at {row.position.value}")
    if facts.source.state in OFF:
        return TurnBack(f"the guest is {facts.source.state.value} on {row.source}")
    return None


def _migrate(row: Migration, facts: Facts) -> Move:
    if facts.order is not None and facts.order.state is not OrderState.RUNNING:
        return Advance(StepName.SURVEY)
    if facts.now >= row.deadline and not row.abort_requested:
        return RequestAbort("the deadline passed while the guest moved")
    return Wait(f"{row.source} moves the guest")


def _survey(row: Migration, facts: Facts) -> Move:
    source, target = facts.source, facts.target
    for host, sighting in ((row.source, source), (row.target, target)):
        if not sighting.is_fresh:
            return Wait(f"{host} was asked where the guest runs and has not answered")
        if sighting.has_job:
            return Wait(f"libvirt on {host} is still at it")
    said = f"{row.source} shows it {source.state.value}, {row.target} {target.state.value}"
    if target.state is DomainState.RUNNING:
        if source.state is DomainState.RUNNING:
            return Alarm(f"both hosts run the guest: {said}; nothing is touched, end one of them by hand")
        return Advance(StepName.ACTIVATE) if source.state is DomainState.ABSENT else RemoveSource()
    # The order was over when the survey began, so its agent speaks of it no more: the row has its words.
    why = row.error or f"the move did not happen: {said}"
    if source.state is DomainState.RUNNING:
        return TurnBack(why)
    if source.state is DomainState.PAUSED:
        return TurnBack(why, resume_source=True)
    if target.state is DomainState.PAUSED:
        return Alarm(f"the only copy of the guest is paused on {row.target}: {said}; look at it by hand")
    return TurnBack(f"the guest ended on the way: {said}")


def _release_source(row: Migration, facts: Facts) -> Move:
    if facts.source_is_released:
        return Finish(MigrationState.DONE)
    if facts.now >= row.deadline:
        return Finish(MigrationState.DONE, f"{row.source} has not yet proved its devices released")
    return Wait(f"{row.source} releases the devices")


def _back(row: Migration, facts: Facts) -> Move:
    ended = MigrationState.ABORTED if row.abort_requested else MigrationState.FAILED
    resumed = not row.resume_source or facts.source.state is not DomainState.PAUSED
    if facts.target_is_released and resumed:
        return Finish(ended)
    if facts.now >= row.deadline:
        return Finish(ended, f"{row.target} has not yet proved its devices released")
    return Wait(f"{row.target} releases the devices" if resumed else f"{row.source} lets the guest run on")
