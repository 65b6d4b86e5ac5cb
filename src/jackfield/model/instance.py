"""Instances: libvirt domains that Jackfield boots, with their ports."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from jackfield.model.error import Rejected
from jackfield.model.migration import StrategyName

MEMORY_MIB_MIN, MEMORY_MIB_MAX = 16, 16 * 1024 * 1024
VCPUS_MAX = 1024


class InstanceStatus(StrEnum):
    BUILDING = "building"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    DELETING = "deleting"
    ERROR = "error"


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """The guest apart from its ports: either a domain XML of the user's, or a few options."""

    memory_mib: int = 512
    vcpus: int = 1
    kernel: str | None = None
    initrd: str | None = None
    command_line: str | None = None
    disk: str | None = None
    """A path that source and target of a move both reach."""
    domain_type: str = "kvm"
    """`kvm`, or `qemu` for emulation without it."""
    domain_xml: str | None = None
    """A whole `<domain>`; its interfaces stay, Jackfield's are added, name and UUID become ours."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Instance:
    id: str
    """A UUID, and the libvirt domain's."""
    name: str
    machine: Machine
    status: InstanceStatus
    host: str | None = None
    start_generation: int = 0
    """Rises with each order to start; the agent carries each out at most once."""
    started_generation: int = 0
    """The last one seen carried out."""
    strategy: StrategyName | None = None
    error: str | None = None


def check_machine(machine: Machine) -> None:
    """Raises `Rejected` (`machine-malformed`) for options that no hypervisor could start."""

    def refuse(what: str) -> Rejected:
        return Rejected("machine-malformed", what)

    if machine.domain_xml is not None:
        return
    if not MEMORY_MIB_MIN <= machine.memory_mib <= MEMORY_MIB_MAX:
        raise refuse(f"memory {machine.memory_mib} MiB: use {MEMORY_MIB_MIN} to {MEMORY_MIB_MAX}")
    if not 1 <= machine.vcpus <= VCPUS_MAX:
        raise refuse(f"{machine.vcpus} vcpus: use 1 to {VCPUS_MAX}")
    if machine.kernel is None and machine.disk is None:
        raise refuse("nothing to boot from: give a kernel (with an initrd) or a disk, or a whole domain XML")
    if machine.kernel is None and (machine.initrd or machine.command_line):
        raise refuse("an initrd or a command line needs a kernel")
    for name in ("kernel", "initrd", "disk"):
        path = getattr(machine, name)
        if path is not None and not path.startswith("/"):
            raise refuse(f"{name} {path!r}: give an absolute path on the host")
    if machine.domain_type not in ("kvm", "qemu"):
        raise refuse(f"domain type {machine.domain_type!r}: use kvm or qemu")
