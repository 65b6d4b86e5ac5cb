"""A sysfs tree that tells of one SR-IOV card whose netdevs are veth ends, laid out as Linux lays it out.

The tree stands where /sys would. `write_tree` makes it once; `follow` keeps the part that changes while the
host runs, the netdevs, in step with the kernel's links. The pattern is a captured tree of an igb card.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.pci import Function, functions
from lab.plan import HostPlan


@dataclass(frozen=True, kw_only=True)
class Netdev:
    """What the kernel says of one link now."""

    name: str
    ifindex: int
    mac: str
    is_up: bool
    has_carrier: bool
    mtu: int = 1500


def write_tree(root: Path, plan: HostPlan) -> None:
    """Makes the tree of the host's PCI functions, still without netdevs. Not idempotent."""
    for name in ("bus/pci/devices", "bus/pci/drivers/vfio-pci", "class/net", "kernel/iommu_groups"):
        (root / name).mkdir(parents=True)
    for group, function in enumerate(functions(plan)):
        _write_function(root, function, group)
    write_netdev(
        root,
        root / "devices/virtual",
        Netdev(name="lo", ifindex=1, mac="00:00:00:00:00:00", is_up=True, has_carrier=True, mtu=65536),
    )


def follow(root: Path, ifindexes: Mapping[str, int], links: Mapping[int, Netdev]) -> None:
    """Brings the netdevs of the tree in step with the kernel's links. Idempotent; blocks for milliseconds.

    `ifindexes` says which link stands for the function at which PCI address: a link keeps its index through a
    rename. A function whose link is gone has no netdev, as one that is bound to vfio-pci.
    """
    for address, ifindex in ifindexes.items():
        device = (root / "bus/pci/devices" / address).resolve()
        known = [entry.name for entry in (device / "net").iterdir()] if (device / "net").is_dir() else []
        link = links.get(ifindex)
        for name in known[1:] if link else known:
            shutil.rmtree(device / "net" / name)
        if link and known and known[0] != link.name:
            # One rename, so that a reader finds the old name or the new one, and never both or none.
            (device / "net" / known[0]).rename(device / "net" / link.name)
        if link:
            write_netdev(root, device, link)
    for entry in (root / "class/net").iterdir():
        if not entry.exists():
            entry.unlink()


def write_netdev(root: Path, device: Path, link: Netdev) -> None:
    """Writes the netdev of a device into the tree, or what changed of it. Idempotent."""
    folder = device / "net" / link.name
    if not folder.is_dir():
        # Made beside and moved in, so that no reader finds a netdev that lacks half of its files.
        draft = root / f".netdev-{link.ifindex}"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        _write_files(draft, _netdev_files(link))
        (draft / "subsystem").symlink_to(os.path.relpath(root / "class/net", folder))
        if device.name != "virtual":
            (draft / "device").symlink_to(f"../../../{device.name}")
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft.rename(folder)
    _write_files(folder, _netdev_files(link))
    entry = root / "class/net" / link.name
    target = os.path.relpath(folder, entry.parent)
    if not entry.is_symlink() or str(entry.readlink()) != target:
        draft = root / f".link-{link.ifindex}"
        draft.unlink(missing_ok=True)
        draft.symlink_to(target)
        draft.replace(entry)


def _netdev_files(link: Netdev) -> dict[str, str]:
    runs = link.is_up and link.has_carrier
    return {
        "addr_assign_type": "0\n",
        "addr_len": "6\n",
        "address": f"{link.mac}\n",
        "broadcast": "ff:ff:ff:ff:ff:ff\n",
        "carrier": f"{int(link.has_carrier)}\n" if link.is_up else "",  # EINVAL of a link that is down
        "dev_id": "0x0\n",
        "dev_port": "0\n",
        "dormant": "0\n" if link.is_up else "",
        "duplex": "full\n" if runs else "",
        "flags": "0x1003\n" if link.is_up else "0x1002\n",
        "ifalias": "",
        "ifindex": f"{link.ifindex}\n",
        "iflink": f"{link.ifindex}\n",
        "link_mode": "0\n",
        "mtu": f"{link.mtu}\n",
        "name_assign_type": "4\n",
        "operstate": "up\n" if runs else "down\n",
        "phys_port_id": "",
        "phys_port_name": "",
        "phys_switch_id": "",
        "proto_down": "0\n",
        "speed": "1000\n" if runs else "",
        "tx_queue_len": "1000\n",
        "type": "1\n",
        "uevent": f"INTERFACE={link.name}\nIFINDEX={link.ifindex}\n",
    }


def _write_function(root: Path, function: Function, group: int) -> None:
    folder = root / "devices" / function.path
    folder.mkdir(parents=True, exist_ok=True)
    _write_files(folder, function.files())
    (folder / "config").write_bytes(function.config())
    _link(root / "bus/pci/devices" / function.address, folder)
    _link(folder / "subsystem", root / "bus/pci")
    if function.driver:
        driver = root / "bus/pci/drivers" / function.driver
        driver.mkdir(exist_ok=True)
        _link(folder / "driver", driver)
        _link(driver / function.address, folder)
    iommu_group = root / "kernel/iommu_groups" / str(group)
    (iommu_group / "devices").mkdir(parents=True)
    _write_files(
        iommu_group, {"type": "DMA-FQ\n", "reserved_regions": "0x00000000fee00000 0x00000000feefffff msi\n"}
    )
    _link(iommu_group / "devices" / function.address, folder)
    _link(folder / "iommu_group", iommu_group)
    for name, address in function.links.items():
        (folder / name).symlink_to(f"../{address}")


def _link(link: Path, target: Path) -> None:
    """A relative link, as sysfs has them, so that the tree is good wherever it stands."""
    link.symlink_to(os.path.relpath(target, link.parent))


def _write_files(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        if path.exists() and path.read_text() == text:
            continue
        draft = folder / f".{name}"
        draft.write_text(text)
        draft.replace(path)
