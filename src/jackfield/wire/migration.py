"""Migrations and their plans on the wire."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from jackfield.model.migration import Direction, MigrationState, StepName, StrategyName
from jackfield.wire.shape import Boolean, Integer, Name, Request, Shape


class MigrationBegin(Request):
    instance: Name
    """Name or id."""
    target: Name | None = None
    """None lets the scheduler choose."""
    strategy: StrategyName | None = None
    """None keeps what each port was booted with."""
    bandwidth_mib: Integer | None = None
    """MiB/s that the move may use at most."""
    dry_run: Boolean = False
    """Answer 200 with the plan, and change nothing."""


class PlannedStep(Shape):
    name: StepName
    host: str
    does: str
    undo: str | None


class PlannedMove(Shape):
    port_id: str
    mac: str
    source_claim_id: str
    target_claim_id: str
    """Empty in a plan that was only asked for."""
    source_address: str
    target_address: str
    strategy: StrategyName
    source_netdev: str | None
    target_netdev: str | None


class Plan(Shape):
    source: str
    target: str
    reasons: tuple[str, ...]
    """Why each NIC moves the way it does, in the order of `moves`."""
    moves: tuple[PlannedMove, ...]
    steps: tuple[PlannedStep, ...]


class StepRecord(Shape):
    name: StepName
    direction: Direction
    began_at: datetime
    ended_at: datetime | None
    note: str


class Migration(Shape):
    id: str
    instance_id: str
    source: str
    target: str
    state: MigrationState
    direction: Direction
    position: StepName
    plan: Plan
    records: tuple[StepRecord, ...]
    """When each step began and ended."""
    abort_requested: bool
    bandwidth_mib: int | None
    progress: dict[str, int] = Field(default_factory=dict)
    """While the guest moves, as far as libvirt tells: `memory_total` and `memory_remaining`, in bytes."""
    error: str | None
    paused_seconds: float | None
    deadline: datetime
    created_at: datetime
    ended_at: datetime | None

    @property
    def percent_moved(self) -> int | None:
        """How much of the guest's memory has gone over; None when nobody tells."""
        total = self.progress.get("memory_total", 0)
        return round(100 * (1 - self.progress.get("memory_remaining", 0) / total)) if total else None


class Migrations(Shape):
    migrations: tuple[Migration, ...]
