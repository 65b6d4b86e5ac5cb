from __future__ import annotations

import pytest
from build import vf

from jackfield.model.address import MacAddress
from jackfield.model.error import Rejected
from jackfield.model.network import Network, SegmentKind
from jackfield.model.port import PASS_THROUGH, SERVED, Port, VifType, VnicType, binding_of, check_port


def port(vnic_type: VnicType) -> Port:
    return Port(id="p", name="p1", network_id="n", mac=MacAddress("fa:16:3e:00:00:01"), vnic_type=vnic_type)


def network(vlan: int | None = None) -> Network:
    segment = SegmentKind.FLAT if vlan is None else SegmentKind.VLAN
    return Network(id="n", name="n1", physical_network="physnet1", segment=segment, vlan=vlan)


@pytest.mark.behaviour(45)
def test_the_profile_describes_the_host_s_device():
    binding = binding_of(port(VnicType.MACVTAP), network(), "h1", vf(0), active=True)
    assert binding.profile == {
        "physical_network": "physnet1",
        "pci_slot": "0000:01:10.0",
        "pci_vendor_info": "8086:10ca",
    }
    assert (binding.vif_type, binding.is_active, binding.host) == (VifType.HW_VEB, True, "h1")
    assert "vlan" not in binding.vif_details


@pytest.mark.behaviour(45)
def test_the_details_carry_the_network_s_vlan():
    binding = binding_of(port(VnicType.DIRECT), network(vlan=100), "h1", vf(0), active=False)
    assert binding.vif_details["vlan"] == "100"
    assert not binding.is_active


@pytest.mark.behaviour(45)
def test_a_whole_function_is_bound_as_one():
    binding = binding_of(port(VnicType.DIRECT_PHYSICAL), network(), "h1", vf(0), active=True)
    assert binding.vif_type is VifType.HOSTDEV_PHYSICAL


@pytest.mark.behaviour(45)
def test_a_normal_port_is_bound_to_a_bridge_and_names_no_device():
    binding = binding_of(port(VnicType.NORMAL), network(), "h1", None, active=True)
    assert binding.vif_type is VifType.BRIDGE
    assert binding.profile == {"physical_network": "physnet1"}


@pytest.mark.behaviour(42)
@pytest.mark.parametrize("vnic_type", sorted(SERVED))
def test_a_port_has_a_flavor_exactly_if_it_takes_a_device(vnic_type):
    good, bad = ("fast", None) if vnic_type in PASS_THROUGH else (None, "fast")
    check_port(vnic_type, good, network())
    with pytest.raises(Rejected) as refused:
        check_port(vnic_type, bad, network())
    assert refused.value.code == "port-flavor"


@pytest.mark.behaviour(42)
@pytest.mark.parametrize("vnic_type", sorted(set(VnicType) - SERVED))
def test_a_type_that_cannot_be_given_to_a_guest_yet_is_refused_before_anybody_boots_with_it(vnic_type):
    with pytest.raises(Rejected, match=r"use macvtap or normal") as refused:
        check_port(vnic_type, "fast", network())
    assert refused.value.code == "vnic-type-not-served"


def test_a_normal_port_is_refused_on_a_vlan_network_since_a_plain_bridge_does_not_tag():
    tagged = network(vlan=100)
    with pytest.raises(Rejected) as refused:
        check_port(VnicType.NORMAL, None, tagged)
    assert refused.value.code == "device-cannot-vlan"
    check_port(VnicType.MACVTAP, "fast", tagged)
