"""Inventories: devices come, change and vanish, and what is held stays held."""

from __future__ import annotations

from dataclasses import replace

import pytest
from build import offered, pci, pf, vf

from jackfield.model.address import PciAddress
from jackfield.model.claim import ClaimState, HoldReason
from jackfield.model.device import AttributeType, OfferedDevice
from jackfield.model.error import Conflict, NotFound, Rejected
from jackfield.store import attribute, claim, device, host

PF = pf()
VF0, VF1, VF2 = (vf(index, of=PF) for index in range(3))


def known(fleet) -> dict[str, bool]:
    """Identity → present, of all devices."""
    return {one.offer.device.identity: one.present for one in fleet.store.read(device.listing)}


def test_a_stored_device_is_the_device_that_was_reported(fleet):
    everything = OfferedDevice(
        device=vf(
            3, of=PF, iommu_group=9, driver="igbvf", link_speed_mbps=10_000, link_state="up", is_real_vf=True
        ),
        offered=True,
        attributes={"physical_network": "physnet1", "rank": 3, "trusted": True},
        pool_network="fast",
        refusal="network 'other' contains it",
    )
    fleet.host("alpha", everything, offered(pci()))
    assert fleet.device(everything.device).offer == everything
    assert fleet.device(pci()).offer == offered(pci())
    attributes = fleet.device(everything.device).offer.attributes
    assert [type(attributes[name]) for name in ("rank", "trusted")] == [int, bool]


@pytest.mark.behaviour(26)
def test_an_unchanged_inventory_causes_no_write_whatever_its_order(fleet, statements):
    fleet.host("alpha", offered(VF0, physical_network="physnet1"), offered(VF1))
    statements.clear()
    assert not fleet.inventory(offered(VF1), offered(VF0, physical_network="physnet1"))
    assert [
        said for said in statements if not said.startswith(("SELECT", "BEGIN", "SAVEPOINT", "RELEASE"))
    ] == []
    assert fleet.inventory(offered(VF0))


def test_an_inventory_of_an_unknown_host_is_refused(fleet):
    with pytest.raises(NotFound) as caught:
        fleet.inventory(offered(VF0), on="nowhere")
    assert caught.value.code == "host-not-found"


@pytest.mark.behaviour(9)
def test_a_renumbered_and_renamed_device_keeps_its_id_its_claim_and_its_taint(fleet):
    fleet.host("alpha", offered(VF0))
    taken = fleet.take_one(VF0)
    fleet.store.write(lambda c: device.taint(c, taken.device_id, "flaps"))
    moved = replace(VF0, address=PciAddress.parse("0000:07:10.0"), netdev="renamed0")
    fleet.inventory(offered(moved))
    [only] = fleet.store.read(device.listing)
    assert (only.offer.device, only.holder, only.tainted) == (moved, taken.id, "flaps")


@pytest.mark.behaviour(7)
def test_a_free_device_that_vanishes_is_forgotten(fleet):
    fleet.host("alpha", offered(VF0), offered(VF1))
    fleet.inventory(offered(VF1))
    assert known(fleet) == {VF1.identity: True}


@pytest.mark.behaviour(7)
def test_a_held_device_that_vanishes_keeps_its_claim_is_never_given_and_disappears_when_freed(fleet):
    fleet.host("alpha", offered(VF0))
    taken = fleet.take_one(VF0, desired_version=fleet.tell_agent())
    fleet.inventory()
    assert known(fleet) == {VF0.identity: False}
    assert fleet.claim(taken.id) == taken and fleet.free() == []
    with pytest.raises(Conflict) as caught:
        fleet.take(VF0)
    assert caught.value.code == "device-gone"
    fleet.end(taken)
    assert known(fleet) == {}


@pytest.mark.behaviour(7)
def test_a_held_device_that_comes_back_is_the_same_device(fleet):
    fleet.host("alpha", offered(VF0))
    taken = fleet.take_one(VF0)
    fleet.inventory()
    fleet.inventory(offered(VF0))
    assert known(fleet) == {VF0.identity: True}
    fleet.end(taken)
    assert fleet.free() == [VF0.identity]


@pytest.mark.behaviour(7)
def test_a_held_device_that_drops_out_of_the_spec_keeps_its_claim_and_is_not_given_again(fleet):
    fleet.host("alpha", offered(VF0))
    taken = fleet.take_one(VF0)
    fleet.inventory(OfferedDevice(device=VF0, offered=False, attributes={}))
    assert fleet.claim(taken.id) == taken
    fleet.end(taken)
    assert known(fleet) == {VF0.identity: True} and fleet.free() == []


@pytest.mark.behaviour(4, 37)
def test_a_vf_that_appears_under_a_held_pf_is_held_with_it_and_freed_with_it(fleet):
    fleet.host("alpha", offered(PF))
    taken = fleet.take_one(PF)
    fleet.inventory(offered(PF), offered(VF0), offered(VF1))
    assert fleet.free() == []
    assert fleet.store.read(lambda c: claim.holds_of(c, taken.id)) == [
        (f"alpha/{PF.identity}", HoldReason.CLAIMED),
        (f"alpha/{VF0.identity}", HoldReason.VF_OF_CLAIMED_PF),
        (f"alpha/{VF1.identity}", HoldReason.VF_OF_CLAIMED_PF),
    ]
    fleet.end(taken)
    assert fleet.free() == [PF.identity, VF0.identity, VF1.identity]


@pytest.mark.behaviour(4, 37)
def test_a_pf_cannot_be_taken_over_a_held_vf_that_vanished(fleet):
    fleet.host("alpha", offered(PF), offered(VF0))
    fleet.take(VF0)
    fleet.inventory(offered(PF))
    assert fleet.free() == []
    with pytest.raises(Conflict, match=VF0.identity):
        fleet.take(PF)


def test_a_held_vf_is_not_held_again_by_the_inventory(fleet):
    fleet.host("alpha", offered(PF), offered(VF0))
    taken = fleet.take_one(VF0)
    fleet.inventory(offered(PF), offered(VF0), offered(VF1))
    assert fleet.device(VF0).holder == taken.id
    assert fleet.free() == [VF1.identity]


@pytest.mark.behaviour(11)
def test_a_tainted_device_is_not_given_until_the_taint_is_lifted(fleet):
    fleet.host("alpha", offered(VF0))
    fleet.store.write(lambda c: device.taint(c, f"alpha/{VF0.identity}", "flaps"))
    assert fleet.free() == []
    assert fleet.device(VF0).tainted == "flaps"
    fleet.store.write(lambda c: device.untaint(c, f"alpha/{VF0.identity}"))
    assert fleet.free() == [VF0.identity]


def test_tainting_what_is_not_there_says_so(fleet):
    with pytest.raises(NotFound):
        fleet.store.write(lambda c: device.taint(c, "alpha/nothing", "?"))
    with pytest.raises(NotFound):
        fleet.store.read(lambda c: device.get(c, "alpha/nothing"))


@pytest.mark.behaviour(11)
def test_two_devices_with_one_identity_are_both_tainted_with_the_reason(fleet):
    one = pci("0000:05:00.0", identity="serial-1")
    two = pci("0000:06:00.0", identity="serial-1")
    fleet.host("alpha", offered(two), offered(one), offered(VF0))
    assert fleet.free() == [VF0.identity]
    seen = {str(found.offer.device.address): found for found in fleet.store.read(device.listing)}
    assert seen["0000:05:00.0"].id == "alpha/serial-1"
    assert seen["0000:06:00.0"].id == "alpha/serial-1@0000:06:00.0"
    assert "0000:06:00.0" in seen["0000:05:00.0"].tainted
    assert "0000:05:00.0" in seen["0000:06:00.0"].tainted


@pytest.mark.behaviour(7, 37)
def test_the_claimed_one_of_two_with_one_identity_keeps_its_claim(fleet):
    claimed = pci("0000:06:00.0", identity="serial-1")
    fleet.host("alpha", offered(claimed))
    taken = fleet.take_one(claimed)
    fleet.inventory(offered(pci("0000:05:00.0", identity="serial-1")), offered(claimed))
    assert fleet.device("alpha/serial-1").offer.device.address == claimed.address
    assert fleet.device("alpha/serial-1").holder == taken.id
    assert fleet.free() == []


@pytest.mark.behaviour(1)
def test_what_is_not_offered_or_refused_is_not_free(fleet):
    fleet.host(
        "alpha",
        OfferedDevice(device=VF0, offered=False, attributes={}),
        OfferedDevice(device=VF1, offered=True, attributes={}, refusal="network 'other' contains it"),
        offered(VF2),
    )
    assert fleet.free() == [VF2.identity]


def test_the_free_devices_of_some_hosts_are_asked_for_in_one_query(fleet, statements):
    for name in ("alpha", "beta", "gamma"):
        fleet.host(name, offered(VF0))
    statements.clear()
    found = fleet.store.read(lambda c: device.free(c, ["alpha", "gamma"]))
    assert [one.host for one in found] == ["alpha", "gamma"]
    assert len([said for said in statements if said.startswith("SELECT")]) == 1


def test_devices_are_listed_for_one_host_or_all_and_looked_up_together(fleet):
    fleet.host("alpha", offered(VF0))
    fleet.host("beta", offered(VF0))
    assert [one.host for one in fleet.store.read(device.listing)] == ["alpha", "beta"]
    [only] = fleet.store.read(lambda c: device.listing(c, host="beta"))
    assert fleet.store.read(lambda c: device.among(c, [only.id, "alpha/nothing"])) == {only.id: only}


@pytest.mark.behaviour(3, 18)
def test_an_attribute_of_a_spec_is_declared_by_its_first_host(fleet):
    fleet.host("alpha", offered(VF0, group="a", rank=1, trusted=True))
    declared = fleet.store.read(attribute.declared)
    assert [declared[name] for name in ("group", "rank", "trusted", "vendor")] == [
        AttributeType.STRING, AttributeType.INTEGER, AttributeType.BOOLEAN, AttributeType.STRING,
    ]  # fmt: skip


@pytest.mark.behaviour(5, 18)
def test_an_attribute_of_another_type_is_refused_and_the_inventory_before_stands(fleet):
    fleet.host("alpha", offered(VF0, rank=1))
    fleet.host("beta", offered(VF0))
    with pytest.raises(Rejected) as caught:
        fleet.inventory(offered(VF0, rank=True), offered(VF1), on="beta")
    assert caught.value.code == "attribute-type"
    assert all(word in caught.value.message for word in ("beta", "'rank'", "alpha", "boolean", "integer"))
    assert [one.offer for one in fleet.store.read(lambda c: device.listing(c, host="beta"))] == [offered(VF0)]
    with pytest.raises(Rejected, match="built in"):
        fleet.inventory(offered(VF0, physical_network=1), on="beta")


@pytest.mark.behaviour(37)
def test_a_device_cannot_be_removed_under_a_hold_by_anybody(fleet):
    fleet.host("alpha", offered(VF0))
    taken = fleet.take_one(VF0)
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        fleet.store.write(lambda c: c.exec_driver_sql("DELETE FROM device"))
    assert fleet.claim(taken.id).state is ClaimState.HELD


def test_versions_rise_and_only_the_present_one_is_served(fleet):
    fleet.host("alpha")
    assert [fleet.store.write(lambda c: host.touch(c, "alpha")) for _n in range(2)] == [1, 2]
    assert not fleet.store.write(lambda c: host.serve(c, "alpha", 1))
    assert fleet.store.write(lambda c: host.serve(c, "alpha", 2))
    found = fleet.store.read(lambda c: host.get(c, "alpha"))
    assert (found.desired_version, found.served_version) == (2, 2)
