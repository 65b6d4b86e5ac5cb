from __future__ import annotations

from dataclasses import replace

import pytest
from build import pci, pf, vf

from jackfield.model.device import AttributeType, Device, DeviceKind
from jackfield.model.error import Rejected
from jackfield.model.spec import RULES_MAX, HostSpec, Rule, parse_spec

PF = pf("eth2", driver="igb")
VF0, VF1 = vf(0, of=PF, driver="igbvf"), vf(1, of=PF, driver="vfio-pci")
OTHER = pf("eth3", address="0000:02:00.0")
OTHER_VF = vf(0, of=OTHER, driver="igbvf")
GPU = pci(driver=None)
ALL = (PF, VF0, VF1, OTHER, OTHER_VF, GPU)


def spec(*rules: str) -> HostSpec:
    return parse_spec("\n".join(f"[[rule]]\n{rule}" for rule in rules), "host.toml")


def offers(matching: str, device: Device) -> bool:
    pf_of_it = {PF.address: PF, OTHER.address: OTHER}.get(device.parent)
    return spec(f"match = {matching}").decide(device, pf_of_it).offer


def offered(matching: str) -> list[Device]:
    return [device for device in ALL if offers(matching, device)]


def refusal(text: str) -> Rejected:
    with pytest.raises(Rejected) as refused:
        parse_spec(text, "host.toml")
    assert refused.value.code == "spec-malformed"
    return refused.value


@pytest.mark.behaviour(1)
def test_an_empty_spec_offers_nothing():
    assert not any(parse_spec("", "host.toml").decide(device, None).offer for device in ALL)


@pytest.mark.behaviour(1)
def test_a_device_that_no_rule_matches_is_not_offered():
    assert spec('match = {vendor = "15b3"}').decide(VF0, PF) == (False, {}, None, None)


@pytest.mark.behaviour(2)
@pytest.mark.parametrize(
    ("matching", "devices"),
    [
        ("{}", ALL),
        ('{vendor = "8086"}', (PF, VF0, VF1, OTHER, OTHER_VF)),
        ('{vendor = "0x8086", product = "10CA"}', (VF0, VF1, OTHER_VF)),
        ('{class = "03"}', (GPU,)),
        ('{class = "0x0302"}', (GPU,)),
        ('{class = "030200"}', (GPU,)),
        ('{kind = "pf"}', (PF, OTHER)),
        ('{driver = "vfio-pci"}', (VF1,)),
        ('{address = "0000:01:10.2"}', (VF1,)),
        ('{address = "0000:01:10.*"}', (VF0, VF1)),
        ('{address = {bus = "01", slot = "10", function = "[0-1]"}}', (VF0,)),
        ('{netdev = "eth2v1"}', (VF1,)),
        ('{netdev = "eth?v0"}', (VF0, OTHER_VF)),
    ],
)
def test_a_rule_matches_by_what_it_names_and_a_missing_field_means_any(matching, devices):
    assert offered(matching) == list(devices)


@pytest.mark.behaviour(4)
@pytest.mark.parametrize(
    "matching",
    [
        '{pf = "eth2"}',
        '{pf = "0000:01:00.0"}',
        '{pf = "0000:01:*"}',
        '{netdev = "eth2"}',
        '{address = "0000:01:00.0"}',
        '{address = {bus = "01", slot = "00"}}',
    ],
)
def test_a_rule_on_a_pf_covers_its_vfs_and_nobody_else_s(matching):
    assert offered(matching) == [PF, VF0, VF1]


@pytest.mark.behaviour(4)
def test_a_kind_tells_a_pf_from_its_vfs():
    assert offered('{pf = "eth2", kind = "vf"}') == [VF0, VF1]
    assert offered('{netdev = "eth2", kind = "pf"}') == [PF]


@pytest.mark.behaviour(4)
def test_a_pf_that_is_not_shown_still_covers_its_vfs_by_its_address():
    assert spec('match = {pf = "0000:01:00.0"}').decide(VF0, None).offer
    assert not spec('match = {pf = "eth2"}').decide(VF0, None).offer


@pytest.mark.behaviour(2)
def test_pf_means_no_plain_function():
    plain = pci(netdev="eth2")
    assert not offers('{pf = "eth2"}', plain)
    assert not offers('{pf = "0000:05:00.0"}', plain)


@pytest.mark.behaviour(2)
def test_a_condition_on_what_the_device_lacks_is_false():
    assert not offers('{netdev = "*"}', GPU)
    assert not offers('{driver = "igb"}', GPU)


@pytest.mark.behaviour(2)
def test_the_first_rule_that_matches_decides():
    rules = spec(
        'match = {netdev = "eth2v0"}\noffer = false',
        'match = {vendor = "8086"}\nattributes = {group = "b"}',
        'match = {kind = "vf"}\nattributes = {group = "c"}',
    )
    assert rules.decide(VF0, PF) == (False, {}, None, 1)
    assert rules.decide(VF1, PF) == (True, {"group": "b"}, None, 2)


@pytest.mark.behaviour(3)
def test_a_rule_gives_attributes_of_any_name_and_says_their_types():
    rules = spec('attributes = {physical_network = "physnet1", group = "fast", trusted = true, weight = 3}')
    assert rules.decide(VF0, PF).attributes == {
        "physical_network": "physnet1",
        "group": "fast",
        "trusted": True,
        "weight": 3,
    }
    assert rules.declared() == {
        "physical_network": AttributeType.STRING,
        "group": AttributeType.STRING,
        "trusted": AttributeType.BOOLEAN,
        "weight": AttributeType.INTEGER,
    }


def test_a_rule_puts_a_device_into_one_network_pool():
    assert spec('pool_network = "fast"').decide(VF0, PF).pool_network == "fast"


def test_a_rule_without_a_word_offers_everything():
    assert spec("").rules == (Rule(),)


def test_a_vdpa_device_keeps_to_the_rule_on_its_pf():
    assert offers('{pf = "eth2"}', replace(VF0, kind=DeviceKind.VDPA))


@pytest.mark.behaviour(5)
@pytest.mark.parametrize(
    ("rule", "field", "says"),
    [
        ('match = {vendro = "8086"}', "match.vendro", "did you mean 'vendor'"),
        ('match = {xyzzy = "8086"}', "match.xyzzy", "use vendor, product"),
        ('mach = {vendor = "8086"}', "mach", "did you mean 'match'"),
        ("match = 5", "match", "cannot use 5: write a table"),
        ("match = {vendor = 8086}", "match.vendor", "cannot use 8086: write a text in quotes"),
        ('match = {vendor = "80866"}', "match.vendor", "'80866' is not a PCI id"),
        ('match = {product = ""}', "match.product", "cannot use '': write 1 to 256 characters"),
        ('match = {class = "20000"}', "match.class", "cannot use '20000': write 2, 4 or 6"),
        ('match = {address = "0000:01"}', "match.address", "'0000:01' is not a PCI address"),
        ('match = {address = {bus = "["}}', "match.address", "RE2 refuses it"),
        ("match = {netdev = true}", "match.netdev", "cannot use True: write a text"),
        ('match = {pf = "01:"}', "match.pf", "'01:' is not a PCI address"),
        ('match = {kind = "fv"}', "match.kind", "cannot use 'fv': write one of pci, pf, vf, vdpa"),
        ("match = {driver = []}", "match.driver", r"cannot use \[\]: write a text"),
        ('offer = "yes"', "offer", "cannot use 'yes': write true or false"),
        ("attributes = []", "attributes", r"cannot use \[\]: write a table"),
        ("attributes = {weight = 1.5}", "attributes.weight", "cannot use 1.5: write a text, a 64-bit"),
        ("attributes = {weight = 9223372036854775808}", "attributes.weight", "64-bit"),
        ("attributes = {tags = {a = 1}}", "attributes.tags", "write a text, a 64-bit"),
        ("attributes = {since = 1979-05-27}", "attributes.since", "write a text, a 64-bit"),
        ('attributes = {Group = "x"}', "attributes.Group", "cannot use 'Group': an attribute's name"),
        ('attributes = {vendor = "x"}', "attributes.vendor", "take another name"),
        ('attributes = {mac = "x"}', "attributes.mac", "take another name"),
        ("attributes = {physical_network = 1}", "attributes.physical_network", "write a text"),
        ('pool_network = "Fast"', "pool_network", "network pool name 'Fast'"),
        ("pool_network = 1", "pool_network", "cannot use 1: write a text"),
    ],
)
def test_a_wrong_spec_is_refused_with_file_rule_field_value_and_the_way_out(rule, field, says):
    refused = refusal(f'[[rule]]\nmatch = {{vendor = "8086"}}\n[[rule]]\n{rule}\n')
    assert refused.detail == {"file": "host.toml", "rule": 2, "field": field}
    assert refused.message.startswith(f"host spec host.toml, rule 2, field {field}: ")
    with pytest.raises(Rejected, match=says):
        raise refused


@pytest.mark.behaviour(5)
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[rule]\n", "this is not TOML: Expected ']]' at the end of an array declaration (at line 1"),
        ("rule = " + "[" * 10_000, "this is not TOML"),
        ("rule = " + "1" * 5_000, "this is not TOML"),
        ("[rule]\nmatch = {}\n", "write at most 1024 tables"),
        ("rule = [1]\n", "rule 1: cannot use 1: write a table"),
        ("[[rules]]\n", "field rules: there is no such field: did you mean 'rule'"),
        ("[[rule]]\n" * (RULES_MAX + 1), "write at most 1024 tables"),
    ],
)
def test_what_is_no_spec_at_all_is_refused_with_the_file(text, says):
    refused = refusal(text)
    assert refused.detail["file"] == "host.toml"
    assert says in refused.message


@pytest.mark.behaviour(5)
def test_an_attribute_of_two_types_is_refused_with_both_rules():
    refused = refusal("[[rule]]\nattributes = {trusted = true}\n[[rule]]\nattributes = {trusted = 1}\n")
    assert refused.detail == {"file": "host.toml", "rule": 2, "field": "attributes.trusted"}
    assert refused.message.endswith("cannot use 1: rule 1 made it a boolean; give it one type")
