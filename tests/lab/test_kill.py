"""What dies in the middle: agents, control plane, libvirtd, QEMU. The end is as if nothing had died."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from house import Guest, House

from jackfield.model.instance import InstanceStatus
from jackfield.model.migration import Direction, MigrationState, StepName, StrategyName
from jackfield.model.port import logical_name
from jackfield.wire.migration import Migration

pytestmark = pytest.mark.lab
LABORATORY = "test-kill-9"
RENAME, DESTINATION = StrategyName.NETDEV_RENAME, StrategyName.DESTINATION_XML


def named(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else " and ".join(value)


def is_qemu(pid: int | None) -> bool:
    """Not its forerunner, which waits for libvirt's word. If libvirtd dies before that, libvirt 9.0 comes
    back with a domain that is starting up for ever, which nothing ends but one more restart.
    """
    try:
        return pid is not None and Path(f"/proc/{pid}/exe").readlink().name.startswith("qemu")
    except OSError:
        return False


# Boot


BOOT_POINTS: dict[str, Callable[[House, Guest], bool]] = {
    "right after the request": lambda house, guest: True,
    "after the device was renamed": lambda house, guest: any(
        logical_name(port.id) in house.ha.links() for port in guest.detail.ports
    ),
    "after QEMU was started": lambda house, guest: is_qemu(house.ha.qemu_pid(guest.name)),
}


BOOT_KILLS = [("right after the request", ("agent ha", "control"))] + [
    (point, (victim,))
    for point in ("after the device was renamed", "after QEMU was started")
    for victim in ("agent ha", "control", "libvirtd ha")
]


@pytest.mark.behaviour(37, 39, 61, 77)
@pytest.mark.parametrize(("point", "victims"), BOOT_KILLS, ids=named)
def test_a_boot_ends_as_without_the_kill(house: House, point: str, victims: tuple[str, ...]):
    guest = house.begin_boot(strategy=RENAME)
    house.until(point, lambda: BOOT_POINTS[point](house, guest))
    house.kill(*victims)
    house.let_pass(0.5)
    house.revive()
    guest.becomes(InstanceStatus.RUNNING)
    guest.answers()
    guest.is_whole_on("ha")
    # A libvirtd that comes back ends a QEMU that was not running yet, and that start has to be repeated.
    assert guest.starts_on(house.ha) == 1 or "libvirtd ha" in victims
    guest.delete()
    assert house.fleet.leftovers() == []


# Move


@dataclass(frozen=True)
class MovePoint:
    bandwidth_mib: int | None
    is_reached: Callable[[House, Guest, Migration], bool]


MOVE_POINTS = {
    "right after the request": MovePoint(None, lambda house, guest, move: True),
    "while the target prepares": MovePoint(
        None, lambda house, guest, move: logical_name(move.plan.moves[0].port_id) in house.hb.links()
    ),
    "in mid-flight": MovePoint(16, lambda house, guest, move: bool(house.in_flight(move))),
    "right after the pivot": MovePoint(None, lambda house, guest, move: guest.hosts() == ["hb"]),
}


EVERYBODY = ("agent ha", "agent hb", "control")
MOVE_KILLS = [("right after the request", EVERYBODY)] + [
    (point, victims)
    for point in ("while the target prepares", "in mid-flight", "right after the pivot")
    for victims in (*((one,) for one in EVERYBODY), EVERYBODY)
]


@pytest.mark.behaviour(37, 46, 58, 61, 62, 77)
@pytest.mark.parametrize(("point", "victims"), MOVE_KILLS, ids=named)
def test_a_move_ends_as_without_the_kill(house: House, point: str, victims: tuple[str, ...]):
    guest = house.boot(strategy=RENAME)
    uptime = guest.uptime()
    chosen = MOVE_POINTS[point]
    begun = guest.begin_move("hb", bandwidth_mib=chosen.bandwidth_mib)
    house.until(point, lambda: chosen.is_reached(house, guest, begun))
    house.kill(*victims)
    house.let_pass(0.5)
    house.revive()
    done = house.ended(begun)
    assert done.state is MigrationState.DONE, f"{done!r}\n{house.fleet.logs()}"
    guest.answers()
    assert guest.uptime() >= uptime
    guest.is_whole_on("hb")
    assert guest.starts_on(house.ha) == 1


@pytest.mark.behaviour(61, 77)
def test_a_move_ends_while_its_agent_is_away_and_nobody_starts_the_guest_again(house: House):
    guest = house.boot(strategy=DESTINATION)
    uptime = guest.uptime()
    begun = guest.begin_move("hb", bandwidth_mib=32)
    house.in_flight(begun)
    house.kill("agent ha")
    house.until("libvirt has moved the guest by itself", lambda: guest.hosts() == ["hb"])
    house.let_pass()
    assert guest.hosts() == ["hb"]
    assert house.client.migration(begun.id).state is MigrationState.RUNNING
    house.revive()
    assert house.ended(begun).state is MigrationState.DONE
    guest.answers()
    assert guest.uptime() >= uptime
    guest.is_whole_on("hb")
    assert guest.starts_on(house.ha) == 1


@pytest.mark.behaviour(61, 65)
def test_an_agent_that_died_in_mid_flight_takes_the_move_up_again_and_can_abort_it(house: House):
    guest = house.boot(strategy=RENAME)
    begun = guest.begin_move("hb", bandwidth_mib=4)
    percent = house.in_flight(begun).percent_moved
    house.kill("agent ha")
    house.revive()
    later = house.until(
        "it has moved on", lambda: (house.in_flight(begun).percent_moved or 0) > (percent or 0)
    )
    assert later
    house.client.abort_migration(begun.id)
    stays(house, guest, begun, MigrationState.ABORTED)


@pytest.mark.behaviour(38)
def test_a_deleted_guest_keeps_its_device_until_its_agent_is_back_and_has_proved_the_release(house: House):
    guest = house.boot(strategy=RENAME)
    house.kill("agent ha")
    house.client.delete_instance(guest.id)
    house.let_pass(3)
    assert guest.hosts() == ["ha"] and guest.detail.status is InstanceStatus.DELETING
    (claim,) = guest.detail.claims
    assert house.client.device(claim.device_id).claim_id == claim.id
    house.revive()
    house.until("the guest is gone", lambda: not house.client.instances())
    assert house.fleet.leftovers() == []


@pytest.mark.behaviour(61)
def test_a_slow_move_holds_up_no_other_guest(house: House):
    slow = house.boot(strategy=RENAME)
    begun = slow.begin_move("hb", bandwidth_mib=4)
    house.in_flight(begun)
    quick = house.boot(strategy=RENAME)
    house.in_flight(begun)
    there = quick.begin_move("hb")
    assert house.ended(there).state is MigrationState.DONE
    house.in_flight(begun)
    quick.delete()
    house.in_flight(begun)
    house.client.abort_migration(begun.id)
    stays(house, slow, begun, MigrationState.ABORTED)


@pytest.mark.behaviour(77)
def test_a_running_guest_needs_neither_agents_nor_control_plane(house: House):
    guest = house.boot(strategy=RENAME)
    before, uptime = guest.detail, guest.uptime()
    house.kill(*EVERYBODY)
    house.let_pass(3)
    guest.answers()
    house.revive()
    house.let_pass(2)
    assert guest.uptime() > uptime
    assert guest.detail == before
    guest.is_whole_on("ha")
    assert guest.starts_on(house.ha) == 1
    guest.move("hb")


# Moves that fail


@pytest.mark.behaviour(61, 65)
@pytest.mark.parametrize("strategy", [RENAME, DESTINATION])
def test_an_aborted_move_leaves_the_guest_where_it_was_and_nothing_on_the_target(house: House, strategy):
    guest = house.boot(strategy=strategy)
    begun = guest.begin_move("hb", bandwidth_mib=4)
    house.in_flight(begun)
    house.client.abort_migration(begun.id)
    stays(house, guest, begun, MigrationState.ABORTED)


@pytest.mark.behaviour(61)
def test_a_move_aborted_before_the_pivot_never_asks_libvirt(house: House):
    guest = house.boot(strategy=RENAME)
    house.kill("agent hb")
    begun = guest.begin_move("hb")
    house.client.abort_migration(begun.id)
    house.revive()
    ended = stays(house, guest, begun, MigrationState.ABORTED)
    assert StepName.MIGRATE not in [record.name for record in ended.records]


@pytest.mark.behaviour(61)
def test_a_move_whose_target_qemu_dies_leaves_the_guest_on_the_source(house: House):
    guest = house.boot(strategy=RENAME)
    begun = guest.begin_move("hb", bandwidth_mib=4)
    house.in_flight(begun)
    house.kill(f"{guest.name} hb")
    stays(house, guest, begun, MigrationState.FAILED)


@pytest.mark.behaviour(61)
@pytest.mark.parametrize(("end", "strategy"), [("ha", RENAME), ("hb", DESTINATION)])
def test_a_move_whose_libvirtd_dies_leaves_the_guest_on_the_source(house: House, end: str, strategy):
    guest = house.boot(strategy=strategy)
    begun = guest.begin_move("hb", bandwidth_mib=4)
    house.in_flight(begun)
    house.kill(f"libvirtd {end}")
    house.let_pass(1)
    house.revive()
    stays(house, guest, begun, MigrationState.FAILED)


@pytest.mark.behaviour(61)
def test_a_move_whose_target_loses_the_macvtap_leaves_the_guest_on_the_source(house: House):
    guest = house.boot(strategy=RENAME)
    begun = guest.begin_move("hb", bandwidth_mib=16)
    house.in_flight(begun)
    (macvtap,) = (name for name, link in house.hb.links().items() if link.kind == "macvtap")
    house.hb.run("ip", "link", "del", macvtap, check=True)
    stays(house, guest, begun, MigrationState.FAILED)


@pytest.mark.behaviour(9, 61)
def test_a_device_that_somebody_renames_in_mid_flight_is_put_back_as_it_was(house: House):
    guest = house.boot(strategy=RENAME)
    begun = guest.begin_move("hb", bandwidth_mib=16)
    house.in_flight(begun)
    house.hb.run("ip", "link", "set", begun.plan.moves[0].target_netdev or "", "name", "oops", check=True)
    ended = house.ended(begun)
    guest.answers()
    guest.is_whole_on("hb" if ended.state is MigrationState.DONE else "ha")


def stays(house: House, guest: Guest, begun: Migration, state: MigrationState) -> Migration:
    """The move ended so, the guest never noticed, nothing is on the target, and the next move succeeds."""
    uptime = guest.uptime()
    ended = house.ended(begun)
    assert (ended.state, ended.direction) == (state, Direction.BACK), f"{ended!r}\n{house.fleet.logs()}"
    assert ended.error
    guest.answers()
    guest.is_whole_on("ha")
    assert guest.uptime() >= uptime
    assert house.client.claims(host="hb") == ()
    guest.move("hb")
    assert guest.starts_on(house.ha) == 1
    return ended


# The control plane and its database


@pytest.mark.behaviour(37, 77)
def test_a_control_plane_started_again_on_its_database_knows_everything(house: House):
    guest = house.boot(strategy=RENAME)

    def known() -> list[object]:
        client = house.client
        return [guest.detail, client.flavors(), client.networks(), client.ports(), client.claims()]

    before = known()
    house.kill("control")
    house.revive()
    assert known() == before
    guest.move("hb")


@pytest.mark.behaviour(77)
def test_an_agent_that_meets_another_installation_freezes_and_touches_no_guest(house: House):
    guest = house.boot(strategy=RENAME)
    tokens = {name: (house.fleet.folder / name / "token").read_text() for name in ("ha", "hb")}
    own = house.fleet.token_file.parent
    house.fleet.stop()
    house.fleet.start_control(house.fleet.folder / "stranger")
    with house.fleet.client() as stranger:
        for name in tokens:
            token = stranger.add_host(name).token
            assert token is not None
            house.fleet.write_token(name, token)
            house.fleet.start_agent(name)
        frozen = house.until("ha is frozen", lambda: stranger.host("ha").frozen)
        assert "belongs to installation" in frozen
        house.let_pass()
    guest.answers()
    assert guest.hosts() == ["ha"] and guest.starts_on(house.ha) == 1
    house.fleet.stop()
    for name, token in tokens.items():
        house.fleet.write_token(name, token)
    house.fleet.start_control(own)
    house.revive()
    guest.is_whole_on("ha")
    guest.move("hb")


@pytest.mark.behaviour(77)
def test_agents_outlive_a_control_plane_that_does_not_know_them(house: House):
    guest = house.boot(strategy=RENAME)
    own = house.fleet.token_file.parent
    house.kill("control")
    house.fleet.start_control(house.fleet.folder / "nobody")
    house.let_pass()
    assert house.fleet.ended() == []
    guest.answers()
    house.kill("control")
    house.fleet.start_control(own)
    house.revive()
    guest.is_whole_on("ha")
    guest.move("hb")


@pytest.mark.behaviour(77)
def test_a_control_plane_restored_from_a_backup_wipes_no_guest(house: House):
    own = house.fleet.token_file.parent
    backup = own.with_name("backup")
    house.fleet.stop()
    shutil.copytree(own, backup)
    house.revive()
    guest = house.boot(strategy=RENAME)
    house.fleet.stop()
    kept = own.with_name("kept")
    own.rename(kept)
    backup.rename(own)
    house.revive()
    assert all(one.id != guest.id for one in house.client.instances())
    frozen = house.until("ha is frozen", lambda: house.client.host("ha").frozen)
    assert "restored from a backup" in frozen
    house.let_pass()
    guest.answers()
    assert guest.hosts() == ["ha"] and guest.starts_on(house.ha) == 1
    house.fleet.stop()
    shutil.rmtree(own)
    kept.rename(own)
    house.revive()
    house.until("ha obeys again", lambda: house.client.host("ha").frozen is None)
    guest.is_whole_on("ha")


# Everything at once


@pytest.mark.behaviour(61)
def test_kill_9_of_everything_and_the_laboratory_still_comes_down_without_a_trace():
    house = House("test-kill-all")
    try:
        house.open()
        guest = house.boot(strategy=RENAME)
        begun = guest.begin_move("hb", bandwidth_mib=4)
        house.in_flight(begun)
        house.kill(*EVERYBODY, "libvirtd ha", "libvirtd hb", f"{guest.name} ha", f"{guest.name} hb")
    finally:
        house.close()
