"""`/v1/claims`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from jackfield.api.access import TheService, operator
from jackfield.api.reference import Filter
from jackfield.service import claim
from jackfield.wire.claim import Claim, Claims

router = APIRouter(prefix="/v1/claims", tags=["claims"], dependencies=[Depends(operator)])


@router.get("")
def listing(
    service: TheService,
    host: Filter = None,
    instance: Filter = None,
    released: Annotated[bool, Query(description="Also those that are over.")] = False,
) -> Claims:
    found = service.read(
        lambda unit: claim.listing(unit, host=host, instance=instance, include_released=released)
    )
    return Claims(claims=tuple(map(Claim.from_model, found)))
