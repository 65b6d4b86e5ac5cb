from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from jackfield.model.device import BUILT_IN, type_of
from jackfield.model.error import Rejected
from jackfield.model.selector import (
    Alternative,
    Condition,
    Equal,
    Glob,
    Not,
    OneOf,
    Range,
    check_attributes,
    parse_alternative,
    parse_test,
)

NAMES = st.sampled_from(["vendor", "numa_node", "trusted", "physical_network", "group"])
WORDS = st.text(st.sampled_from("abc*?[]!-01"), max_size=6)
SCALARS = st.booleans() | st.integers(-3, 3) | WORDS
ATTRIBUTES = st.dictionaries(NAMES, SCALARS)
RANGES = st.tuples(st.none() | st.integers(-3, 3), st.none() | st.integers(-3, 3)).filter(
    lambda ends: ends != (None, None) and (None in ends or ends[0] <= ends[1])
)
TESTS = st.recursive(
    st.builds(Equal, SCALARS)
    | st.builds(OneOf, st.lists(SCALARS, min_size=1, max_size=4).map(tuple))
    | st.builds(Glob, WORDS)
    | RANGES.map(lambda ends: Range(*ends)),
    lambda inner: st.builds(Not, inner),
    max_leaves=3,
)
ALTERNATIVES = st.dictionaries(NAMES, TESTS, max_size=4).map(
    lambda tests: Alternative(tuple(Condition(name, test) for name, test in tests.items()))
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["glob", "min", "max", "not"]) | st.text(max_size=5), inner, max_size=3
        )
    ),
)


@settings(deadline=None)
@given(ALTERNATIVES)
def test_an_alternative_reads_back_from_its_json(alternative):
    assert parse_alternative(json.loads(json.dumps(alternative.to_json())), "here") == alternative


@settings(deadline=None)
@given(ANYTHING)
def test_whatever_is_written_is_taken_or_refused_and_then_reads_back(raw):
    try:
        test = parse_test(raw, "here")
    except Rejected as refused:
        assert refused.code == "selector-malformed"
        return
    assert parse_test(test.to_json(), "here") == test


@settings(deadline=None)
@given(TESTS, SCALARS)
def test_not_turns_every_test_around(test, value):
    assert Not(test).holds(value) is not test.holds(value)


@settings(deadline=None)
@given(NAMES, TESTS, ATTRIBUTES)
def test_a_condition_on_a_missing_attribute_never_holds(name, test, attributes):
    attributes.pop(name, None)
    assert not Condition(name, test).holds(attributes)
    assert not Condition(name, Not(test)).holds(attributes)


@settings(deadline=None)
@given(ALTERNATIVES, ATTRIBUTES)
def test_an_alternative_matches_exactly_if_no_condition_fails(alternative, attributes):
    failing = alternative.first_failing(attributes)
    assert alternative.matches(attributes) is (failing is None)
    assert failing is None or not failing.holds(attributes)


@settings(deadline=None)
@given(ATTRIBUTES)
def test_a_device_matches_the_alternative_that_is_made_of_its_attributes(attributes):
    alternative = parse_alternative(attributes, "here")
    assert alternative.matches(attributes)
    declared = {name: type_of(value) for name, value in attributes.items()}
    check_attributes([alternative], declared, where="here")


@settings(deadline=None)
@given(ALTERNATIVES)
def test_an_alternative_is_checked_or_refused_with_a_code(alternative):
    try:
        check_attributes([alternative], BUILT_IN, where="here")
    except Rejected as refused:
        assert refused.code in {"selector-unknown-attribute", "selector-type"}
