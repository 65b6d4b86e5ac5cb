"""The other nouns: what is stored is what was given, names are unique, and references hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta, timezone

import pytest

from jackfield.model.address import MacAddress
from jackfield.model.attachment import (
    AttachmentReport,
    AttachmentState,
    DomainState,
    ObservedDomain,
    ObservedInterface,
    ObservedState,
    OrderReport,
    OrderState,
    Power,
)
from jackfield.model.error import Conflict, NotFound
from jackfield.model.flavor import Flavor, parse_alternatives
from jackfield.model.instance import Instance, InstanceStatus, Machine
from jackfield.model.migration import (
    Direction,
    Migration,
    MigrationState,
    Plan,
    PlannedMove,
    PlannedStep,
    StepName,
    StepRecord,
    StrategyName,
)
from jackfield.model.network import Network, SegmentKind
from jackfield.model.port import Binding, Port, VifType, VnicType
from jackfield.store import flavor, host, idempotency, instance, migration, network, port, token, tombstone
from jackfield.store.tombstone import Tombstone

from .conftest import NOW, later

NET = Network(id="n1", name="net", physical_network="physnet1", segment=SegmentKind.VLAN, vlan=100)
PORT = Port(
    id="p1", name="port", network_id="n1", mac=MacAddress("fa:16:3e:00:00:01"), vnic_type=VnicType.MACVTAP,
    flavor="fast", strategy=StrategyName.NETDEV_RENAME, number=0, guest_address="0000:00:03.0",
)  # fmt: skip
GUEST = Instance(
    id="i1", name="guest", machine=Machine(kernel="/boot/vmlinuz", memory_mib=128), host="alpha",
    status=InstanceStatus.RUNNING, start_generation=2, started_generation=1,
    strategy=StrategyName.DESTINATION_XML, error="none so far",
)  # fmt: skip
MOVE = Migration(
    id="m1", instance_id="i1", source="alpha", target="beta", state=MigrationState.RUNNING,
    plan=Plan(
        source="alpha", target="beta", reasons=("auto takes the first",),
        moves=(
            PlannedMove(
                port_id="p1", mac="fa:16:3e:00:00:01", source_claim_id="c1", target_claim_id="c2",
                source_address="0000:01:10.0", target_address="0000:02:10.0",
                strategy=StrategyName.NETDEV_RENAME, target_netdev="ethp1",
            ),
        ),
        steps=(PlannedStep(name=StepName.PREPARE, host="beta", does="prepares", undo="releases"),),
    ),
    direction=Direction.FORWARD, position=StepName.PREPARE, generation=1, deadline=later(60),
    survey={"alpha": 3}, created_at=NOW, bandwidth_mib=4, paused_seconds=0.125,
    records=(StepRecord(name=StepName.PREPARE, direction=Direction.FORWARD, began_at=NOW, note="begun"),),
)  # fmt: skip
REPORT = ObservedState(
    installation="here", epoch=3, version=7, boot_id="b", sequence=5, frozen="an old version",
    domains=(
        ObservedDomain(
            instance_id="i1", state=DomainState.RUNNING, started=2,
            interfaces=(ObservedInterface(mac=PORT.mac, netdev="eth2v0", guest_address="0000:00:03.0"),),
        ),
    ),
    attachments=(AttachmentReport(claim_id="c1", generation=1, state=AttachmentState.PREPARED, netdev="e"),),
    orders=(OrderReport(id="m1", generation=1, state=OrderState.RUNNING,
                        progress={"memory_total": 2**40}),),
)  # fmt: skip


@pytest.fixture
def world(fleet):
    """Two hosts, a network, an instance and its port."""
    fleet.host("alpha")
    fleet.host("beta")
    fleet.store.write(lambda c: (network.insert(c, NET), instance.insert(c, GUEST)))
    fleet.store.write(lambda c: port.insert(c, replace(PORT, instance_id="i1")))
    return fleet.store


def refused(code: str, store, work) -> Conflict:
    with pytest.raises(Conflict) as caught:
        store.write(work)
    assert caught.value.code == code
    return caught.value


def test_each_noun_comes_back_as_it_was_stored(world):
    fast = Flavor(
        name="fast", description="10G", strategy=StrategyName.AUTO,
        alternatives=parse_alternatives(
            [
                {"vendor": "8086", "driver": {"not": "vfio-pci"}, "a": True, "link_speed_mbps": {"min": 1}},
                {"product": ["10ca", "1520"], "physical_network": {"glob": "phys*"}},
            ],
            "test",
        ),
    )  # fmt: skip
    world.write(lambda c: (flavor.insert(c, fast), migration.insert(c, MOVE)))
    assert world.read(lambda c: flavor.get(c, "fast")) == fast
    assert world.read(lambda c: migration.get(c, "m1")) == MOVE
    assert world.read(lambda c: network.find(c, "net")) == NET == world.read(lambda c: network.find(c, "n1"))
    assert world.read(lambda c: instance.find(c, "guest")) == GUEST
    assert world.read(lambda c: port.find(c, "port")) == replace(PORT, instance_id="i1")


@pytest.mark.behaviour(14)
def test_the_conditions_of_a_flavor_keep_their_order(world):
    written = [{"z": 1, "a": 2, "m": 3}]
    world.write(lambda c: flavor.insert(c, Flavor(name="f", alternatives=parse_alternatives(written, "t"))))
    [found] = world.read(flavor.listing)
    assert [condition.attribute for condition in found.alternatives[0].conditions] == ["z", "a", "m"]


def test_a_time_in_any_zone_is_the_same_time_in_utc(world):
    there = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    world.write(lambda c: host.insert(c, host.Host(name="gamma", created_at=there)))
    found = world.read(lambda c: host.get(c, "gamma")).created_at
    assert found == NOW and found.utcoffset() == timedelta(0)


def test_names_are_unique_for_each_noun(world):
    refused("host-exists", world, lambda c: host.insert(c, host.Host(name="alpha", created_at=NOW)))
    refused("network-exists", world, lambda c: network.insert(c, replace(NET, id="n2")))
    refused("instance-exists", world, lambda c: instance.insert(c, replace(GUEST, id="i2")))
    other_mac = MacAddress("fa:16:3e:00:00:02")
    refused("port-exists", world, lambda c: port.insert(c, replace(PORT, id="p2", mac=other_mac)))
    plain = Flavor(name="f", alternatives=parse_alternatives([{}], "t"))
    world.write(lambda c: flavor.insert(c, plain))
    refused("flavor-exists", world, lambda c: flavor.insert(c, plain))


@pytest.mark.behaviour(49)
def test_macs_are_unique_in_the_fleet(world):
    clash = refused("mac-taken", world, lambda c: port.insert(c, replace(PORT, id="p2", name="other")))
    assert PORT.mac in clash.message and "'port'" in clash.message


@pytest.mark.parametrize(
    ("noun", "look"),
    [
        ("host", host.get), ("flavor", flavor.get), ("network", network.find), ("instance", instance.find),
        ("port", port.find), ("migration", migration.get),
    ],
)  # fmt: skip
def test_what_is_not_there_is_said_by_its_name(store, noun, look):
    with pytest.raises(NotFound) as caught:
        store.read(lambda c: look(c, "nothing"))
    assert caught.value.code == f"{noun}-not-found"
    assert "'nothing'" in caught.value.message


@pytest.mark.parametrize(
    "change",
    [
        lambda c: flavor.replace(c, Flavor(name="no", alternatives=())),
        lambda c: flavor.remove(c, "no"),
        lambda c: instance.replace(c, replace(GUEST, id="no")),
        lambda c: port.replace(c, replace(PORT, id="no")),
        lambda c: host.touch(c, "no"),
        lambda c: host.begin_epoch(c, "no", boot_id="b", migrate_uri=None, bridge_mappings={}),
    ],
)
def test_what_is_not_there_cannot_be_changed(store, change):
    with pytest.raises(NotFound):
        store.write(change)


def test_an_id_goes_before_a_name(world):
    world.write(lambda c: network.insert(c, replace(NET, id="n2", name="n1")))
    assert world.read(lambda c: network.find(c, "n1")).name == "net"


def test_changed_values_are_written_whole(world):
    guest = replace(GUEST, status=InstanceStatus.ERROR, error=None, host="beta", strategy=None)
    moved = replace(PORT, instance_id=None, number=None, guest_address=None)
    world.write(lambda c: (instance.replace(c, guest), port.replace(c, moved)))
    assert world.read(lambda c: instance.find(c, "i1")) == guest
    assert world.read(lambda c: port.find(c, "p1")) == moved
    fast = Flavor(name="f", alternatives=parse_alternatives([{}], "t"), description="old")
    new = replace(fast, description="new", alternatives=parse_alternatives([{"kind": "vf"}], "t"))
    world.write(lambda c: (flavor.insert(c, fast), flavor.replace(c, new)))
    assert world.read(flavor.listing) == [new]
    world.write(lambda c: flavor.remove(c, "f"))
    assert world.read(flavor.listing) == []


def test_a_network_with_ports_stays(world):
    assert "'port'" in refused("network-in-use", world, lambda c: network.remove(c, "n1")).message
    world.write(lambda c: port.remove(c, "p1"))
    world.write(lambda c: network.remove(c, "n1"))
    assert world.read(network.listing) == []


def test_a_removed_instance_lets_its_ports_go(world):
    world.write(lambda c: instance.remove(c, "i1"))
    assert world.read(instance.listing) == []
    assert world.read(port.listing) == [replace(PORT, number=None, guest_address=None)]


@pytest.mark.behaviour(53)
def test_ports_of_an_instance_are_listed_in_their_order(world):
    for number in (2, 1):
        mac = MacAddress(f"fa:16:3e:00:00:1{number}")
        another = replace(PORT, id=f"q{number}", name=f"a{number}", mac=mac, instance_id="i1", number=number)
        world.write(lambda c, another=another: port.insert(c, another))
    found = world.read(lambda c: port.listing(c, instance_id="i1"))
    assert [one.number for one in found] == [0, 1, 2]
    assert len(world.read(lambda c: port.listing(c, network_id="n1", flavor="fast"))) == 3
    assert world.read(lambda c: port.listing(c, flavor="slow")) == []


def test_instances_are_listed_by_host(world):
    assert world.read(lambda c: instance.listing(c, host="alpha")) == [GUEST]
    assert world.read(lambda c: instance.listing(c, host="beta")) == []


def binding(on: str, *, active: bool) -> Binding:
    return Binding(
        port_id="p1", host=on, is_active=active, vif_type=VifType.HW_VEB,
        profile={"pci_slot": "0000:01:10.0"}, vif_details={"port_filter": False, "vlan": "100"},
    )  # fmt: skip


@pytest.mark.behaviour(46)
def test_a_moving_port_has_two_bindings_and_exactly_one_active_through_the_change_over(world):
    source, target = binding("alpha", active=True), binding("beta", active=False)
    world.write(lambda c: (port.bind(c, target), port.bind(c, source)))
    assert world.read(lambda c: port.bindings(c, "p1")) == [source, target]
    for _twice in range(2):
        world.write(lambda c: port.activate_binding(c, "p1", "beta"))
        assert world.read(lambda c: port.bindings(c, "p1")) == [
            binding("beta", active=True), binding("alpha", active=False),
        ]  # fmt: skip
    world.write(lambda c: port.unbind(c, "p1", "alpha"))
    assert world.read(lambda c: port.bindings(c, "p1")) == [binding("beta", active=True)]


@pytest.mark.behaviour(46)
def test_a_second_active_binding_is_refused_and_the_same_one_again_is_not(world):
    world.write(lambda c: port.bind(c, binding("alpha", active=True)))
    world.write(lambda c: port.bind(c, binding("alpha", active=True)))
    assert (
        "alpha" in refused("port-bound", world, lambda c: port.bind(c, binding("beta", active=True))).message
    )


def test_a_binding_that_is_not_there_cannot_become_active_and_the_active_one_stays(world):
    world.write(lambda c: port.bind(c, binding("alpha", active=True)))
    refused("port-not-bound", world, lambda c: port.activate_binding(c, "p1", "beta"))
    assert world.read(lambda c: port.bindings(c, "p1")) == [binding("alpha", active=True)]


def test_an_epoch_rises_with_each_start_of_the_agent(world):
    def begin(c):
        return host.begin_epoch(
            c,
            "alpha",
            boot_id="b2",
            migrate_uri="qemu+tcp://alpha/system",
            bridge_mappings={"physnet1": "br0"},
        )

    assert [world.write(begin), world.write(begin)] == [1, 2]
    found = world.read(lambda c: host.get(c, "alpha"))
    assert (found.boot_id, found.migrate_uri, found.bridge_mappings) == (
        "b2", "qemu+tcp://alpha/system", {"physnet1": "br0"},
    )  # fmt: skip


def test_a_report_is_kept_whole_and_one_that_was_overtaken_is_dropped(world):
    assert world.write(lambda c: host.record_observed(c, "alpha", REPORT, NOW))
    late = replace(REPORT, sequence=4, domains=())
    assert not world.write(lambda c: host.record_observed(c, "alpha", late, later(1)))
    assert not world.write(lambda c: host.record_observed(c, "alpha", REPORT, later(1)))
    found = world.read(lambda c: host.get(c, "alpha"))
    assert (found.observed, found.observed_version, found.last_seen) == (REPORT, 7, NOW)
    fresh = replace(REPORT, epoch=4, sequence=1)
    assert world.write(lambda c: host.record_observed(c, "alpha", fresh, later(2)))
    assert world.read(lambda c: host.get(c, "alpha")).observed == fresh


def test_an_instance_has_one_migration_under_way_an_alarm_included(world):
    world.write(lambda c: migration.insert(c, MOVE))
    second = replace(MOVE, id="m2", created_at=later(1))
    assert refused("migration-under-way", world, lambda c: migration.insert(c, second)).detail == {
        "migration": "m1"
    }
    alarm = replace(MOVE, state=MigrationState.ALARM, generation=2)
    world.write(lambda c: migration.replace(c, alarm, over=1))
    refused("migration-under-way", world, lambda c: migration.insert(c, second))
    assert world.read(lambda c: migration.under_way(c, "i1")) == alarm
    done = replace(MOVE, state=MigrationState.DONE, generation=3, ended_at=later(9))
    world.write(lambda c: migration.replace(c, done, over=2))
    world.write(lambda c: migration.insert(c, second))
    assert world.read(lambda c: migration.listing(c, include_ended=False)) == [second]
    assert world.read(lambda c: migration.listing(c, instance_id="i1")) == [done, second]


@pytest.mark.behaviour(61)
def test_a_move_of_the_saga_is_written_only_over_the_generation_it_was_decided_on(world):
    world.write(lambda c: migration.insert(c, MOVE))
    world.write(lambda c: migration.replace(c, replace(MOVE, abort_requested=True, generation=2), over=1))
    late = replace(MOVE, position=StepName.BIND, generation=2)
    assert "2" in refused("migration-moved", world, lambda c: migration.replace(c, late, over=1)).message
    assert world.read(lambda c: migration.get(c, "m1")).abort_requested


def test_a_tombstone_stands_until_it_is_removed(world):
    first = Tombstone(host="alpha", instance_id="i1", power=Power.DELETE_UNLESS_RUNNING, version=3)
    second = replace(first, power=Power.DELETE, version=4)
    world.write(lambda c: (tombstone.put(c, first), tombstone.put(c, second)))
    assert world.read(lambda c: tombstone.listing(c, host="alpha")) == [second]
    assert world.read(lambda c: tombstone.listing(c, host="beta")) == []
    world.write(lambda c: tombstone.remove(c, "alpha", "i1"))
    assert world.read(tombstone.listing) == []


def test_a_token_is_found_by_its_secret_which_is_stored_nowhere(world):
    secret = "jf-very-secret"
    agents = token.Token(
        id="t1",
        name="host/alpha",
        role="host",
        host="alpha",
        secret_hash=token.hash_secret(secret),
        created_at=NOW,
    )
    world.write(lambda c: token.insert(c, agents))
    assert world.read(lambda c: token.by_secret(c, secret)) == agents
    assert world.read(lambda c: token.by_secret(c, "jf-other")) is None
    assert secret not in str(world.read(lambda c: c.exec_driver_sql("SELECT * FROM token").all()))
    refused("token-exists", world, lambda c: token.insert(c, replace(agents, id="t2", secret_hash="other")))
    assert world.read(lambda c: token.listing(c, role="host")) == [agents]
    assert world.read(lambda c: token.listing(c, host="beta")) == []
    world.write(lambda c: token.remove(c, "t1"))
    assert world.read(token.listing) == []


@pytest.mark.behaviour(36)
def test_a_repeated_key_recalls_the_answer_for_24_hours(store):
    answer = {"id": "p1", "nested": [1, None]}
    store.write(lambda c: idempotency.remember(c, "token POST /ports", "k", "hash", answer, now=NOW))

    def recall(scope="token POST /ports", key="k", request="hash", now=NOW):
        return store.read(lambda c: idempotency.recall(c, scope, key, request, now))

    assert recall() == answer
    assert recall(now=later(24 * 3600 - 1)) == answer
    assert recall(now=later(24 * 3600)) is None
    assert recall(scope="other POST /ports") is None
    assert recall(key="other") is None
    with pytest.raises(Conflict) as caught:
        recall(request="another")
    assert caught.value.code == "idempotency-key-reused"


def test_an_expired_key_can_be_used_for_something_else(store):
    store.write(lambda c: idempotency.remember(c, "s", "k", "one", 1, now=NOW))
    store.write(lambda c: idempotency.remember(c, "s", "k", "two", 2, now=later(24 * 3600)))
    assert store.read(lambda c: idempotency.recall(c, "s", "k", "two", later(24 * 3600))) == 2
