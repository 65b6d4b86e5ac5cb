"""The simulated hosts keep to what was measured, also when a move is broken in the middle."""

from __future__ import annotations

import pytest

from jackfield.model.address import MacAddress
from jackfield.model.attachment import DomainState
from jackfield.model.device import DeviceKind
from jackfield.model.error import Conflict, NotFound, Rejected, Unavailable
from jackfield.model.instance import Machine
from jackfield.sim.host import SimLibvirt, SimNetlink, SimSysfs
from jackfield.sim.machine import sim_host
from jackfield.sim.migration import Phase
from jackfield.sim.world import World
from jackfield.xml.domain import MarkedPort, Metadata, build, compose
from jackfield.xml.interface import MacvtapInterface
from jackfield.xml.rewrite import with_netdevs
from lab.plan import plan_hosts

ID = "02bc4aec-0000-4000-8000-000000000001"
GUESTS, OTHER_GUESTS = MacAddress("fa:16:3e:46:d3:e8"), MacAddress("fa:16:3e:46:d3:e9")
HERE, THERE = "enp1s0v0", "enp2s0v1"
WITH_A_WAY_BACK = [Phase.BEGUN, Phase.TARGET_CREATED, Phase.TRANSFERRED, Phase.SOURCE_PAUSED]


def guest(uuid: str, *nics: tuple[MacAddress, str]) -> str:
    """A domain with a NIC on each of the netdevs."""
    ports = tuple(MarkedPort(f"port-{number}", number, mac) for number, (mac, _) in enumerate(nics))
    base = build(Machine(kernel="/vmlinuz"), uuid=uuid, name=f"guest-{uuid}")
    interfaces = [MacvtapInterface(mac=mac, netdev=netdev) for mac, netdev in nics]
    return compose(base, Metadata(installation="i", instance_id=uuid, ports=ports), interfaces)


class Scene:
    """A guest that runs on a, and a migration to b that has just begun."""

    def __init__(self) -> None:
        self.world = World()
        self.hosts = [self.world.add(sim_host("a", 1)), self.world.add(sim_host("b", 2))]
        self.a, self.b = (SimLibvirt(self.world, host) for host in self.hosts)
        self.a.define(guest(ID, (GUESTS, HERE)))
        self.a.start(ID)

    def begin(self):
        return self.world.begin_migration(
            "a",
            "b",
            ID,
            destination_xml=with_netdevs(self.a.live_xml(ID), {GUESTS: THERE}),
            persistent_xml=with_netdevs(self.a.inactive_xml(ID), {GUESTS: THERE}),
        )

    def begin_and_come_to(self, phase: Phase):
        migration = self.begin()
        while migration.phase is not phase:
            self.world.advance(migration)
        return migration

    def end(self, migration) -> None:
        while not migration.is_over:
            self.world.advance(migration)

    def states(self) -> tuple[DomainState, DomainState]:
        seen = [{d.uuid: d.state for d in libvirt.domains()} for libvirt in (self.a, self.b)]
        return seen[0].get(ID, DomainState.ABSENT), seen[1].get(ID, DomainState.ABSENT)

    def mac(self, number: int, netdev: str) -> MacAddress:
        return SimNetlink(self.hosts[number]).links()[netdev].mac

    def is_back_where_it_was(self) -> bool:
        link = self.hosts[1].link(THERE)
        return (
            self.states() == (DomainState.RUNNING, DomainState.ABSENT)
            and self.mac(0, HERE) == GUESTS
            and link is not None
            and link.mac == link.factory_mac
            and not self.world.migrations
        )


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_host_has_the_laboratorys_card():
    (plan,) = plan_hosts("sim", ("ha",), 4)
    pf, *vfs = SimSysfs(sim_host("ha", 1)).devices()
    assert (str(pf.address), pf.netdev, pf.kind) == (plan.pf.address, plan.pf.netdev, DeviceKind.PF)
    assert [(str(vf.address), vf.netdev, vf.mac) for vf in vfs] == [
        (vf.address, vf.netdev, vf.mac) for vf in plan.vfs
    ]
    assert {vf.parent_identity for vf in vfs} == {pf.identity}


@pytest.mark.behaviour(9)
def test_a_device_keeps_its_identity_and_its_mac_when_its_link_is_renamed():
    host = sim_host("a", 1)
    before = SimSysfs(host).devices()[1]
    SimNetlink(host).rename(HERE, "eth02bc4aec-b4")
    SimNetlink(host).set_mac("eth02bc4aec-b4", GUESTS)
    after = SimSysfs(host).devices()[1]
    assert (after.identity, after.mac, after.netdev) == (before.identity, before.mac, "eth02bc4aec-b4")


def test_a_move_goes_through_its_phases_in_order_and_is_seen_on_both_hosts_until_it_ends(scene):
    running, paused, absent = DomainState.RUNNING, DomainState.PAUSED, DomainState.ABSENT
    migration = scene.begin()
    seen = [(migration.phase, *scene.states())]
    while not migration.is_over:
        assert scene.a.domains()[0].has_job
        scene.world.advance(migration)
        seen.append((migration.phase, *scene.states()))
    assert seen == [
        (Phase.BEGUN, running, absent),
        (Phase.TARGET_CREATED, running, paused),
        (Phase.TRANSFERRED, running, paused),
        (Phase.SOURCE_PAUSED, paused, paused),
        (Phase.TARGET_RUNNING, paused, running),
        (Phase.DONE, absent, running),
    ]
    assert not scene.b.domains()[0].has_job
    assert scene.mac(1, THERE) == GUESTS
    assert scene.mac(0, HERE) != GUESTS


@pytest.mark.behaviour(61)
@pytest.mark.parametrize("phase", WITH_A_WAY_BACK)
def test_a_move_that_fails_before_the_target_runs_leaves_everything_as_it_was(scene, phase):
    scene.begin_and_come_to(phase).fail("the network is down")
    scene.world.migrations.clear()
    assert scene.is_back_where_it_was()


@pytest.mark.parametrize("phase", WITH_A_WAY_BACK[1:])
def test_the_next_migration_fails_where_it_was_told_to_and_the_one_after_does_not(scene, phase):
    scene.world.fail_next_migration("the network is down", after=phase)
    forms = {"destination_xml": with_netdevs(scene.a.live_xml(ID), {GUESTS: THERE})}
    with pytest.raises(Conflict, match="the network is down"):
        scene.a.migrate(ID, "sim://b", **forms)
    assert scene.is_back_where_it_was()
    scene.a.migrate(ID, "sim://b", **forms)
    assert scene.states() == (DomainState.ABSENT, DomainState.RUNNING)


@pytest.mark.parametrize("phase", WITH_A_WAY_BACK)
def test_an_abort_before_the_target_runs_leaves_everything_as_it_was(scene, phase):
    migration = scene.begin_and_come_to(phase)
    scene.a.abort(ID)
    scene.end(migration)
    assert migration.error is not None and "canceled" in migration.error.message
    assert scene.is_back_where_it_was()


def test_an_abort_after_the_target_runs_comes_too_late(scene):
    migration = scene.begin_and_come_to(Phase.TARGET_RUNNING)
    scene.a.abort(ID)
    scene.end(migration)
    assert (migration.phase, migration.error) == (Phase.DONE, None)


def test_the_target_cannot_abort(scene):
    migration = scene.begin_and_come_to(Phase.TRANSFERRED)
    scene.b.abort(ID)
    scene.end(migration)
    assert migration.phase is Phase.DONE


@pytest.mark.parametrize("phase", WITH_A_WAY_BACK)
def test_a_guest_stopped_on_the_source_before_the_target_runs_is_on_neither(scene, phase):
    migration = scene.begin_and_come_to(phase)
    scene.a.stop(ID)
    scene.end(migration)
    assert scene.states() == (DomainState.SHUTOFF, DomainState.ABSENT)
    assert scene.mac(0, HERE) != GUESTS


def test_a_paused_source_destroyed_after_the_pivot_leaves_the_target_running_and_defined(scene):
    migration = scene.begin_and_come_to(Phase.TARGET_RUNNING)
    scene.a.stop(ID)
    scene.a.undefine(ID)
    scene.end(migration)
    assert scene.states() == (DomainState.ABSENT, DomainState.RUNNING)
    assert scene.b.domains()[0].is_persistent


@pytest.mark.parametrize("phase", WITH_A_WAY_BACK[1:])
def test_an_arriving_guest_destroyed_on_the_target_goes_on_on_the_source(scene, phase):
    migration = scene.begin_and_come_to(phase)
    scene.b.stop(ID)
    scene.end(migration)
    assert scene.is_back_where_it_was()


def test_an_arriving_guest_is_not_resumed(scene):
    scene.begin_and_come_to(Phase.TRANSFERRED)
    with pytest.raises(Unavailable):
        scene.b.resume(ID)


def test_a_paused_guest_arrives_paused(scene):
    scene.hosts[0].domain(ID).state = DomainState.PAUSED
    scene.end(scene.begin())
    assert scene.states() == (DomainState.ABSENT, DomainState.PAUSED)


def test_a_guest_that_is_already_moving_does_not_move_a_second_time(scene):
    scene.begin()
    with pytest.raises(Conflict, match="another migration job"):
        scene.begin()


def test_a_guest_that_runs_on_both_hosts_does_not_move(scene):
    scene.b.define(with_netdevs(scene.a.inactive_xml(ID), {GUESTS: THERE}))
    scene.b.start(ID)
    migration = scene.begin()
    scene.end(migration)
    assert migration.error is not None and "already active" in migration.error.message
    assert scene.states() == (DomainState.RUNNING, DomainState.RUNNING)


def test_a_definition_that_was_on_the_target_stays_there_when_the_move_fails(scene):
    scene.b.define(with_netdevs(scene.a.inactive_xml(ID), {GUESTS: THERE}))
    scene.begin_and_come_to(Phase.TRANSFERRED).fail("the network is down")
    assert scene.states() == (DomainState.RUNNING, DomainState.SHUTOFF)


def test_a_target_device_renamed_in_mid_migration_keeps_the_guests_mac(scene):
    migration = scene.begin_and_come_to(Phase.TRANSFERRED)
    SimNetlink(scene.hosts[1]).rename(THERE, "elsewhere")
    migration.fail("the device went away")
    assert scene.mac(1, "elsewhere") == GUESTS


def test_a_start_that_fails_on_its_second_device_gives_the_first_one_back(scene):
    scene.b.define(guest("other", (GUESTS, "enp2s0v0"), (OTHER_GUESTS, "nobody")))
    with pytest.raises(Rejected):
        scene.b.start("other")
    assert scene.mac(1, "enp2s0v0") == MacAddress("02:00:00:02:00:00")


def test_each_nic_of_a_domain_gets_a_slot_of_its_own(scene):
    scene.b.define(guest("other", (GUESTS, "enp2s0v0"), (OTHER_GUESTS, "enp2s0v1")))
    addresses = [nic.guest_address for nic in scene.b.domains()[0].interfaces]
    assert addresses == ["0000:00:02.0", "0000:00:03.0"]


def test_a_move_of_what_is_not_there_is_not_found(scene):
    with pytest.raises(NotFound):
        scene.a.migrate("nobody", "sim://b")
