"""Who is who in a laboratory: the names and addresses of every host and device, computed and never chosen.

Nothing here touches the machine. Two laboratories may have equal addresses and link names, because every one
of them lives in network namespaces of its own; only the state folder tells them apart.
"""

import re
import uuid
from dataclasses import dataclass

from lab.error import LabError

MANAGEMENT_NETWORK = "10.77.0"
DATA_NETWORK = "10.9.0"
PREFIX_LENGTH = 24
SWITCH_NUMBER = 254
HOSTS_MAX = 9
# VF i of an igb card has routing id PF + 128 + 2 i, so one bus has room for the 64 even ids from 128 on.
VF_OFFSET, VF_STRIDE, VFS_MAX = 128, 2, 63


@dataclass(frozen=True, kw_only=True)
class Device:
    """One stand-in for a PCI network function, as the host has it when the laboratory comes up."""

    netdev: str  # the name at the start; a host may rename it
    mac: str  # the factory MAC; libvirt puts the guest's there while a guest uses the device
    address: str  # PCI address in the generated sysfs tree
    pf: str | None  # PCI address of the VF's PF; None for the PF itself


@dataclass(frozen=True, kw_only=True)
class HostPlan:
    """Everything about one host that follows from its name and its place in the list."""

    name: str
    index: int  # 0 for the first host
    uuid: str  # libvirt refuses a migration between two hosts of one uuid
    address: str  # on the management network, without prefix length
    pf: Device
    vfs: tuple[Device, ...]
    numa_node: int  # of the card
    root_port: str  # PCI address of the port that the card sits behind
    gpu: str  # PCI address of a plain device that is no network card
    gpu_root_port: str

    @property
    def machine_id(self) -> str:
        """What stands in the host's /etc/machine-id. udev derives MACs from it, so it must differ."""
        return self.uuid.replace("-", "")

    @property
    def netdevs(self) -> tuple[Device, ...]:
        """The PF and then the VFs: everything that has a link in the host."""
        return (self.pf, *self.vfs)


def plan_hosts(lab: str, hosts: tuple[str, ...], vfs: int) -> tuple[HostPlan, ...]:
    """The plan of every host. Refuses names and numbers that would break a link name or a PCI bus."""
    check_name(lab)
    if not 1 <= len(hosts) <= HOSTS_MAX or len(set(hosts)) != len(hosts):
        raise LabError(f"a laboratory has 1 to {HOSTS_MAX} hosts of different names, not {', '.join(hosts)}")
    if not 1 <= vfs <= VFS_MAX:
        raise LabError(f"a host has 1 to {VFS_MAX} VFs, not {vfs}")
    return tuple(_plan_host(lab, index, name, vfs) for index, name in enumerate(hosts))


def check_name(lab: str) -> None:
    """Refuses a laboratory name that could not be a folder of its own beside the guest's."""
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,19}", lab) or lab == "guest":
        raise LabError(
            f"the name {lab!r} does not fit a laboratory: a letter, then letters, digits and '-', "
            "20 at most, and not 'guest'"
        )


def _plan_host(lab: str, index: int, name: str, vfs: int) -> HostPlan:
    # The switch end of the management link is "<host>-mgmt", and a link name has 15 characters at most.
    if not re.fullmatch(r"[a-z][a-z0-9]{0,7}", name) or name in ("switch", "ns"):
        raise LabError(f"the name {name!r} does not fit a host: a letter, then letters and digits, 8 at most")
    number = index + 1
    bus = number
    # Slots and names differ from host to host, so that a guest that moves always finds another address there.
    stem = f"enp{bus}s0" if index % 2 == 0 else f"ens{bus}f0"
    pf = Device(netdev=stem, mac=f"02:00:00:0{number}:ff:00", address=f"0000:{bus:02x}:00.0", pf=None)
    return HostPlan(
        name=name,
        index=index,
        uuid=str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.{lab}.lab.jackfield.invalid")),
        address=f"{MANAGEMENT_NETWORK}.{number}",
        pf=pf,
        vfs=tuple(
            Device(
                netdev=f"{stem}v{vf}",
                mac=f"02:00:00:0{number}:00:{vf:02x}",
                address=_vf_address(bus, vf),
                pf=pf.address,
            )
            for vf in range(vfs)
        ),
        numa_node=index % 2,
        root_port=f"0000:00:{0x10 + index:02x}.0",
        gpu=f"0000:{0x41 + 0x10 * index:02x}:00.0",
        gpu_root_port=f"0000:00:{0x03 + index:02x}.0",
    )


def _vf_address(bus: int, vf: int) -> str:
    slot, function = divmod(VF_OFFSET + VF_STRIDE * vf, 8)
    return f"0000:{bus:02x}:{slot:02x}.{function}"
