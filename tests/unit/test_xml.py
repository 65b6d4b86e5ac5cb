"""Domain XML: what is refused, what is kept, what is read back."""

from __future__ import annotations

import pytest

from jackfield.model.address import MacAddress, PciAddress
from jackfield.model.attachment import ObservedInterface
from jackfield.model.error import Rejected
from jackfield.model.instance import Machine
from jackfield.xml.domain import NAMESPACE, MarkedPort, Metadata, build, compose, local_disks, read
from jackfield.xml.interface import BridgeInterface, HostdevInterface, MacvtapInterface
from jackfield.xml.parse import BYTES_MAX, parse, serialize
from jackfield.xml.rewrite import with_netdevs

UUID = "7d2a9a3c-3f9c-4c08-8a0f-6d8d0a2f5b11"
MAC_A, MAC_B = MacAddress("fa:16:3e:00:00:0a"), MacAddress("fa:16:3e:00:00:0b")


def domain(devices: str = "", *, metadata: str = "") -> str:
    return f"<domain><name>old</name>{metadata}<devices>{devices}</devices></domain>"


def nic(mac: str, *, type: str = "direct", source: str = "<source dev='eth0'/>", more: str = "") -> str:
    return f"<interface type='{type}'><mac address='{mac}'/>{source}{more}</interface>"


def macvtap(mac: MacAddress, netdev: str = "eth7") -> MacvtapInterface:
    return MacvtapInterface(mac=mac, netdev=netdev)


def metadata(*macs: MacAddress) -> Metadata:
    ports = tuple(MarkedPort(f"port-{number}", number, mac) for number, mac in enumerate(macs))
    return Metadata(installation="here", instance_id=UUID, ports=ports)


def refused(act) -> str:
    with pytest.raises(Rejected) as error:
        act()
    return error.value.code


# ── parse


@pytest.mark.behaviour(54)
@pytest.mark.parametrize(
    "hostile",
    [
        '<!DOCTYPE d [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><domain>&b;</domain>',
        '<!DOCTYPE d [<!ENTITY f SYSTEM "file:///etc/passwd">]><domain>&f;</domain>',
        '<?xml version="1.0"?>\n<?pi?><!-- - --><!DOCTYPE domain SYSTEM "http://example.org/d.dtd"><domain/>',
        '\ufeff<!DOCTYPE domain><domain a="&b;"/>',
    ],
)
def test_a_document_type_is_refused_whatever_it_would_do(hostile):
    assert refused(lambda: parse(hostile)) == "xml-forbidden"


@pytest.mark.behaviour(54)
@pytest.mark.parametrize(
    "broken",
    [
        *("", "<domain>", "no xml", "<a/><b/>", "<domain>&nbsp;</domain>", "<a>\0</a>", "<a>\ud800</a>"),
        *("<!-- <!DOCTYPE d> -->", "<a>" * 10_000, "<?" * 10_000, "<!--" * 10_000),
    ],
)
def test_broken_xml_is_refused(broken):
    assert refused(lambda: parse(broken)) == "xml-malformed"


@pytest.mark.behaviour(54)
def test_a_giant_text_is_refused_before_it_is_read():
    text = "<a>" + "é" * (BYTES_MAX // 2) + "</a>"
    assert refused(lambda: parse(text)) == "xml-too-large"


@pytest.mark.behaviour(54)
def test_a_processing_instruction_and_a_declaration_of_another_encoding_do_no_harm():
    text = '<?xml version="1.0" encoding="latin-1"?><?php exit ?><a><!-- <!DOCTYPE --><?b?>é</a>'
    assert serialize(parse(text)) == "<?php exit ?><a><!-- <!DOCTYPE --><?b?>é</a>"


# ── build


@pytest.mark.behaviour(54)
def test_name_and_uuid_of_a_users_domain_become_ours():
    built = build(Machine(domain_xml="<domain><name>old</name></domain>"), uuid=UUID, name="web1")
    facts = read(built)
    assert (facts.name, facts.uuid, facts.metadata) == ("web1", UUID, None)
    assert built.count("<name>") == 1


def test_only_a_domain_can_be_a_machine():
    for root in ("<network/>", "<domain xmlns='urn:other'/>"):
        assert refused(lambda root=root: build(Machine(domain_xml=root), uuid=UUID, name="web1")) == (
            "xml-not-domain"
        )


def test_options_that_no_xml_can_hold_are_refused():
    machine = Machine(kernel="/k", command_line="console=ttyS0\0")
    assert refused(lambda: build(machine, uuid=UUID, name="web1")) == "machine-malformed"


@pytest.mark.parametrize(
    ("path", "source", "form"),
    [
        ("/srv/a.img", "file='/srv/a.img'", "raw"),
        ("/srv/a.qcow2", "file='/srv/a.qcow2'", "qcow2"),
        ("/dev/vg/a", "dev='/dev/vg/a'", "raw"),
    ],
)
def test_a_disk_is_a_file_or_a_block_device_without_a_cache_on_the_host(path, source, form):
    built = build(Machine(disk=path), uuid=UUID, name="web1").replace('"', "'")
    assert f"<source {source}/>" in built
    assert f"<driver name='qemu' type='{form}' cache='none'/>" in built
    assert f"<disk type='{'block' if path.startswith('/dev/') else 'file'}'" in built
    assert local_disks(built) == (path,)


def test_a_drive_without_a_medium_and_a_network_disk_are_no_local_disks():
    disks = "<disk type='file' device='cdrom'/><disk type='network'><source protocol='rbd'/></disk>"
    assert local_disks(domain(disks)) == ()


# ── compose


@pytest.mark.behaviour(53)
def test_interfaces_come_in_the_order_of_their_ports_however_they_are_given():
    one, two = macvtap(MAC_A), macvtap(MAC_B)
    marked = metadata(MAC_B, MAC_A)
    composed = compose(domain(), marked, [one, two])
    assert composed == compose(domain(), marked, [two, one])
    assert [interface.mac for interface in read(composed).interfaces] == [MAC_B, MAC_A]


@pytest.mark.behaviour(53)
def test_composing_twice_gives_the_same_text():
    once = compose(domain(), metadata(MAC_A, MAC_B), [macvtap(MAC_A), macvtap(MAC_B)])
    assert compose(once, metadata(MAC_A, MAC_B), [macvtap(MAC_B), macvtap(MAC_A)]) == once


def test_composing_again_replaces_our_interfaces_and_leaves_the_users():
    users = nic("52:54:00:00:00:01", type="network", source="<source network='default'/>")
    once = compose(domain(users), metadata(MAC_A, MAC_B), [macvtap(MAC_A), macvtap(MAC_B)])
    again = compose(once, metadata(MAC_B), [BridgeInterface(mac=MAC_B, bridge="br0")])
    assert again == compose(domain(users), metadata(MAC_B), [BridgeInterface(mac=MAC_B, bridge="br0")])
    assert [interface.mac for interface in read(again).interfaces] == ["52:54:00:00:00:01", MAC_B]


def test_an_interface_with_a_ports_mac_is_replaced_even_where_nothing_marks_it():
    composed = compose(domain(nic(MAC_A.upper())), metadata(MAC_A), [macvtap(MAC_A, "eth9")])
    assert [interface.netdev for interface in read(composed).interfaces] == ["eth9"]


@pytest.mark.behaviour(54)
def test_a_broken_mark_is_replaced_and_costs_no_interface():
    broken = f"<metadata><j:instance xmlns:j='{NAMESPACE}'><j:port/></j:instance></metadata>"
    base = domain("<interface type='user'/>" + nic(MAC_B), metadata=broken)
    composed = compose(base, metadata(MAC_A), [macvtap(MAC_A)])
    assert composed.count("<interface") == 3
    assert read(composed).metadata == metadata(MAC_A)


@pytest.mark.behaviour(54)
def test_text_around_what_we_replace_stays():
    base = f"<domain>a<metadata>b<j:instance xmlns:j='{NAMESPACE}'/>c</metadata>d</domain>"
    composed = compose(base, metadata(), [])
    assert "".join("".join(parse(composed).itertext()).split()) == "abcd"


# ── read


@pytest.mark.behaviour(76)
def test_the_mark_comes_back_as_it_was_written():
    composed = compose(domain(), metadata(MAC_A, MAC_B), [])
    assert read(composed).metadata == metadata(MAC_A, MAC_B)


@pytest.mark.behaviour(77)
@pytest.mark.parametrize(
    "mark",
    [
        "<j:instance id='1'/>",
        "<j:instance installation='here'/>",
        "<j:instance installation='a' id='1'><j:port id='' number='x' mac='fa:16:3e:00:00:0a'/></j:instance>",
        "<j:instance installation='a' id='1'><j:port id='2' number='0' mac='fa'/></j:instance>",
    ],
)
def test_a_domain_with_a_broken_mark_is_not_ours(mark):
    mark = mark.replace("<j:instance", f"<j:instance xmlns:j='{NAMESPACE}'")
    assert read(domain(metadata=f"<metadata>{mark}</metadata>")).metadata is None


def test_the_live_form_of_a_pool_interface_shows_the_chosen_netdev_and_the_network():
    live = nic(MAC_A, source="<source network='jf-pool-fast' portid='x' dev='eth3' mode='passthrough'/>")
    (seen,) = read(domain(live)).interfaces
    assert seen == ObservedInterface(mac=MAC_A, netdev="eth3", network="jf-pool-fast")


def test_only_a_macvtap_interface_has_a_netdev():
    bridge = nic(MAC_A, type="bridge", source="<source bridge='br0' dev='x'/>")
    bare = nic(MAC_B, type="user", source="")
    unborn = "<interface type='user'/><interface type='user'><mac/></interface>"
    assert read(domain(bridge + bare + unborn)).interfaces == (
        ObservedInterface(mac=MAC_A),
        ObservedInterface(mac=MAC_B),
    )


@pytest.mark.behaviour(53, 62)
def test_the_guests_address_is_read_in_the_usual_form():
    address = "<address type='pci' domain='0x0000' bus='0x00' slot='0x1f' function='0x7'/>"
    (seen,) = read(domain(nic(MAC_A, more=address))).interfaces
    assert seen.guest_address == "0000:00:1f.7"


def test_an_address_that_pci_does_not_have_is_refused():
    address = "<address type='pci' bus='0x00' slot='0x20' function='0x0'/>"
    assert refused(lambda: read(domain(nic(MAC_A, more=address)))) == "address-malformed"


@pytest.mark.behaviour(51, 52)
def test_the_functions_that_a_domain_takes_whole_are_found_in_both_forms():
    gpu = "<hostdev type='pci'><source><address bus='0x05' slot='0x00' function='0x0'/></source></hostdev>"
    usb = "<hostdev type='usb'><source><address bus='5' device='3'/></source></hostdev>"
    vf = HostdevInterface(mac=MAC_A, address=PciAddress.parse("01:10.2"))
    facts = read(compose(domain(gpu + usb), metadata(MAC_A), [vf]))
    assert facts.pci_addresses == {PciAddress.parse("05:00.0"), PciAddress.parse("01:10.2")}
    assert facts.interfaces == (ObservedInterface(mac=MAC_A),)


# ── rewrite


@pytest.mark.behaviour(54, 62)
def test_a_rewrite_changes_the_netdev_of_that_mac_and_nothing_else():
    before = domain(nic(MAC_A) + nic(MAC_B) + "<x:y xmlns:x='urn:x'>  <!-- z --> </x:y>")
    after = with_netdevs(before, {MAC_B.upper(): "enp1s0v2"})
    assert [interface.netdev for interface in read(after).interfaces] == ["eth0", "enp1s0v2"]
    assert after.replace("enp1s0v2", "eth0") == serialize(parse(before))


@pytest.mark.behaviour(52, 56)
def test_a_rewrite_changes_the_bridge_of_a_normal_port():
    bridge = nic(MAC_A, type="bridge", source="<source bridge='br0'/>")
    after = with_netdevs(domain(bridge + nic(MAC_B)), {MAC_A: "br-data"})
    assert after == serialize(parse(domain(bridge.replace("br0", "br-data") + nic(MAC_B))))


@pytest.mark.parametrize(
    "interface",
    ["", nic(MAC_A, type="network"), nic(MAC_B), nic(MAC_A, source="")],
)
def test_a_mac_without_an_interface_that_can_be_rewritten_is_refused(interface):
    assert refused(lambda: with_netdevs(domain(interface), {MAC_A: "eth1"})) == "interface-absent"
