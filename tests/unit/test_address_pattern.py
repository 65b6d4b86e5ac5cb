from __future__ import annotations

import pytest

from jackfield.model.address import PciAddress
from jackfield.model.address_pattern import TEXT_LENGTH_MAX, parse_address_pattern
from jackfield.model.error import Rejected

VF = PciAddress.parse("0000:01:10.2")
FAR = PciAddress.parse("0001:01:10.2")


@pytest.mark.behaviour(2)
@pytest.mark.parametrize(
    "raw",
    [
        "0000:01:10.2",
        "01:10.2",
        "0000:01:10.*",
        "0000:01:1?.[24]",
        "*:01:*",
        "01:10.*",
        {"bus": "01"},
        {"domain": "0+", "bus": "0[1-3]", "slot": "1[0-7]", "function": "[0-3]"},
        {"regex": {"slot": "10"}},
        {"regex": "0000:0[1-3]:.*"},
        {"regex": ".*:10.2"},
    ],
)
def test_an_address_matches_exactly_by_glob_or_by_regular_expression(raw):
    assert parse_address_pattern(raw).holds(VF)


@pytest.mark.behaviour(2)
@pytest.mark.parametrize(
    "raw",
    [
        "0000:01:10.4",
        "0000:02:*",
        {"bus": "0"},
        {"slot": "0"},
        {"bus": "01", "function": "[4-6]"},
        {"regex": "01:10.2"},
    ],
)
def test_a_pattern_holds_from_end_to_end(raw):
    assert not parse_address_pattern(raw).holds(VF)


def test_a_pattern_without_a_domain_means_domain_0():
    for raw in ("01:10.2", "01:10.*"):
        assert not parse_address_pattern(raw).holds(FAR)


def test_upper_case_is_read_as_lower_case():
    card = PciAddress.parse("0000:af:00.0")
    for raw in ("0000:AF:00.0", "0000:AF:*", {"bus": "AF"}, {"regex": "0000:A[E-F]:.*"}):
        assert parse_address_pattern(raw).holds(card)


@pytest.mark.parametrize(
    ("raw", "way_out"),
    [
        ("0000:01", "domain:bus:slot"),
        (5, "write an address, a glob, or a table"),
        ({}, "for some of domain, bus, slot, function"),
        ({"bus": "01", "port": "1"}, "and nothing else"),
        ({"regex": ".*", "bus": "01"}, "and nothing else"),
        ({"bus": 1}, "is a text"),
        ({"regex": 1}, "is a text"),
        ({"bus": "["}, "RE2 refuses it: missing"),
        ({"bus": "(a{1000}){100}"}, "RE2 refuses it"),
        ({"bus": r"(\d)\1"}, "RE2 refuses it"),
        ("*" * (TEXT_LENGTH_MAX + 1), "at most 256"),
        ({"slot": "x" * (TEXT_LENGTH_MAX + 1)}, "at most 256"),
    ],
)
def test_what_is_no_pattern_is_refused_with_the_way_out(raw, way_out):
    with pytest.raises(Rejected, match=way_out):
        parse_address_pattern(raw)


def test_a_regular_expression_that_others_never_finish_ends_at_once():
    assert not parse_address_pattern({"regex": "(0|0:|0*)*x"}).holds(VF)
