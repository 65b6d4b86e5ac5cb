"""The agent: look, decide, act, report, again and again.

One `turn` is all the logic there is; `run` only decides when the next one comes. Whatever wakes it (a
timer, the control side, netlink, libvirt) carries no truth: the turn looks for itself.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from jackfield.agent.act import Actor, Outcome, trouble_key_of
from jackfield.agent.journal import Notebook
from jackfield.effect import Executor
from jackfield.host.interface import Libvirt, Netlink, Sysfs
from jackfield.host.specfile import SpecReading
from jackfield.model.attachment import DesiredState, ObservedState
from jackfield.model.device import Device, OfferedDevice
from jackfield.model.error import Gone, JackfieldError, NotFound, Rejected, Unavailable
from jackfield.model.spec import HostSpec
from jackfield.reconcile import inventory
from jackfield.reconcile.action import Trouble
from jackfield.reconcile.observation import Observation
from jackfield.reconcile.step import Settings, freeze_reason, step

log = structlog.get_logger()


class Control(Protocol):
    """The control side as an agent sees it; `jackfield.client` over HTTP, or the service itself in `sim`.

    Every call may block, and raises `Unavailable` when there is no answer, `Gone` when the epoch is over.
    """

    def begin_epoch(
        self, host: str, *, boot_id: str, migrate_uri: str, bridge_mappings: Mapping[str, str]
    ) -> tuple[str, int]: ...

    def put_inventory(self, host: str, epoch: int, devices: tuple[OfferedDevice, ...]) -> None: ...

    def desired(self, host: str, epoch: int, after: int, wait: float) -> DesiredState | None: ...

    def put_observed(self, host: str, epoch: int, observed: ObservedState) -> None: ...


class Specs(Protocol):
    def read(self) -> SpecReading:
        """The host spec in force; a wrong new one leaves it there and is told."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Hands:
    """Everything of the host that an agent touches."""

    sysfs: Sysfs
    netlink: Netlink
    libvirt: Libvirt
    specs: Specs


class Agent:
    def __init__(
        self,
        host: str,
        *,
        control: Control,
        hands: Hands,
        notebook: Notebook,
        executor: Executor[Outcome],
        settings: Settings,
        migrate_uri: str,
    ) -> None:
        self.host = host
        self.epoch: int | None = None
        self.desired: DesiredState | None = None
        self._control = control
        self._hands = hands
        self._notebook = notebook
        self._executor = executor
        self._settings = settings
        self._migrate_uri = migrate_uri
        self._actor = Actor(hands.libvirt, hands.netlink, notebook)
        self._troubles: dict[str, Trouble] = {}
        self._sequence = 0
        self._spec_problem: str | None = None
        self._reported: ObservedState | None = None
        self._found: tuple[HostSpec, tuple[Device, ...]] | None = None
        """What the inventory was made of that the control side has."""
        self._inventory: tuple[OfferedDevice, ...] | None = None

    def turn(self) -> bool:
        """One look and all that follows from it; says whether anything is under way or was begun.

        Blocks on the host and on the control side, never on an effect. Raises `Unavailable` when one of
        them does not answer: try again later, nothing is lost.
        """
        try:
            epoch = self.epoch if self.epoch is not None else self._begin()
            return self._turn(epoch, self.desired)
        except Gone as error:
            self._epoch_ended(error)
            return True

    def fetch(self, wait: float) -> bool:
        """Asks for a newer desired state, waiting up to `wait` seconds; says whether there is news."""
        epoch = self.epoch
        if epoch is None:
            return False
        try:
            fresh = self._control.desired(
                self.host, epoch, self.desired.version if self.desired else -1, wait
            )
        except Gone as error:
            self._epoch_ended(error)
            return True
        if fresh is not None and epoch == self.epoch:
            self.desired = fresh
        return fresh is not None

    def _epoch_ended(self, error: Gone) -> None:
        # Fenced, or another agent of this host began: what we were told before counts no more.
        log.warning("epoch-ended", host=self.host, reason=error.message)
        self.epoch = self.desired = None

    def _begin(self) -> int:
        _, self.epoch = self._control.begin_epoch(
            self.host,
            boot_id=self._hands.sysfs.boot_id(),
            migrate_uri=self._migrate_uri,
            bridge_mappings=self._settings.bridge_mappings,
        )
        self._reported = self._inventory = self._found = None
        self._sequence = 0
        log.info("epoch-begun", host=self.host, epoch=self.epoch)
        epoch = self.epoch
        self.fetch(0)
        return epoch

    def _turn(self, epoch: int, desired: DesiredState | None) -> bool:
        for outcome in self._executor.finished():
            self._note(outcome)
        seen = self._look(epoch, desired)
        if desired is None:
            return bool(self._executor.busy())
        if freeze_reason(seen, desired) is None:
            # Before obeying: after a crash we must know whom we obeyed, and up to which version.
            self._notebook.obey(desired.installation, desired.version)
            seen = replace(seen, journal=self._notebook.journal)
        decided = step(
            seen, desired, settings=self._settings, busy=self._executor.busy(), troubles=self._troubles
        )
        began = False
        for action in decided.actions:
            began |= self._executor.submit(action.keys, self._actor.work(action))
        report = decided.report(
            installation=desired.installation,
            epoch=epoch,
            version=desired.version,
            boot_id=self._hands.sysfs.boot_id(),
            sequence=0,
        )
        if report != self._reported:
            self._sequence += 1
            self._control.put_observed(self.host, epoch, replace(report, sequence=self._sequence))
            self._reported = report
        return began or bool(self._executor.busy())

    def _look(self, epoch: int, desired: DesiredState | None) -> Observation:
        devices = self._hands.sysfs.devices()
        found = (self._read_spec(), devices)
        if found != self._found:
            self._report_inventory(epoch, inventory.apply(*found))
            self._found = found
        domains = self._hands.libvirt.domains()
        jobs = {}
        for order in desired.orders if desired else ():
            job = self._hands.libvirt.job(order.instance_id)
            if job is not None:
                jobs[order.instance_id] = job
        return Observation(
            devices={device.identity: device for device in devices},
            links=self._hands.netlink.links(),
            domains=domains,
            journal=self._notebook.journal,
            jobs=jobs,
        )

    def _read_spec(self) -> HostSpec:
        reading = self._hands.specs.read()
        problem = reading.problem.message if reading.problem else None
        if problem is not None and problem != self._spec_problem:
            log.error("spec-refused", host=self.host, reason=problem, in_force="the spec before")
        self._spec_problem = problem
        return reading.spec

    def _report_inventory(self, epoch: int, offered: tuple[OfferedDevice, ...]) -> None:
        if offered == self._inventory:
            return
        try:
            self._control.put_inventory(self.host, epoch, offered)
        except Unavailable:
            # Given up is not undone: it may arrive after a newer one. What keeps it out is a new epoch.
            self.epoch = None
            raise
        except NotFound:
            raise  # the host itself is not known there
        except Rejected as error:
            # As with a spec that cannot be read: the server keeps what it knew before, and we go on.
            log.error("inventory-refused", host=self.host, code=error.code, reason=error.message)
            self._inventory = offered
            return
        change = inventory.diff(self._inventory or (), offered)
        self._inventory = offered
        if not (change.added or change.removed or change.changed):
            return  # a name, a MAC or a link's state: every guest that comes or goes changes one
        log.info(
            "offer-changed",
            host=self.host,
            added=[str(entry.device.address) for entry in change.added],
            removed=[str(entry.device.address) for entry in change.removed],
            changed=[str(entry.device.address) for entry in change.changed],
            kept=len(change.kept),
        )

    def _note(self, outcome: Outcome) -> None:
        key = trouble_key_of(outcome.action)
        if outcome.trouble is not None:
            log.warning(
                "action-failed",
                host=self.host,
                action=type(outcome.action).__name__,
                reason=outcome.trouble.text,
                final=outcome.trouble.is_final,
            )
        if key is None:
            return
        if outcome.trouble is None:
            self._troubles.pop(key, None)
        else:
            self._troubles[key] = outcome.trouble


class Loop:
    """Runs an agent for good: a thread that waits for the control side's word, and the turns."""

    def __init__(self, agent: Agent, wake: threading.Event, *, interval: float = 5.0) -> None:
        """`wake` is set by whatever has news; `interval` seconds is the longest time between two looks."""
        self._agent = agent
        self._wake = wake
        self._interval = interval
        self._stopping = threading.Event()

    def stop(self) -> None:
        self._stopping.set()
        self._wake.set()

    def run(self) -> None:
        poller = threading.Thread(target=self._poll, name="desired", daemon=True)
        poller.start()
        has_worked = False
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                busy = self._agent.turn()
                has_worked = True
            except JackfieldError as error:
                # A wrong token or spec at the start is for whoever starts us. Once it worked, our end would
                # cure nothing: it is the other side that has to come back as it was.
                if not has_worked and not isinstance(error, Unavailable):
                    raise
                log.warning("turn-failed", code=error.code, reason=error.message)
                busy = True
            # While something is under way, look often: progress, and effects of others, ring no bell.
            self._wake.wait(min(0.5, self._interval) if busy else self._interval)

    def _poll(self) -> None:
        while not self._stopping.is_set():
            try:
                if self._agent.fetch(30.0):
                    self._wake.set()
                elif self._agent.epoch is None:
                    self._stopping.wait(0.2)
            except JackfieldError as error:
                log.warning("desired-unreachable", code=error.code, reason=error.message)
                self._wake.set()
                self._stopping.wait(1.0)
