"""Hosts on the wire, and what their agents send; the documents themselves are the model's own."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from jackfield.model.device import OfferedDevice
from jackfield.wire.shape import Boolean, Integer, Line, Name, Request, Shape

DEVICES_MAX = 16384


class HostCreate(Request):
    name: Name


class Host(Shape):
    name: str
    alive: bool
    """Its agent was heard of lately; without, the host gets nothing new."""
    frozen: str | None
    """Why its agent obeys nothing at present."""
    last_report_at: datetime | None
    """An agent reports when something changed; `alive` tells whether it is there."""
    epoch: int
    """Rises with every start of the host's agent; 0 before the first."""
    migrate_uri: str | None
    bridge_mappings: dict[str, str]
    desired_version: int
    observed_version: int
    """The desired version that the agent's last report answers."""


class HostCreated(Host):
    token: str | None
    """For the host's agent; shown this once. None when the answer to an `Idempotency-Key` is repeated:
    secrets are not kept."""


class Hosts(Shape):
    hosts: tuple[Host, ...]


class EpochBegin(Request):
    boot_id: Name
    migrate_uri: Line
    bridge_mappings: dict[Name, Name]


class Epoch(Shape):
    installation: str
    epoch: int


class Inventory(Request):
    epoch: Integer
    devices: Annotated[tuple[OfferedDevice, ...], Field(max_length=DEVICES_MAX)]


class InventoryTaken(Shape):
    changed: Boolean
