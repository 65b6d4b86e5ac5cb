"""One transaction of one use case, and what belongs to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection

from jackfield.effect import Ids
from jackfield.service.settings import Settings
from jackfield.store import host as hosts
from jackfield.store import idempotency


@dataclass(kw_only=True, slots=True)
class Unit:
    connection: Connection
    now: datetime
    """The database's clock, the same for the whole unit."""
    ids: Ids
    settings: Settings
    installation: str
    is_alive: Callable[[str], bool]
    """Whether a host's agent was heard of lately."""
    touched: dict[str, int] = field(default_factory=dict)
    """Hosts whose desired state changed, with its new version; whoever waits is woken after the commit."""

    def touch(self, host: str) -> int:
        """Raises the host's desired version, once for each unit, and gives it."""
        if host not in self.touched:
            self.touched[host] = hosts.touch(self.connection, host)
        return self.touched[host]

    def after(self, seconds: float) -> datetime:
        return self.now + timedelta(seconds=seconds)

    def recall(self, scope: str, key: str, request_hash: str) -> str | None:
        """The answer that was given to this idempotency key, or None.

        Raises `Conflict` (`idempotency-key-reused`) when it came with another request.
        """
        return idempotency.recall(self.connection, scope, key, request_hash, self.now)

    def remember(self, scope: str, key: str, request_hash: str, response: str) -> None:
        idempotency.remember(
            self.connection, scope, key, request_hash=request_hash, response=response, now=self.now
        )
