"""Turns fresh namespaces into a host: its own /dev, /run, /var, /sys, /etc/libvirt and name.

Runs as the first process of the host's namespaces, `python -m lab.inside FOLDER NAME SIGNATURE`, and ends
when the mounts stand. Only the standard library, because it is in the way of every start.
"""

import os
import socket
import sys
from pathlib import Path

from lab.mounts import MS_MOVE, MS_NODEV, MS_NOEXEC, MS_NOSUID, bind, mount

# No /dev/kvm: where it exists but does not work, nothing must be tempted by it.
DEVICE_NODES = ("null", "zero", "full", "random", "urandom", "tty", "net/tun")
DEVICE_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
PRIVATE_FILES = ("etc/passwd", "etc/group", "etc/hosts", "etc/machine-id")
PRIVATE_FOLDERS = ("etc/libvirt", "var", "run")
# What a host covers: nothing that it must see (the state, the guest, this code) may lie there.
COVERED = ("/dev", "/sys", "/etc/libvirt", "/var", "/run")


def build(folder: Path, name: str, signature: str) -> None:
    """Mounts what makes the host, in the namespaces of this process. Not idempotent."""
    socket.sethostname(name)
    _mount_dev(folder / "dev", signature)
    # Mounted anew, sysfs shows the links of the network namespace of the one who mounts.
    mount("sysfs", Path("/sys"), "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    for private in (*PRIVATE_FILES, *PRIVATE_FOLDERS):
        if (folder / private).exists():
            bind(folder / private, Path("/") / private)


def _mount_dev(dev: Path, signature: str) -> None:
    """A /dev of the host's own.

    libvirt opens /dev/tap<ifindex> for a macvtap, the kernel makes that node in the one devtmpfs of the
    machine, and two hosts easily have macvtaps with one ifindex. Here `lab.devmgr` makes the nodes.
    """
    mount(signature, dev, "tmpfs", options="mode=755")
    for folder in ("net", "pts", "shm"):
        (dev / folder).mkdir()
    for node in DEVICE_NODES:
        if not (Path("/dev") / node).exists():
            continue  # a container may lack net/tun, and macvtap does without
        original = (Path("/dev") / node).stat()
        os.mknod(dev / node, original.st_mode, original.st_rdev)
        (dev / node).chmod(original.st_mode & 0o777)
    for link, target in DEVICE_LINKS.items():
        (dev / link).symlink_to(target)
    mount("devpts", dev / "pts", "devpts", options="newinstance,ptmxmode=0666,mode=620")
    mount("tmpfs", dev / "shm", "tmpfs")
    mount(str(dev), Path("/dev"), flags=MS_MOVE)


if __name__ == "__main__":
    build(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
