"""One live migration between two hosts of a simulated world, a step at a time.

BEGUN ─▶ TARGET_CREATED ─▶ TRANSFERRED ─▶ SOURCE_PAUSED ─▶ TARGET_RUNNING ─▶ DONE
  │            │                │               │  (no way back from TARGET_RUNNING on)
  └────────────┴────────────────┴───────────────┴──▶ FAILED: nothing on the target, source as before
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from jackfield.model.attachment import DomainState
from jackfield.model.error import Conflict, Rejected
from jackfield.sim.machine import SimDomain, SimHost
from jackfield.xml.domain import read


class Phase(StrEnum):
    BEGUN = "begun"
    TARGET_CREATED = "target-created"
    """A paused domain stands on the target, its links bear the guest's MAC."""
    TRANSFERRED = "transferred"
    SOURCE_PAUSED = "source-paused"
    TARGET_RUNNING = "target-running"
    """The guest runs there, and a paused one is still on the source."""
    DONE = "done"
    FAILED = "failed"


NO_WAY_BACK = frozenset({Phase.TARGET_RUNNING, Phase.DONE, Phase.FAILED})


@dataclass(kw_only=True, slots=True, eq=False)
class SimMigration:
    uuid: str
    source: SimHost
    target: SimHost
    destination_xml: str | None = None
    persistent_xml: str | None = None
    phase: Phase = Phase.BEGUN
    abort_requested: bool = False
    error: Conflict | None = None
    _state: DomainState = DomainState.RUNNING
    """The guest's when it set out: a paused one arrives, or stays, paused."""

    @property
    def is_over(self) -> bool:
        return self.phase in (Phase.DONE, Phase.FAILED)

    def advance(self) -> None:
        """One step. A failure is no exception: it ends the migration and leaves its `error`."""
        assert not self.is_over
        if self.phase is Phase.TARGET_RUNNING:
            self._finish()
        elif self.abort_requested:
            self.fail("operation aborted: migration out job: canceled by client", code=78)
        elif not self._is_there(self.source):
            self.fail("domain is not running", code=55)
        elif self.phase is Phase.BEGUN:
            self._create_target()
        elif not self._is_there(self.target):
            self.fail("domain is not running on the target any more", code=9)
        elif self.phase is Phase.TARGET_CREATED:
            self.phase = Phase.TRANSFERRED
        elif self.phase is Phase.TRANSFERRED:
            self._source_domain.state = DomainState.PAUSED
            self.phase = Phase.SOURCE_PAUSED
        else:
            self._target_domain.state = self._state
            self.phase = Phase.TARGET_RUNNING

    def fail(self, words: str, *, code: int = 38) -> None:
        """Ends it as libvirt does: what came of it on the target goes, the source runs on."""
        assert self.phase not in NO_WAY_BACK
        if self.phase is not Phase.BEGUN and self._is_there(self.target):
            self.target.end(self._target_domain)
        if self.phase is Phase.SOURCE_PAUSED and self._is_there(self.source):
            self._source_domain.state = self._state
        self.error = migration_failed(self.uuid, self.target.name, words, code)
        self.phase = Phase.FAILED

    def cut_off(self, host: SimHost) -> None:
        """One end loses its power. The other then has the guest to itself, if it had it at all."""
        if self.phase is not Phase.TARGET_RUNNING:
            self.fail("unable to read from the other side: end of file")
            return
        if host is self.source:
            # The target runs, and nobody is left to undefine the source's domain.
            self._target_domain.definition = self.persistent_xml or self._target_domain.live
        else:
            # The finish was never confirmed: libvirt lets the source run on.
            self._source_domain.state = self._state
        self.error = migration_failed(self.uuid, self.target.name, "the connection was lost", 38)
        self.phase = Phase.FAILED

    def _create_target(self) -> None:
        source = self._source_domain
        assert source.live is not None
        self._state = source.state
        xml = self.destination_xml or source.live
        if _macs(xml) != _macs(source.live):
            self.fail("unsupported configuration: Target network card mac does not match source", code=67)
            return
        domain = self.target.domains.get(self.uuid)
        if domain is not None and domain.is_active:
            self.fail(f"operation failed: domain '{source.name}' is already active", code=9)
            return
        if domain is None:
            domain = SimDomain(uuid=source.uuid, name=source.name)
            self.target.domains[self.uuid] = domain
        try:
            self.target.run(domain, xml, DomainState.PAUSED)
        except Rejected as error:
            self.fail(error.message)
            return
        self.phase = Phase.TARGET_CREATED

    def _finish(self) -> None:
        # Whatever became of the source meanwhile, the guest is on the target.
        source = self.source.domains.get(self.uuid)
        definition = self.persistent_xml or (source and source.definition) or self.destination_xml
        if source is not None:
            source.definition = None
            self.source.end(source)
        if self._is_there(self.target):
            self._target_domain.definition = definition or self._target_domain.live
        self.phase = Phase.DONE

    def _is_there(self, host: SimHost) -> bool:
        domain = host.domains.get(self.uuid)
        return domain is not None and domain.is_active

    @property
    def _source_domain(self) -> SimDomain:
        return self.source.domain(self.uuid)

    @property
    def _target_domain(self) -> SimDomain:
        return self.target.domain(self.uuid)


def migration_failed(uuid: str, to: str, words: str, code: int) -> Conflict:
    return Conflict(
        "migration-failed",
        f"domain {uuid} did not move to {to}: {words} (libvirt error {code})",
        detail={"libvirt_code": code, "libvirt_domain": 10},
    )


def _macs(xml: str) -> list[str]:
    return [interface.mac for interface in read(xml).interfaces]
