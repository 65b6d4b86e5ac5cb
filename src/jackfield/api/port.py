"""`/v1/ports`."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Depends
from starlette.responses import Response

from jackfield.api.access import TheService, operator
from jackfield.api.creation import TheCreation
from jackfield.api.reference import Reference
from jackfield.service import port
from jackfield.service.unit import Unit
from jackfield.wire.port import Port, PortCreate, Ports

router = APIRouter(prefix="/v1/ports", tags=["ports"], dependencies=[Depends(operator)])


@router.post("", status_code=HTTPStatus.CREATED, response_model=Port)
def create(body: PortCreate, creation: TheCreation) -> Response:
    def made(unit: Unit) -> tuple[str, Port]:
        it = port.create(
            unit, body.name, body.network_id, body.vnic_type, body.flavor, body.mac_address, body.strategy
        )
        return it.id, Port.of(it)

    return creation.answer(body, made)


@router.get("")
def listing(service: TheService) -> Ports:
    return Ports(ports=tuple(Port.of(view.port, view.bindings) for view in service.read(port.listing)))


@router.get("/{name}")
def show(name: Reference, service: TheService) -> Port:
    view = service.read(lambda unit: port.show(unit, name))
    return Port.of(view.port, view.bindings)


@router.delete("/{name}", status_code=HTTPStatus.NO_CONTENT)
def delete(name: Reference, service: TheService) -> None:
    service.write(lambda unit: port.delete(unit, name))
