"""What an agent does about one device."""

import re
from dataclasses import replace

import pytest
from build import attachment, pf, vf

from jackfield.model.address import MacAddress
from jackfield.model.attachment import AttachmentState, DomainState, ObservedInterface, Wanted
from jackfield.model.migration import StrategyName
from jackfield.model.port import logical_name
from jackfield.reconcile.action import ForgetPrior, Naming, PrepareDevice, RestoreDevice, Trouble
from jackfield.reconcile.attachment import decide, sweep
from jackfield.reconcile.observation import Domain, Journal, Link, Observation, Prior

DEVICE = vf(0)
FACTORY = DEVICE.mac
GUEST = MacAddress("fa:16:3e:46:d3:e8")
NAME = logical_name(attachment(DEVICE).port_id)
PRIOR = Prior(identity=DEVICE.identity, netdev="eth2v0", mac=FACTORY)


def link(netdev="eth2v0", *altnames, mac=FACTORY) -> Link:
    return Link(netdev=netdev, mac=mac, altnames=frozenset(altnames))


def domain(netdev=None, *, uuid="vm", state=DomainState.RUNNING, address=None) -> Domain:
    nics = (ObservedInterface(mac=GUEST, netdev=netdev),) if netdev else ()
    return Domain(
        uuid=uuid,
        name=f"name-of-{uuid}",
        state=state,
        is_persistent=True,
        installation="i",
        interfaces=nics,
        pci_addresses=frozenset({address} if address else ()),
    )


def seen(*links: Link, device=DEVICE, domains=(), priors=None) -> Observation:
    if device is not None and links and device.netdev == "eth2v0":
        device = replace(device, netdev=links[0].netdev)
    return Observation(
        devices={device.identity: device} if device else {},
        links={one.netdev: one for one in links},
        domains=tuple(domains),
        journal=Journal(priors=priors or {}),
    )


def ruled(observation, *, naming=Naming.RENAME, trouble=None, **facts):
    return decide(attachment(DEVICE, **facts), observation, naming=naming, trouble=trouble)


def test_the_prior_is_journalled_before_the_first_touch_and_the_device_then_renamed():
    action = ruled(seen(link())).action
    assert action == PrepareDevice(
        claim_id="c1", generation=1, prior=PRIOR, netdev="eth2v0", logical_name=NAME, naming=Naming.RENAME
    )


def test_destination_xml_journals_the_prior_and_renames_nothing():
    action = ruled(seen(link()), strategy=StrategyName.DESTINATION_XML).action
    assert action.prior == PRIOR and action.logical_name is None
    ready = ruled(seen(link(), priors={"c1": PRIOR}), strategy=StrategyName.DESTINATION_XML)
    assert ready.report.state is AttachmentState.PREPARED and ready.report.netdev == "eth2v0"
    assert ready.action is None


def test_a_renamed_device_is_reported_under_its_logical_name():
    report = ruled(seen(link(NAME, "jf-was-eth2v0"), priors={"c1": PRIOR})).report
    assert (report.state, report.netdev) == (AttachmentState.PREPARED, NAME)


def test_a_plain_netdev_may_answer_to_an_altname_instead():
    action = ruled(seen(link()), naming=Naming.ALTNAME).action
    assert action.logical_name == NAME and action.naming is Naming.ALTNAME
    ready = ruled(seen(link("eth2v0", NAME), priors={"c1": PRIOR}), naming=Naming.ALTNAME)
    assert ready.report.state is AttachmentState.PREPARED


def test_a_real_vf_is_never_named_by_an_altname():
    real = replace(DEVICE, is_real_vf=True)
    report = ruled(seen(link(), device=real), naming=Naming.ALTNAME).report
    assert report.state is AttachmentState.FAILED and "altname" in report.problem


def test_a_lost_journal_is_made_up_for_by_the_altname_that_a_rename_leaves():
    action = ruled(seen(link(NAME, "jf-was-eth2v0"))).action
    assert action.prior == PRIOR and action.logical_name is None


@pytest.mark.parametrize(
    ("observation", "words"),
    [
        (seen(device=None), "not on this host any more"),
        (seen(device=replace(DEVICE, netdev=None, driver="vfio-pci")), "no netdev .*vfio-pci"),
        (seen(device=replace(DEVICE, netdev=None)), "no netdev .*none"),
        (seen(link(), domains=[domain("eth2v0", uuid="other")]), "used by domain name-of-other"),
        (seen(link(), domains=[domain(uuid="other", address=DEVICE.address)]), "used by domain"),
        (seen(link(), Link(netdev=NAME, mac=FACTORY)), "taken by"),
        (seen(link(), Link(netdev="x", mac=FACTORY, altnames=frozenset({NAME}))), "taken by x"),
    ],
)
def test_what_cannot_be_prepared_fails_with_the_reason(observation, words):
    verdict = ruled(observation)
    assert verdict.report.state is AttachmentState.FAILED and verdict.action is None
    assert re.search(words, verdict.report.problem)


@pytest.mark.behaviour(51)
def test_a_vlan_is_refused_on_what_is_no_real_vf_to_libvirt():
    report = ruled(seen(link()), vlan=100).report
    assert report.state is AttachmentState.FAILED and report.problem.startswith("device-cannot-vlan")
    assert ruled(seen(link(), device=replace(DEVICE, is_real_vf=True)), vlan=100).action is not None


def test_a_device_in_mid_rename_is_looked_at_again():
    lost = Observation(devices={DEVICE.identity: DEVICE}, links={}, domains=(), journal=Journal())
    for wanted in Wanted:
        verdict = ruled(lost, wanted=wanted)
        assert verdict.report.state is AttachmentState.PENDING and verdict.action is None


def test_a_device_is_never_renamed_under_its_own_running_guest():
    verdict = ruled(seen(link(), domains=[domain("eth2v0")]))
    assert verdict.report.state is AttachmentState.PREPARED and verdict.report.netdev == "eth2v0"


@pytest.mark.behaviour(38)
def test_release_waits_for_the_last_user():
    using = seen(link(NAME, "jf-was-eth2v0"), domains=[domain(NAME)], priors={"c1": PRIOR})
    verdict = ruled(using, wanted=Wanted.RELEASED)
    assert verdict.report.state is AttachmentState.PENDING and verdict.action is None
    assert "still uses" in verdict.report.problem
    off = seen(link(), domains=[domain("eth2v0", state=DomainState.SHUTOFF)], priors={"c1": PRIOR})
    assert ruled(off, wanted=Wanted.RELEASED).report.state is AttachmentState.RELEASED


@pytest.mark.behaviour(38)
@pytest.mark.parametrize(
    "now",
    [link(NAME, "jf-was-eth2v0"), link("eth2v0", "jf-was-eth2v0"), link(mac=GUEST), link("eth2v0", NAME)],
)
def test_release_is_proved_only_when_name_altnames_and_mac_are_what_they_were(now):
    verdict = ruled(seen(now, priors={"c1": PRIOR}), wanted=Wanted.RELEASED)
    assert verdict.report.state is AttachmentState.PENDING
    assert isinstance(verdict.action, RestoreDevice) and verdict.action.prior == PRIOR
    restored = ruled(seen(link(), priors={"c1": PRIOR}), wanted=Wanted.RELEASED)
    assert restored.report.state is AttachmentState.RELEASED


@pytest.mark.behaviour(7)
def test_a_device_that_is_gone_is_released():
    assert ruled(seen(device=None), wanted=Wanted.RELEASED).report.state is AttachmentState.RELEASED
    bare = seen(device=replace(DEVICE, netdev=None))
    assert ruled(bare, wanted=Wanted.RELEASED).report.state is AttachmentState.RELEASED


def test_a_final_refusal_fails_and_a_passing_one_is_tried_again():
    final = ruled(seen(link()), trouble=Trouble(text="no", is_final=True))
    assert final.report.state is AttachmentState.FAILED and final.action is None
    passing = ruled(seen(link()), trouble=Trouble(text="busy", is_final=False))
    assert passing.report.state is AttachmentState.PENDING and passing.report.problem == "busy"
    assert passing.action is not None
    settled = ruled(seen(link(NAME), priors={"c1": PRIOR}), trouble=Trouble(text="busy", is_final=False))
    assert settled.report.state is AttachmentState.PREPARED


def test_the_sweep_restores_what_no_claim_speaks_of_and_then_forgets_it():
    priors = {"c1": PRIOR}
    touched = seen(link(NAME, "jf-was-eth2v0"), priors=priors)
    (action,) = sweep((), touched)
    assert isinstance(action, RestoreDevice) and action.netdev == NAME
    assert list(sweep((), seen(link(), priors=priors))) == [ForgetPrior(claim_id="c1")]
    assert list(sweep((), seen(device=None, priors=priors))) == [ForgetPrior(claim_id="c1")]


@pytest.mark.behaviour(77)
def test_the_sweep_touches_nothing_that_is_spoken_of_in_use_or_another_claims():
    priors = {"c1": PRIOR}
    touched = seen(link(NAME, "jf-was-eth2v0"), priors=priors)
    assert list(sweep((attachment(DEVICE),), touched)) == []
    in_use = seen(link(NAME, "jf-was-eth2v0"), domains=[domain(NAME)], priors=priors)
    assert list(sweep((), in_use)) == []
    assert list(sweep((attachment(DEVICE, claim_id="c9"),), touched)) == [ForgetPrior(claim_id="c1")]
    unsettled = Observation(
        devices={DEVICE.identity: DEVICE}, links={}, domains=(), journal=Journal(priors=priors)
    )
    assert list(sweep((), unsettled)) == []


def test_a_pf_is_prepared_like_any_other_netdev():
    card = pf("eth2", mac=FACTORY)
    observation = Observation(
        devices={card.identity: card},
        links={"eth2": Link(netdev="eth2", mac=FACTORY)},
        domains=(),
        journal=Journal(),
    )
    verdict = decide(attachment(card), observation, naming=Naming.RENAME)
    assert verdict.action.keys == frozenset({("device", card.identity)})
