"""The PCI functions of one host, and what sysfs says about each: values only."""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lab.plan import VF_OFFSET, VF_STRIDE, HostPlan

IGB_VFS_MAX = 7  # what the card itself says; more is told only if the laboratory has more
_NETWORK, _DISPLAY, _HOST_BRIDGE, _PORT = 0x020000, 0x030200, 0x060000, 0x060400


@dataclass(frozen=True, kw_only=True)
class Function:
    """One PCI function as sysfs shows it."""

    address: str
    parents: tuple[str, ...] = ()  # the ports above it, outermost first
    vendor: int
    device: int
    pci_class: int
    driver: str | None = None
    numa_node: int = -1
    is_vf: bool = False
    link_width: int = 1
    serial: str | None = None  # MAC that the card's serial number is made of, as on real cards
    extra: Mapping[str, str] = field(default_factory=dict)  # further files
    links: Mapping[str, str] = field(default_factory=dict)  # physfn, virtfnN: name to PCI address

    @property
    def path(self) -> str:
        """The folder below /sys/devices."""
        return "/".join(("pci0000:00", *self.parents, self.address))

    def files(self) -> dict[str, str]:
        """The text files of the function's folder, but for those of its netdev."""
        modalias = (
            f"pci:v{self.vendor:08X}d{self.device:08X}sv00001AF4sd00001100"
            f"bc{self.pci_class >> 16:02x}sc{self.pci_class >> 8 & 0xFF:02x}i{self.pci_class & 0xFF:02x}"
        )
        identity = f"PCI_CLASS={self.pci_class:X}\nPCI_ID={self.vendor:04X}:{self.device:04X}\n"
        place = f"PCI_SUBSYS_ID=1AF4:1100\nPCI_SLOT_NAME={self.address}\nMODALIAS={modalias}\n"
        speed = {"current": "2.5 GT/s PCIe\n", "max": "2.5 GT/s PCIe\n"}
        return {
            "ari_enabled": "1\n" if self.pci_class == _NETWORK else "0\n",
            "broken_parity_status": "0\n",
            "class": f"0x{self.pci_class:06x}\n",
            "consistent_dma_mask_bits": "64\n",
            **{f"{when}_link_speed": text for when, text in speed.items()},
            **{f"{when}_link_width": f"{self.link_width}\n" for when in speed},
            "d3cold_allowed": "0\n" if self.is_vf else "1\n",
            "device": f"0x{self.device:04x}\n",
            "dma_mask_bits": "64\n",
            "driver_override": "(null)\n",
            "enable": "1\n" if self.driver else "0\n",
            "irq": "0\n",
            "local_cpulist": "0-1\n",
            "local_cpus": "3\n",
            "modalias": f"{modalias}\n",
            "msi_bus": "1\n",
            "numa_node": f"{self.numa_node}\n",
            "power_state": "D0\n",
            "reset_method": "flr\n" if self.is_vf else "flr pm bus\n",
            "resource": "0x0000000000000000 0x0000000000000000 0x0000000000000000\n" * 13,
            "revision": "0x01\n",
            "subsystem_device": "0x1100\n",
            "subsystem_vendor": "0x1af4\n",
            "uevent": (f"DRIVER={self.driver}\n" if self.driver else "") + identity + place,
            "vendor": f"0x{self.vendor:04x}\n",
            **self.extra,
        }

    def config(self) -> bytes:
        """The configuration space: the header, the PCI Express capability, the serial number."""
        space = bytearray(4096)
        ids = (0xFFFF, 0xFFFF) if self.is_vf else (self.vendor, self.device)  # the SR-IOV standard says so
        header_type = 1 if self.pci_class == _PORT else 0
        struct.pack_into(
            "<HHHHI4B", space, 0, *ids, 0x0506, 0x0010, self.pci_class << 8 | 1, 0, 0, header_type, 0
        )
        struct.pack_into("<HH", space, 0x2C, 0x1AF4, 0x1100)
        space[0x34] = 0xA0
        struct.pack_into("<BBH", space, 0xA0, 0x10, 0, 0x0042 if header_type else 0x0002)
        if self.serial:
            octets = bytes.fromhex(self.serial.replace(":", ""))
            struct.pack_into("<I8s", space, 0x100, 0x00010003, (octets[:3] + b"\xff\xff" + octets[3:])[::-1])
        return bytes(space)


def functions(plan: HostPlan) -> Iterator[Function]:
    """Every PCI function of the host, in the order of their IOMMU groups."""
    yield Function(address="0000:00:00.0", vendor=0x8086, device=0x29C0, pci_class=_HOST_BRIDGE)
    for port in (plan.root_port, plan.gpu_root_port):
        yield Function(
            address=port,
            vendor=0x1B36,
            device=0x000C,
            pci_class=_PORT,
            driver="pcieport",
            numa_node=plan.numa_node,
        )
    yield Function(
        address=plan.gpu,
        parents=(plan.gpu_root_port,),
        vendor=0x10DE,
        device=0x1DB4,
        pci_class=_DISPLAY,
        numa_node=plan.numa_node,
        link_width=16,
    )
    vf_links = {f"virtfn{number}": vf.address for number, vf in enumerate(plan.vfs)}
    yield Function(
        address=plan.pf.address,
        parents=(plan.root_port,),
        vendor=0x8086,
        device=0x10C9,
        pci_class=_NETWORK,
        driver="igb",
        numa_node=plan.numa_node,
        link_width=4,
        serial=plan.pf.mac,
        extra=_sriov_files(len(plan.vfs)),
        links=vf_links,
    )
    for vf in plan.vfs:
        yield Function(
            address=vf.address,
            parents=(plan.root_port,),
            vendor=0x8086,
            device=0x10CA,
            pci_class=_NETWORK,
            driver="igbvf",
            numa_node=plan.numa_node,
            link_width=4,
            is_vf=True,
            links={"physfn": plan.pf.address},
        )


def _sriov_files(vfs: int) -> dict[str, str]:
    return {
        "sriov_drivers_autoprobe": "1\n",
        "sriov_numvfs": f"{vfs}\n",
        "sriov_offset": f"{VF_OFFSET}\n",
        "sriov_stride": f"{VF_STRIDE}\n",
        "sriov_totalvfs": f"{max(IGB_VFS_MAX, vfs)}\n",
        "sriov_vf_device": "10ca\n",
        "sriov_vf_total_msix": "0\n",
    }
