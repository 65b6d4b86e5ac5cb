"""Networks."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select

from jackfield.model.error import Conflict
from jackfield.model.network import Network
from jackfield.store import table
from jackfield.store.row import build, by_name_or_id, chosen, refuse_taken_name, values


def insert(connection: Connection, network: Network) -> None:
    """Raises `Conflict` (`network-exists`)."""
    refuse_taken_name(connection, table.network, "network", network.name)
    connection.execute(table.network.insert().values(values(network)))


def find(connection: Connection, name_or_id: str) -> Network:
    """Raises `NotFound` (`network-not-found`)."""
    return build(Network, by_name_or_id(connection, table.network, "network", name_or_id))


def listing(connection: Connection) -> list[Network]:
    return [build(Network, row) for row in chosen(connection, table.network, "name")]


def remove(connection: Connection, network_id: str) -> None:
    """Idempotent. Raises `Conflict` (`network-in-use`)."""
    user = connection.execute(
        select(table.port.c.name).where(table.port.c.network_id == network_id).order_by(table.port.c.name)
    ).first()
    if user is not None:
        raise Conflict("network-in-use", f"port {user.name!r} is in the network; delete its ports first")
    connection.execute(delete(table.network).where(table.network.c.id == network_id))
