"""Claims and holds: one holder for each function, whoever asks, until release is proved."""

from __future__ import annotations

import pytest
from build import offered, pci, pf, vf

from jackfield.model.claim import ClaimPurpose, ClaimState, HoldReason
from jackfield.model.error import Conflict, NotFound
from jackfield.store import claim, device

from .conftest import later

PF = pf()
VF0, VF1, VF2 = (vf(index, of=PF) for index in range(3))


def conflict(code: str, work) -> Conflict:
    with pytest.raises(Conflict) as caught:
        work()
    assert caught.value.code == code
    return caught.value


@pytest.mark.behaviour(19, 37)
def test_a_held_device_is_not_free_and_is_refused_to_everybody_else(fleet):
    fleet.host("alpha", offered(VF0), offered(VF1))
    first = fleet.take_one(VF0)
    assert fleet.free() == [VF1.identity]
    refusal = conflict("device-taken", lambda: fleet.take(VF0))
    assert refusal.detail == {
        "device": f"alpha/{VF0.identity}", "wanted": f"alpha/{VF0.identity}", "holder": first.id,
    }  # fmt: skip
    assert f"alpha/{VF0.identity}" in refusal.message and first.id in refusal.message


@pytest.mark.behaviour(4, 37)
def test_a_held_pf_takes_all_its_vfs_with_it(fleet):
    fleet.host("alpha", offered(PF), offered(VF0), offered(VF1))
    holder = fleet.take_one(PF)
    assert fleet.free() == []
    assert conflict("device-taken", lambda: fleet.take(VF1)).detail["holder"] == holder.id
    fleet.end(holder)
    assert fleet.free() == [PF.identity, VF0.identity, VF1.identity]


@pytest.mark.behaviour(4, 37)
def test_a_pf_is_refused_while_one_of_its_vfs_is_held_and_free_after_the_last(fleet):
    fleet.host("alpha", offered(PF), offered(VF0), offered(VF1))
    holders = fleet.take(VF0, VF1)
    for holder in holders:
        assert fleet.free() == [] or PF.identity not in fleet.free()
        conflict("device-taken", lambda: fleet.take(PF))
        fleet.end(holder)
    fleet.take(PF)


@pytest.mark.behaviour(4)
def test_a_pf_of_another_card_is_not_concerned(fleet):
    other = pf("eth3", address="0000:02:00.0")
    fleet.host("alpha", offered(PF), offered(VF0), offered(other))
    fleet.take(VF0)
    assert fleet.free() == [other.identity]
    fleet.take(other)


@pytest.mark.behaviour(37)
def test_a_function_for_vfio_blocks_its_whole_iommu_group(fleet):
    gpu, audio = pci("0000:05:00.0", iommu_group=7), pci("0000:05:00.1", iommu_group=7)
    alone = pci("0000:06:00.0", iommu_group=8)
    fleet.host("alpha", offered(gpu), offered(audio), offered(alone))
    holder = fleet.take_one(gpu, needs_vfio=True)
    assert fleet.store.read(lambda c: claim.holds_of(c, holder.id)) == [
        (f"alpha/{gpu.identity}", HoldReason.CLAIMED),
        (f"alpha/{audio.identity}", HoldReason.IOMMU_GROUP),
    ]
    assert fleet.free() == [alone.identity]
    conflict("device-taken", lambda: fleet.take(audio))


def test_an_iommu_group_of_the_same_number_on_another_host_is_another_group(fleet):
    gpu = pci(iommu_group=7)
    fleet.host("alpha", offered(gpu))
    fleet.host("beta", offered(gpu))
    fleet.take(gpu, on="alpha", needs_vfio=True)
    fleet.take(gpu, on="beta", needs_vfio=True)


def test_a_function_without_a_group_blocks_only_itself_for_vfio(fleet):
    fleet.host("alpha", offered(pci("0000:05:00.0")), offered(pci("0000:06:00.0")))
    fleet.take(pci("0000:05:00.0"), needs_vfio=True)
    assert fleet.free() == [pci("0000:06:00.0").identity]


@pytest.mark.behaviour(37)
def test_a_group_with_a_held_function_is_refused_for_vfio(fleet):
    gpu, audio = pci("0000:05:00.0", iommu_group=7), pci("0000:05:00.1", iommu_group=7)
    fleet.host("alpha", offered(gpu), offered(audio))
    fleet.take(audio)
    conflict("device-taken", lambda: fleet.take(gpu, needs_vfio=True))


@pytest.mark.behaviour(36)
def test_several_devices_are_claimed_all_or_none(fleet):
    fleet.host("alpha", offered(VF0), offered(VF1), offered(VF2))
    fleet.take(VF1)
    conflict("device-taken", lambda: fleet.take(VF0, VF1, VF2))
    assert fleet.free() == [VF0.identity, VF2.identity]
    assert len(fleet.store.read(claim.listing)) == 1


@pytest.mark.behaviour(36)
def test_a_take_that_was_refused_leaves_nothing_even_when_the_caller_goes_on(fleet):
    fleet.host("alpha", offered(PF), offered(VF0), offered(VF1))
    fleet.take(VF1)
    wanted = fleet.new_claim(f"alpha/{PF.identity}")

    def work(c):
        conflict("device-taken", lambda: claim.take(c, wanted, claim.holds_for(c, wanted.device_id)))

    fleet.store.write(work)
    assert fleet.free() == [VF0.identity]
    with pytest.raises(NotFound):
        fleet.claim(wanted.id)


def test_a_device_that_is_not_there_cannot_be_claimed(fleet):
    fleet.host("alpha")
    conflict("device-gone", lambda: fleet.take(VF0))


@pytest.mark.behaviour(38)
def test_a_given_up_claim_keeps_its_device_until_release_is_proved(fleet):
    fleet.host("alpha", offered(VF0))
    taken = fleet.take_one(VF0, desired_version=fleet.tell_agent())
    given_up = fleet.give_up(taken.id)
    assert given_up.state is ClaimState.RELEASING and given_up.generation == taken.generation + 1
    assert fleet.free() == []
    conflict("device-taken", lambda: fleet.take(VF0))
    assert fleet.prove_released(given_up)
    assert fleet.claim(taken.id).state is ClaimState.RELEASED
    assert fleet.free() == [VF0.identity]


@pytest.mark.behaviour(37, 38)
def test_a_late_report_changes_nothing(fleet):
    fleet.host("alpha", offered(VF0))
    taken = fleet.take_one(VF0, desired_version=fleet.tell_agent())
    given_up = fleet.give_up(taken.id)
    assert not fleet.prove_released(taken)
    assert fleet.free() == []
    assert fleet.prove_released(given_up)
    fleet.take(VF0)
    assert not fleet.prove_released(given_up)
    assert fleet.free() == []


def test_release_is_not_believed_of_a_claim_that_nobody_gave_up(fleet):
    fleet.host("alpha", offered(VF0))
    taken = fleet.take_one(VF0)
    conflict("claim-state", lambda: fleet.prove_released(taken))
    assert fleet.free() == []


@pytest.mark.behaviour(40)
def test_giving_up_twice_is_giving_up_once(fleet):
    fleet.host("alpha", offered(VF0))
    taken = fleet.take_one(VF0, desired_version=fleet.tell_agent())
    given_up = fleet.give_up(taken.id)
    assert fleet.give_up(taken.id) == given_up
    fleet.prove_released(given_up)
    assert fleet.give_up(taken.id).state is ClaimState.RELEASED


@pytest.mark.behaviour(38, 40)
def test_a_claim_that_no_agent_ever_saw_is_released_at_once(fleet):
    fleet.host("alpha", offered(VF0))
    seen = fleet.tell_agent()
    taken = fleet.take_one(VF0, desired_version=seen + 1)
    assert fleet.give_up(taken.id).state is ClaimState.RELEASED
    assert fleet.free() == [VF0.identity]


@pytest.mark.behaviour(38)
def test_an_active_claim_is_never_released_at_once(fleet):
    fleet.host("alpha", offered(VF0))
    taken = fleet.take_one(VF0, desired_version=1)
    fleet.store.write(lambda c: claim.activate(c, taken.id))
    assert fleet.give_up(taken.id).state is ClaimState.RELEASING


def test_an_active_claim_has_no_lease_and_activation_is_idempotent(fleet):
    fleet.host("alpha", offered(VF0))
    taken = fleet.take_one(VF0)
    active = fleet.store.write(lambda c: claim.activate(c, taken.id))
    assert (active.state, active.lease_expires_at) == (ClaimState.ACTIVE, None)
    assert fleet.store.write(lambda c: claim.activate(c, taken.id)) == active == fleet.claim(taken.id)


def test_no_claim_comes_back_from_its_release(fleet):
    fleet.host("alpha", offered(VF0))
    taken = fleet.take_one(VF0)
    fleet.give_up(taken.id)
    refusal = conflict("claim-state", lambda: fleet.store.write(lambda c: claim.activate(c, taken.id)))
    assert refusal.detail["claim"] == taken.id


@pytest.mark.behaviour(38)
def test_a_lease_that_expires_gives_the_claim_up_and_frees_it_only_if_never_seen(fleet):
    fleet.host("alpha", offered(VF0), offered(VF1), offered(VF2))
    seen = fleet.tell_agent()
    delivered = fleet.take_one(VF0, lease=later(10), desired_version=seen)
    undelivered = fleet.take_one(VF1, lease=later(10), desired_version=seen + 1)
    fleet.take_one(VF2, lease=later(20), desired_version=seen)
    assert fleet.store.read(lambda c: claim.expired(c, later(9.999))) == []
    over = fleet.store.read(lambda c: claim.expired(c, later(10)))
    assert {one.id for one in over} == {delivered.id, undelivered.id}
    ended = {one.id: fleet.store.write(lambda c, one=one: claim.begin_release(c, one.id)) for one in over}
    assert ended[delivered.id].state is ClaimState.RELEASING
    assert ended[undelivered.id].state is ClaimState.RELEASED
    assert fleet.free() == [VF1.identity]
    assert fleet.store.read(lambda c: claim.expired(c, later(10))) == []


def test_an_active_claim_has_no_lease_to_expire(fleet):
    fleet.host("alpha", offered(VF0))
    active = fleet.take_one(VF0, lease=later(10))
    fleet.store.write(lambda c: claim.activate(c, active.id))
    assert fleet.store.read(lambda c: claim.expired(c, later(20))) == []


@pytest.mark.behaviour(46, 58)
def test_at_the_change_over_the_purposes_swap_and_the_source_is_given_up(fleet):
    fleet.host("alpha", offered(VF0))
    fleet.host("beta", offered(VF0))
    source = fleet.take_one(VF0, on="alpha", port_id="p", desired_version=fleet.tell_agent("alpha"))
    fleet.store.write(lambda c: claim.activate(c, source.id))
    target = fleet.take_one(VF0, on="beta", port_id="p", purpose=ClaimPurpose.MIGRATION, migration_id="m")
    after = fleet.store.write(lambda c: claim.change_over(c, source.id, target.id))
    assert [(one.purpose, one.state) for one in after] == [
        (ClaimPurpose.MIGRATION, ClaimState.RELEASING), (ClaimPurpose.RUN, ClaimState.ACTIVE),
    ]  # fmt: skip
    assert fleet.store.write(lambda c: claim.change_over(c, source.id, target.id)) == after
    assert fleet.store.read(lambda c: claim.listing(c, port_id="p")) == list(after)
    assert fleet.free() == []


def test_the_listing_leaves_out_what_is_released_unless_asked(fleet):
    fleet.host("alpha", offered(VF0), offered(VF1))
    over, lives = fleet.take(VF0, VF1, instance_id="i")
    fleet.end(over)
    assert fleet.store.read(lambda c: claim.listing(c, instance_id="i")) == [lives]
    everything = fleet.store.read(lambda c: claim.listing(c, instance_id="i", include_released=True))
    assert [one.id for one in everything] == [over.id, lives.id]
    assert fleet.store.read(lambda c: claim.listing(c, host="beta")) == []


def test_a_stored_claim_is_the_claim_that_was_taken(fleet):
    fleet.host("alpha", offered(VF0))
    taken = fleet.take_one(
        VF0, flavor="fast", strategy="netdev-rename", instance_id="i", port_id="p", migration_id="m",
        lease=later(0.5), desired_version=7,
    )  # fmt: skip
    assert fleet.claim(taken.id) == taken


@pytest.mark.behaviour(7)
def test_a_device_shows_who_holds_it_and_why(fleet):
    fleet.host("alpha", offered(PF), offered(VF0))
    holder = fleet.take_one(PF)
    seen = {one.id: (one.holder, one.hold_reason) for one in fleet.store.read(device.listing)}
    assert seen == {
        f"alpha/{PF.identity}": (holder.id, HoldReason.CLAIMED),
        f"alpha/{VF0.identity}": (holder.id, HoldReason.VF_OF_CLAIMED_PF),
    }
