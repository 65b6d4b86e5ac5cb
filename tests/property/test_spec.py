from __future__ import annotations

from build import pci, pf, vf
from hypothesis import given, settings
from hypothesis import strategies as st

from jackfield.model.device import BUILT_IN, IDENTITY
from jackfield.model.error import Rejected
from jackfield.model.spec import HostSpec, Match, Rule, parse_spec
from jackfield.reconcile.inventory import apply, diff

CARDS = (pf("eth2"), vf(0), vf(1), pf("eth3", address="0000:02:00.0", product="1572", vendor="15b3"), pci())
TOML_VALUES = st.sampled_from(
    [
        "1", "-1", "1.5", "true", '"8086"', '"0x10ca"', '"*"', '"0000:01:10.*"', '"0000:01:00.0"', '"vf"',
        '"eth2"', "[]", '["a"]', "{}", '{regex = "["}', '{bus = "0[1-3]"}', '{regex = {slot = "10"}}',
        "1979-05-27", '""', "9223372036854775808", "{a = 1}",
    ]
)  # fmt: skip
KEYS = st.sampled_from(
    [
        "vendor",
        "product",
        "class",
        "address",
        "netdev",
        "pf",
        "kind",
        "driver",
        "offer",
        "match",
        "group",
        "x-1",
        "mac",
    ]
)
TABLES = st.dictionaries(KEYS, TOML_VALUES, max_size=3).map(
    lambda table: "{" + ", ".join(f"{name} = {value}" for name, value in table.items()) + "}"
)
RULES = st.dictionaries(
    st.sampled_from(["match", "offer", "attributes", "pool_network", "mach"]),
    TABLES | TOML_VALUES,
    max_size=4,
)
SPECS = st.lists(RULES, max_size=3).map(
    lambda rules: "\n".join(
        "[[rule]]\n" + "\n".join(f"{name} = {value}" for name, value in rule.items()) for rule in rules
    )
)
GOOD_RULES = st.builds(
    Rule,
    match=st.builds(
        Match,
        vendor=st.sampled_from([None, "8086", "15b3", "ffff"]),
        kind=st.sampled_from([None, "vf", "pf"]),
        netdev=st.sampled_from([None, "eth2", "eth*"]),
    ),
    offer=st.booleans(),
    attributes=st.dictionaries(st.sampled_from(["physical_network", "group"]), st.sampled_from("ab")),
)
GOOD_SPECS = st.lists(GOOD_RULES, max_size=4).map(lambda rules: HostSpec(tuple(rules)))


def check_refusal(refused: Rejected) -> None:
    assert refused.code == "spec-malformed"
    assert refused.message.startswith("host spec host.toml")
    assert set(refused.detail) == {"file", "rule", "field"}


@settings(deadline=None, max_examples=500)
@given(SPECS)
def test_a_spec_is_taken_whole_or_refused_with_its_place(text):
    try:
        spec = parse_spec(text, "host.toml")
    except Rejected as refused:
        check_refusal(refused)
        return
    assert len(spec.rules) == text.count("[[rule]]")
    assert not set(spec.declared()) & (IDENTITY | set(BUILT_IN) - {"physical_network"})
    assert len(apply(spec, CARDS)) == len(CARDS)


@settings(deadline=None)
@given(st.text(max_size=200))
def test_no_text_is_more_than_refused(text):
    try:
        parse_spec(text, "host.toml")
    except Rejected as refused:
        check_refusal(refused)


@settings(deadline=None)
@given(GOOD_SPECS)
def test_a_device_is_offered_exactly_if_the_first_rule_that_matches_offers_it(spec):
    by_address = {device.address: device for device in CARDS}
    for entry in apply(spec, CARDS):
        pf_of_it = by_address.get(entry.device.parent)
        matching = [rule for rule in spec.rules if rule.match.holds(entry.device, pf_of_it)]
        assert entry.offered is (bool(matching) and matching[0].offer)
        assert entry.attributes == (matching[0].attributes if matching else {})


@settings(deadline=None)
@given(GOOD_SPECS, GOOD_SPECS)
def test_every_device_on_offer_before_or_after_is_in_one_part_of_the_difference(before, after):
    old, new = apply(before, CARDS), apply(after, CARDS)
    change = diff(old, new)
    was, now = ({e.device.identity for e in side if e.offered} for side in (old, new))
    parts = [
        {e.device.identity for e in part}
        for part in (change.added, change.removed, change.kept, change.changed)
    ]
    assert parts[0] == now - was
    assert parts[1] == was - now
    assert parts[2] | parts[3] == was & now
    assert sum(map(len, parts)) == len(was | now)
