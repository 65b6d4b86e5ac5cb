"""What the laboratory needs of the machine, and which of it is missing."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

PROGRAMS = {  # and the Debian package that has it
    "busybox": "busybox-static",
    "dpkg-deb": "dpkg",
    "ip": "iproute2",
    "libvirtd": "libvirt-daemon",
    "nsenter": "util-linux",
    "ping": "iputils-ping",
    "qemu-system-x86_64": "qemu-system-x86",
    "unshare": "util-linux",
    "virsh": "libvirt-clients",
}
_SEARCH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin", "/usr/bin", "/bin"))


def missing() -> list[str]:
    """What is missing, one phrase each. Empty means that a laboratory can come up."""
    found = [
        f"the program {program} (Debian package {package})"
        for program, package in PROGRAMS.items()
        if path_of(program) is None
    ]
    if not list(Path("/usr/lib").glob("*/libvirt/connection-driver/libvirt_driver_qemu.so")):
        found.append("libvirt's QEMU driver (Debian package libvirt-daemon-driver-qemu)")
    if platform.machine() != "x86_64":
        found.append(f"an x86_64 machine (this is {platform.machine()})")
    if os.geteuid():
        found.append(f"root (this is uid {os.geteuid()})")
    elif refusal := _namespaces_refused():
        found.append(f"the right to make namespaces ({refusal})")
    return found


def path_of(program: str) -> str | None:
    """Where the program is, also when PATH lacks the folders of the administrator's programs."""
    return shutil.which(program, path=_SEARCH)


def _namespaces_refused() -> str | None:
    trial = subprocess.run(
        ["unshare", "--mount", "--net", "--uts", "true"], capture_output=True, text=True, check=False
    )
    return trial.stderr.strip() if trial.returncode else None
