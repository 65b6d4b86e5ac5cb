"""`/v1/instances`. What a host must do takes its time: the answers are 202, the status tells the rest."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Depends
from starlette.responses import Response

from jackfield.api.access import TheService, operator
from jackfield.api.creation import TheCreation
from jackfield.api.reference import Reference
from jackfield.service import instance
from jackfield.service.unit import Unit
from jackfield.wire.claim import Claim
from jackfield.wire.instance import Instance, InstanceBoot, InstanceDetail, Instances
from jackfield.wire.port import Port

router = APIRouter(prefix="/v1/instances", tags=["instances"], dependencies=[Depends(operator)])


@router.post("", status_code=HTTPStatus.ACCEPTED, response_model=Instance)
def boot(body: InstanceBoot, creation: TheCreation) -> Response:
    def begun(unit: Unit) -> tuple[str, Instance]:
        it = instance.boot(unit, body.name, body.machine.to_model(), body.ports, body.host, body.strategy)
        return it.id, Instance.from_model(it)

    return creation.answer(body, begun, status=HTTPStatus.ACCEPTED)


@router.get("")
def listing(service: TheService) -> Instances:
    return Instances(instances=tuple(map(Instance.from_model, service.read(instance.listing))))


@router.get("/{name}")
def show(name: Reference, service: TheService) -> InstanceDetail:
    view = service.read(lambda unit: instance.show(unit, name))
    return InstanceDetail(
        **dict(Instance.from_model(view.instance)),
        ports=tuple(Port.of(one.port, one.bindings) for one in view.ports),
        claims=tuple(map(Claim.from_model, view.claims)),
    )


@router.post("/{name}/start", status_code=HTTPStatus.ACCEPTED)
def start(name: Reference, service: TheService) -> Instance:
    return Instance.from_model(service.write(lambda unit: instance.start(unit, name)))


@router.post("/{name}/stop", status_code=HTTPStatus.ACCEPTED)
def stop(name: Reference, service: TheService) -> Instance:
    return Instance.from_model(service.write(lambda unit: instance.stop(unit, name)))


@router.delete("/{name}", status_code=HTTPStatus.ACCEPTED)
def delete(name: Reference, service: TheService) -> None:
    """The instance is gone from the list once its host has proved that its devices are free."""
    service.write(lambda unit: instance.delete(unit, name))
