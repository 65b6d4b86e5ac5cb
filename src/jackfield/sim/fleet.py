"""A fleet in one process: the real service over a store in memory, and the real agent of every host.

    Fleet(seed) ── service ── store (memory, virtual time)
        ├── agent a ── faults ── SimHost a ┐
        └── agent b ── faults ── SimHost b ┴ World

Everything that happens is drawn from one seed, so a run replays exactly.
"""

from __future__ import annotations

import contextlib
import pickle
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import TypeVar

from jackfield.agent.act import Outcome
from jackfield.agent.journal import Notebook
from jackfield.agent.loop import Agent, Hands
from jackfield.host.specfile import SpecReading
from jackfield.model.attachment import DesiredState, ObservedState
from jackfield.model.device import OfferedDevice
from jackfield.model.error import JackfieldError, Unavailable
from jackfield.model.spec import HostSpec, parse_spec
from jackfield.reconcile.observation import Journal
from jackfield.reconcile.step import Settings
from jackfield.service import host as host_use
from jackfield.service.context import Service
from jackfield.sim.effect import MemoryKeeper, SeededIds, SimClock, SimExecutor
from jackfield.sim.fault import Crash, Faults, over
from jackfield.sim.host import SCHEME, SimLibvirt, SimNetlink, SimSysfs
from jackfield.sim.migration import SimMigration
from jackfield.sim.world import World
from jackfield.store.engine import Store

T = TypeVar("T")

SPEC = """
[[rule]]
match = {vendor = "8086", product = "10ca"}
attributes = {physical_network = "physnet1"}
"""
BRIDGES = {"physnet1": "br0"}

STEP_SECONDS = 0.05
SWEEP_SECONDS = 1.0
DEPTH_MAX = 3
"""How many things may be under way inside of one another."""

LOOKS = frozenset({"links", "domains", "networks", "job", "live_xml", "inactive_xml", "load", "desired"})
"""Effects that change nothing which anybody could see."""
DECISIVE = frozenset({"start", "stop", "resume", "migrate", "put_observed"})
"""Effects after which somebody may run, use or hold what nobody did before."""


class InProcess:
    """The control side as an agent sees it, without the wire between."""

    def __init__(self, service: Callable[[], Service]) -> None:
        self._service = service

    def begin_epoch(
        self, host: str, *, boot_id: str, migrate_uri: str, bridge_mappings: Mapping[str, str]
    ) -> tuple[str, int]:
        return self._service().write(
            lambda unit: host_use.begin_epoch(
                unit, host, boot_id=boot_id, migrate_uri=migrate_uri, bridge_mappings=bridge_mappings
            )
        )

    def put_inventory(self, host: str, epoch: int, devices: tuple[OfferedDevice, ...]) -> None:
        self._service().write(lambda unit: host_use.put_inventory(unit, host, epoch, devices))

    def desired(self, host: str, epoch: int, after: int, wait: float) -> DesiredState | None:
        return host_use.deliver(self._service(), host, epoch, after)

    def put_observed(self, host: str, epoch: int, observed: ObservedState) -> None:
        self._service().write(lambda unit: host_use.put_observed(unit, host, epoch, observed))


class FixedSpec:
    def __init__(self, spec: HostSpec) -> None:
        self._spec = spec

    def read(self) -> SpecReading:
        return SpecReading(spec=self._spec, is_new=False)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A fleet at rest, to begin many runs from."""

    store: bytes
    world: bytes
    journals: Mapping[str, Journal]


@dataclass(slots=True, eq=False)
class Life:
    """An agent from one start to the next. Once it is over, nothing that was begun in it goes on."""

    executor: SimExecutor[Outcome]
    is_over: bool = False
    is_turning: bool = False
    is_asking: bool = False


class Fleet:
    def __init__(
        self,
        world: World | None = None,
        *,
        start: Snapshot | None = None,
        seed: int = 0,
        faults: Faults | None = None,
        unrest: float = 0.0,
        settings: Settings | None = None,
        watch: Callable[[Fleet], None] = lambda fleet: None,
    ) -> None:
        """A new fleet over `world`, or one as it was at `start`.

        `unrest` is the chance that something else happens in the midst of an effect; `watch` is called after
        each that may have changed who runs, uses or holds what.
        """
        self.chance = random.Random(seed)
        self.faults = faults or Faults()
        self.clock = SimClock()
        self.unrest = unrest
        self.watch = watch
        self._settings = settings or Settings(bridge_mappings=BRIDGES)
        # Never those that went into the snapshot.
        self._ids = SeededIds(f"{seed} from a snapshot" if start else seed)
        self.store = Store.open_memory(start.store if start else None, now=self.clock.now, ids=self._ids)
        self.service = Service(self.store, clock=self.clock, ids=self._ids)
        self.world: World = pickle.loads(start.world) if start else world or World()
        self.world.on_phase = self._on_phase
        journals = start.journals if start else {}
        self.keepers = {name: MemoryKeeper(journals.get(name)) for name in sorted(self.world.hosts)}
        self.agents: dict[str, Agent] = {}
        self.lives: dict[str, Life] = {}
        self._quiet: set[str] = set()
        """Agents whose next turn would find nothing new."""
        self._asked: set[str] = set()
        """Agents whose question for news would find none."""
        self._under_way: list[Life | None] = []
        self._swept = self.clock.monotonic()
        for name in self.keepers:
            if start is None:
                self.service.write(partial(host_use.add, name=name))
            self.service.heard(name)
        self._listen()

    def snapshot(self) -> Snapshot:
        self.world.on_phase = None
        world = pickle.dumps(self.world)
        self.world.on_phase = self._on_phase
        journals = {name: keeper.load() for name, keeper in self.keepers.items()}
        return Snapshot(self.store.snapshot(), world, journals)

    def run(
        self, *, steps_max: int = 4000, happenings: Mapping[int, Callable[[Fleet], None]] | None = None
    ) -> None:
        """Goes on until nothing is left to happen. `happenings` come at their step, or at rest before it."""
        waiting = sorted((happenings or {}).items())
        self._quiet.clear()
        for number in range(steps_max):
            possible = self._possible()
            if waiting and (number >= waiting[0][0] or not possible):
                waiting.pop(0)[1](self)
                self._quiet.clear()
            elif not possible:
                return
            else:
                self._step(possible)
        raise AssertionError(f"no rest after {steps_max} steps; struck: {self.faults.met}")

    def crash(self, name: str) -> None:
        """kill -9 of an agent. It comes back some steps later, with nothing but its journal."""
        life = self.lives.pop(name, None)
        if life is not None:
            life.is_over = True
        self.agents.pop(name, None)
        self._quiet.clear()

    def reboot(self, name: str) -> None:
        """Power off and on of a host: its agent dies with everything that ran."""
        self.crash(name)
        self.world.reboot(name)

    def restart_control(self) -> None:
        """A fresh control plane over what was committed; the agents live on."""
        self.service = Service(self.store, clock=self.clock, ids=self._ids)
        self._listen()

    def _listen(self) -> None:
        self._asked.clear()
        for name in self.keepers:
            self.service.notifier.subscribe(f"host:{name}", partial(self._asked.discard, name))

    def _possible(self) -> list[Callable[[], None]]:
        """What may happen next, in an order that depends on nothing but the state."""
        things: list[Callable[[], None]] = []
        for name in self.keepers:
            life = self.lives.get(name)
            if life is None:
                things.append(partial(self._start, name))
                continue
            if name not in self._asked and not life.is_asking and self.agents[name].epoch is not None:
                things.append(partial(self._ask, name, life))
            if name not in self._quiet and not life.is_turning:
                things.append(partial(self._turn, name, life))
            if life.executor.is_waited_for:
                things.append(partial(self._work, name, life))
        things += [partial(self._advance, migration) for migration in self.world.migrations]
        things += [partial(self._arrive, request) for request in self.faults.late]
        return things

    def _step(self, possible: list[Callable[[], None]]) -> None:
        self.clock.go_on(STEP_SECONDS)
        if self.clock.monotonic() >= self._swept + SWEEP_SECONDS:
            self._swept = self.clock.monotonic()
            self.service.sweep()
        self.chance.choice(possible)()

    def _start(self, name: str) -> None:
        host = self.world.hosts[name]
        life = Life(SimExecutor(self.chance))
        around = partial(self._around, life)

        def start() -> None:
            self.agents[name] = Agent(
                name,
                control=over(InProcess(lambda: self.service), f"{name}.control", around),
                hands=Hands(
                    sysfs=SimSysfs(host),
                    netlink=over(SimNetlink(host), f"{name}.netlink", around),
                    libvirt=over(SimLibvirt(self.world, host), f"{name}.libvirt", around),
                    specs=FixedSpec(_spec()),
                ),
                notebook=Notebook(over(self.keepers[name], f"{name}.journal", around)),
                executor=life.executor,
                settings=self._settings,
                migrate_uri=f"{SCHEME}{name}",
            )

        self.lives[name] = life
        self._asked.discard(name)
        self._in(name, life, start)
        if name not in self.agents:
            self.crash(name)

    def _turn(self, name: str, life: Life) -> None:
        agent = self.agents[name]
        self._quiet.add(name)
        busy = life.executor.busy()
        life.is_turning = True
        if self._in(name, life, agent.turn) is None or agent.epoch is None or life.executor.busy() != busy:
            self._quiet.discard(name)
        life.is_turning = False

    def _ask(self, name: str, life: Life) -> None:
        """The agent's long poll, which goes on beside its turns."""
        self._asked.add(name)
        life.is_asking = True
        if self._in(name, life, partial(self.agents[name].fetch, 0)) is not False:
            self._asked.discard(name)
            self._quiet.discard(name)
        life.is_asking = False

    def _work(self, name: str, life: Life) -> None:
        self._in(name, life, life.executor.run_one)
        self._quiet.clear()

    def _advance(self, migration: SimMigration) -> None:
        """A job that outlived its client, or is faster than it."""
        self._quiet.clear()
        self._in(migration.source.name, None, lambda: self.world.advance(migration))

    def _arrive(self, request: Callable[[], object]) -> None:
        self.faults.late.remove(request)
        self._quiet.clear()
        with contextlib.suppress(JackfieldError):
            request()
        self.watch(self)

    def _in(self, name: str, life: Life | None, work: Callable[[], T]) -> T | None:
        """What `work` gives, done in the name of an agent, which it may cost its life."""
        self._under_way.append(life)
        try:
            return work()
        except Unavailable:
            return None
        except Crash:
            if life is None or not life.is_over:
                self.crash(name)
            return None
        finally:
            self._under_way.pop()

    def _around(self, life: Life, name: str, effect: Callable[[], T]) -> T:
        _, target, method = name.split(".")
        if target != "journal":  # written under the notebook's lock: there nobody else gets in
            self._let_others(life)
        if method in LOOKS:
            return self.faults.around(name, effect, is_look=True)
        if target in ("libvirt", "netlink"):
            self._quiet.clear()
        try:
            return self.faults.around(name, effect)
        finally:
            if method in DECISIVE:
                self.watch(self)

    def _let_others(self, life: Life | None) -> None:
        """Perhaps something else happens now; it may be the end of who lets it."""
        if len(self._under_way) <= DEPTH_MAX and self.chance.random() < self.unrest:
            possible = self._possible()
            if possible:
                self._step(possible)
        if life is not None and life.is_over:
            raise Crash("it is dead")

    def _on_phase(self, migration: SimMigration) -> None:
        self.watch(self)
        self._quiet.clear()
        life = self._under_way[-1]
        self._let_others(life)
        self.faults.around(f"migration.{migration.phase.value}", lambda: None)


@cache
def _spec() -> HostSpec:
    return parse_spec(SPEC, "sim.toml")
