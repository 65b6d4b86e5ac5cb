"""The real libvirt and the simulated one behave alike, where an agent can tell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest

from jackfield.host.interface import HostNetwork, Libvirt, Netlink
from jackfield.host.libvirt import LibvirtConnection
from jackfield.host.libvirt_events import LibvirtEvents
from jackfield.host.netlink import NetlinkSocket
from jackfield.model.address import MacAddress
from jackfield.model.attachment import DomainState
from jackfield.model.error import Conflict, NotFound, Rejected, Unavailable
from jackfield.model.instance import Machine
from jackfield.sim.host import SimLibvirt, SimNetlink
from jackfield.sim.machine import sim_host
from jackfield.sim.migration import Phase
from jackfield.sim.world import World
from jackfield.xml.domain import MarkedPort, Metadata, build, compose, read
from jackfield.xml.interface import MacvtapInterface
from jackfield.xml.rewrite import with_netdevs
from lab import needs
from lab.domain import MEMORY_MIB
from lab.guest import command_line
from lab.host import LabHost
from lab.laboratory import Laboratory

GUESTS, OTHER_GUESTS = MacAddress("fa:16:3e:46:d3:e8"), MacAddress("fa:16:3e:46:d3:e9")
LOGICAL = "eth02bc4aec-b4"
INSTALLATION = "6f9fb1d8-0000-4000-8000-000000000001"
WAIT_SECONDS_MAX = 60
RUNNING, PAUSED, SHUTOFF = DomainState.RUNNING, DomainState.PAUSED, DomainState.SHUTOFF


@dataclass(kw_only=True)
class Side:
    """One host: what an agent has of it, and what a test does behind the agent's back."""

    libvirt: Libvirt
    netlink: Netlink
    uri: str
    """For the other host's libvirt."""
    vfs: tuple[tuple[str, MacAddress], ...]
    pause: Callable[[str], None]
    add_pool: Callable[[str, tuple[str, ...]], None]

    @property
    def vf(self) -> str:
        return self.vfs[0][0]

    def mac(self, netdev: str) -> MacAddress:
        return self.netlink.links()[netdev].mac

    def is_untouched(self) -> bool:
        return all(self.mac(netdev) == factory for netdev, factory in self.vfs)

    def state(self, id: str) -> DomainState:
        return next((d.state for d in self.libvirt.domains() if d.uuid == id), DomainState.ABSENT)

    def domain(self, id: str):
        return next(d for d in self.libvirt.domains() if d.uuid == id)

    def boot(self, xml: str) -> str:
        id = read(xml).uuid
        self.libvirt.define(xml)
        self.libvirt.start(id)
        return id


@dataclass(kw_only=True)
class Pair:
    """Two hosts between which guests move."""

    a: Side
    b: Side
    machine: Machine
    during: Callable[[Callable[[], object], Callable[[], None]], None]
    """Runs the first, a migration, and the second in the middle of it; raises what the first raises."""
    die_during: Callable[[str, str, str, str], None]
    """Migrates (from a: uuid, uri, destination XML, persistent XML) and is killed in the middle."""
    go_on: Callable[[], None]
    """Lets time pass for the migrations under way."""
    nowhere: str
    """The migration URI of a host without libvirt."""

    def guest(self, netdev: str, mac: MacAddress = GUESTS, *, name: str = "guest") -> str:
        id = str(uuid.uuid4())
        ports = (MarkedPort("port-1", 0, mac),)
        base = build(self.machine, uuid=id, name=name)
        metadata = Metadata(installation=INSTALLATION, instance_id=id, ports=ports)
        return compose(base, metadata, [MacvtapInterface(mac=mac, netdev=netdev)])

    def forms_for(self, id: str, netdev: str) -> dict[str, str]:
        """The arguments of a move from a that puts the guest on `netdev`."""
        libvirt = self.a.libvirt
        netdevs = {GUESTS: netdev}
        return {
            "destination_xml": with_netdevs(libvirt.live_xml(id), netdevs),
            "persistent_xml": with_netdevs(libvirt.inactive_xml(id), netdevs),
        }


def simulated() -> Pair:
    world = World()

    def side(name: str, bus: int) -> Side:
        host = world.add(sim_host(name, bus))

        def pause(id: str) -> None:
            host.domain(id).state = PAUSED

        def add_pool(name: str, netdevs: tuple[str, ...]) -> None:
            host.networks.append(HostNetwork(name=name, netdevs=netdevs, is_active=True))

        return Side(
            libvirt=SimLibvirt(world, host),
            netlink=SimNetlink(host),
            uri=f"sim://{name}",
            vfs=tuple((d.netdev, d.mac) for d in host.devices if d.parent),
            pause=pause,
            add_pool=add_pool,
        )

    def during(move, meanwhile) -> None:
        def hook(migration) -> None:
            if migration.phase is Phase.TARGET_CREATED:
                meanwhile()

        world.on_phase = hook
        try:
            move()
        finally:
            world.on_phase = None

    class Killed(BaseException):
        pass

    def die_during(id, uri, destination_xml, persistent_xml) -> None:
        def kill() -> None:
            raise Killed

        with pytest.raises(Killed):
            during(
                lambda: pair.a.libvirt.migrate(
                    id, uri, destination_xml=destination_xml, persistent_xml=persistent_xml
                ),
                kill,
            )

    def go_on() -> None:
        for migration in list(world.migrations):
            world.advance(migration)

    machine = Machine(memory_mib=64, domain_type="qemu", kernel="/vmlinuz")
    pair = Pair(
        a=side("ha", 1),
        b=side("hb", 2),
        machine=machine,
        during=during,
        die_during=die_during,
        go_on=go_on,
        nowhere="sim://hz",
    )
    return pair


def real(lab: Laboratory) -> Pair:
    def side(host: LabHost) -> Side:
        def virsh(*arguments: str, stdin: str = "") -> None:
            host.run("virsh", "-q", *arguments, check=True, stdin=stdin)

        def add_pool(name: str, netdevs: tuple[str, ...]) -> None:
            members = "".join(f"<interface dev='{netdev}'/>" for netdev in netdevs)
            forward = f"<forward mode='passthrough'>{members}</forward>"
            virsh("net-create", "/dev/stdin", stdin=f"<network><name>{name}</name>{forward}</network>")

        return Side(
            libvirt=LibvirtConnection(host.libvirt_uri),
            netlink=NetlinkSocket(str(host.netns)),
            uri=host.migrate_uri,
            vfs=tuple((device.netdev, MacAddress(device.mac)) for device in host.devices),
            pause=lambda id: virsh("suspend", id),
            add_pool=add_pool,
        )

    def wait_for_transfer() -> str:
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while time.monotonic() < deadline:
            for arriving in pair.b.libvirt.domains():
                job = pair.a.libvirt.job(arriving.uuid)
                if job and job["memory_remaining"]:
                    return arriving.uuid
            time.sleep(0.05)
        raise AssertionError("the migration never reached the target")

    def during(move, meanwhile) -> None:
        with ThreadPoolExecutor(1) as pool:
            moved = pool.submit(move)
            moving = wait_for_transfer()
            try:
                meanwhile()
            except BaseException:
                pair.a.libvirt.abort(moving)  # or the pool would wait for the end of the move
                raise
            moved.result(WAIT_SECONDS_MAX)

    def die_during(id, uri, destination_xml, persistent_xml) -> None:
        script = (
            "import sys; from jackfield.host.libvirt import LibvirtConnection\n"
            "LibvirtConnection(sys.argv[1]).migrate(*sys.argv[2:4], destination_xml=sys.argv[4],"
            " persistent_xml=sys.argv[5], bandwidth_mib=32)"
        )
        agent = subprocess.Popen(
            [sys.executable, "-c", script, hosts[0].libvirt_uri, id, uri, destination_xml, persistent_xml]
        )
        wait_for_transfer()
        agent.kill()
        agent.wait()

    hosts = lab.hosts
    machine = Machine(
        memory_mib=MEMORY_MIB,
        domain_type="qemu",
        kernel=str(lab.guest.kernel),
        initrd=str(lab.guest.initrd),
        # A guest that panics boots again and again, and never stands still enough to be moved.
        command_line=command_line(["10.9.0.11"]),
    )
    pair = Pair(
        a=side(hosts[0]),
        b=side(hosts[1]),
        machine=machine,
        during=during,
        die_during=die_during,
        go_on=lambda: time.sleep(0.1),
        nowhere=hosts[1].migrate_uri.replace("/system", ":1/system"),
    )
    return pair


@pytest.fixture(scope="module")
def lab() -> Iterator[Laboratory]:
    if missing := needs.missing():
        pytest.skip("the laboratory needs " + ", ".join(missing))
    with Laboratory(f"c{os.getpid()}", vfs=3) as standing:
        yield standing


@pytest.fixture
def hosts(lab) -> Iterator[tuple[LabHost, LabHost]]:
    """The laboratory's, without domains and networks, and with their own names and MACs, afterwards."""
    yield lab.hosts
    for host in lab.hosts:
        libvirt, netlink = LibvirtConnection(host.libvirt_uri), NetlinkSocket(str(host.netns))
        for domain in libvirt.domains():
            libvirt.stop(domain.uuid)
            libvirt.undefine(domain.uuid)
        for network in libvirt.networks():
            host.run("virsh", "-q", "net-destroy", network.name, check=True)
        links = netlink.links()
        if LOGICAL in links:
            netlink.rename(LOGICAL, next(d.netdev for d in host.devices if d.netdev not in links))
        for device in host.devices:
            netlink.set_mac(device.netdev, MacAddress(device.mac))
            netlink.remove_altname(device.netdev, LOGICAL)


@pytest.fixture(params=["simulated", pytest.param("real", marks=pytest.mark.lab)])
def pair(request) -> Pair:
    if request.param == "simulated":
        return simulated()
    request.getfixturevalue("hosts")
    return real(request.getfixturevalue("lab"))


# One host


def test_a_defined_domain_is_seen_off_with_what_its_xml_says(pair):
    xml = pair.guest(pair.a.vf)
    pair.a.libvirt.define(xml)
    domain = pair.a.domain(read(xml).uuid)
    (interface,) = domain.interfaces
    assert (domain.name, domain.state, domain.is_persistent) == ("guest", SHUTOFF, True)
    assert (domain.installation, domain.has_job) == (INSTALLATION, False)
    assert (interface.mac, interface.netdev) == (GUESTS, pair.a.vf)
    assert re.fullmatch(r"0000:00:[01][0-9a-f]\.0", interface.guest_address or "")


def test_defining_a_domain_twice_leaves_one(pair):
    xml = pair.guest(pair.a.vf)
    pair.a.libvirt.define(xml)
    pair.a.libvirt.define(xml)
    assert len(pair.a.libvirt.domains()) == 1


def test_a_second_domain_of_the_same_name_is_refused_with_libvirts_words(pair):
    pair.a.libvirt.define(pair.guest(pair.a.vf))
    with pytest.raises(Rejected, match="already exists with uuid") as refusal:
        pair.a.libvirt.define(pair.guest(pair.a.vf))
    assert (refusal.value.code, refusal.value.detail["libvirt_code"]) == ("libvirt-refused", 9)


def test_a_running_guest_lends_its_mac_to_the_device_until_it_is_stopped_and_each_step_may_run_twice(pair):
    id = pair.a.boot(pair.guest(pair.a.vf))
    pair.a.libvirt.start(id)
    pair.a.libvirt.resume(id)
    assert pair.a.state(id) is RUNNING
    assert pair.a.mac(pair.a.vf) == GUESTS
    for _ in range(2):
        pair.a.libvirt.stop(id)
    assert pair.a.state(id) is SHUTOFF
    assert pair.a.is_untouched()
    for _ in range(2):
        pair.a.libvirt.undefine(id)
    assert pair.a.libvirt.domains() == ()


def test_a_guest_whose_device_is_missing_does_not_start_and_stays_defined(pair):
    with pytest.raises(Rejected, match="No such device") as refusal:
        pair.a.boot(pair.guest("nobody"))
    assert (refusal.value.code, refusal.value.detail["libvirt_code"]) == ("libvirt-refused", 38)
    (domain,) = pair.a.libvirt.domains()
    assert (domain.state, domain.is_persistent) == (SHUTOFF, True)


@pytest.mark.behaviour(37)
def test_a_start_on_anothers_device_fails_and_takes_away_nothing_but_the_mac_that_libvirt_had_saved(pair):
    first = pair.a.boot(pair.guest(pair.a.vf))
    with pytest.raises(Rejected, match="error creating macvtap interface"):
        pair.a.boot(pair.guest(pair.a.vf, OTHER_GUESTS, name="second"))
    assert pair.a.state(first) is RUNNING
    assert pair.a.mac(pair.a.vf) == GUESTS
    pair.a.libvirt.stop(first)
    assert pair.a.mac(pair.a.vf) == GUESTS  # the agent puts the device's own back


def test_a_device_renamed_under_a_running_guest_keeps_the_guests_mac(pair):
    id = pair.a.boot(pair.guest(pair.a.vf))
    pair.a.netlink.rename(pair.a.vf, LOGICAL)
    assert pair.a.state(id) is RUNNING
    pair.a.libvirt.stop(id)
    assert pair.a.mac(LOGICAL) == GUESTS


def test_a_guest_may_name_its_device_by_an_altname(pair):
    pair.a.netlink.add_altname(pair.a.vf, LOGICAL)
    id = pair.a.boot(pair.guest(LOGICAL))
    assert pair.a.mac(pair.a.vf) == GUESTS
    pair.a.libvirt.stop(id)
    assert pair.a.is_untouched()


@pytest.mark.parametrize("act", ["start", "resume", "live_xml", "inactive_xml"])
def test_what_needs_a_domain_does_not_find_an_absent_one(pair, act):
    with pytest.raises(NotFound) as refusal:
        getattr(pair.a.libvirt, act)(str(uuid.uuid4()))
    assert refusal.value.code == "domain-absent"


@pytest.mark.parametrize("act", ["stop", "undefine", "abort", "job"])
def test_what_is_done_when_the_domain_is_gone_takes_an_absent_one(pair, act):
    assert getattr(pair.a.libvirt, act)(str(uuid.uuid4())) is None


def test_a_domain_that_is_off_has_a_definition_and_no_running_form(pair):
    xml = pair.guest(pair.a.vf)
    pair.a.libvirt.define(xml)
    assert read(pair.a.libvirt.inactive_xml(read(xml).uuid)).uuid == read(xml).uuid
    with pytest.raises(NotFound) as refusal:
        pair.a.libvirt.live_xml(read(xml).uuid)
    assert refusal.value.code == "domain-absent"


def test_a_running_guest_without_a_definition_runs_until_it_is_stopped_and_is_gone_then(pair):
    id = pair.a.boot(pair.guest(pair.a.vf))
    pair.a.libvirt.undefine(id)
    assert (pair.a.state(id), pair.a.domain(id).is_persistent) == (RUNNING, False)
    with pytest.raises(NotFound):
        pair.a.libvirt.inactive_xml(id)
    pair.a.libvirt.stop(id)
    assert pair.a.libvirt.domains() == ()


def test_a_paused_guest_runs_again_when_it_is_resumed(pair):
    id = pair.a.boot(pair.guest(pair.a.vf))
    pair.a.pause(id)
    assert pair.a.state(id) is PAUSED
    pair.a.libvirt.resume(id)
    assert pair.a.state(id) is RUNNING


def test_a_guest_that_is_off_is_not_resumed(pair):
    xml = pair.guest(pair.a.vf)
    pair.a.libvirt.define(xml)
    with pytest.raises(Rejected, match="not running"):
        pair.a.libvirt.resume(read(xml).uuid)


def test_a_network_that_hands_out_netdevs_is_listed_with_them(pair):
    netdevs = tuple(netdev for netdev, _ in pair.a.vfs[:2])
    pair.a.add_pool("pool", netdevs)
    assert pair.a.libvirt.networks() == (HostNetwork(name="pool", netdevs=netdevs, is_active=True),)


# From one host to the other


@pytest.mark.behaviour(56, 58, 62)
def test_a_guest_moves_to_a_device_of_another_name(pair):
    id = pair.a.boot(pair.guest(pair.a.vf))
    (before,) = pair.a.domain(id).interfaces
    target = pair.b.vfs[1][0]
    paused = pair.a.libvirt.migrate(id, pair.b.uri, **pair.forms_for(id, target))
    assert paused is not None and 0 < paused < 5
    assert pair.a.libvirt.domains() == ()
    assert pair.a.is_untouched()
    assert (pair.b.state(id), pair.b.domain(id).has_job) == (RUNNING, False)
    assert pair.b.domain(id).interfaces == (replace(before, netdev=target),)
    assert read(pair.b.libvirt.inactive_xml(id)).interfaces == (replace(before, netdev=target),)
    assert pair.b.mac(target) == GUESTS


@pytest.mark.behaviour(62)
def test_a_guest_moves_to_a_device_of_the_same_name_without_other_xml(pair):
    for side in (pair.a, pair.b):
        side.netlink.rename(side.vfs[2][0], LOGICAL)
    id = pair.a.boot(pair.guest(LOGICAL))
    pair.a.libvirt.migrate(id, pair.b.uri)
    assert (pair.a.state(id), pair.b.state(id)) == (DomainState.ABSENT, RUNNING)
    assert pair.b.domain(id).is_persistent
    assert (pair.a.mac(LOGICAL), pair.b.mac(LOGICAL)) == (pair.a.vfs[2][1], GUESTS)


@pytest.mark.behaviour(61, 62)
def test_a_move_that_is_refused_leaves_nothing_there_and_the_guest_running_here(pair):
    id = pair.a.boot(pair.guest(pair.a.vf))
    with_other_mac = pair.forms_for(id, pair.b.vf)
    with_other_mac["destination_xml"] = with_other_mac["destination_xml"].replace(GUESTS, OTHER_GUESTS)
    for uri, forms, words, code in (
        (pair.b.uri, pair.forms_for(id, "nobody"), "No such device", 38),
        (pair.b.uri, with_other_mac, "mac", 67),
        (pair.a.uri, {}, "same host", 1),
        (pair.nowhere, {}, "unable to connect", 38),
    ):
        with pytest.raises(Conflict, match=words) as failure:
            pair.a.libvirt.migrate(id, uri, **forms)
        assert (failure.value.code, failure.value.detail["libvirt_code"]) == ("migration-failed", code)
        assert (pair.a.state(id), pair.a.domain(id).has_job, pair.b.libvirt.domains()) == (RUNNING, False, ())
        assert pair.b.is_untouched()


@pytest.mark.behaviour(61)
def test_a_move_to_a_device_that_is_anothers_leaves_both_guests_running(pair):
    id = pair.a.boot(pair.guest(pair.a.vf))
    other = pair.b.boot(pair.guest(pair.b.vf, OTHER_GUESTS, name="other"))
    with pytest.raises(Conflict, match="error creating macvtap interface"):
        pair.a.libvirt.migrate(id, pair.b.uri, **pair.forms_for(id, pair.b.vf))
    assert (pair.a.state(id), pair.b.state(id), pair.b.state(other)) == (RUNNING, DomainState.ABSENT, RUNNING)


def test_only_a_running_guest_moves(pair):
    xml = pair.guest(pair.a.vf)
    with pytest.raises(NotFound):
        pair.a.libvirt.migrate(read(xml).uuid, pair.b.uri)
    pair.a.libvirt.define(xml)
    with pytest.raises(Conflict, match="not running"):
        pair.a.libvirt.migrate(read(xml).uuid, pair.b.uri)


@pytest.mark.behaviour(61, 65)
def test_a_move_is_seen_on_both_hosts_and_aborted_from_the_source_alone(pair):
    id = pair.a.boot(pair.guest(pair.a.vf))
    forms = pair.forms_for(id, pair.b.vf)

    def look_and_abort() -> None:
        assert (pair.a.state(id), pair.b.state(id)) == (RUNNING, PAUSED)
        assert pair.a.domain(id).has_job and pair.b.domain(id).has_job
        assert pair.b.mac(pair.b.vf) == GUESTS
        job = pair.a.libvirt.job(id)
        assert job is not None and 0 < job["memory_remaining"] <= job["memory_total"]
        assert pair.b.libvirt.job(id) is None
        began = time.monotonic()
        pair.b.libvirt.abort(id)  # changes nothing, and does not wait for the end of the move either
        assert time.monotonic() - began < 1
        pair.a.libvirt.abort(id)

    with pytest.raises(Conflict, match="canceled by client") as failure:
        pair.during(lambda: pair.a.libvirt.migrate(id, pair.b.uri, bandwidth_mib=4, **forms), look_and_abort)
    assert failure.value.detail["libvirt_code"] == 78
    assert (pair.a.state(id), pair.a.domain(id).has_job, pair.b.libvirt.domains()) == (RUNNING, False, ())
    assert pair.b.is_untouched()
    assert pair.a.libvirt.job(id) is None
    pair.a.libvirt.abort(id)


@pytest.mark.behaviour(61)
def test_a_move_goes_on_when_the_agent_that_began_it_is_killed(pair):
    id = pair.a.boot(pair.guest(pair.a.vf))
    pair.die_during(id, pair.b.uri, *pair.forms_for(id, pair.b.vf).values())
    assert pair.a.domain(id).has_job
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while pair.a.state(id) is not DomainState.ABSENT:
        assert time.monotonic() < deadline
        pair.go_on()
    assert (pair.b.state(id), pair.b.domain(id).is_persistent) == (RUNNING, True)


# What only the real one can show


@pytest.mark.lab
def test_a_redefined_domain_never_starts_by_itself(hosts, lab):
    pair = real(lab)
    xml = pair.guest(pair.a.vf)
    pair.a.libvirt.define(xml)
    hosts[0].run("virsh", "-q", "autostart", "guest", check=True)
    pair.a.libvirt.define(xml)
    assert hosts[0].run("virsh", "-q", "list", "--all", "--autostart").stdout.strip() == ""


@pytest.mark.lab
def test_a_network_that_only_goes_out_by_a_netdev_hands_out_none(hosts, lab):
    pair = real(lab)
    nat = (
        f"<network><name>nat</name><forward mode='nat' dev='{pair.a.vf}'/><ip address='10.8.0.1'/></network>"
    )
    hosts[0].run("virsh", "-q", "net-define", "/dev/stdin", check=True, stdin=nat)
    assert pair.a.libvirt.networks() == ()
    hosts[0].run("virsh", "-q", "net-undefine", "nat", check=True)


@pytest.mark.lab
def test_a_guest_whose_qemu_was_killed_has_crashed(hosts, lab):
    pair = real(lab)
    id = pair.a.boot(pair.guest(pair.a.vf))
    os.kill(hosts[0].qemu_pid("guest"), 9)
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while (state := pair.a.state(id)) is RUNNING:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert state is DomainState.CRASHED


@pytest.mark.lab
def test_events_wake_for_every_change_and_for_the_return_of_libvirtd(hosts, lab):
    pair = real(lab)
    woken = threading.Event()

    def wakes(act: Callable[[], object]) -> None:
        woken.clear()
        act()
        assert woken.wait(10)

    events = LibvirtEvents(hosts[0].libvirt_uri, woken.set)
    wakes(events.start)
    assert events.is_connected
    wakes(lambda: pair.a.boot(pair.guest(pair.a.vf)))
    wakes(hosts[0].kill_libvirtd)
    wakes(hosts[0].start_libvirtd)
    assert events.is_connected
    wakes(lambda: pair.a.libvirt.stop(pair.a.libvirt.domains()[0].uuid))
    events.stop()
    events.stop()
    woken.clear()
    pair.a.libvirt.undefine(pair.a.libvirt.domains()[0].uuid)
    assert not woken.wait(0.2)


@pytest.mark.lab
def test_a_libvirtd_that_is_away_is_unreachable_and_is_used_again_when_it_is_back(hosts, lab):
    pair = real(lab)
    id = pair.a.boot(pair.guest(pair.a.vf))
    hosts[0].kill_libvirtd()
    try:
        for ask in (pair.a.libvirt.domains, lambda: pair.a.libvirt.stop(id)):
            with pytest.raises(Unavailable) as problem:
                ask()
            assert (problem.value.code, problem.value.reach.value) == ("libvirt-unreachable", "host")
    finally:
        hosts[0].start_libvirtd()
    assert pair.a.state(id) is RUNNING


@pytest.mark.lab
@pytest.mark.behaviour(61)
def test_how_a_move_ended_is_unknown_when_the_own_libvirtd_dies_and_failed_when_the_targets_does(hosts, lab):
    pair = real(lab)
    id = pair.a.boot(pair.guest(pair.a.vf))
    forms = pair.forms_for(id, pair.b.vf)

    def move() -> None:
        pair.a.libvirt.migrate(id, pair.b.uri, bandwidth_mib=4, **forms)

    try:
        with pytest.raises(Conflict) as failure:
            pair.during(move, hosts[1].kill_libvirtd)
        assert failure.value.code == "migration-failed"
    finally:
        hosts[1].start_libvirtd()
    assert (pair.a.state(id), pair.b.libvirt.domains()) == (RUNNING, ())
    try:
        with pytest.raises(Unavailable) as problem:
            pair.during(move, hosts[0].kill_libvirtd)
        assert problem.value.code == "libvirt-unreachable"
    finally:
        hosts[0].start_libvirtd()
    assert pair.a.state(id) is RUNNING
