"""A fleet in one process: the real service over a store in memory, and the real agent of every host.

    Fleet(seed) ── service ── store (memory, virtual time)
        ├── agent a ── faults ── SimHost a ┐
        └── agent b ── faults ── SimHost b ┴ World

Everything that happens is drawn from one seed, so a run replays exactly.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from dataclasses import dataclass

from jackfield.agent.act import Outcome
from jackfield.agent.journal import Notebook
from jackfield.agent.loop import Agent, Hands
from jackfield.host.specfile import SpecReading
from jackfield.model.attachment import DesiredState, ObservedState
from jackfield.model.device import OfferedDevice
from jackfield.model.error import Unavailable
from jackfield.model.spec import HostSpec, parse_spec
from jackfield.reconcile.step import Settings
from jackfield.service import host as host_use
from jackfield.service.context import Service
from jackfield.sim.effect import MemoryKeeper, SeededIds, SimClock, SimExecutor
from jackfield.sim.fault import Crash, Faults
from jackfield.sim.host import SCHEME, SimLibvirt, SimNetlink, SimSysfs
from jackfield.sim.machine import SimHost
from jackfield.sim.migration import SimMigration
from jackfield.sim.world import World
from jackfield.store.engine import Store

SPEC = """
[[rule]]
match = {vendor = "8086", product = "10ca"}
attributes = {physical_network = "physnet1"}
"""
BRIDGES = {"physnet1": "br0"}


class InProcess:
    """The control side as an agent sees it, without the wire between."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def begin_epoch(
        self, host: str, *, boot_id: str, migrate_uri: str, bridge_mappings: Mapping[str, str]
    ) -> tuple[str, int]:
        return self._service.write(
            lambda unit: host_use.begin_epoch(
                unit, host, boot_id=boot_id, migrate_uri=migrate_uri, bridge_mappings=bridge_mappings
            )
        )

    def put_inventory(self, host: str, epoch: int, devices: tuple[OfferedDevice, ...]) -> None:
        self._service.write(lambda unit: host_use.put_inventory(unit, host, epoch, devices))

    def desired(self, host: str, epoch: int, after: int, wait: float) -> DesiredState | None:
        return host_use.deliver(self._service, host, epoch, after)

    def put_observed(self, host: str, epoch: int, observed: ObservedState) -> None:
        self._service.write(lambda unit: host_use.put_observed(unit, host, epoch, observed))


class FixedSpec:
    def __init__(self, spec: HostSpec) -> None:
        self._spec = spec

    def read(self) -> SpecReading:
        return SpecReading(spec=self._spec, is_new=False)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A fleet at rest, to begin many runs from."""

    store: bytes
    world: World
    keepers: Mapping[str, MemoryKeeper]


class Fleet:
    def __init__(
        self,
        world: World,
        *,
        seed: int = 0,
        faults: Faults | None = None,
        start: Snapshot | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.chance = random.Random(seed)
        self.faults = faults or Faults()
        self.clock = SimClock()
        self._settings = settings or Settings(bridge_mappings=BRIDGES)
        self._spec = FixedSpec(parse_spec(SPEC, "sim.toml"))
        ids = SeededIds(seed)
        self.store = Store.open_memory(start.store if start else None, now=self.clock.now, ids=ids)
        self._ids = ids
        self.service = Service(self.store, clock=self.clock, ids=ids)
        self.world = copy.deepcopy(start.world) if start else world
        self.world.on_phase = self._on_phase
        self.keepers = copy.deepcopy(dict(start.keepers)) if start else {}
        self.agents: dict[str, Agent] = {}
        self.executors: dict[str, SimExecutor[Outcome]] = {}
        for name in self.world.hosts:
            self.keepers.setdefault(name, MemoryKeeper())
            if start is None:
                self.service.write(lambda unit, name=name: host_use.add(unit, name))  # type: ignore[misc]
            self.start_agent(name)

    def snapshot(self) -> Snapshot:
        self.world.on_phase = None
        taken = Snapshot(self.store.snapshot(), copy.deepcopy(self.world), copy.deepcopy(self.keepers))
        self.world.on_phase = self._on_phase
        return taken

    def start_agent(self, name: str) -> None:
        """A fresh agent process, with nothing but the journal of the one before."""
        host: SimHost = self.world.hosts[name]
        executor: SimExecutor[Outcome] = SimExecutor(self.chance)
        self.executors[name] = executor
        self.agents[name] = Agent(
            name,
            control=self.faults.over(InProcess(self.service), f"{name}.control"),
            hands=Hands(
                sysfs=SimSysfs(host),
                netlink=self.faults.over(SimNetlink(host), f"{name}.netlink"),
                libvirt=self.faults.over(SimLibvirt(self.world, host), f"{name}.libvirt"),
                specs=self._spec,
            ),
            notebook=Notebook(self.faults.over(self.keepers[name], f"{name}.journal")),
            executor=executor,
            settings=self._settings,
            migrate_uri=f"{SCHEME}{name}",
        )

    def restart_control(self) -> None:
        """A fresh control plane over what was committed."""
        self.service = Service(self.store, clock=self.clock, ids=self._ids)
        for name in self.agents:
            self.start_agent(name)

    def step(self) -> bool:
        """One thing happens somewhere; says whether it was more than a look."""
        name = self.chance.choice(sorted(self.agents))
        if self.world.migrations and self.chance.random() < 0.5:  # a job that outlived its client
            self.world.advance(self.world.migrations[0])
            return True
        try:
            if self.chance.random() < 0.5 and self.executors[name].run_one():
                return True
            return self._turn(name)
        except Crash:
            self._restart(name)
            return True

    def _turn(self, name: str) -> bool:
        agent = self.agents[name]
        try:
            news = agent.fetch(0)
            busy = agent.turn()
        except Unavailable:
            return True
        return news or busy

    def _restart(self, name: str) -> None:
        while True:
            try:
                self.start_agent(name)
                return
            except (Crash, Unavailable):
                continue

    def run(self, *, rounds: int = 400, quiet: int = 12) -> None:
        """Goes on until nothing has happened for `quiet` steps on every host, or fails after `rounds`."""
        idle = 0
        for _ in range(rounds):
            self.clock.go_on(0.05)
            idle = 0 if self.step() else idle + 1
            if idle >= quiet:
                return
        raise AssertionError(f"no rest after {rounds} steps; struck: {self.faults.met}")

    def _on_phase(self, migration: SimMigration) -> None:
        self.faults.around(f"migration.{migration.phase.value}", lambda: None)
