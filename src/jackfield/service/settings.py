"""What an operator may set of the control side's decisions. Times are in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jackfield.migrate.plan import STRATEGIES
from jackfield.model.migration import StrategyName


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    boot_seconds: float = 180.0
    """The lease of a boot's claims: after it the boot has failed."""
    move_seconds: float = 600.0
    """Until the guest must have moved; then the move is turned back or aborted."""
    settle_seconds: float = 120.0
    """How long the end of a move waits for a host to prove its devices released."""
    host_silent_seconds: float = 90.0
    """A host whose agent was not heard of for longer gets nothing new."""
    strategies: Sequence[StrategyName] = tuple(STRATEGIES)
    """The order in which `auto` tries them."""
    shared_storage: Sequence[str] = ()
    """Folders that every host sees alike: a guest with a disk elsewhere is not moved."""
    allow_location: bool = False
    """Flavors may use identity attributes."""
