"""Every device of the fleet, its state and its holder."""

from __future__ import annotations

from jackfield.service.unit import Unit
from jackfield.store import device as devices
from jackfield.store import host as hosts
from jackfield.store.device import StoredDevice


def listing(unit: Unit, *, host: str | None = None) -> list[StoredDevice]:
    """Raises `NotFound` for a host that does not exist."""
    if host is not None:
        hosts.get(unit.connection, host)
    return devices.listing(unit.connection, host=host)


def show(unit: Unit, device_id: str) -> StoredDevice:
    return devices.get(unit.connection, device_id)


def taint(unit: Unit, device_id: str, reason: str) -> StoredDevice:
    """Quarantines the device: it is never given; a claim that has it keeps it. Idempotent."""
    devices.taint(unit.connection, device_id, reason)
    return devices.get(unit.connection, device_id)


def untaint(unit: Unit, device_id: str) -> StoredDevice:
    """Idempotent."""
    devices.untaint(unit.connection, device_id)
    return devices.get(unit.connection, device_id)
