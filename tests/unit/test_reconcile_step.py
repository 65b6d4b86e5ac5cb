"""What an agent does about domains and orders, and when it obeys nobody."""

from dataclasses import replace

import pytest
from build import attachment, vf

from jackfield.model.address import MacAddress
from jackfield.model.attachment import (
    AttachmentState,
    DesiredDomain,
    DesiredState,
    DomainState,
    Order,
    OrderKind,
    OrderReport,
    OrderState,
    PlainPort,
    Power,
    Wanted,
)
from jackfield.model.instance import Machine
from jackfield.model.port import VnicType
from jackfield.reconcile.action import (
    AbortJob,
    CarryOut,
    ForgetOrder,
    ForgetPrior,
    ForgetStart,
    RecordOrder,
    RecordStart,
    RemoveDomain,
    StartDomain,
    StopDomain,
    Trouble,
)
from jackfield.reconcile.observation import Domain, Journal, Link, Observation, Prior, Started, order_key
from jackfield.reconcile.step import Settings, step
from jackfield.xml.domain import build, read

VM = "5c9f8c1e-8a5a-4f6e-b5a0-1a2b3c4d5e6f"
DEVICE = vf(0)
NIC = attachment(DEVICE, instance_id=VM)
PRIOR = Prior(identity=DEVICE.identity, netdev="eth2v0", mac=DEVICE.mac)
BASE = build(Machine(kernel="/boot/vmlinuz", domain_type="qemu"), uuid=VM, name="vm1")
PLAIN = PlainPort(
    port_id="p9", port_number=1, mac=MacAddress("fa:16:3e:00:00:09"), physical_network="physnet1"
)


def wanted(power=Power.RUN, start=1, plain=()) -> DesiredDomain:
    return DesiredDomain(instance_id=VM, name="vm1", power=power, start=start, xml=BASE, plain_ports=plain)


def desired(*domains, attachments=(), orders=(), version=5, installation="i") -> DesiredState:
    return DesiredState(
        installation=installation,
        host="a",
        epoch=1,
        version=version,
        domains=domains,
        attachments=attachments,
        orders=orders,
    )


def domain(state=DomainState.RUNNING, *, has_job=False, installation="i", uuid=VM) -> Domain:
    return Domain(
        uuid=uuid,
        name="vm1",
        state=state,
        is_persistent=True,
        installation=installation,
        interfaces=(),
        pci_addresses=frozenset(),
        has_job=has_job,
    )


def seen(*domains, journal=None, netdev="eth02bc4aec-b4", jobs=None) -> Observation:
    return Observation(
        devices={DEVICE.identity: replace(DEVICE, netdev=netdev)},
        links={netdev: Link(netdev=netdev, mac=DEVICE.mac)},
        domains=domains,
        journal=journal or Journal(priors={"c1": PRIOR}),
        jobs=jobs or {},
    )


def actions(observation, wish, **facts):
    given = {"settings": Settings(bridge_mappings={"physnet1": "br0"}), **facts}
    return step(observation, wish, **given).actions


def test_a_domain_starts_when_its_devices_are_prepared_with_all_its_interfaces():
    (start,) = actions(seen(), desired(wanted(plain=(PLAIN,)), attachments=(NIC,)))
    assert isinstance(start, StartDomain) and start.generation == 1
    facts = read(start.xml)
    assert [nic.mac for nic in facts.interfaces] == [NIC.mac, PLAIN.mac]
    assert facts.interfaces[0].netdev == "eth02bc4aec-b4"
    assert facts.metadata.installation == "i" and facts.metadata.instance_id == VM


@pytest.mark.behaviour(53)
def test_interfaces_stand_in_the_order_of_the_ports_whatever_their_kind():
    first = replace(PLAIN, port_number=0)
    (start,) = actions(seen(), desired(wanted(plain=(first,)), attachments=(replace(NIC, port_number=1),)))
    assert [nic.mac for nic in read(start.xml).interfaces] == [PLAIN.mac, NIC.mac]


@pytest.mark.behaviour(39)
def test_a_domain_never_starts_before_every_device_is_prepared():
    done = step(seen(netdev="eth2v0"), desired(wanted(), attachments=(NIC,)), settings=Settings())
    assert done.attachments[0].state is AttachmentState.PENDING
    assert not any(isinstance(action, StartDomain) for action in done.actions)


@pytest.mark.behaviour(39)
@pytest.mark.parametrize(
    ("nic", "plain", "words"),
    [
        (replace(NIC, identity="gone"), (), "not on this host"),
        (replace(NIC, vnic_type=VnicType.DIRECT), (), "no XML is known"),
        (
            NIC,
            (replace(PLAIN, physical_network="physnet7"),),
            "bridge_mappings of this host lacks 'physnet7'",
        ),
    ],
)
def test_a_start_that_cannot_be_is_recorded_with_its_reason(nic, plain, words):
    (record,) = actions(seen(), desired(wanted(plain=plain), attachments=(nic,)))
    assert isinstance(record, RecordStart) and words in record.started.error


def test_a_start_that_libvirt_refuses_for_good_is_recorded_and_a_passing_trouble_tried_again():
    key = f"instance/{VM}"
    quiet = seen(journal=Journal())
    (record,) = actions(quiet, desired(wanted()), troubles={key: Trouble(text="bad xml", is_final=True)})
    assert isinstance(record, RecordStart) and record.started.error == "bad xml"
    (again,) = actions(quiet, desired(wanted()), troubles={key: Trouble(text="away", is_final=False)})
    assert isinstance(again, StartDomain)


@pytest.mark.behaviour(77)
def test_a_domain_is_never_started_for_being_absent():
    assert actions(seen(journal=Journal()), desired(wanted(start=None))) == ()
    carried_out = Journal(started={VM: Started(generation=1)}, priors={"c1": PRIOR})
    assert actions(seen(journal=carried_out), desired(wanted(start=1), attachments=(NIC,))) == ()


def test_a_domain_that_runs_before_the_journal_knew_is_recorded_not_started_again():
    (record,) = actions(seen(domain(), journal=Journal()), desired(wanted()))
    assert record == RecordStart(instance_id=VM, started=Started(generation=1))


def test_a_domain_that_is_only_being_started_is_not_yet_taken_for_started():
    starting = domain(state=DomainState.PAUSED, has_job=True)
    assert actions(seen(starting, journal=Journal()), desired(wanted())) == ()
    paused = domain(state=DomainState.PAUSED)
    (record,) = actions(seen(paused, journal=Journal()), desired(wanted()))
    assert isinstance(record, RecordStart)


@pytest.mark.behaviour(77)
def test_a_domain_is_stopped_or_removed_only_on_an_explicit_word():
    assert actions(seen(domain(), journal=Journal()), desired()) == ()
    quiet = Journal()
    (stop,) = actions(seen(domain(), journal=quiet), desired(wanted(Power.STOP)))
    assert stop == StopDomain(instance_id=VM)
    assert actions(seen(domain(DomainState.SHUTOFF), journal=quiet), desired(wanted(Power.STOP))) == ()
    (remove,) = actions(seen(domain(), journal=quiet), desired(wanted(Power.DELETE)))
    assert remove == RemoveDomain(instance_id=VM, unless_running=False)
    assert actions(seen(journal=quiet), desired(wanted(Power.DELETE))) == ()


@pytest.mark.behaviour(77)
def test_the_tombstone_after_a_move_spares_a_guest_that_runs_or_has_a_job():
    wish = desired(wanted(Power.DELETE_UNLESS_RUNNING))
    quiet = Journal()
    assert actions(seen(domain(), journal=quiet), wish) == ()
    assert actions(seen(domain(DomainState.PAUSED, has_job=True), journal=quiet), wish) == ()
    assert actions(seen(journal=quiet), wish) == ()
    (remove,) = actions(seen(domain(DomainState.PAUSED), journal=quiet), wish)
    assert remove == RemoveDomain(instance_id=VM, unless_running=True)


def test_domains_of_ours_are_reported_even_when_nothing_is_wanted_of_them():
    stranger = domain(installation=None, uuid="other")
    report = step(seen(domain(), stranger), desired(), settings=Settings())
    assert [one.instance_id for one in report.domains] == [VM]
    told = report.report(installation="i", epoch=1, version=5, boot_id="b", sequence=3)
    assert told.domains == report.domains and told.version == 5 and told.sequence == 3


def order(**facts) -> Order:
    given = {
        "id": "m1",
        "generation": 1,
        "kind": OrderKind.MIGRATE,
        "instance_id": VM,
        "target_uri": "qemu+tcp://b/system",
    }
    return Order(**{**given, **facts})


def journal_of(state: OrderState) -> Journal:
    return Journal(orders={order_key("m1", 1): OrderReport(id="m1", generation=1, state=state)})


def test_an_order_is_carried_out_once():
    (act,) = actions(seen(domain(), journal=Journal()), desired(orders=(order(),)))
    assert act == CarryOut(order=order())
    done = journal_of(OrderState.SUCCEEDED)
    assert actions(seen(domain(), journal=done), desired(orders=(order(),))) == ()


def test_an_order_that_cannot_begin_is_recorded_as_failed():
    (record,) = actions(seen(journal=Journal()), desired(orders=(order(),)))
    assert isinstance(record, RecordOrder) and "absent here, not running" in record.report.error
    (record,) = actions(seen(domain(), journal=Journal()), desired(orders=(order(abort=True),)))
    assert record.report.error == "aborted before it began"
    resume = order(kind=OrderKind.RESUME)
    (act,) = actions(seen(domain(DomainState.PAUSED), journal=Journal()), desired(orders=(resume,)))
    assert act == CarryOut(order=resume)


@pytest.mark.behaviour(65)
def test_a_running_order_shows_its_progress_and_can_be_aborted():
    running = seen(
        domain(has_job=True), journal=journal_of(OrderState.RUNNING), jobs={VM: {"memory_total": 9}}
    )
    busy = frozenset({("instance", VM)})
    told = step(running, desired(orders=(order(abort=True),)), settings=Settings(), busy=busy)
    assert told.orders[0].progress == {"memory_total": 9}
    assert told.actions == (AbortJob(instance_id=VM),)
    assert AbortJob(instance_id=VM).keys == frozenset({("abort", VM)})


def test_a_job_that_outlived_the_agent_is_adopted_and_one_that_ended_meanwhile_is_unknown():
    going_on = seen(domain(has_job=True), journal=journal_of(OrderState.RUNNING))
    told = step(going_on, desired(orders=(order(),)), settings=Settings())
    assert told.orders[0].state is OrderState.RUNNING and told.actions == ()
    (record,) = actions(seen(journal=journal_of(OrderState.RUNNING)), desired(orders=(order(),)))
    assert record.report.state is OrderState.UNKNOWN


def test_orders_no_longer_spoken_of_are_forgotten():
    (forget,) = actions(seen(journal=journal_of(OrderState.SUCCEEDED)), desired())
    assert forget == ForgetOrder(key="m1/1") and forget.keys == frozenset({("order", "m1/1")})


def test_nothing_is_begun_that_touches_what_an_effect_is_busy_with():
    busy = frozenset({("instance", VM)})
    assert actions(seen(journal=Journal()), desired(wanted()), busy=busy) == ()


@pytest.mark.behaviour(77)
@pytest.mark.parametrize(
    ("journal", "words"),
    [
        (Journal(installation="other"), "belongs to installation other"),
        (Journal(installation="i", version=9), "older than 9"),
    ],
)
def test_another_or_an_older_control_plane_freezes_the_agent(journal, words):
    frozen = step(seen(domain(), journal=journal), desired(wanted(Power.DELETE)), settings=Settings())
    assert words in frozen.frozen and frozen.actions == ()
    assert [one.instance_id for one in frozen.domains] == [VM]


def test_every_action_names_what_it_touches():
    assert ForgetPrior(claim_id="c1").keys == frozenset({("prior", "c1")})
    released = replace(NIC, wanted=Wanted.RELEASED)
    (restore,) = actions(seen(), desired(attachments=(released,)))
    assert restore.keys == frozenset({("device", DEVICE.identity)})
    for act in (
        StopDomain(instance_id=VM),
        RemoveDomain(instance_id=VM, unless_running=True),
        RecordStart(instance_id=VM, started=Started(generation=1)),
        StartDomain(instance_id=VM, generation=1, xml=""),
        CarryOut(order=order()),
        RecordOrder(report=OrderReport(id="m1", generation=1, state=OrderState.FAILED), instance_id=VM),
    ):
        assert act.keys == frozenset({("instance", VM)})


@pytest.mark.behaviour(37)
@pytest.mark.behaviour(38)
def test_no_release_is_reported_while_a_start_on_an_older_word_may_be_under_way():
    """The guest that is about to use the device is not to be seen yet."""
    gone = replace(NIC, wanted=Wanted.RELEASED, generation=2)
    looked = seen(netdev="eth2v0")
    busy = step(looked, desired(attachments=(gone,)), settings=Settings(), busy=frozenset({("instance", VM)}))
    assert busy.attachments[0].state is AttachmentState.PENDING
    idle = step(looked, desired(attachments=(gone,)), settings=Settings())
    assert idle.attachments[0].state is AttachmentState.RELEASED


def test_a_carried_out_start_is_forgotten_with_its_domain_and_not_before():
    journal = Journal(started={VM: Started(generation=1)})
    assert actions(seen(journal=journal), desired()) == (ForgetStart(instance_id=VM),)
    assert ForgetStart(instance_id=VM) not in actions(seen(journal=journal), desired(wanted(start=None)))
    assert ForgetStart(instance_id=VM) not in actions(seen(domain(), journal=journal), desired())
