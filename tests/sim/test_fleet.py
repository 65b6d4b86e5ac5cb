"""The main story on simulated hosts, with the real code of both shells, one sentence at a time.

What happens when every effect may be struck is in tests/property/test_migration_saga.py.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from jackfield.model.attachment import DomainState, ObservedDomain, ObservedState
from jackfield.model.claim import ClaimState
from jackfield.model.error import Conflict, Gone
from jackfield.model.instance import InstanceStatus, Machine
from jackfield.model.migration import Direction, MigrationState, StepName, StrategyName
from jackfield.model.network import SegmentKind
from jackfield.model.port import VnicType
from jackfield.service import claim, flavor, host, instance, migration, network, port
from jackfield.sim import check
from jackfield.sim.fault import Fault, Faults
from jackfield.sim.fleet import Fleet
from jackfield.sim.host import SimLibvirt
from jackfield.sim.machine import sim_host
from jackfield.sim.migration import Phase
from jackfield.sim.world import World

GUEST = Machine(kernel="/boot/vmlinuz", domain_type="qemu")
VF = {"vendor": "8086", "product": "10ca"}
BY = pytest.mark.parametrize("strategy", [StrategyName.DESTINATION_XML, StrategyName.NETDEV_RENAME])


def fleet(*, vfs: int = 2, ports: int = 1, seed: int = 0) -> Fleet:
    """Hosts a and b, each with one card, and free ports p0, p1, … of flavor `fast`."""
    world = World()
    for bus, name in enumerate("ab", start=1):
        world.add(sim_host(name, bus, vfs=vfs))
    made = Fleet(world, seed=seed)
    made.run()
    made.service.write(lambda u: flavor.create(u, "fast", [VF]))
    made.service.write(lambda u: network.create(u, "net", "physnet1", SegmentKind.FLAT))
    for number in range(ports):
        made.service.write(lambda u: port.create(u, f"p{number}", "net", VnicType.MACVTAP, "fast"))  # noqa: B023
    return made


def boot(a_fleet, name="vm", ports=("p0",), host="a", strategy=None):
    return a_fleet.service.write(lambda u: instance.boot(u, name, GUEST, ports, host=host, strategy=strategy))


def booted(**facts) -> Fleet:
    made = fleet(**facts)
    boot(made)
    made.run()
    assert shown(made).instance.status is InstanceStatus.RUNNING
    return made


def shown(a_fleet, name="vm"):
    return a_fleet.service.read(lambda u: instance.show(u, name))


def begin(a_fleet, target=None, strategy=None):
    return a_fleet.service.write(lambda u: migration.begin(u, "vm", target, strategy))


def moved(a_fleet):
    return a_fleet.service.read(migration.listing)[-1]


def domain(a_fleet, on):
    return next(iter(a_fleet.world.hosts[on].domains.values()), None)


def claims(a_fleet, **wanted):
    return a_fleet.service.read(lambda u: claim.listing(u, **wanted))


@pytest.mark.behaviour(73)
def test_a_guest_boots_moves_there_and_back_and_goes_without_special_hardware():
    played = booted()
    for target, strategy in [("b", StrategyName.NETDEV_RENAME), ("a", StrategyName.DESTINATION_XML)]:
        begin(played, strategy=strategy)
        played.run()
        assert moved(played).state is MigrationState.DONE
        assert shown(played).instance.host == target
        assert check.at_rest(played) == []
    played.service.write(lambda u: instance.delete(u, "vm"))
    played.run()
    assert played.service.read(instance.listing) == []
    assert check.at_rest(played) == []


@pytest.mark.behaviour(58, 62)
@BY
def test_the_guest_keeps_its_mac_and_its_slot_and_uses_the_device_that_is_claimed(strategy):
    played = booted()
    before = domain(played, "a").live
    begin(played, "b", strategy)
    played.run()
    after = domain(played, "b").live
    (link,) = domain(played, "b").taken.values()
    (kept,) = claims(played)
    assert (kept.host, kept.state) == ("b", ClaimState.ACTIVE)
    assert played.world.hosts["b"].links[kept.device_id.removeprefix("b/")] is link
    netdev = domain(played, "b").taken.keys()
    assert before.replace("enp1s0v0", next(iter(netdev))) == after


@pytest.mark.behaviour(56)
def test_the_target_device_may_be_another_vf_of_another_card():
    played = fleet(ports=2)
    boot(played, "other", ["p1"], host="b")
    played.run()
    boot(played)
    played.run()
    begin(played, "b")
    played.run()
    source, target = (
        moved(played).plan.moves[0].source_address,
        moved(played).plan.moves[0].target_address,
    )
    assert (source, target) == ("0000:01:10.0", "0000:02:10.2")
    assert check.at_rest(played) == []


@pytest.mark.behaviour(55)
def test_a_move_to_a_host_without_a_free_device_is_refused_with_reasons_and_touches_nothing():
    played = fleet(vfs=1, ports=2)
    boot(played)
    boot(played, "other", ["p1"], host="b")
    played.run()
    before = played.snapshot()
    with pytest.raises(Conflict) as refused:
        begin(played, "b")
    assert refused.value.code == "no-fit" and refused.value.detail["hosts"].keys() == {"b"}
    assert played.service.read(migration.listing) == []
    assert played.snapshot() == before


@pytest.mark.behaviour(55)
def test_the_target_is_claimed_and_prepared_before_anything_moves():
    played = booted()
    seen = []

    def look(moving):
        seen.append([(c.host, c.state) for c in claims(played)])
        assert moving.phase is Phase.TARGET_CREATED
        played.world.on_phase = None

    begin(played, "b")
    played.world.on_phase = look
    played.run()
    assert sorted(seen[0]) == [("a", ClaimState.ACTIVE), ("b", ClaimState.HELD)]


@pytest.mark.behaviour(61)
@pytest.mark.parametrize("after", [Phase.BEGUN, Phase.TARGET_CREATED, Phase.TRANSFERRED, Phase.SOURCE_PAUSED])
@BY
def test_a_move_that_libvirt_gives_up_leaves_the_guest_where_it_was_and_nothing_else(after, strategy):
    played = booted()
    played.world.fail_next_migration("the wire broke", after=after)
    begin(played, "b", strategy)
    played.run()
    assert moved(played).state is MigrationState.FAILED and "the wire broke" in moved(played).error
    assert shown(played).instance.host == "a" and domain(played, "a").state is DomainState.RUNNING
    assert check.at_rest(played) == []


@pytest.mark.behaviour(61, 65)
def test_an_abort_in_mid_flight_leaves_the_guest_where_it_was_and_is_told_with_its_steps():
    played = booted()
    played.unrest = 0.5
    id = begin(played, "b").id

    def abort(moving):
        if moving.phase is Phase.TARGET_CREATED:
            played.service.write(partial(migration.abort, id=id))
        whole(moving)

    whole, played.world.on_phase = played.world.on_phase, abort
    played.world.fail_next_migration("canceled by client", after=Phase.SOURCE_PAUSED)
    played.run()
    row = moved(played)
    assert row.state is MigrationState.ABORTED and row.ended_at is not None
    assert [(record.name, record.direction) for record in row.records] == [
        (StepName.PREPARE, Direction.FORWARD),
        (StepName.BIND, Direction.FORWARD),
        (StepName.MIGRATE, Direction.FORWARD),
        (StepName.SURVEY, Direction.FORWARD),
        (StepName.SURVEY, Direction.BACK),
    ]
    assert all(record.ended_at is not None for record in row.records)
    assert domain(played, "a").state is DomainState.RUNNING and check.at_rest(played) == []


@pytest.mark.behaviour(65)
def test_each_step_of_a_move_is_recorded_with_its_times_and_the_silence_of_the_guest():
    played = booted()
    begin(played)
    played.run()
    row = moved(played)
    assert [record.name for record in row.records] == list(StepName)
    times = [time for record in row.records for time in (record.began_at, record.ended_at)]
    assert times == sorted(times) and row.created_at == times[0] and row.ended_at == times[-1]
    assert row.paused_seconds is not None and 0 < row.paused_seconds < 1


@pytest.mark.behaviour(61)
def test_a_killed_source_agent_finds_its_move_ended_and_the_books_follow():
    played = booted()
    begin(played, "b")
    whole = played.world.on_phase

    def kill(moving):
        if moving.phase is Phase.TRANSFERRED:
            played.crash("a")
        whole(moving)

    played.world.on_phase = kill
    played.run()
    assert moved(played).state is MigrationState.DONE
    assert shown(played).instance.host == "b" and check.at_rest(played) == []


@pytest.mark.behaviour(35)
def test_the_last_device_has_one_winner_and_the_other_boot_is_told_before_any_host_is_asked():
    played = fleet(vfs=1, ports=2)
    boot(played, "first", ["p0"])
    with pytest.raises(Conflict) as lost:
        boot(played, "second", ["p1"])
    assert lost.value.code == "no-fit"
    played.run()
    assert shown(played, "first").instance.status is InstanceStatus.RUNNING
    assert [one.name for one in played.service.read(instance.listing)] == ["first"]
    assert check.at_rest(played) == []


@pytest.mark.behaviour(38, 40)
def test_a_boot_that_fails_gives_its_device_back_as_it_was_and_another_may_have_it():
    played = fleet(vfs=1, ports=2)
    SimLibvirt(played.world, played.world.hosts["a"]).define(
        "<domain type='qemu'><name>vm</name><uuid>0d2d39a3-3e2c-4b3e-8d7e-111111111111</uuid></domain>"
    )  # somebody else's domain has the name
    boot(played, strategy=StrategyName.NETDEV_RENAME)
    played.run()
    failed = shown(played).instance
    assert failed.status is InstanceStatus.ERROR and "already exists" in failed.error
    assert claims(played) == []
    link = next(link for link in played.world.hosts["a"].links.values() if link.netdev == "enp1s0v0")
    assert (link.mac, link.altnames) == (link.factory_mac, set())
    boot(played, "second", ["p1"])
    played.run()
    assert shown(played, "second").instance.status is InstanceStatus.RUNNING


@pytest.mark.behaviour(37, 67)
def test_an_instance_that_is_deleted_while_its_agent_starts_it_goes_without_a_trace():
    start = fleet().snapshot()
    for seed in range(20):
        played = Fleet(start=start, seed=seed, unrest=0.3)
        boot(played)
        played.run(happenings={seed: lambda f: f.service.write(lambda u: instance.delete(u, "vm"))})
        assert played.service.read(instance.listing) == []
        assert claims(played) == [] and domain(played, "a") is None
        assert check.at_rest(played) == []


@pytest.mark.behaviour(77)
def test_a_guest_that_powered_itself_off_is_stopped_and_stays_so_until_somebody_starts_it():
    played = booted()
    played.world.hosts["a"].end(domain(played, "a"))
    played.run()
    played.crash("a")
    played.run()
    assert shown(played).instance.status is InstanceStatus.STOPPED
    assert domain(played, "a").state is DomainState.SHUTOFF
    assert [c.state for c in claims(played)] == [ClaimState.ACTIVE] and check.at_rest(played) == []
    played.service.write(lambda u: instance.start(u, "vm"))
    played.run()
    assert domain(played, "a").state is DomainState.RUNNING and check.at_rest(played) == []


@pytest.mark.behaviour(67, 77)
@BY
def test_after_a_hosts_reboot_its_guests_start_again_in_a_new_generation(strategy):
    played = fleet()
    boot(played, strategy=strategy)
    played.run()
    played.reboot("a")
    played.run()
    again = shown(played).instance
    assert (again.status, again.start_generation) == (InstanceStatus.RUNNING, 2)
    assert domain(played, "a").state is DomainState.RUNNING and check.at_rest(played) == []


@pytest.mark.behaviour(77)
def test_a_guest_that_moved_away_is_never_started_again_on_the_host_it_left():
    played = booted()
    begin(played, "b")
    played.run()
    for again in (played.crash, played.reboot):
        again("a")
        played.run()
        assert domain(played, "a") is None
    assert domain(played, "b").state is DomainState.RUNNING and check.at_rest(played) == []


@pytest.mark.behaviour(77)
def test_a_control_plane_that_was_restored_from_a_backup_wipes_no_host():
    played = fleet()
    before = played.snapshot()
    boot(played)
    played.run()
    restored = Fleet(start=replace(played.snapshot(), store=before.store))
    restored.run()
    assert domain(restored, "a").state is DomainState.RUNNING
    assert "restored from a backup" in told(restored, "a").frozen
    assert restored.keepers["a"].load().priors.keys() == played.keepers["a"].load().priors.keys()


@pytest.mark.behaviour(77)
def test_a_control_plane_of_another_installation_is_not_obeyed():
    played, strangers = booted(), fleet(seed=1)
    taken_over = Fleet(start=replace(played.snapshot(), store=strangers.snapshot().store), seed=1)
    assert taken_over.service.read(lambda u: u.installation) != played.service.read(lambda u: u.installation)
    taken_over.run()
    assert domain(taken_over, "a").state is DomainState.RUNNING
    assert "belongs to installation" in told(taken_over, "a").frozen


def told(a_fleet, name):
    return a_fleet.service.read(lambda u: host.show(u, name)).observed


def test_who_speaks_in_an_epoch_that_is_over_is_answered_so_and_begins_anew():
    played = booted()
    epoch = played.agents["a"].epoch
    played.service.write(
        lambda u: host.begin_epoch(u, "a", boot_id="boot-1", migrate_uri="sim://a", bridge_mappings={})
    )
    with pytest.raises(Gone):
        played.service.write(lambda u: host.put_inventory(u, "a", epoch, ()))
    played.world.hosts["a"].end(domain(played, "a"))  # something to tell
    played.run()
    assert played.agents["a"].epoch == epoch + 2
    assert shown(played).instance.status is InstanceStatus.STOPPED


@pytest.mark.behaviour(39, 61)
def test_a_report_from_the_midst_of_a_start_fails_no_boot():
    """It may show the journal after the start and the domain before it."""
    played = fleet()
    id = boot(played).id
    version = played.service.read(lambda u: host.show(u, "a")).desired_version
    epoch = played.agents["a"].epoch
    torn = ObservedDomain(instance_id=id, state=DomainState.SHUTOFF, started=1, is_busy=True)
    for sequence, one in [(100, torn), (101, replace(torn, is_busy=False))]:
        report = ObservedState(
            installation="i",
            epoch=epoch,
            version=version,
            boot_id="boot-1",
            sequence=sequence,
            domains=(one,),
        )
        played.service.write(lambda u: host.put_observed(u, "a", epoch, report))  # noqa: B023
        is_failed = shown(played).instance.status is InstanceStatus.ERROR
        assert is_failed is not one.is_busy


@pytest.mark.behaviour(61)
@pytest.mark.parametrize("look", ["live_xml", "inactive_xml"])
def test_a_look_that_fails_before_the_pivot_only_puts_the_move_off(look):
    class Struck(Faults):
        def around(self, name, effect, *, is_look=False):
            if name == f"a.libvirt.{look}" and not self.met:
                self.looks[self.count_of_looks] = Fault.FAIL
            return super().around(name, effect, is_look=is_look)

    played = Fleet(start=booted().snapshot(), faults=Struck())
    begin(played, "b", StrategyName.DESTINATION_XML)
    played.run()
    assert played.faults.met and moved(played).state is MigrationState.DONE


class LateInventory(Faults):
    """The first inventory of host b is on its way for long."""

    def around(self, name, effect, *, is_look=False):
        if name == "b.control.put_inventory" and not self.met:
            self.plan[self.count] = Fault.LATE
        return super().around(name, effect, is_look=is_look)


def test_an_inventory_that_arrives_after_a_newer_one_is_not_believed():
    """Whoever gives a request up cannot know that it will not arrive: its epoch ends with it."""
    played = booted()
    begin(played, "b", StrategyName.NETDEV_RENAME)  # which gives a device of b another name
    start = played.snapshot()
    for seed in range(20):
        late = Fleet(start=start, seed=seed, faults=LateInventory())
        late.run()
        assert late.faults.met and check.at_rest(late) == []
