"""The main path on real libvirt: from a device of a host to a guest that keeps its address while it moves."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest
from house import House, connection, netdev_address, pci_text
from lxml import etree

from jackfield.model.claim import ClaimState
from jackfield.model.error import Conflict, Rejected
from jackfield.model.instance import InstanceStatus
from jackfield.model.migration import MigrationState, StepName, StrategyName
from jackfield.model.network import SegmentKind
from jackfield.model.port import VifType, VnicType, logical_name
from jackfield.wire.port import BindingStatus
from lab.domain import domain_xml, macvtap
from lab.fleet import VF_SPEC

pytestmark = pytest.mark.lab
LABORATORY = "test-path"
GOLDEN = Path(__file__).parents[1] / "golden/netdev-rename-running.xml"
RENAME, DESTINATION = StrategyName.NETDEV_RENAME, StrategyName.DESTINATION_XML


# Boot


@pytest.mark.behaviour(45, 50, 58)
@pytest.mark.parametrize("strategy", [RENAME, DESTINATION])
def test_a_guest_boots_with_a_macvtap_of_a_device_that_its_flavor_fits(house: House, strategy):
    port = house.port()
    guest = house.boot(port, strategy=strategy)
    guest.is_whole_on("ha")
    (nic,) = guest.interfaces("ha")
    source = nic.find("source")
    assert (nic.get("type"), source.get("mode"), nic.find("model").get("type")) == (
        "direct",
        "passthrough",
        "virtio",
    )
    assert nic.find("mac").get("address") == port.mac_address
    bound = guest.detail.ports[0]
    address = netdev_address(house.ha, source.get("dev"))
    assert bound.profile == {
        "pci_slot": address,
        "pci_vendor_info": "8086:10ca",
        "physical_network": "physnet1",
    }
    assert (bound.host_id, bound.vif_type) == ("ha", VifType.HW_VEB)
    own = next(device.netdev for device in house.ha.devices if device.address == address)
    assert source.get("dev") == (logical_name(port.id) if strategy is RENAME else own)


@pytest.mark.behaviour(50, 54)
def test_the_running_interface_is_that_of_the_original_design_to_the_letter_apart_from_names(house: House):
    """Beside a video card, as in the design, the first NIC is at slot 3."""
    port = house.port()
    theirs = etree.fromstring(domain_xml("theirs", house.laboratory.guest, [], ["10.9.0.9/24"]))
    etree.SubElement(etree.SubElement(theirs.find("devices"), "video"), "model", type="vga")
    title = etree.Element("title")
    title.text = "kept as it was"
    theirs.insert(1, title)
    guest = house.begin_boot(port, strategy=RENAME, domain_xml=etree.tostring(theirs, encoding="unicode"))
    guest.becomes(InstanceStatus.RUNNING)
    house.laboratory.switch.ping("10.9.0.9", 60)
    (nic,) = guest.interfaces("ha")
    golden = etree.fromstring(GOLDEN.read_text())
    golden.find("mac").set("address", port.mac_address)
    golden.find("source").set("dev", logical_name(port.id))
    golden.find("target").set("dev", nic.find("target").get("dev"))
    assert canonical(nic) == canonical(golden)
    domain = guest.domain("ha")
    assert (domain.findtext("title"), domain.findtext("name")) == ("kept as it was", guest.name)


# Move


@pytest.mark.behaviour(45, 47, 53, 56, 58, 61, 62)
@pytest.mark.parametrize(
    ("booted", "first", "second"),
    [
        pytest.param(RENAME, None, None, id="netdev-rename"),
        pytest.param(DESTINATION, None, None, id="destination-xml"),
        pytest.param(RENAME, DESTINATION, RENAME, id="netdev-rename-then-destination-xml-and-back"),
        pytest.param(DESTINATION, RENAME, DESTINATION, id="destination-xml-then-netdev-rename-and-back"),
    ],
)
def test_a_guest_moves_to_another_card_and_back_and_notices_nothing(house: House, booted, first, second):
    port = house.port()
    guest = house.boot(port, strategy=booted)
    guest.is_whole_on("ha")
    at_first = guest.detail.ports[0]
    for to, named in (("hb", first), ("ha", second), ("hb", first)):
        moved = guest.move(to, strategy=named)
        (plan,) = moved.plan.moves
        assert plan.strategy is (named or booted)
        assert plan.source_address != plan.target_address
        (nic,) = guest.interfaces(to)
        logical = logical_name(port.id)
        assert nic.find("source").get("dev") == plan.target_netdev
        assert (plan.target_netdev == logical) is (plan.strategy is RENAME)
        now = guest.detail.ports[0]
        assert (now.mac_address, now.guest_address) == (at_first.mac_address, at_first.guest_address)
        assert moved.paused_seconds is not None


@pytest.mark.behaviour(56, 58, 61, 62)
def test_a_guest_moves_by_altname_and_no_device_is_renamed(house: House):
    house.kill("agent ha", "agent hb")
    for name in ("ha", "hb"):
        house.fleet.start_agent(name, "--netdev-rename-by", "altname")
    port = house.port()
    guest = house.boot(port, strategy=RENAME)
    for to in ("hb", "ha"):
        guest.move(to)
        links = house.host(to).links()
        assert {device.netdev for device in house.host(to).devices} <= set(links)
        (named,) = [link for link in links.values() if logical_name(port.id) in link.altnames]
        assert named.mac == port.mac_address
    guest.delete()
    house.kill("agent ha", "agent hb")


@pytest.mark.behaviour(53, 58, 62)
def test_two_ports_keep_their_order_and_places_over_a_move_and_a_restart(house: House):
    ports = [house.port(strategy=RENAME), house.port(strategy=DESTINATION)]
    guest = house.boot(*ports)
    first = [port.guest_address for port in guest.detail.ports]
    assert first == sorted(set(first))
    guest.move("hb")
    house.client.stop_instance(guest.name)
    guest.becomes(InstanceStatus.STOPPED)
    house.client.start_instance(guest.name)
    guest.becomes(InstanceStatus.RUNNING)
    guest.answers()
    guest.is_whole_on("hb")
    macs = [nic.find("mac").get("address") for nic in guest.interfaces("hb")]
    assert macs == [port.mac_address for port in ports]
    assert [pci_text(nic.find("address")) for nic in guest.interfaces("hb")] == first
    assert [port.guest_address for port in guest.detail.ports] == first


@pytest.mark.behaviour(43, 52, 62)
def test_a_normal_port_is_on_the_hosts_bridge_and_moves_along(house: House):
    bridges = {"ha": "jf-br0", "hb": "jf-br-data"}
    with house.bridges(**bridges):
        guest = house.boot(house.port(), house.port(vnic_type=VnicType.NORMAL))
        for host in ("ha", "hb", "ha"):
            if host != guest.detail.host:
                guest.move(host)
            bridged = guest.interfaces(host)[1]
            assert (bridged.get("type"), bridged.find("source").get("bridge")) == ("bridge", bridges[host])
            bound = guest.detail.ports[1]
            assert (bound.vif_type, bound.profile) == (VifType.BRIDGE, {"physical_network": "physnet1"})
        guest.delete()


@pytest.mark.behaviour(46, 65)
def test_a_move_shows_two_bindings_one_of_them_active_and_its_progress_while_it_runs(house: House):
    guest = house.boot(strategy=RENAME)
    begun = guest.begin_move("hb", bandwidth_mib=16)
    seen = set()

    def look():
        (port,) = guest.detail.ports
        seen.add(tuple(sorted((binding.host, binding.status) for binding in port.bindings)))
        now = house.client.migration(begun.id)
        if now.position is StepName.MIGRATE and now.percent_moved is not None:
            seen.add("progress")
            assert [record.name for record in now.records] == ["prepare", "bind", "migrate"]
            assert now.records[-1].ended_at is None
        return now if now.state is not MigrationState.RUNNING else None

    done = house.until("the guest has moved", look)
    assert done.state is MigrationState.DONE
    active, inactive = BindingStatus.ACTIVE, BindingStatus.INACTIVE
    assert seen == {
        (("ha", active),),
        (("ha", active), ("hb", inactive)),
        (("hb", active),),
        "progress",
    }
    assert [record.name for record in done.records] == list(StepName)
    assert all(record.ended_at is not None for record in done.records)
    guest.is_whole_on("hb")


# Stop, start, delete


@pytest.mark.behaviour(53, 67)
def test_a_guest_starts_again_with_its_devices_and_is_deleted_without_a_trace(house: House):
    guest = house.boot(strategy=RENAME)
    before = guest.detail
    house.client.stop_instance(guest.name)
    stopped = guest.becomes(InstanceStatus.STOPPED)
    assert guest.hosts() == []
    assert [claim.id for claim in stopped.claims] == [claim.id for claim in before.claims]
    house.client.start_instance(guest.name)
    again = guest.becomes(InstanceStatus.RUNNING)
    guest.answers()
    guest.is_whole_on("ha")
    assert again.claims == before.claims and again.ports == before.ports
    guest.delete()
    assert house.fleet.leftovers() == []
    (port,) = house.client.ports()
    assert (port.host_id, port.profile, port.bindings, port.instance_id) == ("", {}, (), None)


@pytest.mark.behaviour(77)
def test_a_guest_that_was_powered_off_is_stopped_and_not_started_again(house: House):
    guest = house.boot()
    with connection(house.ha) as libvirt:
        libvirt.lookupByName(guest.name).destroy()
    guest.becomes(InstanceStatus.STOPPED)
    house.let_pass()
    assert guest.hosts() == [] and guest.starts_on(house.ha) == 1
    house.client.start_instance(guest.name)
    guest.becomes(InstanceStatus.RUNNING)
    guest.answers()
    guest.is_whole_on("ha")


@pytest.mark.behaviour(77)
def test_a_guest_whose_qemu_died_is_in_error_and_not_started_again(house: House):
    guest = house.boot(strategy=RENAME)
    house.kill(f"{guest.name} ha")
    failed = guest.becomes(InstanceStatus.ERROR)
    assert "crashed" in (failed.error or "")
    house.let_pass()
    assert guest.hosts() == [] and guest.starts_on(house.ha) == 1
    assert [claim.state for claim in guest.detail.claims] == [ClaimState.ACTIVE]
    house.client.start_instance(guest.name)
    guest.becomes(InstanceStatus.RUNNING)
    guest.answers()
    guest.is_whole_on("ha")


# Refusals


@pytest.mark.behaviour(43)
def test_a_vlan_network_is_refused_where_no_device_can_tag(house: House):
    house.client.create_network("tagged", "physnet1", segment=SegmentKind.VLAN, vlan=42)
    port = house.port(network="tagged")
    with pytest.raises(Rejected) as refused:
        house.begin_boot(port)
    assert refused.value.code == "device-cannot-vlan"
    assert "tagged" in refused.value.message
    assert house.client.instances() == () and house.client.claims() == ()
    house.client.delete_port(port.id)
    house.client.delete_network("tagged")


@pytest.mark.behaviour(11, 55)
def test_a_move_with_no_free_device_on_the_target_is_refused_and_the_source_untouched(house: House):
    guest = house.boot(strategy=RENAME)
    for device in house.client.devices("hb"):
        if device.offered:
            house.client.taint(device.id, "kept out of this test")
    before, uptime = guest.detail, guest.uptime()
    with pytest.raises(Conflict) as refused:
        guest.begin_move("hb")
    assert refused.value.code == "no-fit"
    assert set(refused.value.detail["hosts"]) == {"hb"}
    assert guest.detail == before and guest.uptime() >= uptime
    assert house.client.claims(host="hb") == ()
    assert all(one.instance_id != guest.id for one in house.client.migrations())
    guest.is_whole_on("ha")


@pytest.mark.behaviour(39, 40)
def test_a_boot_that_libvirt_refuses_ends_in_its_words_and_gives_everything_back(house: House):
    guest = house.begin_boot(strategy=RENAME, kernel="/no/such/kernel")
    failed = guest.becomes(InstanceStatus.ERROR)
    assert "/no/such/kernel" in (failed.error or "") and "libvirt error" in (failed.error or "")
    house.until("its device is free", lambda: not house.client.claims())
    assert guest.hosts() == []
    assert guest.detail.ports[0].bindings == ()


@pytest.mark.behaviour(37, 38, 40)
def test_a_netdev_that_a_strangers_domain_uses_is_not_taken_from_it(house: House):
    taken = house.ha.devices[0]
    for device in house.client.devices("ha"):
        if device.offered and str(device.address) != taken.address:
            house.client.taint(device.id, "kept out of this test")
    with connection(house.ha) as libvirt:
        nic = macvtap(taken.netdev, "52:54:00:aa:00:01")
        xml = domain_xml("stranger", house.laboratory.guest, [nic], ["10.9.0.9"])
        stranger = libvirt.createXML(xml)
        try:
            guest = house.begin_boot(strategy=RENAME)
            failed = guest.becomes(InstanceStatus.ERROR)
            assert f"{taken.netdev} is used by domain stranger" in (failed.error or "")
            (claim,) = house.client.claims()
            assert claim.state is ClaimState.RELEASING  # and so given to nobody
            house.let_pass()
            assert stranger.isActive()
            assert house.ha.links()[taken.netdev].mac == "52:54:00:aa:00:01"
        finally:
            stranger.destroy()
    house.until("its device is free", lambda: not house.client.claims())


# The host spec


@pytest.mark.behaviour(1, 5, 6, 7)
def test_the_host_spec_is_read_again_while_the_agent_runs_and_a_wrong_one_changes_nothing(house: House):
    def offered() -> set[str]:
        return {str(device.address) for device in house.client.devices("ha") if device.offered}

    epoch = house.client.host("ha").epoch
    everything = {device.address for device in house.ha.devices}
    assert offered() == everything
    guest = house.boot()
    used = guest.detail.ports[0].profile["pci_slot"]
    one = next(address for address in sorted(everything) if address != used)
    try:
        house.fleet.write_spec("ha", VF_SPEC.replace('product = "10ca"', f'address = "{one}"'))
        house.until("one device is offered", lambda: offered() == {one})
        guest.is_whole_on("ha")  # its device dropped out, and stays its own
        house.fleet.write_spec("ha", VF_SPEC.replace("vendor", "vendro"))
        house.until("the wrong spec is told", lambda: "vendro" in house.fleet.logs())
        house.let_pass()
        assert offered() == {one}
        house.fleet.write_spec("ha", VF_SPEC + VF_SPEC.replace("10ca", "10c9"))
        house.until("the PF is offered as well", lambda: offered() == {*everything, house.ha.pf.address})
    finally:
        house.fleet.write_spec("ha")
    house.until("all is as before", lambda: offered() == everything)
    assert house.client.host("ha").epoch == epoch


# The command line


@pytest.mark.behaviour(13, 21, 55, 65, 68)
def test_the_main_job_is_done_by_the_command_line(house: House):
    machine = house.machine("10.9.0.9")
    house.command("flavor", "create", "spare", "--match", "vendor=8086", "--match", "product=10ca")
    house.command(
        "port", "create", "cli0", "--network", "flat", "--vnic-type", "macvtap", "--flavor", "spare"
    )
    booted = house.json(
        *("instance", "boot", "cli", "--port", "cli0", "--host", "ha", "--memory", "128"),
        *("--kernel", machine.kernel, "--initrd", machine.initrd, "--command-line", machine.command_line),
        *("--domain-type", "qemu", "--wait"),
    )
    assert (booted["status"], booted["host"]) == ("running", "ha")
    house.laboratory.switch.ping("10.9.0.9")
    plan = house.json("instance", "migrate", "cli", "--strategy", "netdev-rename", "--dry-run")
    assert [step["name"] for step in plan["steps"]] == list(StepName)
    assert plan["moves"][0]["target_claim_id"] == ""
    assert house.json("migration", "list") == [] or house.json("instance", "show", "cli")["host"] == "ha"
    moved = house.json("instance", "migrate", "cli", "--to", "hb", "--strategy", "netdev-rename", "--wait")
    assert moved["state"] == "done"
    assert [record["name"] for record in moved["records"]] == list(StepName)
    assert house.json("migration", "show", moved["id"]) == moved
    (claim,) = house.json("claim", "list")
    (held,) = [device for device in house.json("device", "list") if device["claim_id"]]
    assert held["id"] == claim["device_id"] and held["host"] == claim["host"] == "hb"
    assert {host["name"]: host["alive"] for host in house.json("host", "list")} == {"ha": True, "hb": True}
    assert "cli" in house.command("instance", "list")
    assert "hb" in house.command("instance", "show", "cli")
    assert "no-fit" not in house.command("instance", "migrate", "cli", "--to", "hb", code=2)
    house.command("instance", "delete", "cli", "--wait")
    assert house.json("instance", "list") == []
    assert house.fleet.leftovers() == []
    house.command("port", "delete", "cli0")
    house.command("flavor", "delete", "spare")
    assert "not-found" in house.command("instance", "show", "cli", code=3)


def canonical(nic: etree._Element) -> str:
    return etree.canonicalize(etree.tostring(deepcopy(nic), encoding="unicode"), strip_text=True)
