"""Claims: the exclusive right of one request to one device.

    held ──boot or change-over──▶ active
      │                             │
      └──────▶ releasing ◀──────────┘        every way out leads through `releasing`
                   │
                   ▼  the host's agent proved release (or never saw the claim)
               released

A `held` claim carries a lease. When it expires the claim becomes `releasing`, never straight `released`,
unless no agent ever saw it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from jackfield.model.device import DeviceId
from jackfield.model.migration import StrategyName


class ClaimState(StrEnum):
    HELD = "held"
    ACTIVE = "active"
    RELEASING = "releasing"
    RELEASED = "released"


class ClaimPurpose(StrEnum):
    RUN = "run"
    MIGRATION = "migration"


class HoldReason(StrEnum):
    """Why a claim blocks a function: it is its own, or giving it away would take it apart."""

    CLAIMED = "claimed"
    VF_OF_CLAIMED_PF = "vf-of-claimed-pf"
    IOMMU_GROUP = "iommu-group"


_NEXT = {
    ClaimState.HELD: {ClaimState.ACTIVE, ClaimState.RELEASING},
    ClaimState.ACTIVE: {ClaimState.RELEASING},
    ClaimState.RELEASING: {ClaimState.RELEASED},
    ClaimState.RELEASED: set[ClaimState](),
}


def may_become(now: ClaimState, then: ClaimState) -> bool:
    return then in _NEXT[now]


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    id: str
    device_id: DeviceId
    host: str
    state: ClaimState
    purpose: ClaimPurpose
    generation: int
    """Rises whenever what is wanted of the agent changes; a report with an older one changes nothing."""
    flavor: str | None = None
    strategy: StrategyName | None = None
    instance_id: str | None = None
    port_id: str | None = None
    migration_id: str | None = None
    lease_expires_at: datetime | None = None
    """UTC, by the database's clock; None once the claim is active."""
    desired_version: int = 0
    """The host's desired version at which this claim first shows: an agent that never took delivery of
    it never saw the claim."""
