"""The switch between the hosts: a network namespace with a bridge for the guests and one for management."""

import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from lab.error import LabError
from lab.links import LO, Link, open_network, open_socket, read_links
from lab.namespaces import Namespaces, is_alive
from lab.plan import DATA_NETWORK, MANAGEMENT_NETWORK, PREFIX_LENGTH, SWITCH_NUMBER, Device, HostPlan
from lab.probe import Probe

DATA_BRIDGE, MANAGEMENT_BRIDGE, MANAGEMENT_NETDEV = "br-data", "br-mgmt", "mgmt"
# With a forward delay a new port is deaf for 15 s, and with snooping multicast gets lost. A MAC of its own,
# or the bridge takes over that of a port, another one with every port, and a guest answers to the wrong one.
_BRIDGE_OPTIONS = {"br_stp_state": 0, "br_forward_delay": 0, "br_mcast_snooping": 0}
_BRIDGE_MACS = {DATA_BRIDGE: "02:00:09:00:00:fe", MANAGEMENT_BRIDGE: "02:00:77:00:00:fe"}


class Switch:
    """The patch panel of a laboratory, and the place from which the guests are watched.

    Programs started here (`run`, `spawn`) see the machine's own files, and the laboratory's networks only.
    """

    name = "switch"
    address = f"{MANAGEMENT_NETWORK}.{SWITCH_NUMBER}"
    """On the management network: where the hosts reach what runs in the switch's namespace."""
    data_address = f"{DATA_NETWORK}.{SWITCH_NUMBER}"
    """On the guests' network."""

    def __init__(self, state: Path) -> None:
        self.namespaces = Namespaces(state, self.name, ("net",))

    @property
    def netns(self) -> Path:
        """The handle of the network namespace."""
        return self.namespaces.netns

    def run(
        self, *argv: str, check: bool = False, stdin: str = "", timeout: float | None = 120
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command in the switch's network to its end. Blocks."""
        return self.namespaces.run(*argv, check=check, stdin=stdin, timeout=timeout)

    def spawn(
        self,
        *argv: str,
        stdout: int | IO[str] | IO[bytes] | None = subprocess.DEVNULL,
        stderr: int | IO[str] | IO[bytes] | None = subprocess.STDOUT,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """Starts a long-running command in the switch's network, such as the control plane."""
        return self.namespaces.spawn(*argv, stdout=stdout, stderr=stderr, env=env)

    def pids(self) -> list[int]:
        """The processes in the switch's network namespace."""
        return self.namespaces.pids()

    def links(self) -> dict[str, Link]:
        """The bridges and the switch ends of all cables by name, without lo."""
        return read_links(self.netns)

    def ping(self, ip: str, timeout: float = 60) -> float:
        """Waits until the guest answers, and gives the seconds that it took. Raises when it never does."""
        started = time.monotonic()
        while (waited := time.monotonic() - started) < timeout:
            if self.run("ping", "-n", "-c1", "-W1", ip).returncode == 0:
                return time.monotonic() - started
            time.sleep(0.05)
        raise LabError(f"no answer from {ip} in {waited:.0f} s")

    def probe(self, ip: str, interval_seconds: float = 0.02) -> Probe:
        """Starts to watch a guest. The caller stops it."""
        return Probe(
            self.spawn("ping", "-D", "-n", "-i", str(interval_seconds), "-W", "1", ip, stdout=subprocess.PIPE)
        )

    def uptime(self, ip: str, timeout: float = 5) -> float | None:
        """Seconds since the guest booted, as the guest itself says. None when it does not answer."""
        with open_socket(self.netns) as line:
            line.settimeout(timeout)
            try:
                line.connect((ip, 80))
                line.sendall(b"GET /uptime HTTP/1.0\r\n\r\n")
                with line.makefile() as answer:
                    return float(answer.read().rpartition("\n\n")[2])
            except (OSError, ValueError):
                return None

    def create(self) -> None:
        """Makes the namespace and its two bridges."""
        creation = self.namespaces.create("true")
        output, _ = creation.communicate(timeout=60)
        if creation.returncode:
            raise LabError(f"the switch cannot be made: {output.strip()}")
        with open_network(self.netns) as network:
            network.link("set", index=LO, state="up")
            for name, address in ((DATA_BRIDGE, self.data_address), (MANAGEMENT_BRIDGE, self.address)):
                network.link("add", ifname=name, kind="bridge", address=_BRIDGE_MACS[name], **_BRIDGE_OPTIONS)
                index = network.link_lookup(ifname=name)[0]
                network.addr("add", index=index, address=address, prefixlen=PREFIX_LENGTH)
                network.link("set", index=index, state="up")

    def plug(self, plan: HostPlan, netns: Path) -> dict[str, int]:
        """Cables a host: management, PF and VFs. Gives the ifindex in the host by PCI address.

        Each cable is a veth pair whose far end is made in the host, so that no link ever is elsewhere.
        """
        management = Device(
            netdev=MANAGEMENT_NETDEV, mac=f"02:00:77:00:00:0{plan.index + 1}", address="", pf=None
        )
        ports = [("mgmt", management), ("pf", plan.pf), *((f"v{i}", vf) for i, vf in enumerate(plan.vfs))]
        with (
            open_network(self.netns) as network,
            open_network(netns) as host,
            netns.open() as far,
        ):
            bridges = {name: network.link_lookup(ifname=name)[0] for name in (DATA_BRIDGE, MANAGEMENT_BRIDGE)}
            host.link("set", index=LO, state="up")
            for port, device in ports:
                network.link(
                    "add",
                    ifname=f"{plan.name}-{port}",
                    kind="veth",
                    master=bridges[MANAGEMENT_BRIDGE if port == "mgmt" else DATA_BRIDGE],
                    state="up",
                    peer={"ifname": device.netdev, "address": device.mac, "net_ns_fd": far.fileno()},
                )
            ifindexes = {device.address: host.link_lookup(ifname=device.netdev)[0] for _, device in ports}
            for ifindex in ifindexes.values():
                host.link("set", index=ifindex, state="up")
            host.addr("add", index=ifindexes.pop(""), address=plan.address, prefixlen=PREFIX_LENGTH)
        return ifindexes

    def unplug_all(self) -> None:
        """Removes every link of the switch, and with them the far ends in the hosts. Idempotent."""
        if not is_alive(self.netns):
            return
        with open_network(self.netns) as network:
            for link in network.get_links():
                if link["index"] != LO:
                    network.link("del", index=link["index"])
