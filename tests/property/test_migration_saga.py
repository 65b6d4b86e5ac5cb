"""Boots, moves, stops and deletions under crashes, lost replies and refusals at every effect.

Whatever is struck, the end is the same as without: what ran runs once, on what is claimed for it, and
nothing is left over. A failing example prints its `Story`; `tell(Story(...))` plays it again, exactly.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, partial

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from jackfield.model.attachment import DomainState
from jackfield.model.error import Conflict
from jackfield.model.instance import InstanceStatus, Machine
from jackfield.model.migration import MigrationState, StrategyName
from jackfield.model.network import SegmentKind
from jackfield.model.port import VnicType
from jackfield.service import flavor, instance, migration, network, port
from jackfield.sim import check
from jackfield.sim.fault import Fault, Faults
from jackfield.sim.fleet import Fleet, Snapshot
from jackfield.sim.machine import sim_host
from jackfield.sim.migration import Phase
from jackfield.sim.world import World

DESTINATION_XML, NETDEV_RENAME = StrategyName.DESTINATION_XML, StrategyName.NETDEV_RENAME


class Happening(StrEnum):
    """What may come at any step from outside."""

    ABORT = "abort"
    RESTART_CONTROL = "restart-control"
    POWER_OFF = "power-off"
    DEADLINE = "deadline"
    KILL_A = "kill-a"
    KILL_B = "kill-b"
    REBOOT_A = "reboot-a"
    REBOOT_B = "reboot-b"
    REFUSE_BEGUN = "refuse-begun"
    REFUSE_CREATED = "refuse-created"
    REFUSE_TRANSFERRED = "refuse-transferred"
    REFUSE_PAUSED = "refuse-paused"


class Deed(StrEnum):
    """What a user asks for."""

    BOOT = "boot"
    MOVE = "move"
    STOP = "stop"
    START = "start"
    DELETE = "delete"


@dataclass(frozen=True, kw_only=True)
class Story:
    deeds: tuple[Deed, ...]
    guests: int = 1
    ports: int = 1
    """Of each guest."""
    born_as: StrategyName = DESTINATION_XML
    moves_by: StrategyName = StrategyName.AUTO
    faults: tuple[tuple[int, Fault], ...] = ()
    """Effects that are struck, by their number."""
    looks: tuple[tuple[int, Fault], ...] = ()
    """Looks that are struck, by theirs."""
    happenings: tuple[tuple[int, Happening], ...] = ()
    """By the step of the first deed."""
    seed: int = 0
    unrest: float = 0.0
    """The chance that something else happens in the midst of an effect."""


@cache
def prepared(guests: int, ports: int, born_as: StrategyName, *, is_booted: bool) -> Snapshot:
    """Two hosts with a network, a flavor and free ports, or with guests that run.

    There are just as many devices as one host full of guests needs: what is freed is wanted again.
    """
    world = World()
    for bus, name in enumerate("ab", start=1):
        world.add(sim_host(name, bus, vfs=max(2, guests * ports)))
    fleet = Fleet(world)
    fleet.run()
    fleet.service.write(lambda u: flavor.create(u, "fast", [{"vendor": "8086", "product": "10ca"}]))
    fleet.service.write(lambda u: network.create(u, "net", "physnet1", SegmentKind.FLAT))
    for name in names(guests):
        for number in range(ports):
            fleet.service.write(lambda u: port.create(u, f"{name}-{number}", "net", VnicType.MACVTAP, "fast"))  # noqa: B023
    if is_booted:
        for name in names(guests):
            boot(fleet, name, ports, born_as)
        fleet.run()
        assert {one.status for one in fleet.service.read(instance.listing)} == {InstanceStatus.RUNNING}
    return fleet.snapshot()


def names(guests):
    return [f"vm{number}" for number in range(guests)]


def boot(fleet, name, ports, born_as):
    machine = Machine(kernel="/boot/vmlinuz", domain_type="qemu")
    wanted = [f"{name}-{number}" for number in range(ports)]
    fleet.service.write(lambda u: instance.boot(u, name, machine, wanted, host="a", strategy=born_as))


def ask(fleet, deed, story, name):
    """What a user asks for; what has become of the guest may not allow it."""
    write = fleet.service.write
    with contextlib.suppress(Conflict):
        match deed:
            case Deed.BOOT:
                boot(fleet, name, story.ports, story.born_as)
            case Deed.MOVE:
                write(lambda u: migration.begin(u, name, None, story.moves_by))
            case Deed.STOP:
                write(lambda u: instance.stop(u, name))
            case Deed.START:
                write(lambda u: instance.start(u, name))
            case Deed.DELETE:
                write(lambda u: instance.delete(u, name))


def happen(what, fleet):
    match what:
        case Happening.ABORT:
            for row in fleet.service.read(migration.listing):
                with contextlib.suppress(Conflict):  # it is past it
                    fleet.service.write(partial(migration.abort, id=row.id))
        case Happening.RESTART_CONTROL:
            fleet.restart_control()
        case Happening.POWER_OFF:
            for host in fleet.world.hosts.values():
                for domain in [d for d in host.domains.values() if d.state is DomainState.RUNNING]:
                    host.end(domain)
        case Happening.DEADLINE:
            fleet.clock.go_on(700)
        case Happening.KILL_A | Happening.KILL_B:
            fleet.crash(what.value[-1])
        case Happening.REBOOT_A | Happening.REBOOT_B:
            fleet.reboot(what.value[-1])
        case _:
            fleet.world.fail_next_migration("the wire broke", after=REFUSED_AFTER[what])


REFUSED_AFTER = {
    Happening.REFUSE_BEGUN: Phase.BEGUN,
    Happening.REFUSE_CREATED: Phase.TARGET_CREATED,
    Happening.REFUSE_TRANSFERRED: Phase.TRANSFERRED,
    Happening.REFUSE_PAUSED: Phase.SOURCE_PAUSED,
}


def tell(story: Story) -> Fleet:
    """Plays the story to its end and holds every moment of it against what must be true."""
    is_booted = story.deeds[0] is not Deed.BOOT
    fleet = Fleet(
        start=prepared(story.guests, story.ports, story.born_as, is_booted=is_booted),
        seed=story.seed,
        faults=Faults(dict(story.faults), dict(story.looks)),
        unrest=story.unrest,
        watch=watch,
    )
    happenings = {step: partial(happen, what) for step, what in story.happenings}
    try:
        for deed in story.deeds:
            for name in names(story.guests):
                ask(fleet, deed, story, name)
            fleet.run(happenings=happenings)
            happenings = {}
            assert check.at_rest(fleet) == []
        assert_nothing_ended_without_a_reason(fleet, story)
    finally:
        note(f"struck: {fleet.faults.met}")
        fleet.store.close()
    return fleet


def watch(fleet):
    assert check.always(fleet) == []


def assert_nothing_ended_without_a_reason(fleet, story):
    """Faults alone, crashes included, change no end; but see `IN_THE_PIVOT`."""
    came = {what for _, what in story.happenings}
    in_the_pivot = any(IN_THE_PIVOT.search(fault) for fault in fleet.faults.met) or (
        story.unrest and any("crash" in fault for fault in fleet.faults.met)
    )
    for row in fleet.service.read(migration.listing):
        match row.state:
            case MigrationState.FAILED:
                assert in_the_pivot or came & FAILING, row.error
            case MigrationState.ABORTED:
                assert came & {Happening.ABORT, Happening.DEADLINE}
            case _:
                assert row.state is MigrationState.DONE
    for one in fleet.service.read(instance.listing):
        match one.status:
            case InstanceStatus.STOPPED:
                assert came & ENDING or Deed.STOP in story.deeds
            case InstanceStatus.ERROR:
                assert came & ENDING, one.error
            case _:
                assert one.status is InstanceStatus.RUNNING


# An order that was journalled, and perhaps carried out, is never repeated: such a move fails, whole.
IN_THE_PIVOT = re.compile(r"journal\.keep: (crash|lose)|libvirt\.migrate:|migration\.")
ENDING = {Happening.POWER_OFF, Happening.DEADLINE, Happening.REBOOT_A, Happening.REBOOT_B}
FAILING = ENDING | REFUSED_AFTER.keys() | {Happening.KILL_A, Happening.KILL_B}
"""After a deadline a move has no time left to be asked to abort: it may also fail."""


def stories(*deeds, guests=1, ports=(1,), happenings=tuple(Happening)):
    def some(what, most, until):
        chosen = st.dictionaries(st.integers(0, until), what, max_size=most)
        return chosen.map(lambda them: tuple(sorted(them.items())))

    return st.sampled_from(deeds).flatmap(
        lambda chosen: st.builds(
            Story,
            deeds=st.just(chosen),
            guests=st.just(guests),
            ports=st.sampled_from(ports),
            born_as=st.sampled_from([DESTINATION_XML, NETDEV_RENAME]),
            moves_by=st.sampled_from(StrategyName),
            # A move alone has some 35 effects and 60 looks; what is beyond the last one strikes nothing.
            faults=some(st.sampled_from(Fault), 4, 40 * len(chosen) * guests),
            looks=some(st.sampled_from(Fault), 2, 60 * len(chosen) * guests),
            happenings=some(st.sampled_from(happenings), 2, 60 * guests),
            seed=st.integers(0, 2**32),
            unrest=st.sampled_from([0.0, 0.05, 0.3]),
        )
    )


def examples(number):
    return settings(max_examples=number, deadline=None, print_blob=True)


MOVE, BOOT, STOP, START, DELETE = Deed.MOVE, Deed.BOOT, Deed.STOP, Deed.START, Deed.DELETE


@pytest.mark.behaviour(37, 40, 55, 58, 61, 62)
@examples(2000)
@given(stories((MOVE,)))
def test_a_move_ends_whole(story):
    tell(story)


@pytest.mark.behaviour(37, 58, 61, 62)
@examples(700)
@given(stories((MOVE,), ports=(2,)))
def test_a_move_of_two_ports_ends_whole(story):
    tell(story)


@pytest.mark.behaviour(37, 58, 61, 62)
@examples(700)
@given(stories((MOVE, MOVE), (MOVE, DELETE)))
def test_a_way_there_and_back_ends_whole(story):
    tell(story)


@pytest.mark.behaviour(37, 38, 58, 61)
@examples(500)
@given(stories((MOVE,), (MOVE, MOVE), guests=2))
def test_two_guests_that_move_at_once_end_whole(story):
    tell(story)


@pytest.mark.behaviour(37, 39, 40)
@examples(600)
@given(stories((BOOT,), (BOOT, MOVE), ports=(1, 2)))
def test_a_boot_ends_whole(story):
    tell(story)


@pytest.mark.behaviour(37, 38, 53, 77)
@examples(600)
@given(stories((STOP, START), (DELETE,), (STOP, DELETE), (STOP, START, MOVE), ports=(1, 2)))
def test_a_stop_a_start_and_a_deletion_end_whole(story):
    tell(story)
