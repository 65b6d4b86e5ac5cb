"""Claims and the holds that make them exclusive.

A hold blocks one function for one claim, and its primary key is the function: so the database itself
refuses a second holder, and a PF against its VFs, since the claim on a PF holds all of them. Holds stay
until release is proved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, and_, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from jackfield.model.claim import Claim, ClaimPurpose, ClaimState, HoldReason, may_become
from jackfield.model.device import DeviceId
from jackfield.model.error import Conflict
from jackfield.store import device, table
from jackfield.store.row import build, chosen, not_found, rewrite, values

Blocked = tuple[DeviceId, HoldReason]

_NOT_RELEASED = table.claim.c.state != ClaimState.RELEASED

_OWN = table.device.alias("own")
_OWN_AND_VFS = or_(table.device.c.id == _OWN.c.id, table.device.c.parent_id == _OWN.c.id)
_OWN_AND_VFS_AND_GROUP = or_(
    _OWN_AND_VFS, and_(table.device.c.host == _OWN.c.host, table.device.c.iommu_group == _OWN.c.iommu_group)
)


def holds_for(connection: Connection, device_id: DeviceId, *, needs_vfio: bool = False) -> list[Blocked]:
    """Every function that a claim on the device blocks, in the order of ids, itself among them.

    A PF blocks all its VFs, those included that vanished while somebody held them. A function to be bound
    to vfio blocks its whole IOMMU group: the kernel gives a group to one user or to none. Raises `Conflict`
    (`device-gone`).
    """
    related = _OWN_AND_VFS_AND_GROUP if needs_vfio else _OWN_AND_VFS
    found = connection.execute(
        select(table.device.c.id, table.device.c.parent_id, table.device.c.present)
        .join(_OWN, related)
        .where(_OWN.c.id == device_id)
        .order_by(table.device.c.id)
    ).all()
    if not any(row.id == device_id and row.present for row in found):
        raise Conflict(
            "device-gone",
            f"device {device_id} is not there any more; look again which devices are free",
            detail={"device": device_id},
        )

    def reason(row_id: str, parent_id: str | None) -> HoldReason:
        if row_id == device_id:
            return HoldReason.CLAIMED
        return HoldReason.VF_OF_CLAIMED_PF if parent_id == device_id else HoldReason.IOMMU_GROUP

    return [(DeviceId(row.id), reason(row.id, row.parent_id)) for row in found]


def take(connection: Connection, claim: Claim, blocked: Sequence[Blocked]) -> None:
    """Writes the claim and its holds, all or none.

    Of any number of takers of one function exactly one succeeds, the others raise `Conflict`
    (`device-taken`), naming the function and, in the detail, the claim that has it. To take several devices
    all or none, let the exception end the work that took the first.
    """
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    rows = [
        {"device_id": device_id, "claim_id": claim.id, "reason": reason}
        for device_id, reason in sorted(blocked)
    ]
    with connection.begin_nested():
        connection.execute(table.claim.insert().values(values(claim)))
        # DO NOTHING and a look instead of an error: it is one round trip for a PF with 128 VFs, and after an
        # error PostgreSQL would not say any more who the holder is. It waits for a holder that has not
        # committed yet; in the order of ids, so that two such waits cannot cross.
        connection.execute(insert(table.hold).on_conflict_do_nothing(), rows)
        taken = connection.execute(
            select(table.hold.c.device_id, table.hold.c.claim_id)
            .where(table.hold.c.device_id.in_([row["device_id"] for row in rows]))
            .where(table.hold.c.claim_id != claim.id)
            .order_by(table.hold.c.device_id)
        ).first()
        if taken is not None:
            raise Conflict(
                "device-taken",
                f"device {taken.device_id} is held by claim {taken.claim_id}, so {claim.device_id} cannot be "
                "had; look again which devices are free",
                detail={"device": taken.device_id, "wanted": claim.device_id, "holder": taken.claim_id},
            )


def get(connection: Connection, claim_id: str) -> Claim:
    """Raises `NotFound` (`claim-not-found`)."""
    row = chosen(connection, table.claim, id=claim_id).one_or_none()
    if row is None:
        raise not_found("claim", claim_id)
    return build(Claim, row)


def listing(
    connection: Connection,
    *,
    host: str | None = None,
    instance_id: str | None = None,
    port_id: str | None = None,
    migration_id: str | None = None,
    include_released: bool = False,
) -> list[Claim]:
    """In the order of ids."""
    rows = chosen(
        connection,
        table.claim,
        "id",
        only=None if include_released else _NOT_RELEASED,
        host=host,
        instance_id=instance_id,
        port_id=port_id,
        migration_id=migration_id,
    )
    return [build(Claim, row) for row in rows]


def holds_of(connection: Connection, claim_id: str) -> list[Blocked]:
    """What the claim blocks now, in the order of ids; nothing once it is released."""
    rows = connection.execute(
        select(table.hold.c.device_id, table.hold.c.reason)
        .where(table.hold.c.claim_id == claim_id)
        .order_by(table.hold.c.device_id)
    )
    return [(DeviceId(row.device_id), row.reason) for row in rows]


def activate(connection: Connection, claim_id: str) -> Claim:
    """The claim as active, without a lease; idempotent. Raises `Conflict` (`claim-state`)."""
    claim = get(connection, claim_id)
    if claim.state is ClaimState.ACTIVE:
        return claim
    return _become(connection, claim, ClaimState.ACTIVE, lease_expires_at=None)


def begin_release(connection: Connection, claim_id: str) -> Claim:
    """The claim as given up: something else is wanted of its host now, so touch that; idempotent.

    It is `releasing` until the agent proves release, or `released` at once if no agent ever saw it, which is
    sure only because `host.serve` is called before a desired state leaves.
    """
    claim = get(connection, claim_id)
    if claim.state in (ClaimState.RELEASING, ClaimState.RELEASED):
        return claim
    given_up = _become(
        connection, claim, ClaimState.RELEASING, generation=claim.generation + 1, lease_expires_at=None
    )
    served = connection.execute(
        select(table.host.c.served_version).where(table.host.c.name == claim.host)
    ).scalar_one()
    never_seen = claim.state is ClaimState.HELD and claim.desired_version > served
    return _end(connection, given_up) if never_seen else given_up


def release(connection: Connection, claim_id: str, generation: int) -> bool:
    """Frees the claim's devices, because the agent proved its release for `generation`.

    False, and nothing changes, when the report is late: the claim has another generation or is released
    already. Raises `Conflict` (`claim-state`) when nobody gave it up.
    """
    claim = get(connection, claim_id)
    if claim.generation != generation or claim.state is ClaimState.RELEASED:
        return False
    _end(connection, claim)
    return True


def expired(connection: Connection, now: datetime) -> list[Claim]:
    """Held claims whose lease is over, in the order of ids."""
    rows = connection.execute(
        select(table.claim)
        .where(table.claim.c.state == ClaimState.HELD, table.claim.c.lease_expires_at <= now)
        .order_by(table.claim.c.id)
    )
    return [build(Claim, row) for row in rows]


def change_over(connection: Connection, source_id: str, target_id: str) -> tuple[Claim, Claim]:
    """Source and target claim of a moved port after the change-over, the purposes swapped; idempotent.

    The target is active and runs the guest; the source is the migration's, and given up. Raises `Conflict`
    (`claim-state`).
    """
    target = activate(connection, target_id)
    source = begin_release(connection, source_id)
    return (
        _store(connection, replace(source, purpose=ClaimPurpose.MIGRATION)),
        _store(connection, replace(target, purpose=ClaimPurpose.RUN)),
    )


def _end(connection: Connection, claim: Claim) -> Claim:
    ended = _become(connection, claim, ClaimState.RELEASED)
    freed = [device_id for device_id, _reason in holds_of(connection, claim.id)]
    connection.execute(delete(table.hold).where(table.hold.c.claim_id == claim.id))
    device.remove_vanished(connection, freed)
    return ended


def _become(connection: Connection, claim: Claim, state: ClaimState, **others: object) -> Claim:
    if not may_become(claim.state, state):
        raise _misplaced(claim, f"become {state}")
    return _store(connection, replace(claim, state=state, **others))  # type: ignore[arg-type]


def _store(connection: Connection, claim: Claim) -> Claim:
    rewrite(connection, table.claim, claim, id=claim.id)
    return claim


def _misplaced(claim: Claim, what: str) -> Conflict:
    return Conflict(
        "claim-state",
        f"claim {claim.id} on {claim.device_id} is {claim.state} and cannot {what}; look again",
        detail={"claim": claim.id, "state": claim.state.value},
    )
