"""Jackfield on the two-hosts laboratory as the tests use it: real processes, real libvirt, real guests."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import libvirt
from lxml import etree

from jackfield.client import Client
from jackfield.model.claim import ClaimState
from jackfield.model.error import Conflict, JackfieldError, NotFound, Unavailable
from jackfield.model.instance import InstanceStatus
from jackfield.model.migration import MigrationState, StrategyName
from jackfield.model.port import VnicType
from jackfield.wire.instance import InstanceDetail, Machine
from jackfield.wire.migration import Migration
from jackfield.wire.port import BindingStatus, Port
from lab.fleet import COMMAND, PHYSICAL_NETWORK, LabFleet, inside
from lab.guest import command_line
from lab.host import LabHost
from lab.laboratory import Laboratory

PATIENCE_SECONDS = 120.0
"""Longer than anything takes on a busy machine: only what never comes fails by it."""
SILENCE_SECONDS_MAX = 5.0
LOOK_SECONDS = 2
"""The longest time between two looks of an agent."""
T = TypeVar("T")


@contextlib.contextmanager
def connection(host: LabHost) -> Iterator[Any]:
    """libvirt of a host, past Jackfield."""
    libvirt.registerErrorHandler(lambda *_: None, None)
    opened = libvirt.open(host.libvirt_uri)
    try:
        yield opened
    finally:
        opened.close()


class House:
    """A laboratory with Jackfield on it: one network `flat`, one flavor `fast`, and what tests do there."""

    def __init__(self, name: str) -> None:
        self.laboratory = Laboratory(name)
        self.fleet = LabFleet(
            self.laboratory, agent_environment={"JACKFIELD_AGENT_INTERVAL_SECONDS": str(LOOK_SECONDS)}
        )
        self.ha, self.hb = self.laboratory.hosts
        self.client: Client
        self._exits = contextlib.ExitStack()
        self._numbers = itertools.count(11)
        self._names = itertools.count(1)

    def open(self) -> None:
        """Brings it up, after taking down what an earlier session may have left. Blocks. Idempotent."""
        if self.laboratory.is_up:
            return
        self.laboratory.down()
        self._exits.callback(self.laboratory.down)
        self.laboratory.up()
        self._exits.enter_context(inside(self.laboratory.switch.netns))
        self._exits.callback(self.fleet.stop)
        self.fleet.start()
        self.client = self._exits.enter_context(self.fleet.client())
        self.client.create_flavor("fast", [{"vendor": "8086", "product": "10ca"}])
        self.client.create_network("flat", PHYSICAL_NETWORK)

    def close(self) -> None:
        self._exits.close()
        assert self.laboratory.leftovers() == []

    def host(self, name: str) -> LabHost:
        return self.laboratory.host(name)

    def other(self, name: str) -> LabHost:
        return self.hb if name == self.ha.name else self.ha

    # What a test makes

    def port(
        self,
        *,
        network: str = "flat",
        vnic_type: VnicType = VnicType.MACVTAP,
        strategy: StrategyName | None = None,
    ) -> Port:
        flavor = "fast" if vnic_type is VnicType.MACVTAP else None
        name = f"port{next(self._names)}"
        return self.client.create_port(name, network, vnic_type=vnic_type, flavor=flavor, strategy=strategy)

    def machine(self, *ips: str, **options: Any) -> Machine:
        """The laboratory's tiny guest with these addresses on its NICs."""
        built = self.laboratory.guest
        given = {
            "memory_mib": 128,
            "kernel": str(built.kernel),
            "initrd": str(built.initrd),
            "command_line": command_line(f"{ip}/24" for ip in ips),
            "domain_type": "qemu",
        }
        return Machine(**{**given, **options})

    def begin_boot(
        self,
        *ports: Port,
        host: str = "ha",
        strategy: StrategyName | None = None,
        **options: Any,
    ) -> Guest:
        """Asks for a guest, with one port unless ports are given. No two guests have a name or an address
        in common: no ARP entry of an earlier one answers for a later one."""
        ports = ports or (self.port(),)
        name = f"vm{next(self._names)}"
        ips = tuple(f"10.9.0.{next(self._numbers)}" for _ in ports)
        begun = self.client.boot_instance(
            name, self.machine(*ips, **options), [port.name for port in ports], host=host, strategy=strategy
        )
        return Guest(house=self, name=name, id=begun.id, ips=ips)

    def boot(
        self, *ports: Port, host: str = "ha", strategy: StrategyName | None = None, **options: Any
    ) -> Guest:
        """A guest that runs and answers."""
        guest = self.begin_boot(*ports, host=host, strategy=strategy, **options)
        guest.becomes(InstanceStatus.RUNNING)
        guest.answers()
        return guest

    # What a test waits for

    def until(self, what: str, look: Callable[[], T | None], seconds: float = PATIENCE_SECONDS) -> T:
        """Looks until it sees something true, and gives that. A server that is away is looked for again."""
        deadline = time.monotonic() + seconds
        seen: T | JackfieldError | None = None
        while True:
            try:
                seen = look()
                if seen:
                    return seen
            except Unavailable as error:
                seen = error
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"in {seconds:g} s never seen: {what}; at last {seen!r}\n{self.fleet.logs()}"
                )
            time.sleep(0.02)

    def ended(self, migration: Migration) -> Migration:
        """The migration once it is over, or in alarm."""

        def over() -> Migration | None:
            now = self.client.migration(migration.id)
            return now if now.state is not MigrationState.RUNNING else None

        return self.until(f"the migration {migration.id} ends", over)

    def in_flight(self, migration: Migration) -> Migration:
        """The migration while the guest's memory goes over; give it little bandwidth."""

        def moving() -> Migration | None:
            now = self.client.migration(migration.id)
            assert now.state is MigrationState.RUNNING, f"it ended already: {now!r}"
            return now if now.percent_moved is not None else None

        return self.until("the guest's memory goes over", moving)

    def let_pass(self, seconds: float = 1.5 * LOOK_SECONDS) -> None:
        """Unless said otherwise time enough for an agent's next look, where nothing must happen."""
        time.sleep(seconds)

    def kill(self, *victims: str) -> None:
        """kill -9 of `control`, `agent ha`, `libvirtd hb`, `vm1 ha` (the QEMU of that guest) and the like."""
        for victim in victims:
            what, _, where = victim.partition(" ")
            match what:
                case "control":
                    self.fleet.kill_control()
                case "agent":
                    self.fleet.kill_agent(where)
                case "libvirtd":
                    self.host(where).kill_libvirtd()
                case guest:
                    pid = self.host(where).qemu_pid(guest)
                    assert pid is not None
                    os.kill(pid, signal.SIGKILL)

    def revive(self) -> None:
        """Starts again whatever does not run, but guests."""
        for host in (self.ha, self.hb):
            if host.libvirtd_pid() is None:
                host.start_libvirtd()
        self.fleet.revive()

    def command(self, *argv: str, code: int = 0) -> str:
        """What the command `jackfield` prints, run as an operator runs it; to stderr if it is to fail."""
        ran = subprocess.run(
            [COMMAND, *argv],
            env={**os.environ, **self.fleet.environment()},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert ran.returncode == code, f"{argv} gave {ran.returncode}: {ran.stdout}{ran.stderr}"
        return ran.stderr if code else ran.stdout

    def json(self, *argv: str) -> Any:
        return json.loads(self.command(*argv, "-o", "json"))

    @contextlib.contextmanager
    def bridges(self, **names: str) -> Iterator[None]:
        """A bridge on each host, to which its agent maps the physical network; the PF is in it."""
        self.kill("agent ha", "agent hb")
        for host, bridge in names.items():
            script = (
                f"ip link add {bridge} type bridge forward_delay 0 mcast_snooping 0 && "
                f"ip link set {self.host(host).pf.netdev} master {bridge} && ip link set {bridge} up"
            )
            self.host(host).run("sh", "-c", script, check=True)
            self.fleet.start_agent(host, "--bridge", f"{PHYSICAL_NETWORK}={bridge}")
        self.until("the bridges are known", lambda: names == self._mappings())
        try:
            yield
        finally:
            self.kill("agent ha", "agent hb")
            for host, bridge in names.items():
                self.host(host).run("ip", "link", "del", bridge)

    def _mappings(self) -> dict[str, str | None]:
        return {host.name: host.bridge_mappings.get(PHYSICAL_NETWORK) for host in self.client.hosts()}

    # After a test

    def tidy(self) -> None:
        """Takes away what the test made, by Jackfield's own means. Raises when anything is left."""
        died = self.fleet.ended()
        self.revive()
        for one in self.client.migrations():
            if one.state is MigrationState.RUNNING:
                with contextlib.suppress(Conflict):
                    self.client.abort_migration(one.id)
                self.ended(one)
        for device in self.client.devices():
            if device.tainted:
                self.client.untaint(device.id)
        for instance in self.client.instances():
            self.client.delete_instance(instance.id)
        self.until("all instances are gone", lambda: not self.client.instances())
        for port in self.client.ports():
            self.client.delete_port(port.id)
        left: list[str] = []

        def is_clean() -> bool:
            left[:] = self.fleet.leftovers()
            return not left

        # libvirt gives a MAC back a moment after the guest is gone, and a bridge its tap.
        with contextlib.suppress(AssertionError):
            self.until("nothing is left", is_clean, 20)
        assert left == [], self.fleet.logs()
        assert died == [], self.fleet.logs()


@dataclass(frozen=True, kw_only=True)
class Guest:
    """An instance that a test booted."""

    house: House
    name: str
    id: str
    ips: tuple[str, ...]

    @property
    def detail(self) -> InstanceDetail:
        return self.house.client.instance(self.id)

    def becomes(self, status: InstanceStatus) -> InstanceDetail:
        """Waits for that status; an error that is not wanted ends the waiting."""

        def settled() -> InstanceDetail | None:
            now = self.detail
            if now.status is InstanceStatus.ERROR is not status:
                raise AssertionError(f"{self.name} is in error: {now.error}\n{self.house.fleet.logs()}")
            return now if now.status is status else None

        return self.house.until(f"{self.name} is {status.value}", settled)

    def delete(self) -> None:
        """Returns when it is gone, which is when its devices are proved free."""
        self.house.client.delete_instance(self.id)
        self.house.until(f"{self.name} is gone", self._is_gone)

    def _is_gone(self) -> bool:
        try:
            _ = self.detail
        except NotFound:
            return True
        return False

    def answers(self) -> None:
        """Waits until it answers ping on every address."""
        for ip in self.ips:
            self.house.laboratory.switch.ping(ip, PATIENCE_SECONDS)

    def uptime(self) -> float:
        """As the guest itself tells: it falls only when the guest was booted anew."""
        return self.house.until(
            "the guest tells its uptime", lambda: self.house.laboratory.switch.uptime(self.ips[0])
        )

    def starts_on(self, host: LabHost) -> int:
        """How often QEMU was started for it on that host, as libvirt's own log of the guest says."""
        log = host.folder / f"var/log/libvirt/qemu/{self.name}.log"
        return log.read_text().count(": starting up libvirt") if log.exists() else 0

    def hosts(self) -> list[str]:
        """Where a QEMU of it runs, whoever knows of that."""
        return [host.name for host in (self.house.ha, self.house.hb) if host.qemu_pid(self.name)]

    def domain(self, host: str) -> etree._Element:
        """libvirt's live XML of it."""
        with connection(self.house.host(host)) as opened:
            return etree.fromstring(opened.lookupByUUIDString(self.id).XMLDesc())

    def interfaces(self, host: str) -> list[etree._Element]:
        return self.domain(host).findall("devices/interface")

    def begin_move(
        self, to: str, *, strategy: StrategyName | None = None, bandwidth_mib: int | None = None
    ) -> Migration:
        return self.house.client.migrate(self.id, target=to, strategy=strategy, bandwidth_mib=bandwidth_mib)

    def move(self, to: str, *, strategy: StrategyName | None = None) -> Migration:
        """Moves it and proves the end; the guest is watched all the time."""
        uptime = self.uptime()
        probes = [self.house.laboratory.switch.probe(ip) for ip in self.ips]
        try:
            moved = self.house.ended(self.begin_move(to, strategy=strategy))
            assert moved.state is MigrationState.DONE, f"{moved.error}\n{self.house.fleet.logs()}"
            self.answers()
        finally:
            silences = [probe.stop() for probe in probes]
        assert all(0 < silence.longest_seconds < SILENCE_SECONDS_MAX for silence in silences), silences
        assert self.uptime() >= uptime
        self.is_whole_on(to)
        return moved

    def is_whole_on(self, name: str) -> None:
        """One running guest, on the claimed devices and rightly bound, and nothing of it elsewhere."""
        house, host = self.house, self.house.host(name)
        assert self.hosts() == [name]
        detail = self.detail
        assert (detail.status, detail.host) == (InstanceStatus.RUNNING, name)
        assert house.fleet.traces(house.other(name).name) == []

        held = {claim.port_id: claim for claim in detail.claims}
        assert len(held) == len(detail.claims) == sum(port.flavor is not None for port in detail.ports)
        assert all(claim.state is ClaimState.ACTIVE and claim.host == name for claim in held.values())

        nics = {nic.find("mac").get("address"): nic for nic in self.interfaces(name)}
        host.settle()
        for port in detail.ports:
            (binding,) = port.bindings
            assert (binding.host, binding.status) == (name, BindingStatus.ACTIVE)
            nic = nics[port.mac_address]
            assert pci_text(nic.find("address")) == port.guest_address
            if port.flavor is None:
                continue
            device = house.client.device(held[port.id].device_id)
            netdev = nic.find("source").get("dev")
            used = netdev_address(host, netdev)
            assert used == str(device.address) == port.profile["pci_slot"]


def netdev_address(host: LabHost, netdev: str) -> str:
    """The PCI address of the device that has the netdev, by its name or an altname."""
    now = next(name for name, link in host.links().items() if netdev in (name, *link.altnames))
    return (host.sysfs / "class/net" / now / "device").resolve().name


def pci_text(address: etree._Element) -> str:
    domain, bus, slot, function = (
        int(address.get(part), 16) for part in ("domain", "bus", "slot", "function")
    )
    return f"{domain:04x}:{bus:02x}:{slot:02x}.{function:x}"
