"""Ports and their bindings."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select, update

from jackfield.model.error import Conflict
from jackfield.model.port import Binding, Port
from jackfield.store import table
from jackfield.store.row import (
    build,
    by_name_or_id,
    chosen,
    not_found,
    refuse_taken_name,
    rewrite,
    values,
)


def insert(connection: Connection, port: Port) -> None:
    """Raises `Conflict` (`port-exists`, `mac-taken`)."""
    refuse_taken_name(connection, table.port, "port", port.name)
    clash = connection.execute(select(table.port.c.name).where(table.port.c.mac == port.mac)).first()
    if clash is not None:
        raise Conflict(
            "mac-taken", f"port {clash.name!r} has the MAC {port.mac}; choose another, or leave it to us"
        )
    connection.execute(table.port.insert().values(values(port)))


def find(connection: Connection, name_or_id: str) -> Port:
    """Raises `NotFound` (`port-not-found`)."""
    return build(Port, by_name_or_id(connection, table.port, "port", name_or_id))


def listing(
    connection: Connection,
    *,
    instance_id: str | None = None,
    network_id: str | None = None,
    flavor: str | None = None,
) -> list[Port]:
    """In the order of their numbers within an instance, then of names."""
    rows = chosen(
        connection,
        table.port,
        "number",
        "name",
        instance_id=instance_id,
        network_id=network_id,
        flavor=flavor,
    )
    return [build(Port, row) for row in rows]


def replace(connection: Connection, port: Port) -> None:
    """Writes every field. Raises `NotFound`."""
    if not rewrite(connection, table.port, port, id=port.id):
        raise not_found("port", port.id)


def remove(connection: Connection, port_id: str) -> None:
    """With its bindings. Idempotent."""
    connection.execute(delete(table.binding).where(table.binding.c.port_id == port_id))
    connection.execute(delete(table.port).where(table.port.c.id == port_id))


def bindings(connection: Connection, port_id: str) -> list[Binding]:
    """The active one first, then in the order of hosts."""
    rows = connection.execute(
        select(table.binding)
        .where(table.binding.c.port_id == port_id)
        .order_by(table.binding.c.is_active.desc(), table.binding.c.host)
    )
    return [build(Binding, row) for row in rows]


def bind(connection: Connection, binding: Binding) -> None:
    """Gives the port this binding on its host, in the place of one that it has there; idempotent.

    Raises `Conflict` (`port-bound`) for a second active one.
    """
    unbind(connection, binding.port_id, binding.host)
    if binding.is_active:
        for other in bindings(connection, binding.port_id):
            if other.is_active:
                raise Conflict(
                    "port-bound",
                    f"port {binding.port_id} is bound on host {other.host}; unbind it there first, or move "
                    "its instance",
                )
    connection.execute(table.binding.insert().values(values(binding)))


def unbind(connection: Connection, port_id: str, host: str) -> None:
    """Idempotent."""
    connection.execute(
        delete(table.binding).where(table.binding.c.port_id == port_id, table.binding.c.host == host)
    )


def activate_binding(connection: Connection, port_id: str, host: str) -> None:
    """Makes the binding on `host` the active one and the others inactive; idempotent.

    Raises `Conflict` (`port-not-bound`) when the port has none there.
    """
    # The old one first: a partial unique index allows one active binding at any moment.
    mine = table.binding.c.port_id == port_id
    connection.execute(
        update(table.binding).where(mine, table.binding.c.host != host).values(is_active=False)
    )
    changed = connection.execute(
        update(table.binding).where(mine, table.binding.c.host == host).values(is_active=True)
    )
    if changed.rowcount == 0:
        raise Conflict("port-not-bound", f"port {port_id} has no binding on host {host}; bind it there first")
