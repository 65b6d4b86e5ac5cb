"""`/v1/networks`."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Depends
from starlette.responses import Response

from jackfield.api.access import TheService, operator
from jackfield.api.creation import TheCreation
from jackfield.api.reference import Reference
from jackfield.service import network
from jackfield.service.unit import Unit
from jackfield.wire.network import Network, NetworkCreate, Networks

router = APIRouter(prefix="/v1/networks", tags=["networks"], dependencies=[Depends(operator)])


@router.post("", status_code=HTTPStatus.CREATED, response_model=Network)
def create(body: NetworkCreate, creation: TheCreation) -> Response:
    def made(unit: Unit) -> tuple[str, Network]:
        it = network.create(unit, body.name, body.physical_network, body.segment, body.vlan)
        return it.id, Network.from_model(it)

    return creation.answer(body, made)


@router.get("")
def listing(service: TheService) -> Networks:
    return Networks(networks=tuple(map(Network.from_model, service.read(network.listing))))


@router.get("/{name}")
def show(name: Reference, service: TheService) -> Network:
    return Network.from_model(service.read(lambda unit: network.show(unit, name)))


@router.delete("/{name}", status_code=HTTPStatus.NO_CONTENT)
def delete(name: Reference, service: TheService) -> None:
    service.write(lambda unit: network.delete(unit, name))
