"""The PCI functions of a host, read from its `/sys` or from any folder that looks like it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from jackfield.host import identity
from jackfield.host import sysfs_file as file
from jackfield.host.sysfs_netdev import first_netdev
from jackfield.model.address import MacAddress, PciAddress
from jackfield.model.device import Device, DeviceKind
from jackfield.model.error import NotFound, Reach, Unavailable

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_BRIDGE_CLASS = "06"


def _no_permanent_macs() -> Mapping[str, MacAddress]:
    return {}


class SysfsTree:
    """Reads afresh at every call; what is missing, empty or nonsense there becomes None.

    Whether libvirt will see a VF is read below `libvirt_root`, the `/sys` that libvirtd has.
    `permanent_macs` gives what netlink knows, by netdev: sysfs shows only the present MAC.
    """

    def __init__(
        self,
        root: Path,
        libvirt_root: Path = Path("/sys"),
        *,
        boot_id_file: Path = BOOT_ID,
        permanent_macs: Callable[[], Mapping[str, MacAddress]] = _no_permanent_macs,
    ) -> None:
        self._devices = os.fspath(root / "bus/pci/devices")
        self._libvirt_netdevs = os.fspath(libvirt_root / "class/net")
        self._boot_id_file = os.fspath(boot_id_file)
        self._permanent_macs = permanent_macs

    def boot_id(self) -> str:
        boot_id = file.read(self._boot_id_file)
        if not boot_id:
            raise Unavailable(
                "boot-id-unreadable",
                f"{self._boot_id_file} says no boot id: is /proc mounted?",
                reach=Reach.HOST,
            )
        return boot_id

    def devices(self) -> tuple[Device, ...]:
        """Every PCI function but bridges, sorted by address.

        A function that comes or goes in mid-scan is left out. Raises `NotFound` (`sysfs-missing`) where
        there is no PCI bus.
        """
        paths = self._paths()
        bridges = identity.bridge_order(paths.values())
        permanent_macs = self._permanent_macs()
        functions: dict[PciAddress, _Function] = {}
        # A VF comes after its PF, and the kernel links `virtfnN` before `physfn`: so a PF that is read
        # after its VFs knows the index of each of them, also while they are being made.
        for address in sorted(paths, reverse=True):
            function = self._function(address, paths[address], bridges, permanent_macs)
            if function is not None:
                functions[address] = function
        return tuple(_joined(functions[address], functions) for address in sorted(functions))

    def _paths(self) -> dict[PciAddress, str]:
        """Each function's folder below `/sys/devices`, as its link says it; it may dangle."""
        names = file.names(self._devices)
        if names is None:
            raise NotFound(
                "sysfs-missing",
                f"cannot list {self._devices}: give a sysfs root that holds bus/pci/devices",
                reach=Reach.HOST,
            )
        paths: dict[PciAddress, str] = {}
        for name in names:
            if address := file.address(name):
                paths[address] = file.link(f"{self._devices}/{name}") or name
        return paths

    def _function(
        self,
        address: PciAddress,
        path: str,
        bridges: Mapping[str, int],
        permanent_macs: Mapping[str, MacAddress],
    ) -> _Function | None:
        folder = f"{self._devices}/{address}"
        class_id = file.hex_id(f"{folder}/class", 6)
        if class_id is None or class_id.startswith(_BRIDGE_CLASS):
            return None
        vendor_id, product_id = file.hex_id(f"{folder}/vendor"), file.hex_id(f"{folder}/device")
        entries = file.names(folder)
        if entries is None or vendor_id is None or product_id is None:
            return None
        parent = file.address(file.link_name(f"{folder}/physfn")) if "physfn" in entries else None
        vfs = _vfs(folder, entries)
        netdev = first_netdev(folder, entries)
        permanent_mac = permanent_macs.get(netdev.name) if netdev.name else None
        known_as = None if parent else _own_identity(folder, address, permanent_mac or netdev.permanent_mac())
        device = Device(
            identity=known_as or identity.path_identity(path, bridges),
            address=address,
            kind=_kind(folder, entries, is_vf=parent is not None, has_vfs=bool(vfs)),
            vendor_id=vendor_id,
            product_id=product_id,
            class_id=class_id,
            parent=parent,
            numa_node=file.number(f"{folder}/numa_node"),
            iommu_group=file.digits(file.link_name(f"{folder}/iommu_group")),
            netdev=netdev.name,
            driver=file.link_name(f"{folder}/driver"),
            mac=permanent_mac or netdev.mac,
            link_speed_mbps=netdev.speed_mbps(),
            link_state=netdev.state(),
            is_real_vf=parent is not None and self._is_vf_for_libvirt(netdev.name),
        )
        return _Function(device=device, vfs=vfs)

    def _is_vf_for_libvirt(self, netdev: str | None) -> bool:
        return netdev is not None and file.exists(f"{self._libvirt_netdevs}/{netdev}/device/physfn")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Function:
    device: Device
    vfs: Mapping[PciAddress, int]
    """The index of each of its VFs."""


def _joined(function: _Function, functions: Mapping[PciAddress, _Function]) -> Device:
    """The device with what only its PF knows: the index, and the identity that comes from it."""
    device = function.device
    pf = functions.get(device.parent) if device.parent is not None else None
    if pf is None:
        return device
    index = pf.vfs.get(device.address)
    return replace(
        device,
        parent_identity=pf.device.identity,
        vf_index=index,
        identity=device.identity if index is None else identity.vf_identity(pf.device.identity, index),
    )


def _own_identity(folder: str, address: PciAddress, mac: MacAddress | None) -> str | None:
    if serial := identity.read_serial(f"{folder}/config"):
        return identity.serial_identity(serial, address)
    return identity.mac_identity(mac) if mac else None


def _kind(folder: str, entries: list[str], *, is_vf: bool, has_vfs: bool) -> DeviceKind:
    for name in entries:
        # A vdpa device that has another driver than this one is a NIC of the host's own.
        if name.startswith("vdpa") and file.link_name(f"{folder}/{name}/driver") == "vhost_vdpa":
            return DeviceKind.VDPA
    if is_vf:
        return DeviceKind.VF
    # Only a PF has the file, and 0 in it means that its driver allows no VF:
    # https://docs.kernel.org/PCI/pci-iov-howto.html
    if has_vfs or ("sriov_totalvfs" in entries and file.number(f"{folder}/sriov_totalvfs")):
        return DeviceKind.PF
    return DeviceKind.PCI


def _vfs(folder: str, entries: list[str]) -> dict[PciAddress, int]:
    """The index of each VF of the function, from its links `virtfn0`, `virtfn1` and so on."""
    indexes: dict[PciAddress, int] = {}
    for name in entries:
        index = file.digits(name.removeprefix("virtfn")) if name.startswith("virtfn") else None
        address = file.address(file.link_name(f"{folder}/{name}")) if index is not None else None
        if index is not None and address is not None:
            indexes[address] = index
    return indexes
