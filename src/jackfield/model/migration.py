"""Migrations: one move of one instance, with a plan that is stored when it begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class StrategyName(StrEnum):
    AUTO = "auto"
    NETDEV_RENAME = "netdev-rename"
    DESTINATION_XML = "destination-xml"


class StepName(StrEnum):
    """The steps of every plan, in their order."""

    PREPARE = "prepare"
    """The target's agent makes the claimed devices ready; undone by `release-target`."""
    BIND = "bind"
    """Each port gets an inactive binding on the target; undone by `unbind`."""
    MIGRATE = "migrate"
    """The pivot: the source's agent moves the guest."""
    SURVEY = "survey"
    """Ask both hosts where the domain runs; never believe the reply of the call."""
    ACTIVATE = "activate"
    """Bindings, claims and instance change over to the target, in one step."""
    RELEASE_SOURCE = "release-source"
    """The source's agent proves the old devices released."""


FORWARD_STEPS = tuple(StepName)
PIVOT = StepName.MIGRATE


class Direction(StrEnum):
    FORWARD = "forward"
    BACK = "back"


class MigrationState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    ABORTED = "aborted"
    ALARM = "alarm"
    """Both hosts run the domain, or neither can be asked: nothing is touched until an operator decides."""


ENDED = frozenset({MigrationState.DONE, MigrationState.FAILED, MigrationState.ABORTED})


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedStep:
    name: StepName
    host: str
    """The host that acts; for `bind` and `activate` the control side acts in its name."""
    does: str
    undo: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedMove:
    """What one port's NIC does in this migration."""

    port_id: str
    mac: str
    source_claim_id: str
    source_address: str
    target_address: str
    strategy: StrategyName
    target_claim_id: str = ""
    """Empty in a plan that was only asked for."""
    source_netdev: str | None = None
    """The name by which the running domain's XML calls the source's device."""
    target_netdev: str | None = None
    """The name that the target's device will bear when the guest arrives."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What will be done, in order; printable, and kept as it was when the migration began."""

    source: str
    target: str
    reasons: tuple[str, ...]
    """Why each NIC moves the way it does, in the order of `moves`."""
    moves: tuple[PlannedMove, ...]
    steps: tuple[PlannedStep, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class StepRecord:
    """When a step was begun and ended, for people to read."""

    name: StepName
    direction: Direction
    began_at: datetime
    ended_at: datetime | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Migration:
    """The stored row of the saga. `position` is the step being attempted, not the last one done."""

    id: str
    instance_id: str
    source: str
    target: str
    plan: Plan
    state: MigrationState
    direction: Direction
    position: StepName
    generation: int
    """Rises with every move of the saga; a move is written only over the generation it was decided on."""
    deadline: datetime
    """UTC. After it, before the pivot: turn back; in the pivot: abort; after it: end with a note."""
    abort_requested: bool = False
    resume_source: bool = False
    """The way back includes letting the source's paused guest run on."""
    bandwidth_mib: int | None = None
    """MiB/s that libvirt may use at most; None leaves it to libvirt."""
    survey: Mapping[str, int] = field(default_factory=dict)
    """Host → the desired version from which on its report answers the survey."""
    error: str | None = None
    records: tuple[StepRecord, ...] = ()
    paused_seconds: float | None = None
    created_at: datetime
    ended_at: datetime | None = None
