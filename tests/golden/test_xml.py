"""The XML that libvirt is given, as files that a reviewer reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from jackfield.model.address import MacAddress, PciAddress
from jackfield.model.instance import Machine
from jackfield.xml.domain import MarkedPort, Metadata, build, compose, read
from jackfield.xml.interface import BridgeInterface, HostdevInterface, MacvtapInterface
from jackfield.xml.rewrite import with_netdevs

UUID = "7d2a9a3c-3f9c-4c08-8a0f-6d8d0a2f5b11"
PORT = "02bc4aec-b4f4-436f-b651-024cd6dbf7a5"
MAC = MacAddress("fa:16:3e:46:d3:e8")
MACHINE = Machine(
    memory_mib=128,
    kernel="/srv/guest/vmlinuz",
    initrd="/srv/guest/initrd.gz",
    command_line="console=ttyS0 quiet",
    domain_type="qemu",
)
MACVTAP = MacvtapInterface(mac=MAC, netdev="eth02bc4aec-b4", guest_address="0000:00:03.0")
RUNNING = (Path(__file__).parent / "netdev-rename-running.xml").read_text()


def composed(*interfaces, machine=MACHINE):
    metadata = Metadata(
        installation="5b6e2c1e-0f6d-4a54-93dd-9d7c3d8a1f20",
        instance_id=UUID,
        ports=tuple(MarkedPort(PORT, number, each.mac) for number, each in enumerate(interfaces)),
    )
    return compose(build(machine, uuid=UUID, name="web1"), metadata, interfaces)


def running(interface: str) -> str:
    """A domain with the interface as libvirt shows it while the guest runs."""
    return f"<domain><name>web1</name><uuid>{UUID}</uuid><devices>{interface}</devices></domain>"


@pytest.mark.behaviour(50)
def test_netdev_rename_gives_the_interface_of_the_original_design_to_the_letter():
    shown = etree.fromstring(RUNNING)
    for libvirts_own in ("target", "alias"):
        shown.remove(shown.find(libvirts_own))
    ours = etree.tostring(MACVTAP.to_xml(), encoding="unicode")
    theirs = etree.tostring(shown, encoding="unicode")
    assert etree.canonicalize(ours, strip_text=True) == etree.canonicalize(theirs, strip_text=True)


@pytest.mark.behaviour(50, 62)
def test_the_running_interface_of_the_design_reads_like_the_one_that_we_define():
    (defined,) = read(composed(MACVTAP)).interfaces
    (shown,) = read(running(RUNNING)).interfaces
    assert shown == defined
    assert shown.netdev == "eth02bc4aec-b4"
    assert shown.guest_address == "0000:00:03.0"


@pytest.mark.behaviour(50)
def test_a_machine_with_a_macvtap_port(golden):
    golden("domain-macvtap.xml", composed(MACVTAP))


@pytest.mark.behaviour(50)
def test_a_macvtap_port_on_a_vlan_network(golden):
    golden("domain-macvtap-vlan.xml", composed(replace(MACVTAP, vlan=300)))


@pytest.mark.behaviour(51)
def test_a_direct_port_on_a_vlan_network(golden):
    hostdev = HostdevInterface(mac=MAC, address=PciAddress.parse("0000:01:10.2"), vlan=42)
    golden("domain-hostdev-vlan.xml", composed(hostdev))


@pytest.mark.behaviour(52)
def test_a_normal_port_is_a_nic_on_a_bridge(golden):
    golden("domain-bridge.xml", composed(BridgeInterface(mac=MAC, bridge="br0")))


@pytest.mark.behaviour(53)
def test_several_nics_in_the_order_of_their_ports_on_a_machine_with_a_disk(golden):
    second = BridgeInterface(
        mac=MacAddress("fa:16:3e:00:00:02"), bridge="br-storage", guest_address="0000:00:04.0"
    )
    machine = Machine(memory_mib=2048, vcpus=2, disk="/srv/shared/web1.qcow2")
    golden("domain-two-nics.xml", composed(MACVTAP, second, machine=machine))


@pytest.mark.behaviour(54)
def test_a_users_domain_keeps_all_that_we_do_not_know(golden):
    theirs = (Path(__file__).parent / "user-domain.xml").read_text()
    golden("domain-of-user.xml", composed(MACVTAP, machine=Machine(domain_xml=theirs)))


@pytest.mark.behaviour(54, 62)
def test_destination_xml_differs_in_the_netdev_alone(golden):
    theirs = (Path(__file__).parent / "user-domain.xml").read_text()
    before = composed(MACVTAP, machine=Machine(domain_xml=theirs))
    after = with_netdevs(before, {MAC: "enp65s0f1v3"})
    assert after == before.replace("eth02bc4aec-b4", "enp65s0f1v3")
    golden("destination-of-user.xml", after)
