"""Hosts: what each wants done, what it was told, and what it last said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, update

from jackfield.model.attachment import ObservedState
from jackfield.model.error import Conflict
from jackfield.store import table
from jackfield.store.row import build, chosen, not_found, values


@dataclass(frozen=True, kw_only=True, slots=True)
class Host:
    name: str
    epoch: int = 0
    """Rises at every start of its agent and at fencing; 0 before the first."""
    boot_id: str | None = None
    migrate_uri: str | None = None
    bridge_mappings: Mapping[str, str] = field(default_factory=dict)
    desired_version: int = 0
    """Rises with every change of what is wanted of it."""
    served_version: int = 0
    """The newest desired version that may have reached its agent."""
    inventory_digest: str | None = None
    observed: ObservedState | None = None
    observed_version: int = 0
    """The desired version that its agent had read before the last report."""
    last_seen: datetime | None = None
    created_at: datetime


def insert(connection: Connection, host: Host) -> None:
    """Raises `Conflict` (`host-exists`)."""
    if _find(connection, host.name) is not None:
        raise Conflict("host-exists", f"there is already a host {host.name!r}; choose another name")
    connection.execute(table.host.insert().values(values(host)))


def get(connection: Connection, name: str) -> Host:
    """Raises `NotFound` (`host-not-found`)."""
    found = _find(connection, name)
    if found is None:
        raise not_found("host", name)
    return found


def listing(connection: Connection) -> list[Host]:
    return [build(Host, row) for row in chosen(connection, table.host, "name")]


def begin_epoch(
    connection: Connection,
    name: str,
    *,
    boot_id: str,
    migrate_uri: str | None,
    bridge_mappings: Mapping[str, str],
) -> int:
    """The new epoch; whoever still speaks in an older one speaks for the past.

    What the agent reported in its last epoch stays until it reports again. Raises `NotFound`.
    """
    new = {"boot_id": boot_id, "migrate_uri": migrate_uri, "bridge_mappings": dict(bridge_mappings)}
    return _bump(connection, name, "epoch", **new)


def touch(connection: Connection, name: str) -> int:
    """The new desired version: something else is wanted of the host. Raises `NotFound`."""
    return _bump(connection, name, "desired_version")


def serve(connection: Connection, name: str, version: int) -> bool:
    """Notes that the agent is about to be told `version`; call it before the reply leaves.

    False when something else is wanted by now. Then read again and send nothing of what was read: a claim
    in it may have been given up as never seen, and its device may be somebody else's.
    """
    changed = connection.execute(
        update(table.host)
        .where(table.host.c.name == name, table.host.c.desired_version == version)
        .values(served_version=version)
    )
    return changed.rowcount == 1


def record_observed(connection: Connection, name: str, observed: ObservedState, now: datetime) -> bool:
    """Keeps the agent's report. False, and nothing changes, for a report that a later one of the same epoch
    overtook. Whether the epoch is the present one is for the caller to ask first. Raises `NotFound`.
    """
    last = get(connection, name).observed
    if last is not None and last.epoch == observed.epoch and last.sequence >= observed.sequence > 0:
        return False
    connection.execute(
        update(table.host)
        .where(table.host.c.name == name)
        .values(observed=observed, observed_version=observed.version, last_seen=now)
    )
    return True


def _find(connection: Connection, name: str) -> Host | None:
    row = chosen(connection, table.host, name=name).one_or_none()
    return None if row is None else build(Host, row)


def _bump(connection: Connection, name: str, column: str, **others: object) -> int:
    counter = table.host.c[column]
    risen: int | None = connection.execute(
        update(table.host)
        .where(table.host.c.name == name)
        .values({column: counter + 1, **others})
        .returning(counter)
    ).scalar_one_or_none()
    if risen is None:
        raise not_found("host", name)
    return risen
