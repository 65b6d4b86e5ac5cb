from __future__ import annotations

import pytest

from jackfield.model.error import Rejected
from jackfield.model.flavor import (
    ALTERNATIVES_MAX,
    Flavor,
    alternatives_to_json,
    check_name,
    parse_alternatives,
)

FAST = [{"link_speed_mbps": {"min": 10000}}, {"vendor": "8086"}]


def flavor(raw: object) -> Flavor:
    return Flavor(name="fast", alternatives=parse_alternatives(raw, "flavor fast"))


@pytest.mark.behaviour(15)
@pytest.mark.parametrize(
    ("attributes", "index"),
    [
        ({"vendor": "8086", "link_speed_mbps": 25000}, 0),
        ({"vendor": "8086", "link_speed_mbps": 1000}, 1),
        ({"vendor": "15b3", "link_speed_mbps": 1000}, None),
    ],
)
def test_the_first_alternative_that_a_device_satisfies_counts(attributes, index):
    assert flavor(FAST).match(attributes) == index


def test_alternatives_read_back_as_they_were_written():
    assert alternatives_to_json(flavor(FAST).alternatives) == FAST


@pytest.mark.parametrize("raw", [[], {}, "vendor", None, [{}] * (ALTERNATIVES_MAX + 1)])
def test_alternatives_are_a_list_of_bounded_length(raw):
    with pytest.raises(Rejected) as refused:
        flavor(raw)
    assert refused.value.code == "flavor-malformed"


def test_a_wrong_alternative_is_refused_by_its_number():
    with pytest.raises(Rejected, match=r"flavor fast.alternatives\[1\]"):
        flavor([{"vendor": "8086"}, ["vendor"]])


@pytest.mark.parametrize("name", ["a", "fast-25g", "a.b_c", "9", "a" * 64])
def test_a_good_name_is_given_back(name):
    assert check_name("flavor", name) == name


@pytest.mark.parametrize("name", ["", "Fast", "-fast", "fast-", "fa st", "a" * 65, "fast\n"])
def test_a_name_that_would_hurt_in_a_path_or_a_shell_is_refused(name):
    with pytest.raises(Rejected) as refused:
        check_name("flavor", name)
    assert refused.value.code == "name-malformed"
