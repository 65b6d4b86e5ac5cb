"""What cannot be given is refused before anything is begun, with the thing, the value and the way out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jackfield.model.error import Conflict, NotFound, Rejected
from jackfield.model.instance import InstanceStatus
from jackfield.model.network import SegmentKind
from jackfield.model.port import VnicType
from jackfield.service import flavor as flavor_use
from jackfield.service.settings import Settings
from jackfield.wire.instance import Machine

KERNEL = Machine(kernel="/srv/vmlinuz", domain_type="qemu")
DISK = Machine(disk="/srv/images/web.qcow2", domain_type="qemu")


@pytest.fixture
def ready(client, fleet):
    client.create_flavor("fast", [{"vendor": "8086", "physical_network": "physnet1"}])
    client.create_network("lan", "physnet1")
    client.create_network("tagged", "physnet1", segment=SegmentKind.VLAN, vlan=100)
    client.create_port("web0", "lan", vnic_type=VnicType.MACVTAP, flavor="fast")
    return client


def run(client, fleet, machine):
    client.boot_instance("web", machine, ["web0"], host="h1")
    for _ in range(3):
        fleet["h1"].step()
    assert client.instance("web").status is InstanceStatus.RUNNING


def test_a_guest_with_a_disk_that_only_its_host_has_is_not_moved(ready, fleet, service):
    run(ready, fleet, DISK)
    for ask in (ready.migrate, ready.plan_migration):
        with pytest.raises(Rejected, match=r"/srv/images/web\.qcow2.*shared_storage") as refused:
            ask("web", target="h2")
        assert refused.value.code == "disk-not-shared"
    assert ready.migrations() == () and len(ready.claims()) == 1
    service.settings = replace(service.settings, shared_storage=("/srv/images",))
    assert ready.plan_migration("web", target="h2").target == "h2"


@pytest.mark.behaviour(17)
def test_a_flavor_may_say_where_only_if_the_operator_allows_it_and_then_it_holds(ready, service):
    here = [{"host": "h2", "address": {"glob": "0000:01:10.*"}}]
    with pytest.raises(Rejected) as refused:
        ready.create_flavor("here", here)
    assert refused.value.code == "selector-location"
    service.settings = Settings(allow_location=True)
    ready.create_flavor("here", here)
    report = service.read(lambda unit: flavor_use.match(unit, "here"))
    assert {one.device.host for one in report.matching} == {"h2"} and len(report.matching) == 4
    ready.create_port("web1", "lan", vnic_type=VnicType.MACVTAP, flavor="here")
    assert ready.boot_instance("web", KERNEL, ["web1"]).host == "h2"


@pytest.mark.parametrize("vnic_type", [VnicType.DIRECT, VnicType.DIRECT_PHYSICAL, VnicType.VDPA])
def test_a_port_of_a_type_that_is_not_served_is_not_created(ready, vnic_type):
    with pytest.raises(Rejected) as refused:
        ready.create_port("web1", "lan", vnic_type=vnic_type, flavor="fast")
    assert refused.value.code == "vnic-type-not-served"
    assert [port.name for port in ready.ports()] == ["web0"]


def test_no_port_is_given_a_vlan_that_nothing_would_tag(ready):
    with pytest.raises(Rejected) as refused:
        ready.create_port("web1", "tagged", vnic_type=VnicType.NORMAL)
    assert refused.value.code == "device-cannot-vlan"
    ready.create_port("web1", "tagged", vnic_type=VnicType.MACVTAP, flavor="fast")
    with pytest.raises(Rejected, match="tagged") as refused:
        ready.boot_instance("web", KERNEL, ["web1"])
    assert refused.value.code == "device-cannot-vlan" and ready.claims() == ()


def test_a_host_that_does_not_exist_has_no_empty_list_of_devices(ready):
    for look in (ready.devices, ready.claims):
        with pytest.raises(NotFound) as refused:
            look(host="h9")
        assert refused.value.code == "host-not-found"


@pytest.mark.behaviour(55)
def test_a_move_to_where_nothing_is_free_is_refused_with_reasons_and_the_source_untouched(ready, fleet):
    run(ready, fleet, KERNEL)
    for device in ready.devices(host="h2"):
        ready.taint(device.id, "kept for another test")
    with pytest.raises(Conflict, match="h2") as refused:
        ready.migrate("web")
    assert refused.value.code == "no-fit"
    assert ready.migrations() == () and [claim.host for claim in ready.claims()] == ["h1"]
