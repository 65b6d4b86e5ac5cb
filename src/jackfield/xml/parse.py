"""Text to XML and back, for text that may be a user's: nothing in it is expanded, fetched or unbounded.

libxml2 gives `<!DOCTYPE` its power (entities, external files, bombs) and no libvirt document needs one, so
a text that has one is refused before the parser sees it. Depth (256) and the length of a text node are
bounded by libxml2 itself, as long as `huge_tree` stays off. Processing instructions and comments are kept
and never obeyed.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from lxml import etree

from jackfield.model.error import Rejected

Node: TypeAlias = etree._Element

BYTES_MAX = 4 * 1024 * 1024

# Only blanks, the declaration, processing instructions and comments may stand before a DTD. Atomic
# groups, or a text of many half-open ones would take quadratic time and more.
_DTD = re.compile(r"\ufeff?(?>\s+|<\?(?>.*?\?>)|<!--(?>.*?-->))*+<!DOCTYPE", re.DOTALL)


def parse(text: str) -> Node:
    """The root of the document in `text`.

    Raises `Rejected`: `xml-too-large` over 4 MiB of UTF-8, `xml-forbidden` for a document type
    definition (and with it every entity but the five of XML itself), `xml-malformed` for the rest.
    """
    try:
        content = text.encode()
    except UnicodeEncodeError as error:
        raise Rejected("xml-malformed", f"the XML is not Unicode text: {error.reason}") from None
    if len(content) > BYTES_MAX:
        raise Rejected(
            "xml-too-large", f"the XML has {len(content)} bytes; at most {BYTES_MAX} are read: shorten it"
        )
    if _DTD.match(text):
        raise Rejected("xml-forbidden", "the XML has a <!DOCTYPE>; remove it, and write entities out")
    # The encoding is ours by now, whatever the text's own declaration says.
    parser = etree.XMLParser(encoding="utf-8", resolve_entities=False, load_dtd=False, no_network=True)
    try:
        return etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise Rejected("xml-malformed", f"the XML does not parse: {error.msg}") from None


def serialize(root: Node) -> str:
    """The document as text, with what stands before and after its root, without a declaration."""
    return etree.tostring(root.getroottree(), encoding="unicode")
