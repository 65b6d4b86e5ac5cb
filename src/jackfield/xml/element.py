"""A small declarative layer: name the parts of an element that we know, and everything else stays.

    class Source(Element):
        dev = Attr("dev")

    class Interface(Element):
        mac = Child("mac", Mac)
        source = Child("source", Source)

An `Element` is a view of one node: reading it looks, writing it changes that node and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from lxml import etree

from jackfield.xml.parse import Node

INDENT = "  "


class Element:
    def __init__(self, node: Node) -> None:
        self.node = node


E = TypeVar("E", bound=Element)


class Attr:
    """An attribute; None while it is absent."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, owner: Element, _: type[Element]) -> str | None:
        return owner.node.get(self._name)

    def __set__(self, owner: Element, value: str) -> None:
        owner.node.set(self._name, value)


class Text:
    """The text of the first child of that name; empty while it is absent."""

    def __init__(self, tag: str) -> None:
        self._tag = tag

    def __get__(self, owner: Element, _: type[Element]) -> str:
        return owner.node.findtext(self._tag, "").strip()

    def __set__(self, owner: Element, value: str) -> None:
        ensure(owner.node, self._tag).text = value


class Child(Generic[E]):
    """The first child of that name; None while there is none."""

    def __init__(self, tag: str, kind: type[E]) -> None:
        self._tag, self._kind = tag, kind

    def __get__(self, owner: Element, _: type[Element]) -> E | None:
        node = owner.node.find(self._tag)
        return None if node is None else self._kind(node)


class Children(Generic[E]):
    """All elements at that path, in the order of the document."""

    def __init__(self, path: str, kind: type[E]) -> None:
        self._path, self._kind = path, kind

    def __get__(self, owner: Element, _: type[Element]) -> Iterator[E]:
        return map(self._kind, owner.node.findall(self._path))


def make(tag: str, *children: Node | str | None, **attributes: str | None) -> Node:
    """A new element; whatever is None is left out, a text is the element's text."""
    node = etree.Element(tag, {name: value for name, value in attributes.items() if value is not None})
    for child in children:
        if isinstance(child, str):
            node.text = child
        elif child is not None:
            node.append(child)
    return node


def ensure(parent: Node, tag: str) -> Node:
    """The first child of that name, added as the last one if there is none."""
    child = parent.find(tag)
    if child is None:
        child = make(tag)
        append(parent, child)
    return child


def append(parent: Node, child: Node) -> None:
    """Adds the last child, indented as libvirt does; blanks elsewhere stay what they are."""
    depth = 1 + sum(1 for _ in parent.iterancestors())
    etree.indent(child, INDENT, level=depth)
    _end_with(parent, "\n" + INDENT * depth)
    child.tail = "\n" + INDENT * (depth - 1)
    parent.append(child)


def remove(parent: Node, child: Node) -> None:
    """Takes a child out and leaves the text around it."""
    tail, before = child.tail or "", child.getprevious()
    parent.remove(child)
    if before is None:
        parent.text = (parent.text or "").rstrip() + tail
    else:
        before.tail = (before.tail or "").rstrip() + tail


def _end_with(parent: Node, blanks: str) -> None:
    if len(parent):
        parent[-1].tail = (parent[-1].tail or "").rstrip() + blanks
    else:
        parent.text = (parent.text or "").rstrip() + blanks
