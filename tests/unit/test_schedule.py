"""Scheduling: pools, the exact joint fit, which device goes first, which host wins, and why not."""

from __future__ import annotations

import pytest

from jackfield.model.device import DeviceId, DeviceKind
from jackfield.model.selector import Alternative, parse_alternative
from jackfield.schedule.allocate import BoundHit, NoFit, Placement, allocate
from jackfield.schedule.explain import Explanations, explain, total
from jackfield.schedule.match import Request
from jackfield.schedule.pool import FreeDevice, Pool, pools, signature_of

ANY = Alternative(())


def device(name: str, host: str = "a", *, of: str | None = None, given: int = 0, **attributes) -> FreeDevice:
    """A free device: a VF where it is `of` a PF, a PF where its name says so."""
    kind = DeviceKind.VF if of else DeviceKind.PF if name.startswith("pf") else DeviceKind.PCI
    return FreeDevice(
        device_id=DeviceId(f"{host}/{name}"),
        host=host,
        identity=name,
        kind=kind,
        attributes={"kind": kind.value, **attributes},
        parent_id=DeviceId(f"{host}/{of}") if of else None,
        spec_attribute_count=given,
    )


def card(pf: str, vfs: int, host: str = "a", **attributes) -> list[FreeDevice]:
    """A PF with its VFs."""
    children = [device(f"{pf}-vf{i}", host, of=pf, **attributes) for i in range(vfs)]
    return [device(pf, host, **attributes), *children]


def want(name: str, *alternatives: dict, required=None, excluded=()) -> Request:
    return Request(
        name=name,
        alternatives=tuple(parse_alternative(raw, name) for raw in alternatives) or (ANY,),
        required=required or {},
        excluded=frozenset(DeviceId(device_id) for device_id in excluded),
    )


def fleet(*devices: FreeDevice, also: str = "") -> dict[str, list[Pool]]:
    """Pools by host, `also` naming hosts without a free device."""
    by_host: dict[str, list[Pool]] = {host: [] for host in also.split()}
    for pool in pools(devices):
        by_host.setdefault(pool.host, []).append(pool)
    return by_host


def place(requests, by_host, flavors=lambda pool: 1, **bound):
    return allocate(requests, by_host, flavors, **bound)


def placed(requests, by_host, flavors=lambda pool: 1) -> dict[str, str]:
    answer = place(requests, by_host, flavors)
    assert isinstance(answer, Placement)
    return dict(answer.devices)


VF, PF = {"kind": "vf"}, {"kind": "pf"}


# ── pools


@pytest.mark.behaviour(25)
def test_a_pool_holds_the_devices_of_one_host_with_equal_attributes_and_one_pf():
    free = [*card("pf1", 3), *card("pf2", 2), *card("pf1", 2, "b"), device("gpu")]
    grouped = pools(free)
    assert sorted(len(pool.devices) for pool in grouped) == [1, 1, 2, 2, 2, 3]
    assert sum(len(pool.devices) for pool in grouped) == len(free)


def test_a_boolean_and_an_integer_of_one_name_are_two_signatures():
    assert signature_of({"trusted": True}) != signature_of({"trusted": 1})


# ── fitting together


@pytest.mark.behaviour(27, 4)
def test_a_pf_and_its_only_vfs_are_never_given_together():
    assert isinstance(place([want("p", PF), want("v", VF)], fleet(*card("pf1", 4))), NoFit)


@pytest.mark.behaviour(27, 4)
def test_a_pf_is_given_beside_the_vfs_of_another():
    given = placed([want("p", PF), want("v", VF), want("w", VF)], fleet(*card("pf1", 1), *card("pf2", 2)))
    assert given == {"p": "a/pf1", "v": "a/pf2-vf0", "w": "a/pf2-vf1"}


@pytest.mark.behaviour(27)
def test_a_request_that_could_take_anything_leaves_the_only_device_of_the_next():
    free = [device("gpu", model="old"), device("nic", model="new")]
    assert placed([want("any"), want("new", {"model": "old"})], fleet(*free)) == {
        "any": "a/nic",
        "new": "a/gpu",
    }


@pytest.mark.behaviour(27)
def test_all_requests_of_an_instance_meet_on_one_host():
    free = [device("one", "a"), device("one", "b"), device("two", "c"), device("three", "c")]
    assert set(placed([want("x"), want("y")], fleet(*free)).values()) == {"c/two", "c/three"}


@pytest.mark.behaviour(27)
def test_many_equal_cards_are_decided_without_trying_each():
    free = [one for number in range(16) for one in card(f"pf{number:02}", 1)]
    too_many = [want(f"p{i}", PF) for i in range(10)] + [want(f"v{i}", VF) for i in range(7)]
    assert isinstance(place(too_many, fleet(*free)), NoFit)
    assert isinstance(place(too_many[:-1], fleet(*free)), Placement)


def test_an_excluded_device_is_not_given_to_that_request_and_to_another_it_is():
    by_host = fleet(device("one"), device("two"))
    given = placed([want("x", excluded=["a/one"]), want("y")], by_host)
    assert given == {"x": "a/two", "y": "a/one"}


def test_what_a_request_requires_holds_under_every_alternative():
    free = [
        device("one", model="new", physical_network="physnet1"),
        device("two", physical_network="physnet2"),
    ]
    request = want("x", {"model": "new"}, {"kind": "pci"}, required={"physical_network": "physnet2"})
    answer = place([request], fleet(*free))
    assert isinstance(answer, Placement)
    assert (answer.devices["x"], answer.vector) == ("a/two", (1,))


# ── alternatives


@pytest.mark.behaviour(15)
def test_a_host_with_an_earlier_alternative_beats_every_host_with_only_a_later_one():
    free = [device("x", "a", speed=10), device("x", "b", speed=25), device("y", "a", speed=10)]
    answer = place([want("p", {"speed": 25}, {"speed": 10})], fleet(*free, also="c"))
    assert answer == Placement(host="b", devices={"p": DeviceId("b/x")}, vector=(0,))


@pytest.mark.behaviour(15)
def test_the_earlier_request_gets_its_first_alternative_when_only_one_can():
    free = [device("x", speed=25), device("y", speed=10)]
    fast = [{"speed": 25}, {"speed": 10}]
    answer = place([want("p", *fast), want("q", *fast)], fleet(*free))
    assert isinstance(answer, Placement)
    assert answer.vector == (0, 1)


@pytest.mark.behaviour(15, 27)
def test_a_request_steps_back_to_a_later_alternative_so_that_all_fit():
    free = [device("x", speed=25), device("y", speed=10)]
    answer = place([want("p", {"speed": 25}, {"speed": 10}), want("q", {"speed": 25})], fleet(*free))
    assert isinstance(answer, Placement)
    assert answer.vector == (1, 0)


@pytest.mark.behaviour(15)
def test_a_host_with_a_better_vector_is_found_after_a_worse_one():
    fast, slow = {"speed": 25}, {"speed": 10}
    free = [device("x", "a", speed=10), device("x", "b", speed=25), device("x", "c", speed=10)]
    answer = place([want("p", fast, slow)], fleet(*free))
    assert isinstance(answer, Placement)
    assert answer.host == "b"


# ── which device, which host


@pytest.mark.behaviour(28)
def test_the_device_with_fewest_flavors_goes_first_then_fewest_spec_attributes_then_identity():
    free = [
        device("1-wanted-by-many", popular=True),
        device("2-special", given=2),
        device("4-plain", given=1),
        device("3-plain", given=1),
    ]
    order = list(
        placed([want(f"{i}") for i in range(4)], fleet(*free), lambda pool: len(pool.attributes)).values()
    )
    assert order == ["a/3-plain", "a/4-plain", "a/2-special", "a/1-wanted-by-many"]


@pytest.mark.behaviour(28)
def test_the_least_featured_device_is_kept_back_when_only_it_serves_the_rest():
    free = [device("plain"), device("special", given=3)]
    given = placed([want("x"), want("y", excluded=["a/special"])], fleet(*free))
    assert given == {"x": "a/special", "y": "a/plain"}


@pytest.mark.behaviour(28)
def test_of_equal_hosts_the_one_where_fewest_devices_are_stranded_wins():
    whole, broken = card("pf1", 2, "a"), card("pf1", 2, "b")[1:]
    answer = place([want("v", VF)], fleet(*whole, *broken))
    assert isinstance(answer, Placement)
    assert answer.host == "b"
    answer = place([want("p", PF)], fleet(*whole, device("pf1", "b")))
    assert isinstance(answer, Placement)
    assert answer.host == "b"


@pytest.mark.behaviour(28)
def test_of_equal_hosts_the_one_with_the_less_featured_device_wins():
    free = [device("x", "a", popular=True), device("x", "b")]
    answer = place([want("p")], fleet(*free), lambda pool: len(pool.attributes))
    assert isinstance(answer, Placement)
    assert answer.host == "b"


@pytest.mark.behaviour(31)
def test_an_instance_without_requests_avoids_hosts_with_devices():
    free = [device("x", "a"), device("y", "a"), device("x", "b")]
    for also, host in (("", "b"), ("c d", "c")):
        answer = place([], fleet(*free, also=also))
        assert answer == Placement(host=host, devices={}, vector=())


# ── the bound


class Count:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, pool: Pool) -> int:
        self.calls += 1
        return 1


def test_flavors_are_counted_once_for_each_signature():
    count = Count()
    placed([want("x"), want("y")], fleet(*(device(f"{i}", host) for host in "abcd" for i in range(3))), count)
    assert count.calls == 1


CLASH = [want("p", PF), want("v", VF)]


@pytest.mark.behaviour(27)
def test_a_search_that_is_given_up_is_never_called_a_misfit():
    assert place(CLASH, fleet(*card("pf1", 1)), branches_max=0) == BoundHit(hosts=("a",))


@pytest.mark.behaviour(27)
def test_a_placement_names_the_hosts_that_were_not_decided():
    simple = [device("pf1", "b"), device("pf2-vf0", "b", of="pf2")]
    answer = place(CLASH, fleet(*card("pf1", 1), *simple), branches_max=0)
    assert isinstance(answer, Placement)
    assert (answer.host, answer.undecided) == ("b", ("a",))


@pytest.mark.behaviour(27)
def test_a_search_may_be_given_up_while_the_devices_are_chosen():
    free = [*card("pf1", 1), device("pf2-vf0", of="pf2"), device("spare")]
    requests = [want("s", {"kind": "pci"}), *CLASH]
    # One branch finds that they fit; the next question asks for another.
    assert place(requests, fleet(*free), branches_max=1) == BoundHit(hosts=("a",))
    assert isinstance(place(requests, fleet(*free)), Placement)


# ── explain


def sentence(requests, *free: FreeDevice) -> str:
    refusal = explain(requests, fleet(*free, also="a")["a"])
    assert refusal is not None
    return refusal.sentence


@pytest.mark.behaviour(27, 33)
def test_a_misfit_names_each_hosts_reason_and_counts_devices_over_the_hosts():
    free = [device(f"{i}", host, physical_network="physnet1") for host in "ab" for i in range(3)]
    request = want("port-1", required={"physical_network": "physnet2"})
    answer = place([request], fleet(*free, also="c"))
    assert isinstance(answer, NoFit)
    assert answer.hosts == {
        "a": "request 'port-1': no free device with physical_network=physnet2 among 3 free devices",
        "b": "request 'port-1': no free device with physical_network=physnet2 among 3 free devices",
        "c": "request 'port-1': the host has no free device",
    }
    (shortfall,) = answer.shortfalls
    assert shortfall.reason == "physical_network is 'physnet1', 'physnet2' is required"
    assert shortfall.devices == 6
    assert ("physical_network", "string", "physnet1") in shortfall.signature


@pytest.mark.behaviour(33)
def test_the_first_reason_is_that_of_the_first_request_that_nothing_answers_to():
    one = device("one", physical_network="physnet1", driver="ixgbe")
    required = {"physical_network": "physnet1", "driver": "igb"}
    assert sentence([want("x"), want("y", required=required)], one) == (
        "request 'y': no free device with physical_network=physnet1 and driver=igb among 1 free device"
    )
    assert sentence([want("y", PF, VF, required={"driver": "ixgbe"})], one) == (
        "request 'y': none of 1 free device with driver=ixgbe answers to any of its 2 alternatives"
    )
    assert sentence([want("y", excluded=["a/one"])], one) == (
        "request 'y': 1 free device would do, but all are excluded for this request"
    )
    assert sentence([want("y")]) == "request 'y': the host has no free device"


@pytest.mark.behaviour(33)
def test_requests_that_fit_one_by_one_only_are_named():
    requests = [want("p", PF), want("v", VF)]
    refusal = explain(requests, pools(card("pf1", 2)))
    assert refusal is not None
    assert refusal.sentence == "request 'v': 2 free devices would do, but not beside 'p'"
    (shortfall,) = total([refusal, refusal])
    assert shortfall.devices == 4
    assert "shut out by a PF or VF" in shortfall.reason


@pytest.mark.behaviour(33)
def test_every_alternatives_failing_condition_is_named_once():
    refusal = explain(
        [want("x", {"speed": 25}, {"model": {"glob": "x*"}}, {"speed": 25})], pools([device("one", speed=10)])
    )
    assert refusal is not None
    (shortfall,) = refusal.shortfalls
    assert shortfall.reason == "speed is 10, 25 is asked for and it has no model, {'glob': 'x*'} is asked for"


def test_nothing_is_to_be_explained_where_all_fits():
    assert explain([want("p", PF), want("v", VF)], pools([*card("pf1", 1), *card("pf2", 1)])) is None


def test_an_explanation_that_was_given_up_says_so():
    refusal = Explanations(CLASH, branches_max=0).of(pools(card("pf1", 1)))
    assert refusal is not None
    assert refusal.sentence == "request 'v': the search was given up before an answer was found"
