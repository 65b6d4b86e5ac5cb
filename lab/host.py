"""One host of a laboratory: a libvirtd with QEMU in namespaces of its own, and a generated card."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO
from urllib.parse import quote

from lab import processes, sysfs
from lab.error import LabError
from lab.inside import build
from lab.links import Link, open_network, read_links
from lab.namespaces import IMPORTS_LAB, Namespaces
from lab.plan import Device, HostPlan
from lab.reaper import STARTED
from lab.settings import write_folder

_IFINDEXES = "ifindexes.json"  # which link stands for which PCI address: a link keeps its index when renamed


class LabHost:
    """What tests and the demo do with a host.

    A host has its own /dev, /run, /var, /sys, /etc/libvirt, host name, machine-id and network. It shares the
    rest of the file system with the machine, at the same paths.
    """

    def __init__(self, state: Path, plan: HostPlan) -> None:
        self._state = state
        self.plan = plan
        self.name = plan.name
        self.address = plan.address
        self.devices: tuple[Device, ...] = plan.vfs
        """The VF stand-ins as they were at the start."""
        self.pf: Device = plan.pf
        self.folder = state / plan.name
        """The host's private files, readable from everywhere: it mounts `run`, `var` and `etc/libvirt`."""
        self.sysfs = self.folder / "sysfs"
        """The generated tree; it stands where /sys would."""
        self.libvirt_uri = f"qemu+unix:///system?socket={quote(str(self.socket))}"
        """For a client on this machine, outside or inside of the namespaces."""
        self.migrate_uri = f"qemu+tcp://{plan.address}/system"
        """For the libvirtd of another host."""
        self.namespaces = Namespaces(state, plan.name, ("mnt", "net", "uts"))

    @property
    def socket(self) -> Path:
        """The UNIX socket of libvirtd, as seen from everywhere."""
        return socket_path(self._state, self.name)

    @property
    def netns(self) -> Path:
        """The handle of the network namespace."""
        return self.namespaces.netns

    def run(
        self, *argv: str, check: bool = False, stdin: str = "", timeout: float | None = 120
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command on the host to its end, with its output as text. Blocks. Its folder is `/`."""
        return self.namespaces.run(*argv, check=check, stdin=stdin, timeout=timeout)

    def spawn(
        self,
        *argv: str,
        stdout: int | IO[str] | IO[bytes] | None = subprocess.DEVNULL,
        stderr: int | IO[str] | IO[bytes] | None = subprocess.STDOUT,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """Starts a long-running command on the host, such as the agent. It ends with the laboratory."""
        return self.namespaces.spawn(*argv, stdout=stdout, stderr=stderr, env=env)

    def pids(self) -> list[int]:
        """Every process of the host, whoever started it; zombies do not count."""
        return self.namespaces.pids()

    def libvirtd_pid(self) -> int | None:
        """The process id of libvirtd, None when it does not run."""
        return self._running(self.folder / "run/libvirtd.pid")

    def devmgr_pid(self) -> int | None:
        """The process id of the udev stand-in, None when it does not run."""
        return self._running(self.folder / "run/devmgr.pid")

    def qemu_pid(self, domain: str) -> int | None:
        """The process id of the guest's QEMU, None when it does not run here."""
        return self.guests().get(domain)

    def guests(self) -> dict[str, int]:
        """The process ids of the guests that run here, by domain name; asks no libvirtd."""
        files = (self.folder / "run/libvirt/qemu").glob("*.pid")
        found = {file.stem: pid for file in files if (pid := self._running(file))}
        # libvirtd's own pid file, "driver.pid", is in the same folder
        return {name: pid for name, pid in found.items() if pid != self.libvirtd_pid()}

    def links(self) -> dict[str, Link]:
        """The links of the host by name, without lo."""
        return read_links(self.netns)

    def settle(self, timeout: float = 10) -> None:
        """Waits until the sysfs tree says what the kernel says, as `udevadm settle` does.

        Real sysfs has no delay; this tree follows the kernel by a few milliseconds, more on a busy machine.
        """
        deadline = time.monotonic() + timeout
        while (told := self._told_links()) != (real := self._real_links()):
            if time.monotonic() > deadline:
                raise LabError(f"the tree of {self.name} says {told}, the kernel {real}")
            time.sleep(0.002)

    def reset_devices(self) -> None:
        """Gives every device its first name and MAC again, and takes altnames away. Idempotent.

        For a clean start between tests: no guest may run here.
        """
        first = {self._ifindexes()[device.address]: device for device in self.plan.netdevs}
        now = {link.ifindex: (name, link) for name, link in self.links().items() if link.ifindex in first}
        with open_network(self.netns) as network:
            for ifindex, (name, link) in now.items():
                for altname in link.altnames:
                    network.link("property_del", index=ifindex, altname=altname)
                if name != first[ifindex].netdev:
                    network.link("set", index=ifindex, ifname=f"reset{ifindex}")
            for ifindex in now:
                network.link("set", index=ifindex, ifname=first[ifindex].netdev, address=first[ifindex].mac)
        self.settle()

    def create(self, hosts: tuple[HostPlan, ...]) -> subprocess.Popen[str]:
        """Makes the host's files and namespaces. Returns while its mounts are still being made."""
        self.folder.mkdir()
        write_folder(self.folder, self.plan, hosts)
        sysfs.write_tree(self.sysfs, self.plan)
        return self.namespaces.create(
            sys.executable,
            "-m",
            build.__module__,
            str(self.folder),
            self.name,
            processes.signature(self._state, self.name),
        )

    def start_daemons(self, ifindexes: Mapping[str, int]) -> None:
        """Starts what a host runs from boot on. Blocks until libvirtd answers."""
        (self.folder / _IFINDEXES).write_text(json.dumps(dict(ifindexes)))
        self.start_devmgr()
        self.start_libvirtd()

    def start_devmgr(self) -> None:
        """Starts the udev stand-in. Blocks until the sysfs tree is right."""
        arguments = (str(self.sysfs), str(self.folder / _IFINDEXES))
        self._daemonize(sys.executable, "-m", "lab.devmgr", *arguments, env=IMPORTS_LAB)

    def start_libvirtd(self) -> None:
        """Starts libvirtd. Blocks until it answers and has the guests again that an earlier one left."""
        self._start_reaped("libvirtd", "--daemon", "--listen", "--pid-file", "/run/libvirtd.pid")
        self.run("virsh", "-q", "uri", check=True)
        # It attaches to them in the background. A destroy in that moment works and says "Domain not found",
        # so ask each for something that has to wait for QEMU.
        for name in self.guests():
            self.run("virsh", "-q", "dommemstat", name)

    def kill_libvirtd(self) -> None:
        """kill -9. Blocks until it is dead; its guests run on."""
        pid = self.libvirtd_pid()
        if pid is None:
            raise LabError(f"no libvirtd runs on {self.name}")
        os.kill(pid, signal.SIGKILL)
        while self.libvirtd_pid() is not None:
            time.sleep(0.01)

    def _ifindexes(self) -> dict[str, int]:
        found: dict[str, int] = json.loads((self.folder / _IFINDEXES).read_text())
        return found

    def _real_links(self) -> set[tuple[int, str, str]]:
        ours = set(self._ifindexes().values())
        return {(link.ifindex, name, link.mac) for name, link in self.links().items() if link.ifindex in ours}

    def _told_links(self) -> set[tuple[int, str, str]]:
        told = set()
        for address in self._ifindexes():
            for folder in (self.sysfs / "bus/pci/devices" / address / "net").glob("*"):
                with contextlib.suppress(FileNotFoundError):  # being renamed
                    ifindex, mac = ((folder / file).read_text().strip() for file in ("ifindex", "address"))
                    if (self.sysfs / "class/net" / folder.name).exists():
                        told.add((int(ifindex), folder.name, mac))
        return told

    def _daemonize(self, *argv: str, env: Mapping[str, str] | None = None) -> None:
        start = self.namespaces.run(*argv, timeout=60, env=env)
        if start.returncode:
            raise LabError(
                f"{argv[0]} does not start on {self.name}: {(start.stderr or start.stdout).strip()}"
            )

    def _start_reaped(self, *argv: str) -> None:
        reaper = self.spawn(
            sys.executable, "-m", "lab.reaper", *argv, stdout=subprocess.PIPE, env=IMPORTS_LAB
        )
        assert reaper.stdout is not None
        said: list[str] = []
        with reaper.stdout as output:
            for line in output:
                if line.strip() == STARTED:
                    return
                said.append(line)
        raise LabError(f"{argv[0]} does not start on {self.name}: {''.join(said).strip()}")

    def _running(self, pid_file: Path) -> int | None:
        try:
            pid = int(pid_file.read_text())
        except (OSError, ValueError):
            return None
        return pid if processes.Census(self._state).host_of(pid) == self.name else None


def socket_path(state: Path, host: str) -> Path:
    """Where the libvirt socket of a host is."""
    return state / host / "run/libvirt/libvirt-sock"
