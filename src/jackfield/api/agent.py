"""`/v1/hosts/{host}/…`: what a host's agent says and asks. Its token opens these and nothing else."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Annotated

import anyio
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from jackfield.api.access import TheService, agent_of
from jackfield.api.poll import Polls
from jackfield.api.reference import Reference
from jackfield.model.attachment import DesiredState
from jackfield.service import host as use_case
from jackfield.wire.attachment import Desired, Observed
from jackfield.wire.host import Epoch, EpochBegin, Inventory, InventoryTaken

WAIT_SECONDS_MAX = 60

router = APIRouter(prefix="/v1/hosts/{host}", tags=["agents"], dependencies=[Depends(agent_of)])


@router.post("/epochs", status_code=HTTPStatus.CREATED)
def begin_epoch(host: Reference, body: EpochBegin, service: TheService) -> Epoch:
    """Every start of an agent; whoever speaks with an earlier epoch is answered 410 from now on."""
    installation, epoch = service.write(
        lambda unit: use_case.begin_epoch(
            unit,
            host,
            boot_id=body.boot_id,
            migrate_uri=body.migrate_uri,
            bridge_mappings=body.bridge_mappings,
        )
    )
    return Epoch(installation=installation, epoch=epoch)


@router.put("/inventory")
def put_inventory(host: Reference, body: Inventory, service: TheService) -> InventoryTaken:
    changed = service.write(lambda unit: use_case.put_inventory(unit, host, body.epoch, body.devices))
    return InventoryTaken(changed=changed)


@router.put("/observed", status_code=HTTPStatus.NO_CONTENT)
def put_observed(host: Reference, body: Observed, service: TheService) -> None:
    service.write(lambda unit: use_case.put_observed(unit, host, body.observed.epoch, body.observed))


@router.get(
    "/desired",
    response_model=Desired,
    responses={204: {"description": "Nothing newer came within the time."}},
)
async def desired(
    *,
    host: Reference,
    request: Request,
    service: TheService,
    epoch: Annotated[int, Query(ge=0)],
    after: Annotated[int, Query(description="The version that the agent has.")] = 0,
    wait: Annotated[float, Query(ge=0, le=WAIT_SECONDS_MAX, description="Seconds to wait for news.")] = 0,
) -> Response:
    """The host's desired state once it is newer than `after`; also the agent's sign of life."""
    polls = request.app.state.polls
    assert isinstance(polls, Polls)

    async def read() -> DesiredState | None:
        return await anyio.to_thread.run_sync(
            use_case.deliver, service, host, epoch, after, limiter=polls.limiter
        )

    # Subscribed before the first look, so that what is written between look and wait still wakes us.
    with polls.woken_by(service.notifier, f"host:{host}") as woken:
        state = await read()
        if state is None and wait > 0:
            try:
                async with asyncio.timeout(wait):
                    while state is None and not polls.closed:
                        await woken.wait()
                        woken.clear()
                        state = await read()
            except TimeoutError:
                pass
    if state is None:
        return Response(status_code=HTTPStatus.NO_CONTENT)
    return Response(Desired(desired=state).to_json(), media_type="application/json")
