"""Jackfield on the laboratory: a control plane on the switch and an agent on each host, as real processes.

    this process ──(in the switch's network)──▶ jackfield serve ◀── jackfield agent, on ha and hb

Everything is the installed command; nothing here knows how Jackfield works inside.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pyroute2 import netns

from jackfield.client import Client
from lab.error import LabError
from lab.host import LabHost
from lab.laboratory import Laboratory
from lab.switch import Switch

PORT = 8440
PHYSICAL_NETWORK = "physnet1"
BRIDGE = "jf-br0"
VF_SPEC = f"""\
# The igb's VFs are offered; the PF, the GPU and everything else are not.
[[rule]]
match = {{vendor = "8086", product = "10ca"}}
attributes = {{physical_network = "{PHYSICAL_NETWORK}"}}
"""
COMMAND = str(Path(sys.executable).with_name("jackfield"))
START_SECONDS = 60.0


@contextlib.contextmanager
def inside(namespace: Path) -> Iterator[None]:
    """This thread's new sockets are made in that network namespace. Threads begun inside stay there."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        netns.setns(str(namespace), flags=0)
        yield
    finally:
        netns.setns(home)
        os.close(home)


class LabFleet:
    """The processes of one Jackfield on a laboratory that is up. Use it `inside(laboratory.switch.netns)`."""

    def __init__(
        self,
        laboratory: Laboratory,
        *,
        agent_options: tuple[str, ...] = (),
        agent_environment: Mapping[str, str] | None = None,
    ) -> None:
        self.laboratory = laboratory
        self.folder = laboratory.state / "jackfield"
        self.url = f"http://{Switch.address}:{PORT}"
        self.token_file = self.folder / "control" / "admin.token"
        self._agent_options = agent_options
        self._agent_environment = agent_environment or {}
        self._control: subprocess.Popen[str] | None = None
        self._agents: dict[str, subprocess.Popen[str]] = {}

    def start(self) -> None:
        """Starts everything, and waits until both hosts have reported their devices. Blocks for seconds."""
        self.folder.mkdir(exist_ok=True)
        self.start_control()
        with self.client() as client:
            for host in self.laboratory.hosts:
                added = client.add_host(host.name)
                assert added.token is not None
                self.write_token(host.name, added.token)
                self.write_spec(host.name)
        for host in self.laboratory.hosts:
            self.start_agent(host.name)
        self.wait_for_devices()

    def stop(self) -> None:
        """Ends every process of ours by SIGTERM. Idempotent."""
        for name in list(self._agents):
            self._end(self._agents.pop(name), signal.SIGTERM)
        if self._control is not None:
            self._end(self._control, signal.SIGTERM)
            self._control = None

    def client(self) -> Client:
        return Client(self.url, self.token_file.read_text().strip())

    def environment(self) -> dict[str, str]:
        """What the command line needs to find this control plane."""
        return {"JACKFIELD_URL": self.url, "JACKFIELD_TOKEN_FILE": str(self.token_file)}

    def start_control(self, state: Path | None = None) -> None:
        """Returns when it answers. Another state folder than before is another installation."""
        assert self._control is None
        self.token_file = (state or self.folder / "control") / "admin.token"
        log = (self.folder / "control.log").open("a")
        with log:
            self._control = self.laboratory.switch.spawn(
                COMMAND,
                "serve",
                "--listen",
                f"{Switch.address}:{PORT}",
                "--state",
                str(self.token_file.parent),
                stdout=log,
            )
        self._wait("the control plane answers", lambda: bool(self._hosts()) or True)

    def kill_control(self) -> None:
        """kill -9."""
        assert self._control is not None
        self._end(self._control, signal.SIGKILL)
        self._control = None

    def start_agent(self, name: str, *options: str) -> None:
        """Returns at once; the agent is up when it reports. `options` are added to the usual ones."""
        host = self.laboratory.host(name)
        folder = self.folder / name
        with (self.folder / f"{name}.log").open("a") as log:
            self._agents[name] = host.spawn(
                COMMAND,
                "agent",
                "--host",
                name,
                "--url",
                self.url,
                "--token-file",
                str(folder / "token"),
                "--spec",
                str(folder / "spec.toml"),
                "--state",
                str(folder / "state"),
                "--sysfs",
                str(host.sysfs),
                "--libvirt-uri",
                "qemu:///system",
                "--migrate-uri",
                host.migrate_uri,
                "--bridge",
                f"{PHYSICAL_NETWORK}={BRIDGE}",
                *self._agent_options,
                *options,
                stdout=log,
                env=self._agent_environment,
            )

    def kill_agent(self, name: str) -> None:
        """kill -9."""
        self._end(self._agents.pop(name), signal.SIGKILL)

    def ended(self) -> list[str]:
        """The processes that ended by themselves, and with which code. None should."""
        processes = {"control": self._control, **self._agents}
        codes = {name: process.poll() for name, process in processes.items() if process is not None}
        return [f"{name} ended with {code}" for name, code in codes.items() if code is not None]

    def revive(self) -> None:
        """Starts again whatever does not run. Idempotent; returns when every agent was heard of again."""
        if self._control is None or self._control.poll() is not None:
            self._control = None
            self.start_control()
        with self.client() as client:
            epochs = {host.name: host.epoch for host in client.hosts()}
            down = [
                name for name in epochs if name not in self._agents or self._agents[name].poll() is not None
            ]
            for name in down:
                self.start_agent(name)

            def are_heard() -> bool:
                return all(
                    host.alive and (host.name not in down or host.epoch > epochs[host.name])
                    for host in client.hosts()
                )

            self._wait("every agent is heard of", are_heard)

    def write_spec(self, name: str, text: str = VF_SPEC) -> None:
        """The host spec of a host, which its agent reads again by itself."""
        self._write(self.laboratory.host(name), "spec.toml", text)

    def write_token(self, name: str, token: str) -> None:
        """What a host's agent proves itself with from its next start on."""
        self._write(self.laboratory.host(name), "token", token)

    def wait_for_devices(self) -> None:
        """Returns when every host's devices are known."""

        def known() -> bool:
            with self.client() as client:
                told = {device.host for device in client.devices() if device.offered}
            return told == {host.name for host in self.laboratory.hosts}

        self._wait("every agent reports its devices", known)

    def leftovers(self) -> list[str]:
        """What Jackfield left on the hosts, one phrase each: names, altnames, MACs, guests, and claims."""
        found = [trace for host in self.laboratory.hosts for trace in self.traces(host.name)]
        with self.client() as client:
            found += [f"claim {claim.id} on {claim.device_id} is {claim.state}" for claim in client.claims()]
        return found

    def traces(self, name: str) -> list[str]:
        """What is otherwise on one host than when the laboratory came up, one phrase each."""
        found: list[str] = []
        host = self.laboratory.host(name)
        links = host.links()
        for device in host.plan.netdevs:
            link = links.get(device.netdev)
            if link is None:
                found.append(f"{name}: no link is called {device.netdev} any more")
                continue
            if link.mac != device.mac:
                found.append(f"{name}: {device.netdev} has the MAC {link.mac}, not {device.mac}")
            found += [f"{name}: {device.netdev} has the altname {other}" for other in link.altnames]
        found += [f"{name}: {other} is left" for other in links if other.startswith(("macvtap", "vnet"))]
        found += [f"{name}: guest {guest} runs" for guest in host.guests()]
        definitions = sorted((host.folder / "etc/libvirt/qemu").glob("*.xml"))
        return found + [f"{name}: guest {file.stem} is defined" for file in definitions]

    def logs(self) -> str:
        """The last lines of every process, for the message of a failed test."""
        return "\n".join(
            f"== {file.name}\n" + "\n".join(file.read_text().splitlines()[-40:])
            for file in sorted(self.folder.glob("*.log"))
        )

    def _hosts(self) -> int:
        with self.client() as client:
            return len(client.hosts())

    def _write(self, host: LabHost, name: str, text: str) -> None:
        folder = self.folder / host.name
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)

    def _wait(self, what: str, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(Exception):
                if condition():
                    return
            if time.monotonic() > deadline:
                raise LabError(f"waited {START_SECONDS:.0f} s in vain until {what}\n{self.logs()}")
            time.sleep(0.1)

    @staticmethod
    def _end(process: subprocess.Popen[str], how: signal.Signals) -> None:
        process.send_signal(how)
        process.wait(20)
