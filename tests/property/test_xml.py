"""Whatever a user's domain holds, it comes through; whatever an enemy sends, it is refused or harmless."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from jackfield.model.address import MacAddress
from jackfield.model.error import Rejected
from jackfield.xml.domain import MarkedPort, Metadata, compose, read
from jackfield.xml.interface import MacvtapInterface
from jackfield.xml.parse import parse
from jackfield.xml.rewrite import with_netdevs

MAC = MacAddress("fa:16:3e:00:00:0a")
NIC = f"<interface type='direct'><mac address='{MAC}'/><source dev='eth0' mode='passthrough'/></interface>"
METADATA = Metadata(installation="here", instance_id="1", ports=(MarkedPort("port", 0, MAC),))

words = st.text(string.ascii_letters, min_size=1, max_size=8)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), max_size=12)
names = st.one_of(words, words.map("{{urn:example:{}}}x".format))


def element(tag, attributes, text, children):
    node = etree.Element(tag, attributes)
    node.text = text
    for child, tail in children:
        child.tail = tail
        node.append(child)
    return node


leaves = st.one_of(
    st.builds(element, names, st.dictionaries(names, texts, max_size=3), texts, st.just([])),
    words.map(etree.Comment),
    words.map(lambda word: etree.ProcessingInstruction(f"t{word}", word)),
)
unknown = st.recursive(
    leaves,
    lambda inner: st.builds(
        element,
        names,
        st.dictionaries(names, texts, max_size=3),
        texts,
        st.lists(st.tuples(inner, texts), max_size=4),
    ),
    max_leaves=12,
)


def text_of(node) -> str:
    return etree.tostring(node, encoding="unicode", with_tail=False)


def domain(*unknown_parts) -> str:
    first, second = (text_of(part) for part in unknown_parts)
    return f"<domain>{first}<name>n</name><devices>{NIC}{second}</devices></domain>"


@pytest.mark.behaviour(54)
@given(unknown, unknown)
def test_a_rewrite_keeps_any_unknown_tree_to_the_last_blank(first, second):
    before = domain(first, second)
    after = with_netdevs(with_netdevs(before, {MAC: "eth1"}), {MAC: "eth0"})
    assert etree.canonicalize(after, with_comments=True) == etree.canonicalize(before, with_comments=True)


@pytest.mark.behaviour(53, 54)
@given(unknown, unknown)
def test_composing_keeps_any_unknown_tree_and_can_be_done_again(first, second):
    interface = MacvtapInterface(mac=MAC, netdev="eth1")
    once = compose(domain(first, second), METADATA, [interface])
    assert compose(once, METADATA, [interface]) == once
    assert read(once).metadata == METADATA
    kept = parse(once)
    for part, parent in ((first, kept), (second, kept.find("devices"))):
        assert canonical(part) in [canonical(child) for child in parent]


def canonical(node) -> str:
    # A comment or an instruction is no document by itself.
    alone = element("alone", {}, "", [(etree.fromstring(f"<a>{text_of(node)}</a>")[0], "")])
    return etree.canonicalize(text_of(alone), with_comments=True)


fragments = st.sampled_from(
    [
        *(
            "<domain>",
            "</domain>",
            "<?xml version='1.0'?>",
            "<!DOCTYPE d [",
            "]>",
            "<!ENTITY a '&b;'>",
            "&a;",
        ),
        *(
            "<![CDATA[",
            "]]>",
            "<!--",
            "-->",
            "<?p",
            "?>",
            "<interface>",
            "</interface>",
            "\ufeff",
            "\0",
            "&#0;",
        ),
    ]
)
hostile = st.one_of(
    st.text(max_size=200),
    st.lists(fragments, max_size=30).map("".join),
    st.integers(1, 3000).map(lambda depth: "<domain>" * depth + "</domain>" * depth),
    st.integers(1, 3000).map(
        lambda count: "<?a?><!---->" * count + "<!DOCTYPE d>" * (count % 2) + "<domain/>"
    ),
)


@pytest.mark.behaviour(54)
@given(hostile)
def test_hostile_text_is_refused_with_a_code_or_holds_nothing_that_expands(text):
    try:
        facts = read(text)
    except Rejected as error:
        assert error.code in {"xml-forbidden", "xml-malformed", "xml-not-domain", "mac-malformed"}
    else:
        assert facts.name == ""
        assert parse(text).getroottree().docinfo.internalDTD is None
