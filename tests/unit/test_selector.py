from __future__ import annotations

import pytest

from jackfield.model.device import BUILT_IN, AttributeType
from jackfield.model.error import Rejected
from jackfield.model.selector import (
    CONDITIONS_MAX,
    LIST_LENGTH_MAX,
    NOT_DEPTH_MAX,
    TEXT_LENGTH_MAX,
    check_attributes,
    parse_alternative,
    parse_test,
)

DECLARED = {**BUILT_IN, "trusted": AttributeType.BOOLEAN}
VF = {
    "vendor": "8086",
    "link_speed_mbps": 1000,
    "driver": "igbvf",
    "trusted": True,
    "physical_network": "phys1",
}


def matches(raw: object) -> bool:
    return parse_alternative(raw, "here").matches(VF)


def check(raw: object, **settings) -> None:
    check_attributes([parse_alternative(raw, "here")], DECLARED, where="flavor fast", **settings)


@pytest.mark.behaviour(14)
@pytest.mark.parametrize(
    ("yes", "no"),
    [
        ({"vendor": "8086"}, {"vendor": "15b3"}),
        ({"vendor": ["15b3", "8086"]}, {"vendor": ["15b3", "10de"]}),
        ({"physical_network": {"glob": "phys*"}}, {"physical_network": {"glob": "data*"}}),
        ({"link_speed_mbps": {"min": 1000, "max": 1000}}, {"link_speed_mbps": {"min": 1001}}),
        ({"link_speed_mbps": {"max": 1000}}, {"link_speed_mbps": {"max": 999}}),
        ({"driver": {"not": "vfio-pci"}}, {"driver": {"not": "igbvf"}}),
        ({"driver": {"not": {"glob": "vfio*"}}}, {"driver": {"not": {"not": {"glob": "vfio*"}}}}),
        ({"trusted": True}, {"trusted": False}),
        ({"vendor": "8086", "driver": "igbvf"}, {"vendor": "8086", "driver": "igb"}),
    ],
)
def test_a_condition_holds_or_not(yes, no):
    assert matches(yes)
    assert not matches(no)


@pytest.mark.parametrize(
    "raw", [{"vendor": ["8086", "15b3"]}, {"numa_node": {"min": 0, "max": 1}}, {"numa_node": {"max": 1}}]
)
def test_an_alternative_is_written_as_it_was_read(raw):
    assert parse_alternative(raw, "here").to_json() == raw


@pytest.mark.behaviour(14)
def test_an_alternative_without_conditions_matches_every_device():
    assert matches({})


@pytest.mark.behaviour(14)
@pytest.mark.parametrize("test", ["0", {"not": "0"}, {"glob": "*"}, {"min": 0}, ["0"]])
def test_a_condition_on_an_attribute_that_the_device_lacks_is_false(test):
    assert not matches({"numa_node": test})


@pytest.mark.parametrize("test", [1, [1], {"min": 1}, {"glob": "*"}])
def test_a_boolean_attribute_is_neither_an_integer_nor_a_text(test):
    assert not matches({"trusted": test})


def test_a_glob_sees_texts_and_a_range_sees_integers():
    assert not matches({"link_speed_mbps": {"glob": "*"}})
    assert not matches({"vendor": {"min": 0}})


@pytest.mark.behaviour(21)
def test_the_first_failing_condition_is_named():
    alternative = parse_alternative({"vendor": "8086", "driver": "igb", "trusted": False}, "here")
    assert alternative.first_failing(VF).attribute == "driver"
    assert parse_alternative({"vendor": "8086"}, "here").first_failing(VF) is None


@pytest.mark.parametrize(
    "raw",
    [
        "8086",
        {"vendor": None},
        {"vendor": 1.5},
        {"vendor": []},
        {"vendor": ["8086"] * (LIST_LENGTH_MAX + 1)},
        {"vendor": [["8086"]]},
        {"vendor": "x" * (TEXT_LENGTH_MAX + 1)},
        {"vendor": {}},
        {"vendor": {"glob": 8086}},
        {"vendor": {"glob": "*", "not": "x"}},
        {"vendor": {"like": "x"}},
        {"numa_node": {"min": "0"}},
        {"numa_node": {"max": True}},
        {"numa_node": {"min": None}},
        {"numa_node": {"min": 2, "max": 1}},
        {f"a{number}": 1 for number in range(CONDITIONS_MAX + 1)},
    ],
)
def test_what_is_no_condition_is_refused(raw):
    with pytest.raises(Rejected) as refused:
        parse_alternative(raw, "here")
    assert refused.value.code == "selector-malformed"


def test_negations_nest_only_so_deep():
    test: object = "igbvf"
    for _ in range(NOT_DEPTH_MAX):
        test = {"not": test}
    assert parse_test(test, "here").to_json() == test
    with pytest.raises(Rejected, match="nest at most"):
        parse_test({"not": test}, "here")


@pytest.mark.behaviour(17)
@pytest.mark.parametrize("attribute", ["address", "host", "mac", "vf_index", "iommu_group"])
def test_location_is_refused_unless_the_operator_allows_it(attribute):
    with pytest.raises(Rejected, match=r"flavors\.allow_location") as refused:
        check({attribute: "x"})
    assert refused.value.code == "selector-location"
    check({attribute: "x"}, allow_location=True)


@pytest.mark.behaviour(18)
def test_an_unknown_attribute_is_refused_with_the_near_misses():
    with pytest.raises(Rejected, match="did you mean 'physical_network'") as refused:
        check({"phys_network": "physnet1"})
    assert refused.value.code == "selector-unknown-attribute"
    assert refused.value.detail["near"][0] == "physical_network"


@pytest.mark.behaviour(18)
def test_an_attribute_that_is_like_no_other_is_refused_as_reported_by_no_host():
    with pytest.raises(Rejected, match="no host reports it"):
        check({"xyzzy": 1})


@pytest.mark.behaviour(16, 18)
@pytest.mark.parametrize(
    "raw",
    [
        {"vendor": "8086"},
        {"vendor": ["8086", "15b3"]},
        {"vendor": {"glob": "80*"}},
        {"numa_node": {"min": 0}},
        {"trusted": {"not": True}},
    ],
)
def test_a_condition_of_the_attribute_s_type_is_taken(raw):
    check(raw)


@pytest.mark.behaviour(18)
@pytest.mark.parametrize(
    "raw",
    [
        {"vendor": 8086},
        {"vendor": ["8086", 8086]},
        {"numa_node": {"glob": "*"}},
        {"vendor": {"min": 0}},
        {"trusted": {"not": 1}},
    ],
)
def test_a_condition_of_another_type_is_refused(raw):
    with pytest.raises(Rejected, match="the attribute's type is") as refused:
        check(raw)
    assert refused.value.code == "selector-type"
