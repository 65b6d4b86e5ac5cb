"""A libvirt domain: built from options, given our interfaces and our metadata, and read back.

base    = build(machine, uuid=…, name=…)            stored; says nothing about any host
define  = compose(base, metadata, interfaces)       what one host's libvirt is given
facts   = read(define or what libvirt shows)        what we want to know of it
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lxml import etree

from jackfield.model.address import MacAddress, PciAddress, parse_mac
from jackfield.model.attachment import ObservedInterface
from jackfield.model.error import Rejected
from jackfield.model.instance import Machine
from jackfield.xml.element import Children, Element, Text, append, ensure, make, remove
from jackfield.xml.interface import Interface, InterfaceElement, pci_address
from jackfield.xml.parse import Node, parse, serialize

NAMESPACE = "urn:jackfield:domain:1"
_OURS, _PORT = f"{{{NAMESPACE}}}instance", f"{{{NAMESPACE}}}port"


class MarkedPort(NamedTuple):
    port_id: str
    number: int
    mac: MacAddress


@dataclass(frozen=True, kw_only=True, slots=True)
class Metadata:
    """What stands in the domain's `<metadata>`: that it is ours, whose, and with which ports."""

    installation: str
    instance_id: str
    ports: tuple[MarkedPort, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class DomainFacts:
    uuid: str
    name: str
    metadata: Metadata | None
    """None for a domain that is not ours, or whose mark somebody broke."""
    interfaces: tuple[ObservedInterface, ...]
    """Those that have a MAC, in the order of the document."""
    pci_addresses: frozenset[PciAddress]
    """Host devices that the domain takes whole, as `<hostdev>` or as an interface."""


class DomainElement(Element):
    name = Text("name")
    uuid = Text("uuid")
    interfaces = Children("devices/interface", InterfaceElement)
    marks = Children(f"metadata/{_OURS}", Element)


def build(machine: Machine, *, uuid: str, name: str) -> str:
    """The domain without any interface of ours; name and UUID are the given ones in any case.

    Raises `Rejected`: `machine-malformed` for text that no XML can hold, `xml-not-domain` and the codes
    of `parse` for a user's domain XML.
    """
    if machine.domain_xml is not None:
        domain = parse_domain(machine.domain_xml)
        domain.name, domain.uuid = name, uuid
        return serialize(domain.node)
    try:
        root = _from_options(machine, uuid, name)
    except ValueError as error:
        raise Rejected("machine-malformed", f"the machine's options cannot stand in XML: {error}") from None
    etree.indent(root)
    return serialize(root)


def compose(base: str, metadata: Metadata, interfaces: Sequence[Interface]) -> str:
    """`base` with our mark and our interfaces, these last among the devices in the order of port numbers.

    Idempotent: a text that was composed before loses the interfaces that its mark lists, and those whose
    MAC is given now, before the new ones go in. Every MAC in `interfaces` stands in `metadata`. Raises
    `Rejected` as `build` does.
    """
    domain = parse_domain(base)
    number = {port.mac: port.number for port in metadata.ports}
    ours = {interface.mac for interface in interfaces}
    for mark in domain.marks:
        if before := _read_mark(mark.node):
            ours |= {port.mac for port in before.ports}
        remove(_parent(mark.node), mark.node)
    for old in domain.interfaces:
        if old.mac in ours:
            remove(_parent(old.node), old.node)
    append(ensure(domain.node, "metadata"), _mark(metadata))
    devices = ensure(domain.node, "devices")
    for interface in sorted(interfaces, key=lambda interface: number[interface.mac]):
        append(devices, interface.to_xml())
    return serialize(domain.node)


def read(text: str) -> DomainFacts:
    """What we want to know of a domain, from its definition or as it runs.

    Raises `Rejected`: `xml-not-domain`, the codes of `parse`, `mac-malformed`, `address-malformed`.
    """
    domain = parse_domain(text)
    mark = next(domain.marks, None)
    taken = domain.node.iterfind("devices/hostdev[@type='pci']/source/address")
    carried = domain.node.iterfind("devices/interface[@type='hostdev']/source/address[@type='pci']")
    return DomainFacts(
        uuid=domain.uuid,
        name=domain.name,
        metadata=_read_mark(mark.node) if mark else None,
        interfaces=tuple(interface.observed() for interface in domain.interfaces if interface.mac),
        pci_addresses=frozenset(pci_address(node) for node in (*taken, *carried)),
    )


def local_disks(text: str) -> tuple[str, ...]:
    """The host's files and block devices that the domain's disks are, in the order of the document.

    Raises `Rejected` as `read` does.
    """
    sources = parse_domain(text).node.iterfind("devices/disk/source")
    paths = (source.get("file") or source.get("dev") for source in sources)
    return tuple(path for path in paths if path)


def parse_domain(text: str) -> DomainElement:
    """A view of the domain in `text`, for those that change it.

    Raises `Rejected`: `xml-not-domain` and the codes of `parse`.
    """
    root = parse(text)
    if root.tag != "domain":
        raise Rejected("xml-not-domain", f"the XML is a <{root.tag}>; a machine needs a <domain>")
    return DomainElement(root)


def _from_options(machine: Machine, uuid: str, name: str) -> Node:
    # 'pc', not 'q35': its one bus takes a NIC at a stable slot (the first at 0000:00:02.0, or at 03.0 beside
    # a video card as in the design's interface) and plugs further ones in, where q35 wants a root port kept
    # ready for each. The first host's libvirt makes the alias a version of its own, and moves carry that.
    # No <cpu>: libvirt's default is the one that every host of the fleet can run.
    return make(
        "domain",
        make("name", name),
        make("uuid", uuid),
        make("memory", str(machine.memory_mib), unit="MiB"),
        make("vcpu", str(machine.vcpus)),
        make(
            "os",
            make("type", "hvm", arch="x86_64", machine="pc"),
            _text("kernel", machine.kernel),
            _text("initrd", machine.initrd),
            _text("cmdline", machine.command_line),
        ),
        make("features", make("acpi")),
        make(
            "devices",
            _disk(machine.disk),
            make("controller", type="usb", model="none"),
            make("serial", make("target", port="0"), type="pty"),
            make("memballoon", model="none"),
        ),
        type=machine.domain_type,
    )


def _disk(path: str | None) -> Node | None:
    if path is None:
        return None
    # QEMU refuses a block device as a file, and libvirt refuses to guess a format: raw unless named so.
    kind, attribute = ("block", "dev") if path.startswith("/dev/") else ("file", "file")
    return make(
        "disk",
        # A cache on the host would be left behind by a move.
        make("driver", name="qemu", type="qcow2" if path.endswith(".qcow2") else "raw", cache="none"),
        make("source", **{attribute: path}),
        make("target", dev="vda", bus="virtio"),
        type=kind,
        device="disk",
    )


def _text(tag: str, text: str | None) -> Node | None:
    return None if text is None else make(tag, text)


def _mark(metadata: Metadata) -> Node:
    mark = etree.Element(_OURS, nsmap={"jackfield": NAMESPACE})
    mark.set("installation", metadata.installation)
    mark.set("id", metadata.instance_id)
    for port in sorted(metadata.ports, key=lambda port: port.number):
        etree.SubElement(mark, _PORT, {"id": port.port_id, "number": str(port.number), "mac": port.mac})
    return mark


def _read_mark(node: Node) -> Metadata | None:
    try:
        return Metadata(
            installation=_required(node, "installation"),
            instance_id=_required(node, "id"),
            ports=tuple(_read_port(port) for port in node.iterfind(_PORT)),
        )
    except (KeyError, ValueError, Rejected):
        return None


def _read_port(node: Node) -> MarkedPort:
    return MarkedPort(
        _required(node, "id"), int(_required(node, "number")), parse_mac(_required(node, "mac"))
    )


def _required(node: Node, name: str) -> str:
    value = node.get(name)
    if value is None:
        raise KeyError(name)
    return value


def _parent(node: Node) -> Node:
    parent = node.getparent()
    assert parent is not None  # it was found below the root
    return parent
