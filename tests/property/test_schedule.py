"""The scheduler against brute force: every way to give every device, on small fleets full of PFs and VFs."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jackfield.model.device import DeviceId, DeviceKind
from jackfield.model.selector import parse_alternative
from jackfield.schedule.allocate import NoFit, Placement, allocate
from jackfield.schedule.match import Request
from jackfield.schedule.pool import FreeDevice, Pool, pools

COLORS = ("red", "blue")
FLAVORS = [parse_alternative(raw, "flavor") for raw in ({}, {"color": "red"}, {"kind": "vf"}, {"kind": "pf"})]


def flavors_matching(pool: Pool) -> int:
    return sum(flavor.matches(pool.attributes) for flavor in FLAVORS)


@st.composite
def hosts(draw, name):
    """The free devices of a host: PFs with some of their VFs, PFs that are gone, plain functions.

    Half of the hosts have equal cards only: what is interchangeable is decided in one go.
    """
    free = []
    colors, vfs = draw(st.sampled_from([(COLORS, (0, 1, 2)), (("red",), (1,)), (("blue",), (2,))]))

    def add(identity, kind, parent=None):
        free.append(
            FreeDevice(
                device_id=DeviceId(f"{name}/{identity}"),
                host=name,
                identity=identity,
                kind=kind,
                attributes={"kind": kind.value, "color": draw(st.sampled_from(colors))},
                parent_id=DeviceId(f"{name}/{parent}") if parent else None,
                spec_attribute_count=draw(st.integers(0, 1)),
            )
        )

    for number in range(draw(st.integers(0, 3))):
        if draw(st.booleans()) or draw(st.booleans()):
            add(f"pf{number}", DeviceKind.PF)
        for index in range(draw(st.sampled_from(vfs))):
            add(f"pf{number}-vf{index}", DeviceKind.VF, f"pf{number}")
    for number in range(draw(st.integers(0, 1))):
        add(f"plain{number}", DeviceKind.PCI)
    return draw(st.permutations(free))


conditions = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from(["vf", "pf", ["vf", "pci"], ["pf", "vf"]]),
        "color": st.sampled_from(COLORS),
    },
)


@st.composite
def situations(draw):
    free = [*draw(hosts("a")), *draw(hosts("b"))]
    every_id = st.sampled_from([device.device_id for device in free]) if free else st.nothing()
    requests = [
        Request(
            name=f"r{number}",
            alternatives=tuple(
                parse_alternative(raw, "r") for raw in draw(st.lists(conditions, min_size=1, max_size=2))
            ),
            required=draw(st.sampled_from([{}, {}, {"color": "red"}])),
            excluded=draw(st.frozensets(every_id, max_size=2)) if free else frozenset(),
        )
        for number in range(draw(st.integers(0, 4)))
    ]
    return requests, free


def alternative_of(request: Request, device: FreeDevice) -> int | None:
    if device.device_id in request.excluded:
        return None
    if any(device.attributes[name] != value for name, value in request.required.items()):
        return None
    return next((a for a, each in enumerate(request.alternatives) if each.matches(device.attributes)), None)


def ways(requests, free):
    """Every way to serve all requests on this host: the vector, and the devices."""
    for devices in product(free, repeat=len(requests)):
        ids = {device.device_id for device in devices}
        if len(ids) < len(devices) or any(device.parent_id in ids for device in devices):
            continue
        vector = tuple(alternative_of(*pair) for pair in zip(requests, devices, strict=True))
        if None not in vector:
            yield vector, devices


def feature_rank(device: FreeDevice):
    flavors = sum(flavor.matches(device.attributes) for flavor in FLAVORS)
    return flavors, device.spec_attribute_count, device.identity


def decide(requests, free):
    by_host: dict[str, list[Pool]] = {"a": [], "b": []}
    for pool in pools(free):
        by_host[pool.host].append(pool)
    return allocate(requests, by_host, flavors_matching)


@pytest.mark.behaviour(15, 19, 27, 28)
@settings(max_examples=400, deadline=None)
@given(situations())
def test_the_answer_is_that_of_trying_everything(situation):
    requests, free = situation
    by_host = {host: list(ways(requests, [d for d in free if d.host == host])) for host in "ab"}
    vectors = [vector for found in by_host.values() for vector, _ in found]
    answer = decide(requests, free)
    if not vectors:
        assert isinstance(answer, NoFit)
        assert set(answer.hosts) == {"a", "b"}
        return
    assert isinstance(answer, Placement)
    assert answer.vector == min(vectors)
    best = [devices for vector, devices in by_host[answer.host] if vector == answer.vector]
    least_featured = min(best, key=lambda devices: [feature_rank(device) for device in devices])
    assert list(answer.devices.values()) == [device.device_id for device in least_featured]


@pytest.mark.behaviour(27)
@settings(deadline=None)
@given(situations(), st.randoms(use_true_random=False))
def test_the_order_in_which_devices_are_told_changes_nothing(situation, random):
    requests, free = situation
    shuffled = random.sample(free, len(free))
    assert decide(requests, shuffled) == decide(requests, free)


@pytest.mark.behaviour(19, 25)
@given(situations())
def test_every_free_device_is_in_exactly_one_pool(situation):
    _, free = situation
    grouped = pools(free)
    assert sorted(d.device_id for pool in grouped for d in pool.devices) == sorted(d.device_id for d in free)
    assert len({(pool.host, pool.signature, pool.parent_id) for pool in grouped}) == len(grouped)
    for pool in grouped:
        assert all(d.attributes == pool.attributes and d.parent_id == pool.parent_id for d in pool.devices)
        assert pool.ids == {d.device_id for d in pool.devices}


@pytest.mark.behaviour(4, 27)
@settings(deadline=None)
@given(
    cards=st.integers(1, 6),
    vfs=st.integers(1, 3),
    whole=st.integers(0, 6),
    split=st.integers(0, 8),
)
def test_equal_cards_serve_whole_ones_and_vfs_up_to_the_last(cards, vfs, whole, split):
    free = []
    for number in range(cards):
        pf = FreeDevice(
            device_id=DeviceId(f"a/pf{number}"),
            host="a",
            identity=f"pf{number}",
            kind=DeviceKind.PF,
            attributes={"kind": "pf"},
        )
        free += [pf] + [
            replace(
                pf,
                device_id=DeviceId(f"{pf.device_id}/{index}"),
                identity=f"{pf.identity}/{index}",
                kind=DeviceKind.VF,
                attributes={"kind": "vf"},
                parent_id=pf.device_id,
            )
            for index in range(vfs)
        ]
    kinds = ["pf"] * whole + ["vf"] * split
    requests = [
        Request(name=f"r{number}", alternatives=(parse_alternative({"kind": kind}, "r"),))
        for number, kind in enumerate(kinds)
    ]
    fits = whole + -(-split // vfs) <= cards
    assert isinstance(decide(requests, free), Placement) == fits
