"""`/v1/hosts`: the operator's side of a host."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Depends
from starlette.responses import Response

from jackfield.api.access import TheService, operator
from jackfield.api.creation import TheCreation
from jackfield.api.reference import Reference
from jackfield.service import host
from jackfield.service.unit import Unit
from jackfield.store.host import Host as StoredHost
from jackfield.wire.host import Host, HostCreate, HostCreated, Hosts

router = APIRouter(prefix="/v1/hosts", tags=["hosts"], dependencies=[Depends(operator)])


@router.post("", status_code=HTTPStatus.CREATED, response_model=HostCreated)
def add(body: HostCreate, creation: TheCreation) -> Response:
    def added(unit: Unit) -> tuple[str, HostCreated]:
        it, token = host.add(unit, body.name)
        return it.name, HostCreated(**dict(_shape(unit, it)), token=token)

    return creation.answer(body, added, keep=lambda created: created.model_copy(update={"token": None}))


@router.get("")
def listing(service: TheService) -> Hosts:
    return service.read(lambda unit: Hosts(hosts=tuple(_shape(unit, it) for it in host.listing(unit))))


@router.get("/{name}")
def show(name: Reference, service: TheService) -> Host:
    return service.read(lambda unit: _shape(unit, host.show(unit, name)))


def _shape(unit: Unit, it: StoredHost) -> Host:
    return Host(
        name=it.name,
        alive=unit.is_alive(it.name),
        frozen=it.observed.frozen if it.observed else None,
        last_report_at=it.last_seen,
        epoch=it.epoch,
        migrate_uri=it.migrate_uri,
        bridge_mappings=dict(it.bridge_mappings),
        desired_version=it.desired_version,
        observed_version=it.observed_version,
    )
