"""Claims, for people to look at."""

from __future__ import annotations

from jackfield.model.claim import Claim
from jackfield.service.unit import Unit
from jackfield.store import claim as claims
from jackfield.store import host as hosts
from jackfield.store import instance as instances


def listing(
    unit: Unit, *, host: str | None = None, instance: str | None = None, include_released: bool = False
) -> list[Claim]:
    """`instance` is a name or an id. Raises `NotFound` for one, or a host, that does not exist."""
    if host is not None:
        hosts.get(unit.connection, host)
    instance_id = instances.find(unit.connection, instance).id if instance is not None else None
    return claims.listing(
        unit.connection, host=host, instance_id=instance_id, include_released=include_released
    )
