"""One host's inventory taken over whole: devices come, change and vanish, and holds follow."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence, Set
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, exists, select, update

from jackfield.model.claim import HoldReason
from jackfield.model.device import DeviceId, OfferedDevice
from jackfield.store import attribute, table
from jackfield.store.device import id_of, remove_vanished, to_row
from jackfield.store.row import not_found


def replace(connection: Connection, host: str, offers: Sequence[OfferedDevice]) -> bool:
    """Makes the host's devices those of `offers`; says whether anything changed.

    An unchanged inventory costs one read and no write. A device that vanished disappears, unless a claim
    holds it: then it stays, not present, until it is freed. A VF that appears under a held PF is held with
    it. Raises `NotFound`, `Rejected` (`attribute-type`).
    """
    digest = _digest(offers)
    known = connection.execute(
        select(table.host.c.inventory_digest).where(table.host.c.name == host)
    ).one_or_none()
    if known is None:
        raise not_found("host", host)
    if known.inventory_digest == digest:
        return False
    attribute.declare(connection, host, (offer.attributes for offer in offers))
    stored = {
        row.id: row._mapping
        for row in connection.execute(select(table.device).where(table.device.c.host == host))
    }
    named = dict(_name_each(host, offers, {key: row["address"] for key, row in stored.items()}))
    for device_id, (offer, reason) in named.items():
        _put(connection, to_row(host, device_id, offer), stored.get(device_id), reason)
    _mark_vanished(connection, stored.keys() - named.keys())
    _hold_new_vfs(connection, host)
    connection.execute(update(table.host).where(table.host.c.name == host).values(inventory_digest=digest))
    return True


def _digest(offers: Sequence[OfferedDevice]) -> str:
    """Of the content, whatever the order."""
    lines = sorted(json.dumps(asdict(offer), sort_keys=True) for offer in offers)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _name_each(
    host: str, offers: Sequence[OfferedDevice], addresses: dict[str, Any]
) -> Iterator[tuple[DeviceId, tuple[OfferedDevice, str | None]]]:
    """Each device under its id, with a reason to taint it.

    Two devices with one identity (a card with a cloned serial number, say) cannot be told apart after the
    next renumbering, so neither is given to anybody. The id stays with the one that stands where the
    identity was last seen, since a claim may know it; the others get their address into theirs.
    """
    by_identity: dict[str, list[OfferedDevice]] = {}
    for offer in offers:
        by_identity.setdefault(offer.device.identity, []).append(offer)
    for identity, same in by_identity.items():
        plain = id_of(host, identity)
        same.sort(key=lambda one: (one.device.address != addresses.get(plain), one.device.address))
        for offer in same:
            own = plain if offer is same[0] else DeviceId(f"{plain}@{offer.device.address}")
            others = ", ".join(str(one.device.address) for one in same if one is not offer)
            yield own, (offer, f"its identity {identity} is also that of {others}" if others else None)


def _put(connection: Connection, new: dict[str, Any], old: Any | None, reason: str | None) -> None:
    if reason is not None:
        new["tainted"] = reason
    if old is None:
        connection.execute(table.device.insert().values({"tainted": None, **new}))
    elif any(old[name] != value for name, value in new.items()):
        connection.execute(update(table.device).where(table.device.c.id == new["id"]).values(new))


def _mark_vanished(connection: Connection, device_ids: Set[DeviceId]) -> None:
    if not device_ids:
        return
    gone = sorted(device_ids)
    connection.execute(update(table.device).where(table.device.c.id.in_(gone)).values(present=False))
    remove_vanished(connection, gone)


def _hold_new_vfs(connection: Connection, host: str) -> None:
    """The claim on a PF blocks its VFs, those included that were made after the claim."""
    of_parent, own = table.hold.alias("of_parent"), table.hold.alias("own")
    new = connection.execute(
        select(table.device.c.id, of_parent.c.claim_id)
        .join(of_parent, of_parent.c.device_id == table.device.c.parent_id)
        .where(
            table.device.c.host == host,
            of_parent.c.reason == HoldReason.CLAIMED,
            ~exists().where(own.c.device_id == table.device.c.id),
        )
        .order_by(table.device.c.id)
    )
    for device_id, claim_id in new.all():
        connection.execute(
            table.hold.insert().values(
                device_id=device_id, claim_id=claim_id, reason=HoldReason.VF_OF_CLAIMED_PF
            )
        )
