"""`/v1/devices`. A device's id holds slashes: `<host>/<identity>`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from jackfield.api.access import TheService, operator
from jackfield.api.reference import Filter
from jackfield.service import device
from jackfield.store.device import StoredDevice
from jackfield.wire.device import Device, Devices, Taint
from jackfield.wire.shape import Name

router = APIRouter(prefix="/v1/devices", tags=["devices"], dependencies=[Depends(operator)])

DeviceReference = Annotated[Name, Path(description="`<host>/<identity>`.")]


@router.get("")
def listing(service: TheService, host: Filter = None) -> Devices:
    found = service.read(lambda unit: device.listing(unit, host=host))
    return Devices(devices=tuple(map(_shape, found)))


@router.put("/{device_id:path}/taint")
def taint(device_id: DeviceReference, body: Taint, service: TheService) -> Device:
    """A tainted device is never given; a claim that it has stays."""
    return _shape(service.write(lambda unit: device.taint(unit, device_id, body.reason)))


@router.delete("/{device_id:path}/taint")
def untaint(device_id: DeviceReference, service: TheService) -> Device:
    return _shape(service.write(lambda unit: device.untaint(unit, device_id)))


@router.get("/{device_id:path}")
def show(device_id: DeviceReference, service: TheService) -> Device:
    return _shape(service.read(lambda unit: device.show(unit, device_id)))


def _shape(view: StoredDevice) -> Device:
    return Device.of(
        id=view.id,
        host=view.host,
        offer=view.offer,
        present=view.present,
        tainted=view.tainted,
        claim_id=view.holder,
    )
