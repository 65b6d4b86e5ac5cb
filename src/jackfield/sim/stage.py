"""Two simulated hosts as the stage of the demo: real server, real agents, real HTTP, no hardware."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar, cast

from jackfield.agent.act import Outcome
from jackfield.agent.journal import FileKeeper, Notebook
from jackfield.agent.loop import Agent, Hands, Loop
from jackfield.api.app import create_app
from jackfield.api.server import Server
from jackfield.client import Client
from jackfield.effect import ThreadExecutor
from jackfield.host.specfile import SpecFile
from jackfield.model.attachment import DomainState
from jackfield.reconcile.step import Settings
from jackfield.service import token
from jackfield.service.context import Service
from jackfield.sim.fleet import SPEC
from jackfield.sim.host import SCHEME, SimLibvirt, SimNetlink, SimSysfs
from jackfield.sim.machine import SimHost, sim_host
from jackfield.sim.migration import SimMigration
from jackfield.sim.world import World
from jackfield.store.engine import Store
from jackfield.wire.instance import Machine

T = TypeVar("T")

PHASE_SECONDS = 0.15
"""How long each phase of a simulated move takes, so that people can see it."""
SAMPLE_SECONDS = 0.02


class SimStage:
    """See `jackfield.cli.story.Stage`."""

    is_simulated = True
    hosts = ("ha", "hb")
    machine = Machine(memory_mib=128, kernel="/simulated/vmlinuz", domain_type="qemu")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._world = World(on_phase=self._breathe)
        for number, name in enumerate(self.hosts, start=1):
            self._world.add(sim_host(name, bus=number, vfs=6, numa=number - 1))
        self._exits = contextlib.ExitStack()
        self._url = self._secret = ""
        self._agents: list[tuple[Loop, threading.Thread]] = []
        self._end_server: Callable[[], None] = lambda: None

    def up(self, say: Callable[[str], None]) -> None:
        """Starts the server and both agents in threads of this process."""
        folder = Path(self._exits.enter_context(tempfile.TemporaryDirectory(prefix="jackfield-demo-")))
        store = Store.open(f"sqlite:///{folder / 'jackfield.db'}")
        self._exits.callback(store.close)
        service = Service(store)
        secret = service.write(token.first_admin)
        assert secret is not None
        self._secret = secret
        service.start()
        self._exits.callback(service.stop)
        opened = socket.create_server(("127.0.0.1", 0))
        self._url = f"http://127.0.0.1:{opened.getsockname()[1]}"
        server = Server(create_app(service))
        serving = threading.Thread(target=server.run, kwargs={"sockets": [opened]}, daemon=True)
        serving.start()

        def end() -> None:
            server.should_exit = True
            serving.join()

        self._end_server = end
        say(f"the control plane answers on {self._url}")
        (folder / "spec.toml").write_text(SPEC)
        for name in self.hosts:
            self._start_agent(name, folder)
            say(f"{name}: simulated host, its agent runs")

    def client(self) -> Client:
        return Client(self._url, self._secret)

    def wait_for_guest(self) -> float:
        """A simulated guest answers as soon as it runs."""
        return 0.0

    def watch(self) -> Watch:
        return Watch(self._guest_runs)

    def leftovers(self) -> list[str]:
        """What Jackfield left on the simulated hosts."""
        return [
            f"{host.name}: {link.netdev} has the MAC {link.mac} and the altnames {sorted(link.altnames)}"
            for host in self._world.hosts.values()
            for link in host.links.values()
            if link.mac != link.factory_mac or link.altnames
        ] + [f"{host.name}: {d.name}" for host in self._world.hosts.values() for d in host.domains.values()]

    def hints(self) -> list[str]:
        return []

    def down(self) -> list[str]:
        for loop, running in self._agents:
            loop.stop()
            running.join()
        self._end_server()
        self._exits.close()
        return []

    def _start_agent(self, name: str, folder: Path) -> None:
        with self.client() as client:
            added = client.add_host(name)
        host: SimHost = self._world.hosts[name]
        wake = threading.Event()
        control = self._exits.enter_context(Client(self._url, added.token))
        keeper = FileKeeper(folder / name)
        self._exits.callback(keeper.close)
        loop = Loop(
            Agent(
                name,
                control=control,
                hands=Hands(
                    sysfs=self._locked(SimSysfs(host)),
                    netlink=self._locked(SimNetlink(host)),
                    libvirt=self._locked(SimLibvirt(self._world, host)),
                    specs=SpecFile(folder / "spec.toml"),
                ),
                notebook=Notebook(keeper),
                executor=ThreadExecutor[Outcome](wake.set),
                settings=Settings(),
                migrate_uri=f"{SCHEME}{name}",
            ),
            wake,
            interval=0.2,
        )
        running = threading.Thread(target=loop.run, name=f"agent-{name}", daemon=True)
        running.start()
        self._agents.append((loop, running))

    def _guest_runs(self) -> bool:
        with self._lock:
            return any(
                domain.state is DomainState.RUNNING
                for host in self._world.hosts.values()
                for domain in host.domains.values()
            )

    def _breathe(self, migration: SimMigration) -> None:
        # The mover holds the lock: let the others look while a phase lasts.
        self._lock.release()
        time.sleep(PHASE_SECONDS)
        self._lock.acquire()

    def _locked(self, target: T) -> T:
        """The world is not thread-safe, and agents are many."""
        return cast("T", _Locked(target, self._lock))


class _Locked:
    def __init__(self, target: object, lock: AbstractContextManager[object]) -> None:
        self._target = target
        self._lock = lock

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._target, name)

        def call(*args: Any, **named: Any) -> Any:
            with self._lock:
                return method(*args, **named)

        return call


class Watch:
    """Looks at the guest every 20 ms, as a ping would."""

    def __init__(self, guest_runs: Callable[[], bool]) -> None:
        self.received = self._sent = 0
        self._guest_runs = guest_runs
        self._last = time.monotonic()
        self.longest_silence = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> Watch:
        self._stopping.set()
        self._thread.join()
        return self

    @property
    def lost(self) -> int:
        return self._sent - self.received

    @property
    def longest_seconds(self) -> float:
        return self.longest_silence

    def _run(self) -> None:
        while not self._stopping.wait(SAMPLE_SECONDS):
            self._sent += 1
            now = time.monotonic()
            self.longest_silence = max(self.longest_silence, now - self._last)
            if self._guest_runs():
                self.received += 1
                self._last = now
