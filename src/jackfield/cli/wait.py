"""Waiting until the server's hosts have done what was asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import typer

from jackfield.client import Client
from jackfield.model.error import Conflict, NotFound
from jackfield.model.instance import InstanceStatus
from jackfield.wire.instance import InstanceDetail

T = TypeVar("T")

PAUSE_SECONDS = 0.2
_ON_ITS_WAY = frozenset({InstanceStatus.BUILDING, InstanceStatus.STOPPING, InstanceStatus.DELETING})

WaitOption = typer.Option("--wait", help="Return when it is done, not when it is begun.")


def until(look: Callable[[], T], is_over: Callable[[T], bool]) -> T:
    """Looks again and again, and gives the first that is over. The server sets the deadlines."""
    while True:
        found = look()
        if is_over(found):
            return found
        time.sleep(PAUSE_SECONDS)


def until_settled(client: Client, instance_id: str) -> InstanceDetail:
    """The instance once no host has anything left to do for it.

    Raises `Conflict` (`instance-failed`) with the host's reason.
    """
    found = until(lambda: client.instance(instance_id), lambda one: one.status not in _ON_ITS_WAY)
    if found.status is InstanceStatus.ERROR:
        raise Conflict("instance-failed", f"instance {found.name} is in error: {found.error}")
    return found


def until_gone(client: Client, name: str) -> None:
    """Returns when the instance is deleted, which is when its devices are proved free."""
    with suppress(NotFound):
        until(lambda: client.instance(name), lambda _: False)
