"""Several simulated hosts, and the migrations between them.

    World ── SimHost "a" ── devices, links, domains, networks
         ├── SimHost "b" ── …
         └── SimMigration … under way: they belong to the world, not to who asked for them

Nothing here runs by itself, and nothing is thread-safe: whoever holds the world decides what happens
next. The Protocols' bodies over it are in `jackfield.sim.host`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from jackfield.sim.machine import SimHost
from jackfield.sim.migration import NO_WAY_BACK, Phase, SimMigration, migration_failed


@dataclass(kw_only=True, slots=True, eq=False)
class World:
    hosts: dict[str, SimHost] = field(default_factory=dict)
    migrations: list[SimMigration] = field(default_factory=list)
    """Those under way. They go on though nobody waits for them: a job outlives its client."""
    on_phase: Callable[[SimMigration], None] | None = None
    """Called after each step of any migration; may abort it, change the world, or raise to leave the
    caller of `SimLibvirt.migrate` dead on the spot."""
    _failures: list[tuple[Phase, str]] = field(default_factory=list)

    def add(self, host: SimHost) -> SimHost:
        self.hosts[host.name] = host
        return host

    def fail_next_migration(self, reason: str, *, after: Phase = Phase.TRANSFERRED) -> None:
        """The next migration to come through `after` fails there with these words."""
        assert after not in NO_WAY_BACK
        self._failures.append((after, reason))

    def migration_of(self, host: str, uuid: str) -> SimMigration | None:
        """The migration under way that the domain is the source or the target of."""
        for migration in self.migrations:
            if migration.uuid == uuid and host in (migration.source.name, migration.target.name):
                return migration
        return None

    def reboot(self, name: str) -> None:
        """The host loses its power and comes back; what was on its way from or to it stops."""
        for migration in [m for m in self.migrations if name in (m.source.name, m.target.name)]:
            migration.cut_off(self.hosts[name])
            self.migrations.remove(migration)
        self.hosts[name].reboot()

    def begin_migration(
        self,
        source: str,
        target: str,
        uuid: str,
        *,
        destination_xml: str | None = None,
        persistent_xml: str | None = None,
    ) -> SimMigration:
        """A migration that nothing has come of yet: `advance` it until it is over.

        Raises `NotFound` (`domain-absent`), `Conflict` (`migration-failed`) for what libvirt refuses at once.
        """
        domain = self.hosts[source].domain(uuid)
        if not domain.is_active:
            raise migration_failed(uuid, target, "domain is not running", 55)
        if self.migration_of(source, uuid) is not None:
            raise migration_failed(uuid, target, "another migration job is already running", 55)
        if target not in self.hosts:
            raise migration_failed(uuid, target, f"unable to connect to server at '{target}'", 38)
        if target == source:
            raise migration_failed(uuid, target, "Attempt to migrate guest to the same host", 1)
        migration = SimMigration(
            uuid=uuid,
            source=self.hosts[source],
            target=self.hosts[target],
            destination_xml=destination_xml,
            persistent_xml=persistent_xml,
        )
        self.migrations.append(migration)
        return migration

    def advance(self, migration: SimMigration) -> None:
        """The migration's next step; one that is over is no longer the world's."""
        if not self._breaks(migration):
            migration.advance()
            self._breaks(migration)
        if migration.is_over:
            self.migrations.remove(migration)
        if self.on_phase is not None:
            self.on_phase(migration)

    def _breaks(self, migration: SimMigration) -> bool:
        for number, (phase, reason) in enumerate(self._failures):
            if phase is migration.phase:
                del self._failures[number]
                migration.fail(reason)
                return True
        return False
