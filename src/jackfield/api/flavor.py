"""`/v1/pci-flavors`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from jackfield.api.access import TheService, operator
from jackfield.api.creation import TheCreation
from jackfield.api.reference import Reference
from jackfield.service import flavor
from jackfield.service.unit import Unit
from jackfield.wire.flavor import (
    FailedCondition,
    Flavor,
    FlavorCreate,
    FlavorMatch,
    FlavorReplace,
    Flavors,
    MatchingDevice,
    OtherDevice,
)

router = APIRouter(prefix="/v1/pci-flavors", tags=["pci-flavors"], dependencies=[Depends(operator)])


@router.post("", status_code=HTTPStatus.CREATED, response_model=Flavor)
def create(body: FlavorCreate, creation: TheCreation) -> Response:
    def made(unit: Unit) -> tuple[str, Flavor]:
        it = flavor.create(unit, body.name, body.alternatives, body.description, body.strategy)
        return it.name, Flavor.from_model(it)

    return creation.answer(body, made)


@router.get("")
def listing(service: TheService) -> Flavors:
    return Flavors(pci_flavors=tuple(map(Flavor.from_model, service.read(flavor.listing))))


@router.get("/{name}")
def show(name: Reference, service: TheService) -> Flavor:
    return Flavor.from_model(service.read(lambda unit: flavor.show(unit, name)))


@router.put("/{name}")
def replace(name: Reference, body: FlavorReplace, service: TheService) -> Flavor:
    return Flavor.from_model(
        service.write(
            lambda unit: flavor.replace(unit, name, body.alternatives, body.description, body.strategy)
        )
    )


@router.delete("/{name}", status_code=HTTPStatus.NO_CONTENT)
def delete(
    name: Reference,
    service: TheService,
    force: Annotated[bool, Query(description="Also while ports ask for it; what they have stays.")] = False,
) -> None:
    service.write(lambda unit: flavor.delete(unit, name, force=force))


@router.post("/{name}/match")
def match(name: Reference, service: TheService) -> FlavorMatch:
    """Which devices the flavor matches now, and which condition each of the others fails."""
    report = service.read(lambda unit: flavor.match(unit, name))
    return FlavorMatch(
        matching=tuple(
            MatchingDevice(device_id=one.device.id, alternative=one.alternative) for one in report.matching
        ),
        others=tuple(map(_other, report.failing)),
    )


def _other(one: flavor.FailingDevice) -> OtherDevice:
    return OtherDevice(
        device_id=one.device.id,
        failed=tuple(
            FailedCondition(
                attribute=condition.attribute,
                wanted=condition.test.to_json(),
                found=one.attributes.get(condition.attribute),
            )
            for condition in one.conditions
        ),
    )
