"""`/v1/migrations`."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse, Response

from jackfield.api.access import TheService, operator
from jackfield.api.creation import TheCreation
from jackfield.api.reference import Reference
from jackfield.service import migration
from jackfield.service.unit import Unit
from jackfield.wire.migration import Migration, MigrationBegin, Migrations, Plan

router = APIRouter(prefix="/v1/migrations", tags=["migrations"], dependencies=[Depends(operator)])


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    response_model=Migration,
    responses={200: {"model": Plan, "description": "The plan alone, asked for with `dry_run`."}},
)
def begin(body: MigrationBegin, service: TheService, creation: TheCreation) -> Response:
    """Moves an instance, live, to another host."""
    if body.dry_run:
        plan = service.read(lambda unit: migration.plan(unit, body.instance, body.target, body.strategy))
        return JSONResponse(Plan.from_model(plan).model_dump(mode="json"))

    def begun(unit: Unit) -> tuple[str, Migration]:
        it = migration.begin(unit, body.instance, body.target, body.strategy, body.bandwidth_mib)
        return it.id, Migration.from_model(it)

    return creation.answer(body, begun, status=HTTPStatus.ACCEPTED)


@router.get("")
def listing(service: TheService) -> Migrations:
    return Migrations(migrations=tuple(map(Migration.from_model, service.read(migration.listing))))


@router.get("/{id}")
def show(id: Reference, service: TheService) -> Migration:
    """With the progress of the memory's transfer, while there is one."""

    def look(unit: Unit) -> Migration:
        row = migration.show(unit, id)
        progress = migration.progress(unit, row)
        return Migration.from_model(row).model_copy(update={"progress": dict(progress)})

    return service.read(look)


@router.post("/{id}/abort", status_code=HTTPStatus.ACCEPTED)
def abort(id: Reference, service: TheService) -> Migration:
    """Turns the migration back, as long as the guest has not changed over; idempotent."""
    return Migration.from_model(service.write(lambda unit: migration.abort(unit, id)))
