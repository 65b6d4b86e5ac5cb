"""The path of one request through every noun: from an inventory to a guest that moved, over HTTP alone."""

from __future__ import annotations

import pytest

from jackfield.model.claim import ClaimState
from jackfield.model.error import Conflict, Gone, NotFound, Rejected
from jackfield.model.instance import InstanceStatus
from jackfield.model.migration import MigrationState
from jackfield.model.port import VifType, VnicType
from jackfield.wire.instance import Machine

FAST = [{"vendor": "8086", "physical_network": "physnet1"}]
MACHINE = Machine(kernel="/srv/vmlinuz", initrd="/srv/initrd", domain_type="qemu")


@pytest.fixture
def ready(client, fleet):
    """A flavor, a network and a macvtap port web0."""
    client.create_flavor("fast", FAST)
    client.create_network("lan", "physnet1")
    client.create_port("web0", "lan", vnic_type=VnicType.MACVTAP, flavor="fast")
    return client


def boot(client, fleet, name="web", host="h1"):
    client.boot_instance(name, MACHINE, ["web0"], host=host)
    for _ in range(3):
        for agent in fleet.values():
            agent.step()
    return client.instance(name)


def test_a_host_that_was_added_shows_its_epoch(client, fleet):
    assert [host.name for host in client.hosts()] == ["h1", "h2"]
    host = client.host("h1")
    assert (host.epoch, host.migrate_uri) == (1, "qemu+tcp://h1/system")
    assert host.alive
    assert host.last_report_at is not None


@pytest.mark.behaviour(68)
def test_every_device_of_the_fleet_is_shown(client, fleet):
    assert len(client.devices()) == 8
    found = client.devices(host="h1")
    assert len(found) == 4
    assert client.device(found[0].id) == found[0]
    assert str(found[0].address) == "0000:01:10.0"
    assert found[0].attributes == {"physical_network": "physnet1"}


@pytest.mark.behaviour(11)
def test_a_device_is_tainted_and_untainted(client, fleet):
    device = client.devices(host="h1")[0]
    assert client.taint(device.id, "smells of smoke").tainted == "smells of smoke"
    assert client.device(device.id).tainted == "smells of smoke"
    assert client.untaint(device.id).tainted is None
    with pytest.raises(NotFound):
        client.taint("h1/none", "x")


@pytest.mark.behaviour(13)
def test_a_flavor_is_created_shown_changed_and_deleted(client, fleet):
    made = client.create_flavor("fast", FAST, description="10 Gbit/s")
    assert client.flavor("fast") == made
    assert client.flavors() == (made,)
    changed = client.replace_flavor("fast", [*FAST, {"kind": "vf"}], description="either")
    assert (changed.description, len(changed.alternatives)) == ("either", 2)
    client.delete_flavor("fast")
    with pytest.raises(NotFound):
        client.flavor("fast")


@pytest.mark.behaviour(17)
def test_a_flavor_that_says_where_is_refused_by_name(client, fleet):
    with pytest.raises(Rejected) as caught:
        client.create_flavor("here", [{"address": "0000:01:10.0"}])
    assert caught.value.code == "selector-location"
    assert caught.value.detail["attribute"] == "address"


@pytest.mark.behaviour(21)
def test_a_flavors_match_tells_what_matches_and_what_fails(client, fleet):
    client.create_flavor("other", [{"vendor": "15b3"}])
    client.create_flavor("fast", FAST)
    assert len(client.match_flavor("fast").matching) == 8
    others = client.match_flavor("other").others
    assert len(others) == 8
    failed = others[0].failed[0]
    assert (failed.attribute, failed.wanted, failed.found) == ("vendor", "15b3", "8086")


@pytest.mark.behaviour(42)
def test_a_port_is_normal_unless_said_otherwise(client):
    client.create_network("lan", "physnet1")
    port = client.create_port("p", "lan")
    assert port.vnic_type is VnicType.NORMAL
    assert port.vif_type is VifType.UNBOUND
    assert client.ports() == (port,)
    client.delete_port("p")
    client.delete_network("lan")
    assert client.networks() == ()


@pytest.mark.behaviour(49)
def test_a_mac_is_given_once(client):
    client.create_network("lan", "physnet1")
    client.create_port("a", "lan", mac_address="FA:16:3E:00:00:01")
    with pytest.raises(Conflict):
        client.create_port("b", "lan", mac_address="fa:16:3e:00:00:01")


@pytest.mark.behaviour(45)
def test_a_booted_instance_has_its_port_bound_and_its_device_claimed(ready, fleet):
    begun = ready.boot_instance("web", MACHINE, ["web0"], host="h1")
    assert begun.status is InstanceStatus.BUILDING
    for _ in range(3):
        fleet["h1"].step()
    found = ready.instance("web")
    assert (found.status, found.host) == (InstanceStatus.RUNNING, "h1")
    assert found.ports[0].profile["pci_slot"].startswith("0000:01:10.")
    assert [claim.state for claim in found.claims] == [ClaimState.ACTIVE]
    assert [claim.id for claim in ready.claims(instance="web")] == [found.claims[0].id]
    held = [device for device in ready.devices(host="h1") if device.claim_id]
    assert [device.id for device in held] == [found.claims[0].device_id]


def test_an_instance_that_fits_nowhere_is_refused_with_reasons(client, fleet):
    client.create_flavor("other", [{"vendor": "15b3"}])
    client.create_network("lan", "physnet1")
    client.create_port("web0", "lan", vnic_type=VnicType.MACVTAP, flavor="other")
    with pytest.raises(Conflict) as caught:
        client.boot_instance("web", MACHINE, ["web0"])
    assert caught.value.code == "no-fit"
    assert client.instances() == ()


def test_an_instance_is_stopped_and_started_with_the_same_device(ready, fleet):
    before = boot(ready, fleet)
    assert ready.stop_instance("web").status is InstanceStatus.STOPPING
    for _ in range(3):
        fleet["h1"].step()
    assert ready.instance("web").status is InstanceStatus.STOPPED
    ready.start_instance("web")
    for _ in range(3):
        fleet["h1"].step()
    after = ready.instance("web")
    assert after.status is InstanceStatus.RUNNING
    assert after.claims[0].device_id == before.claims[0].device_id


@pytest.mark.behaviour(38)
def test_a_deleted_instance_is_gone_once_its_device_is_proved_free(ready, fleet):
    boot(ready, fleet)
    ready.delete_instance("web")
    assert ready.instance("web").status is InstanceStatus.DELETING
    for _ in range(4):
        fleet["h1"].step()
    with pytest.raises(NotFound):
        ready.instance("web")
    assert ready.claims() == ()
    assert [claim.state for claim in ready.claims(released=True)] == [ClaimState.RELEASED]
    assert ready.port("web0").vif_type is VifType.UNBOUND


def test_a_dry_run_answers_the_plan_and_changes_nothing(ready, fleet):
    boot(ready, fleet)
    plan = ready.plan_migration("web", target="h2")
    assert (plan.source, plan.target) == ("h1", "h2")
    assert [step.name.value for step in plan.steps][:3] == ["prepare", "bind", "migrate"]
    assert ready.migrations() == ()
    assert len(ready.claims()) == 1


@pytest.mark.behaviour(56)
def test_an_instance_moves_and_its_port_is_bound_there(ready, fleet):
    before = boot(ready, fleet)
    begun = ready.migrate("web", target="h2", bandwidth_mib=64)
    assert (begun.state, begun.bandwidth_mib) == (MigrationState.RUNNING, 64)
    assert len(ready.claims(instance="web")) == 2
    for _ in range(12):
        for agent in fleet.values():
            agent.step()
    over = ready.migration(begun.id)
    assert over.state is MigrationState.DONE, over
    assert ready.migrations() == (over,)
    assert all(record.ended_at for record in over.records)
    after = ready.instance("web")
    assert (after.status, after.host) == (InstanceStatus.RUNNING, "h2")
    assert after.ports[0].host_id == "h2"
    assert after.ports[0].mac_address == before.ports[0].mac_address
    assert [claim.host for claim in ready.claims()] == ["h2"]


@pytest.mark.behaviour(61)
def test_an_aborted_migration_leaves_the_instance_where_it_was(ready, fleet):
    boot(ready, fleet)
    begun = ready.migrate("web", target="h2")
    ready.abort_migration(begun.id)
    for _ in range(8):
        for agent in fleet.values():
            agent.step()
    assert ready.migration(begun.id).state is MigrationState.ABORTED
    assert ready.instance("web").host == "h1"
    assert [claim.host for claim in ready.claims()] == ["h1"]


@pytest.mark.behaviour(38)
def test_an_agent_of_an_old_epoch_is_told_that_it_is_over(client, fleet):
    agent = fleet["h1"]
    old = agent.epoch
    _, agent.epoch = agent.control.begin_epoch("h1", boot_id="b", migrate_uri="", bridge_mappings={})
    assert agent.epoch == old + 1
    with pytest.raises(Gone):
        agent.control.desired("h1", old, -1, 0)
    with pytest.raises(Gone):
        agent.control.put_inventory("h1", old, agent.devices)


def test_an_unchanged_inventory_is_no_news(http, fleet):
    agent = fleet["h1"]
    from jackfield.wire.host import Inventory

    body = Inventory(epoch=agent.epoch, devices=agent.devices).to_json()
    answer = http.put("/v1/hosts/h1/inventory", content=body, headers={"Content-Type": "application/json"})
    assert answer.json() == {"changed": False}


def test_a_wrong_inventory_is_refused_with_the_place(http, fleet):
    body = {"epoch": 1, "devices": [{"device": {"identity": "x", "address": "nowhere"}}]}
    answer = http.put("/v1/hosts/h1/inventory", json=body)
    assert answer.status_code == 400
    assert "body.devices[0].device.address: cannot use 'nowhere'" in answer.json()["detail"]
