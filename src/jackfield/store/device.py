"""Devices of all hosts: what each inventory said, what operators said, and who holds them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, select, update

from jackfield.model.claim import HoldReason
from jackfield.model.device import Device, DeviceId, OfferedDevice
from jackfield.store import table
from jackfield.store.row import not_found

_DEVICE_FIELDS = [field.name for field in fields(Device)]

# Made once: building such a statement costs more than SQLite takes to answer it.
_ALL = select(
    table.device, table.hold.c.claim_id.label("holder"), table.hold.c.reason.label("hold_reason")
).outerjoin(table.hold, table.hold.c.device_id == table.device.c.id)
_HELD = exists().where(table.hold.c.device_id == table.device.c.id)
_CHILD = table.device.alias("child")
_FREE = (
    select(table.device)
    .where(
        table.device.c.offered,
        table.device.c.present,
        table.device.c.refusal.is_(None),
        table.device.c.tainted.is_(None),
        ~_HELD,
        ~exists().where(_CHILD.c.parent_id == table.device.c.id, table.hold.c.device_id == _CHILD.c.id),
    )
    .order_by(table.device.c.id)
)


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredDevice:
    id: DeviceId
    host: str
    offer: OfferedDevice
    """As the host's last inventory said; as it was then, if the device has vanished since."""
    tainted: str | None = None
    """Why it is in quarantine: it is never given then."""
    present: bool = True
    """False for a device that vanished while it was held: it disappears when freed."""
    holder: str | None = None
    """The claim that blocks it."""
    hold_reason: HoldReason | None = None


def id_of(host: str, identity: str) -> DeviceId:
    return DeviceId(f"{host}/{identity}")


def get(connection: Connection, device_id: str) -> StoredDevice:
    """Raises `NotFound` (`device-not-found`)."""
    row = connection.execute(_ALL.where(table.device.c.id == device_id)).one_or_none()
    if row is None:
        raise not_found("device", device_id)
    return from_row(row)


def listing(connection: Connection, *, host: str | None = None) -> list[StoredDevice]:
    """In the order of their ids, with those that vanished."""
    statement = _ALL.order_by(table.device.c.id)
    if host is not None:
        statement = statement.where(table.device.c.host == host)
    return [from_row(row) for row in connection.execute(statement)]


def among(connection: Connection, device_ids: Collection[DeviceId]) -> dict[DeviceId, StoredDevice]:
    """Those of the devices that exist, by id, in one query."""
    rows = connection.execute(_ALL.where(table.device.c.id.in_(device_ids)))
    return {row.id: from_row(row) for row in rows}


def free(connection: Connection, hosts: Collection[str] | None = None) -> list[StoredDevice]:
    """What may be given now, in the order of ids: offered and not refused, present, not tainted, held by
    nobody. A PF with a held VF is not free.

    A function that is to be bound to vfio needs its whole IOMMU group besides; `claim.take` sees to that.
    """
    statement = _FREE
    if hosts is not None:
        statement = statement.where(table.device.c.host.in_(hosts))
    return [from_row(row) for row in connection.execute(statement)]


def taint(connection: Connection, device_id: str, reason: str) -> None:
    """Puts the device in quarantine; a claim that has it keeps it. Raises `NotFound`."""
    _set_tainted(connection, device_id, reason)


def untaint(connection: Connection, device_id: str) -> None:
    """Idempotent. Raises `NotFound`."""
    _set_tainted(connection, device_id, None)


def remove_vanished(connection: Connection, device_ids: Collection[DeviceId]) -> None:
    """Lets those of the devices go that are not present and held by nobody."""
    connection.execute(
        delete(table.device).where(table.device.c.id.in_(device_ids), ~table.device.c.present, ~_HELD)
    )


def _set_tainted(connection: Connection, device_id: str, reason: str | None) -> None:
    changed = connection.execute(
        update(table.device).where(table.device.c.id == device_id).values(tainted=reason)
    )
    if changed.rowcount == 0:
        raise not_found("device", device_id)


def from_row(row: Row[Any]) -> StoredDevice:
    facts = row._mapping
    return StoredDevice(
        id=DeviceId(facts["id"]),
        host=facts["host"],
        offer=OfferedDevice(
            device=Device(**{name: facts[name] for name in _DEVICE_FIELDS}),
            offered=facts["offered"],
            attributes=facts["attributes"],
            pool_network=facts["pool_network"],
            refusal=facts["refusal"],
        ),
        tainted=facts["tainted"],
        present=facts["present"],
        holder=facts.get("holder"),
        hold_reason=facts.get("hold_reason"),
    )


def to_row(host: str, device_id: DeviceId, offer: OfferedDevice) -> dict[str, Any]:
    """The columns that an inventory decides."""
    device = offer.device
    return {
        **{name: getattr(device, name) for name in _DEVICE_FIELDS},
        "id": device_id,
        "host": host,
        "parent_id": None if device.parent_identity is None else id_of(host, device.parent_identity),
        "offered": offer.offered,
        "refusal": offer.refusal,
        "pool_network": offer.pool_network,
        "attributes": dict(offer.attributes),
        "present": True,
    }
