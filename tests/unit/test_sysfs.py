from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from igb import DATA, SCAN, unpack

from jackfield.host import sysfs_file
from jackfield.host.sysfs import SysfsTree
from jackfield.model.address import MacAddress, PciAddress
from jackfield.model.device import Device, DeviceKind
from jackfield.model.error import NotFound, Reach, Unavailable

MAC = "52:54:00:aa:00:00"


class Tree:
    """A sysfs of the test's own, laid out as the kernel lays it out."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "bus/pci/devices").mkdir(parents=True)

    def function(
        self, address: str = "0000:01:00.0", *, at: str = "pci0000:00/0000:00:10.0", **files: str | bytes
    ) -> Path:
        files = {"vendor": "0x8086\n", "device": "0x10c9\n", "class": "0x020000\n", **files}
        folder = self.root / "devices" / at / address
        folder.mkdir(parents=True)
        for name, content in files.items():
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        (self.root / "bus/pci/devices" / address).symlink_to(f"../../../devices/{at}/{address}")
        return folder

    def netdev(self, function: Path, name: str = "eth2", **files: str) -> Path:
        folder = function / "net" / name
        folder.mkdir(parents=True)
        for file, content in {"address": f"{MAC}\n", "dev_port": "0\n", **files}.items():
            (folder / file).write_text(content)
        return folder

    def vf(self, pf: Path, index: int, address: str) -> Path:
        at = str(pf.parent.relative_to(self.root / "devices"))
        folder = self.function(address, at=at, device="0x10ca\n")
        (folder / "physfn").symlink_to(f"../{pf.name}")
        (pf / f"virtfn{index}").symlink_to(f"../{address}")
        return folder

    def scan(self, **settings) -> tuple[Device, ...]:
        return SysfsTree(self.root, self.root / "libvirt", **settings).devices()

    def only(self, **settings) -> Device:
        (device,) = self.scan(**settings)
        return device


@pytest.fixture
def tree(tmp_path) -> Tree:
    return Tree(tmp_path / "sys")


@pytest.fixture(scope="module")
def igb(tmp_path_factory) -> tuple[Device, ...]:
    return SysfsTree(unpack(tmp_path_factory.mktemp("igb"))).devices()


def serial_at(offset: int, serial: int, *, before: bytes = b"") -> str | bytes:
    """A configuration space whose serial number capability stands at `offset`."""
    space = bytearray(4096)
    space[0x100 : 0x100 + len(before)] = before
    struct.pack_into("<IQ", space, offset, 0x00010003, serial)
    return bytes(space)


@pytest.mark.behaviour(10)
def test_the_captured_igb_comes_out_exactly(igb):
    assert [
        {
            "address": str(device.address),
            "kind": device.kind,
            "vendor_id": device.vendor_id,
            "product_id": device.product_id,
            "class_id": device.class_id,
            "parent": str(device.parent) if device.parent else None,
            "vf_index": device.vf_index,
            "numa_node": device.numa_node,
            "iommu_group": device.iommu_group,
            "netdev": device.netdev,
            "driver": device.driver,
            "mac": device.mac,
            "link_speed_mbps": device.link_speed_mbps,
            "offered": False,
            "attributes": {},
        }
        for device in igb
    ] == SCAN
    assert [device.link_state for device in igb] == ["up", "down", "down", "down", "down"]


@pytest.mark.behaviour(10)
def test_the_captured_igb_is_as_libvirt_describes_it(igb):
    def address(element) -> str:
        number = {name: int(element.get(name), 16) for name in ("domain", "bus", "slot", "function")}
        return str(PciAddress(**number))

    macs = {}
    for file in DATA.glob("nodedev/net_*.xml"):
        capability = ElementTree.parse(file).find("capability")
        macs[capability.findtext("interface")] = capability.findtext("address")
    for device in igb:
        name = f"pci_{str(device.address).replace(':', '_').replace('.', '_')}.xml"
        node = ElementTree.parse(DATA / "nodedev" / name)
        card = node.find("capability")
        assert card.find("vendor").get("id") == f"0x{device.vendor_id}"
        assert card.find("product").get("id") == f"0x{device.product_id}"
        assert card.findtext("class") == f"0x{device.class_id}"
        assert int(card.find("iommuGroup").get("number")) == device.iommu_group
        assert node.findtext("driver/name") == device.driver
        assert macs[device.netdev] == device.mac
        of = card.find("capability[@type='phys_function']/address")
        assert (address(of) if of is not None else None) == (str(device.parent) if device.parent else None)
        vfs = [address(vf) for vf in card.findall("capability[@type='virt_functions']/address")]
        assert vfs == [str(other.address) for other in igb if other.parent == device.address]


@pytest.mark.behaviour(9)
def test_a_card_keeps_its_identity_and_its_vfs_theirs_when_buses_and_names_change(tmp_path):
    def card(name: str, bus: str, netdev: str) -> dict[str, PciAddress]:
        tree = Tree(tmp_path / name)
        pf = tree.function(f"0000:{bus}:00.0", sriov_totalvfs="7\n")
        tree.netdev(pf, netdev)
        tree.vf(pf, 0, f"0000:{bus}:10.0")
        tree.vf(pf, 1, f"0000:{bus}:10.2")
        return {device.identity: device.address for device in tree.scan()}

    before, after = card("before", "01", "eth2"), card("after", "07", "enp7s0")
    assert set(before) == set(after) == {f"mac-{MAC}", f"mac-{MAC}/vf0", f"mac-{MAC}/vf1"}
    assert before[f"mac-{MAC}/vf1"] != after[f"mac-{MAC}/vf1"]


@pytest.mark.behaviour(9)
@pytest.mark.parametrize(
    "config",
    [
        serial_at(0x100, 0x001B21FFFF3C4D5E),
        serial_at(0x1A0, 0x001B21FFFF3C4D5E, before=struct.pack("<I", 0x1A0 << 20 | 1)),
    ],
)
def test_a_serial_number_comes_before_a_mac(tree, config):
    tree.netdev(tree.function("0000:01:00.1", config=config))
    assert tree.only().identity == "serial-001b21ffff3c4d5e.1"


@pytest.mark.behaviour(9)
@pytest.mark.parametrize(
    "config",
    [
        b"",
        bytes(64),
        bytes(256),
        bytes(4096),
        b"\xff" * 4096,
        serial_at(0x100, 0),
        serial_at(0x100, 2**64 - 1),
        serial_at(0x100, 1)[:0x106],
        bytes(0x100) + struct.pack("<I", 0x100 << 20 | 1) + bytes(64),
    ],
    ids=["empty", "not root", "no PCIe", "no capability", "gone", "zeros", "ones", "cut off", "in circles"],
)
def test_without_a_serial_number_the_mac_says_who_it_is(tree, config):
    tree.netdev(tree.function(config=config))
    assert tree.only().identity == f"mac-{MAC}"


@pytest.mark.behaviour(9)
def test_a_permanent_mac_from_netlink_comes_before_the_present_one(tree):
    tree.netdev(tree.function(), addr_assign_type="3\n")
    device = tree.only(permanent_macs=lambda: {"eth2": MacAddress("52:54:00:00:00:01")})
    assert (device.identity, device.mac) == ("mac-52:54:00:00:00:01", "52:54:00:00:00:01")


@pytest.mark.behaviour(9)
def test_a_mac_that_somebody_gave_is_nobody_s_identity(tree):
    tree.netdev(tree.function(), addr_assign_type="3\n")
    device = tree.only()
    assert (device.identity, device.mac) == ("path-0-10.0-00.0", MAC)


@pytest.mark.behaviour(9)
def test_a_function_without_serial_and_mac_is_known_by_its_slots_from_the_root_port(tmp_path):
    def gpu(name: str, root_bus: str, bus: str) -> str:
        tree = Tree(tmp_path / name)
        bridge = f"pci0000:{root_bus}/0000:{root_bus}:03.0/0000:{bus}:00.0"
        tree.function(f"0000:{int(bus) + 1:02}:08.1", at=bridge)
        return tree.only().identity

    assert gpu("before", "00", "01") == gpu("after", "40", "51") == "path-0-03.0-00.0-08.1"


@pytest.mark.behaviour(9)
def test_equal_slots_behind_two_host_bridges_are_two_devices(tree):
    tree.function("0000:81:00.0", at="pci0000:80/0000:80:01.0")
    tree.function("0000:01:00.0", at="pci0000:00/0000:00:01.0")
    assert [device.identity for device in tree.scan()] == ["path-0-01.0-00.0", "path-1-01.0-00.0"]


@pytest.mark.behaviour(10)
def test_a_function_is_a_pf_as_soon_as_it_could_have_vfs(tree):
    tree.function("0000:01:00.0", sriov_totalvfs="7\n")
    tree.function("0000:02:00.0", sriov_totalvfs="0\n")
    tree.function("0000:03:00.0")
    assert [device.kind for device in tree.scan()] == [DeviceKind.PF, DeviceKind.PCI, DeviceKind.PCI]


@pytest.mark.behaviour(10)
def test_a_function_with_vfs_is_a_pf_whatever_else_it_says(tree):
    pf = tree.function()
    tree.vf(pf, 5, "0000:01:10.2")
    card, vf = tree.scan()
    assert (card.kind, vf.kind, vf.vf_index) == (DeviceKind.PF, DeviceKind.VF, 5)
    assert vf.parent_identity == card.identity


def test_a_vf_whose_pf_is_not_there_keeps_what_it_says_itself(tree):
    (tree.function("0000:01:10.0") / "physfn").symlink_to("../0000:01:00.0")
    vf = tree.only()
    assert (vf.kind, str(vf.parent), vf.vf_index, vf.parent_identity) == ("vf", "0000:01:00.0", None, None)


def test_a_vf_that_its_pf_does_not_list_has_no_index(tree):
    (tree.function("0000:01:10.0") / "physfn").symlink_to("../0000:01:00.0")
    pf = tree.function()
    (pf / "virtfnx").symlink_to("../0000:01:10.0")
    (pf / "virtfn0").symlink_to("../somewhere")
    vf = tree.scan()[1]
    assert (vf.vf_index, vf.identity) == (None, "path-0-10.0-10.0")


@pytest.mark.parametrize(
    ("driver", "kind"),
    [("vhost_vdpa", DeviceKind.VDPA), ("virtio_vdpa", DeviceKind.VF), (None, DeviceKind.VF)],
)
def test_a_vf_is_vdpa_only_while_its_vdpa_device_waits_for_a_guest(tree, driver, kind):
    vf = tree.vf(tree.function(), 0, "0000:01:10.0")
    (vf / "vdpa0").mkdir()
    if driver:
        (vf / "vdpa0/driver").symlink_to(f"../../../../../bus/vdpa/drivers/{driver}")
    device = tree.scan()[1]
    assert (device.kind, device.vf_index) == (kind, 0)


@pytest.mark.behaviour(10)
def test_bridges_dangling_links_and_strangers_are_left_out(tree):
    tree.function("0000:00:1f.0", at="pci0000:00", **{"class": "0x060100\n"})
    (tree.root / "bus/pci/devices/0000:00:1f.2").symlink_to("../../../devices/pci0000:00/0000:00:1f.2")
    (tree.root / "bus/pci/devices/README").write_text("")
    assert tree.scan() == ()


def test_a_tree_may_hold_folders_in_place_of_links(tree):
    folder = tree.function()
    link = tree.root / "bus/pci/devices/0000:01:00.0"
    link.unlink()
    folder.rename(link)
    assert tree.only().identity == "path-0-00.0"


@pytest.mark.parametrize("file", ["vendor", "device", "class"])
@pytest.mark.parametrize("content", ["", "0xzzzz\n", "\xff\xfe"])
def test_a_function_that_does_not_say_what_it_is_is_left_out(tree, file, content):
    tree.function(**{file: content})
    assert tree.scan() == ()


@pytest.mark.parametrize("content", ["", "\n", "garbage\n", "-1\n", "٣", "9" * 30])
def test_a_broken_file_is_a_fact_unknown(tree, content):
    function = tree.function(numa_node=content, sriov_totalvfs=content)
    tree.netdev(function, address=content, speed=content, operstate="unknown\n", carrier=content)
    device = tree.only()
    assert (device.kind, device.numa_node, device.mac) == (DeviceKind.PCI, None, None)
    assert (device.netdev, device.link_speed_mbps, device.link_state) == ("eth2", None, None)


@pytest.mark.parametrize(
    "mac",
    [
        "00:00:00:00:00:00\n",
        "80:00:02:08:fe:80:00:00:00:00:00:00:00:02:c9:03:00:00:10:d1\n",
        "01:00:5e:00:00:01\n",
    ],
)
def test_what_is_no_unicast_mac_is_none(tree, mac):
    tree.netdev(tree.function(), address=mac)
    device = tree.only()
    assert (device.mac, device.identity) == (None, "path-0-10.0-00.0")


@pytest.mark.parametrize(
    ("speed", "mbps"), [("25000\n", 25000), ("-1\n", None), ("4294967295\n", None), ("0\n", None), ("", None)]
)
def test_a_speed_that_the_driver_does_not_know_is_none(tree, speed, mbps):
    tree.netdev(tree.function(), speed=speed)
    assert tree.only().link_speed_mbps == mbps


@pytest.mark.parametrize(
    ("operstate", "carrier", "state"),
    [
        ("up\n", "1\n", "up"),
        ("dormant\n", "1\n", "dormant"),
        ("unknown\n", "1\n", "up"),
        ("unknown\n", "0\n", "down"),
        ("unknown\n", "", None),
        ("", "1\n", None),
    ],
)
def test_the_carrier_says_what_the_operational_state_does_not(tree, operstate, carrier, state):
    tree.netdev(tree.function(), operstate=operstate, carrier=carrier)
    assert tree.only().link_state == state


def test_of_several_netdevs_the_first_port_s_counts_and_then_the_name(tree):
    function = tree.function()
    tree.netdev(function, "eth0", dev_port="1\n")
    tree.netdev(function, "eth9")
    tree.netdev(function, "eth3")
    assert tree.only().netdev == "eth3"


def test_a_virtio_function_s_netdev_is_found_below_its_virtio_device(tree):
    tree.netdev(tree.function() / "virtio0", "eth0")
    assert tree.only().netdev == "eth0"


def test_a_function_that_lost_its_netdev_has_none(tree):
    function = tree.function()
    (function / "net").mkdir()
    device = tree.only()
    assert (device.netdev, device.mac, device.link_state) == (None, None, None)


def test_a_netdev_that_is_renamed_in_mid_scan_is_found_by_its_new_name(tree, monkeypatch):
    netdev = tree.netdev(tree.function(), "eth2")
    names = sysfs_file.names

    def list_and_rename(folder: str) -> list[str] | None:
        found = names(folder)
        if folder.endswith("/net") and netdev.exists():
            netdev.rename(netdev.with_name("eth02bc4aec-b4"))
        return found

    monkeypatch.setattr(sysfs_file, "names", list_and_rename)
    device = tree.only()
    assert (device.netdev, device.mac) == ("eth02bc4aec-b4", MAC)


def test_a_netdev_that_never_stands_still_is_left_out(tree, monkeypatch):
    tree.netdev(tree.function(), "eth2")
    names = sysfs_file.names
    monkeypatch.setattr(
        sysfs_file, "names", lambda folder: ["gone"] if folder.endswith("/net") else names(folder)
    )
    assert tree.only().netdev is None


def test_a_function_that_vanishes_in_mid_scan_is_left_out(tree, monkeypatch):
    tree.function("0000:01:00.0")
    tree.function("0000:02:00.0")
    names = sysfs_file.names
    monkeypatch.setattr(
        sysfs_file, "names", lambda folder: None if folder.endswith("0000:01:00.0") else names(folder)
    )
    assert [str(device.address) for device in tree.scan()] == ["0000:02:00.0"]


def test_a_file_that_refuses_to_be_read_is_a_fact_unknown(tree):
    function = tree.function(config=b"")
    (function / "numa_node").mkdir()
    (function / "config").unlink()
    (function / "config").mkdir()
    assert tree.only().numa_node is None


@pytest.mark.parametrize("seen", [True, False])
def test_whether_libvirt_sees_a_vf_is_read_in_libvirt_s_own_sys(tree, seen):
    pf = tree.function()
    tree.netdev(pf, "eth2")
    tree.netdev(tree.vf(pf, 0, "0000:01:10.0"), "eth2v0")
    if seen:
        (tree.root / "libvirt/class/net/eth2v0/device/physfn").mkdir(parents=True)
    assert [device.is_real_vf for device in tree.scan()] == [False, seen]


def test_a_vf_without_a_netdev_is_no_vf_that_could_tag(tree):
    tree.vf(tree.function(), 0, "0000:01:10.0")
    assert not tree.scan()[1].is_real_vf


def test_a_root_without_a_pci_bus_is_refused_with_its_name(tmp_path):
    with pytest.raises(NotFound, match="bus/pci/devices") as refused:
        SysfsTree(tmp_path / "nowhere").devices()
    assert (refused.value.code, refused.value.reach) == ("sysfs-missing", Reach.HOST)
    assert str(tmp_path / "nowhere") in refused.value.message


def test_the_boot_id_is_what_its_file_says(tmp_path):
    file = tmp_path / "boot_id"
    file.write_text("0f6c6c86-4d37-4b1c-bc1e-4b1a3e9c1a55\n")
    tree = SysfsTree(tmp_path, boot_id_file=file)
    assert tree.boot_id() == "0f6c6c86-4d37-4b1c-bc1e-4b1a3e9c1a55"
    file.write_text("")
    with pytest.raises(Unavailable) as refused:
        tree.boot_id()
    assert refused.value.code == "boot-id-unreadable"


def test_the_expectation_is_in_the_order_of_addresses_and_has_every_key():
    assert [entry["address"] for entry in SCAN] == sorted(entry["address"] for entry in SCAN)
    assert len({json.dumps(list(entry)) for entry in SCAN}) == 1


def test_two_scans_of_an_unchanged_tree_are_equal(igb, tmp_path):
    again = SysfsTree(unpack(tmp_path)).devices()
    assert again == tuple(replace(device) for device in igb)
