from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from jackfield.model.address import PciAddress, parse_hex_id, parse_mac
from jackfield.model.address_pattern import FIELDS, parse_address_pattern
from jackfield.model.error import Rejected

ADDRESSES = st.builds(
    PciAddress, st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFF), st.integers(0, 0x1F), st.integers(0, 7)
)
NEARLY = st.text(st.sampled_from("0123456789abcdefABCDEFx:.*?[]-! \n"), max_size=20)
"""Texts of the letters that addresses, ids and globs are made of."""
TEXTS = NEARLY | st.text(max_size=300)


@settings(deadline=None)
@given(ADDRESSES)
def test_an_address_reads_back_as_it_is_printed(address):
    assert PciAddress.parse(str(address)) == address
    assert PciAddress.parse(str(address).upper()) == address


@settings(deadline=None)
@given(ADDRESSES, ADDRESSES)
def test_addresses_of_one_domain_sort_as_their_texts_do(one, other):
    here = PciAddress(one.domain, other.bus, other.slot, other.function)
    assert (one < here) == (str(one) < str(here))


@settings(deadline=None)
@given(TEXTS)
def test_no_text_breaks_a_parser_and_what_is_taken_reads_back(text):
    for parse in (PciAddress.parse, parse_mac, parse_hex_id):
        try:
            value = parse(text)
        except Rejected:
            continue
        assert parse(str(value)) == value


@settings(deadline=None)
@given(ADDRESSES)
def test_an_address_matches_itself_however_it_is_written(address):
    domain, bus, rest = str(address).split(":")
    slot, function = rest.split(".")
    fields = {"domain": domain, "bus": bus, "slot": slot, "function": function}
    for raw in (str(address), f"{domain}:{bus}:*", fields, {"regex": fields}, {"regex": ".*"}):
        assert parse_address_pattern(raw).holds(address)


@settings(deadline=None)
@given(
    TEXTS
    | st.integers()
    | st.none()
    | st.dictionaries(st.sampled_from((*FIELDS, "regex", "x")), TEXTS | st.integers(), max_size=4),
    ADDRESSES,
)
def test_no_pattern_is_more_than_refused(raw, address):
    try:
        pattern = parse_address_pattern(raw)
    except Rejected:
        return
    assert pattern.holds(address) in (True, False)
