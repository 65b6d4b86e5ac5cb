"""Claims on the wire."""

from __future__ import annotations

from datetime import datetime

from jackfield.model.claim import ClaimPurpose, ClaimState
from jackfield.model.migration import StrategyName
from jackfield.wire.shape import Shape


class Claim(Shape):
    id: str
    device_id: str
    host: str
    state: ClaimState
    purpose: ClaimPurpose
    generation: int
    flavor: str | None
    strategy: StrategyName | None
    instance_id: str | None
    port_id: str | None
    migration_id: str | None
    lease_expires_at: datetime | None


class Claims(Shape):
    claims: tuple[Claim, ...]
