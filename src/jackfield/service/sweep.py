"""Sees to what time alone ends: leases, and the deadlines of migrations."""

from __future__ import annotations

from jackfield.model.claim import Claim
from jackfield.model.instance import InstanceStatus
from jackfield.service import instance as instance_use
from jackfield.service import saga
from jackfield.service.unit import Unit
from jackfield.store import claim as claims
from jackfield.store import instance as instances
from jackfield.store import migration as migrations


def is_due(unit: Unit) -> bool:
    """Whether a sweep would find anything to end; reads only."""
    rows = migrations.listing(unit.connection, include_ended=False)
    return any(row.deadline <= unit.now for row in rows) or bool(_expired(unit))


def sweep(unit: Unit) -> None:
    """Ends what is over. Idempotent."""
    for row in migrations.listing(unit.connection, include_ended=False):
        saga.advance(unit, row)
    for claim in _expired(unit):
        instance = instances.find(unit.connection, claim.instance_id) if claim.instance_id else None
        if instance is not None and instance.status is InstanceStatus.BUILDING:
            why = f"the boot took longer than {unit.settings.boot_seconds:g} s; is {claim.host}'s agent up?"
            instance_use.fail(unit, instance, why)
        else:
            instance_use.begin_release(unit, claim)


def _expired(unit: Unit) -> list[Claim]:
    """Held claims whose lease is over. A migration's claims have its lease: its own deadlines end them."""
    moving = {row.id for row in migrations.listing(unit.connection, include_ended=False)}
    over = claims.expired(unit.connection, unit.now)
    return [claim for claim in over if claim.migration_id not in moving]
