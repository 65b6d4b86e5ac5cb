from __future__ import annotations

import pytest
from build import offered, pci, pf, vf

from jackfield.model.device import BUILT_IN, IDENTITY, AttributeType, type_of


def test_a_boolean_is_not_an_integer():
    assert [type_of(value) for value in (True, 1, "1")] == [
        AttributeType.BOOLEAN,
        AttributeType.INTEGER,
        AttributeType.STRING,
    ]


@pytest.mark.behaviour(10)
def test_a_device_has_its_facts_as_attributes():
    device = vf(0, driver="igbvf", link_speed_mbps=1000, link_state="up")
    assert device.attributes() == {
        "vendor": "8086",
        "product": "10ca",
        "class": "020000",
        "kind": "vf",
        "driver": "igbvf",
        "link_speed_mbps": 1000,
        "link_state": "up",
    }


def test_a_fact_that_is_unknown_is_no_attribute():
    assert set(pci(numa_node=0).attributes()) == {"vendor", "product", "class", "kind", "numa_node"}


def test_every_built_in_attribute_has_the_declared_type():
    device = vf(0, driver="igbvf", link_speed_mbps=1000, link_state="up")
    assert all(BUILT_IN[name] is type_of(value) for name, value in device.attributes().items())


@pytest.mark.behaviour(3)
def test_a_flavor_sees_the_spec_s_attributes_beside_the_host_s():
    assert offered(vf(0), physical_network="physnet1").selectable() == {
        **vf(0).attributes(),
        "physical_network": "physnet1",
    }


@pytest.mark.behaviour(17)
def test_identity_attributes_are_selectable_only_where_location_is_allowed():
    entry = offered(vf(1, iommu_group=8), physical_network="physnet1")
    assert not entry.selectable().keys() & IDENTITY
    told = entry.selectable(on_host="h1")
    assert told["host"] == "h1" and told["address"] == "0000:01:10.2" and told["vf_index"] == 1
    assert told["pf"] == "0000:01:00.0" and told["physical_network"] == "physnet1"
    assert "pf" not in offered(pf()).selectable(on_host="h1")
