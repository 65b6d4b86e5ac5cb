from __future__ import annotations

import pytest

from jackfield.model.address import PciAddress, parse_hex_id, parse_mac
from jackfield.model.error import Rejected


def refusal(parse, *arguments) -> str:
    with pytest.raises(Rejected) as refused:
        parse(*arguments)
    return refused.value.code


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0000:01:10.2", PciAddress(0, 1, 0x10, 2)),
        ("01:10.2", PciAddress(0, 1, 0x10, 2)),
        (" 0000:AF:1F.7\n", PciAddress(0, 0xAF, 0x1F, 7)),
        ("10000:e1:00.0", PciAddress(0x10000, 0xE1, 0, 0)),
    ],
)
def test_an_address_is_read_with_or_without_its_domain(text, address):
    assert PciAddress.parse(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0000:01:10",
        "0000:01:20.0",
        "0000:01:10.8",
        "000:01:10.0",
        "0000:1:10.0",
        "0x0000:01:10.0",
        "\u0660\u0660:10.0",
    ],
)
def test_what_is_no_address_is_refused_with_the_way_to_write_one(text):
    with pytest.raises(Rejected, match=r"as in 0000:01:10\.2") as refused:
        PciAddress.parse(text)
    assert refused.value.code == "address-malformed"


def test_addresses_sort_by_domain_bus_slot_and_function():
    texts = ["0000:01:00.1", "0000:01:10.0", "0000:02:00.0", "0001:00:00.0"]
    assert [str(address) for address in sorted(map(PciAddress.parse, reversed(texts)))] == texts


def test_a_mac_is_kept_as_the_kernel_prints_it():
    assert parse_mac(" FA-16-3E-46-D3-E8\n") == "fa:16:3e:46:d3:e8"


@pytest.mark.parametrize(
    "text", ["", "fa:16:3e:46:d3", "fa:16:3e:46:d3:e8:00", "fa:16:3e:46:d3:zz", "fa163e46d3e8"]
)
def test_what_is_no_mac_is_refused(text):
    assert refusal(parse_mac, text) == "mac-malformed"


def test_a_multicast_address_is_refused_as_an_interfaces():
    with pytest.raises(Rejected, match="multicast"):
        parse_mac("01:00:5e:00:00:01")


@pytest.mark.parametrize(
    ("text", "digits", "identifier"),
    [
        ("0x8086", 4, "8086"),
        ("10CA", 4, "10ca"),
        ("15", 4, "0015"),
        ("0", 4, "0000"),
        ("0x020000\n", 6, "020000"),
    ],
)
def test_ids_lose_their_prefix_and_gain_their_zeros(text, digits, identifier):
    assert parse_hex_id(text, digits) == identifier


@pytest.mark.parametrize("text", ["", "0x", "80866", "808g", "-1", "\uff18\uff10"])
def test_what_is_no_id_is_refused(text):
    assert refusal(parse_hex_id, text) == "id-malformed"
