"""The laboratory as the stage of the demo: two real hypervisors on this machine."""

import contextlib
import shlex
from collections.abc import Callable

from jackfield.client import Client
from jackfield.wire.instance import Machine
from lab.fleet import COMMAND, LabFleet, inside
from lab.guest import command_line
from lab.laboratory import Laboratory
from lab.namespaces import REPOSITORY
from lab.probe import Probe

NAME = "demo"
GUEST = "10.9.0.11"


class LabStage:
    """See `jackfield.cli.story.Stage`."""

    is_simulated = False
    hosts = ("ha", "hb")

    def __init__(self) -> None:
        self.laboratory = Laboratory(NAME, hosts=self.hosts)
        self.fleet = LabFleet(self.laboratory)
        self._exits = contextlib.ExitStack()

    @property
    def machine(self) -> Machine:
        guest = self.laboratory.guest
        return Machine(
            memory_mib=128,
            kernel=str(guest.kernel),
            initrd=str(guest.initrd),
            command_line=command_line([f"{GUEST}/24"]),
            domain_type="qemu",
        )

    def up(self, say: Callable[[str], None]) -> None:
        """Brings up the laboratory, the control plane and two agents; an earlier demo is taken down."""
        self.laboratory = Laboratory(NAME, hosts=self.hosts, say=say)
        self.fleet = LabFleet(self.laboratory)
        if self.laboratory.leftovers():
            say("an earlier demo is still there: it is taken down first")
            self.laboratory.down()
        self.laboratory.up()
        self._exits.enter_context(inside(self.laboratory.switch.netns))
        self.fleet.start()
        say(f"the control plane answers on {self.fleet.url}, an agent runs on each host")

    def client(self) -> Client:
        return self.fleet.client()

    def wait_for_guest(self) -> float:
        return self.laboratory.switch.ping(GUEST)

    def watch(self) -> Probe:
        return self.laboratory.switch.probe(GUEST)

    def leftovers(self) -> list[str]:
        return self.fleet.leftovers()

    def hints(self) -> list[str]:
        environment = " ".join(
            f"{name}={shlex.quote(value)}" for name, value in self.fleet.environment().items()
        )
        python = f"cd {REPOSITORY} && .venv/bin/python -m lab"
        on_switch = f"{python} exec --name {NAME} switch env {environment} {COMMAND}"
        return [
            f"{on_switch} instance list",
            f"{on_switch} instance migrate traveller --to hb --strategy netdev-rename --wait",
            f"{python} virsh --name {NAME} ha list",
            f"{python} ping --name {NAME} {GUEST}",
            f"{python} down --name {NAME}",
        ]

    def down(self) -> list[str]:
        """Ends the processes and the laboratory; what is left of it on the machine."""
        with contextlib.suppress(Exception):
            self.fleet.stop()
        self._exits.close()
        self.laboratory.down()
        return self.laboratory.leftovers()
