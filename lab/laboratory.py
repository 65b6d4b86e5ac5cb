"""The whole laboratory: up, down, and what of it is still there."""

import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from lab import mounts, needs, processes
from lab.error import LabError
from lab.guest import Guest, prepare
from lab.host import LabHost, socket_path
from lab.inside import COVERED
from lab.lock import locked
from lab.namespaces import REPOSITORY, is_alive, make_handles_folder
from lab.plan import check_name, plan_hosts
from lab.switch import Switch

SOCKET_PATH_MAX = 107  # sun_path of unix(7), less its closing zero
REPOSITORY_PATH_MAX = 50  # what that leaves for the path of the repository


def _state_root() -> Path:
    """Beside the code, so that two clones never meet; for one that lies deep, a short place of its own."""
    if len(str(REPOSITORY).encode()) <= REPOSITORY_PATH_MAX:
        return REPOSITORY / ".lab"
    return Path("/tmp") / f"jackfield-lab-{hashlib.sha256(str(REPOSITORY).encode()).hexdigest()[:12]}"


STATE_ROOT = _state_root()
_READY = "ready"
_RECORD = "laboratory.json"


class Laboratory:
    """Two hosts and a switch on this machine, under a name.

    `up` and `down` block for seconds, and exclude each other for one name, also between processes. All that
    they make is in namespaces of its own and in the state folder, so two laboratories never meet.
    """

    def __init__(
        self,
        name: str = "jf",
        state: Path | None = None,
        *,
        guest: Path | None = None,
        hosts: tuple[str, ...] = ("ha", "hb"),
        vfs: int = 6,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.name = name
        self.state = (state or STATE_ROOT / name).resolve()
        self.guest_folder = (guest or STATE_ROOT / "guest").resolve()
        self.plans = plan_hosts(name, hosts, vfs)
        self.hosts = tuple(LabHost(self.state, plan) for plan in self.plans)
        self.switch = Switch(self.state)
        self._vfs = vfs
        self._say = say
        self._lock = self.state.with_name(f"{self.state.name}.lock")
        _check_paths(self.state, self.guest_folder, hosts)

    @classmethod
    def standing(cls, name: str, state: Path | None = None) -> Self:
        """The laboratory of that name as it was brought up, perhaps by another process."""
        check_name(name)
        folder = (state or STATE_ROOT / name).resolve()
        try:
            record = json.loads((folder / _RECORD).read_text())
        except (OSError, ValueError):
            raise LabError(f"no laboratory {name!r} is up: there is no {folder / _RECORD}") from None
        return cls(name, folder, guest=Path(record["guest"]), hosts=tuple(record["hosts"]), vfs=record["vfs"])

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def host(self, name: str) -> LabHost:
        """The host of that name."""
        for host in self.hosts:
            if host.name == name:
                return host
        raise LabError(
            f"no host {name!r} in the laboratory: there are {', '.join(h.name for h in self.hosts)}"
        )

    @cached_property
    def guest(self) -> Guest:
        """The guest's kernel and initrd. `up` builds them; asked earlier, this does, and blocks."""
        return prepare(self.guest_folder, self._say)

    @property
    def is_up(self) -> bool:
        """Whether `up` came to its end and the machine was not restarted since."""
        handles = [
            self.switch.netns,
            *(handle for h in self.hosts for handle in h.namespaces.handles.values()),
        ]
        return (self.state / _READY).exists() and all(map(is_alive, handles))

    def up(self) -> None:
        """Brings the laboratory up: seconds, and half a minute more for the first guest ever.

        What a killed `up` of this name left behind is removed first. Raises, with nothing left behind, when
        something is missing; raises also when the laboratory is up already, and then leaves it alone.
        """
        if missing := needs.missing():
            raise LabError("the laboratory needs " + ", ".join(missing))
        _ = self.guest
        self.state.parent.mkdir(parents=True, exist_ok=True)
        with locked(self._lock):
            if self.is_up:
                raise LabError(f"the laboratory {self.name!r} is up already: take it down first")
            self._sweep()
            try:
                self._build()
            except BaseException:
                self._sweep()
                raise

    def down(self) -> None:
        """Takes everything down. Idempotent; it works from what is on the machine, whoever left it there."""
        if self.leftovers():
            self.state.parent.mkdir(parents=True, exist_ok=True)
            with locked(self._lock):
                self._sweep()

    def leftovers(self) -> list[str]:
        """Everything of this laboratory that is on the machine, one phrase each. Empty after `down`."""
        return self._traces() + ([f"file {self._lock}"] if self._lock.exists() else [])

    def _traces(self) -> list[str]:
        found = [f"process {processes.describe(pid)}" for pid in processes.Census(self.state).members()]
        found += [f"namespace {handle.name}" for handle in (self.state / "ns").glob("*") if is_alive(handle)]
        if is_alive(self.switch.netns):
            found += [f"link {name} of the switch" for name in self.switch.links()]
        found += [f"mount {point}" for point in mounts.points_below(self.state)]
        return found + ([f"folder {self.state}"] if self.state.exists() else [])

    def _build(self) -> None:
        self.state.mkdir()
        record = {
            "guest": str(self.guest_folder),
            "hosts": [host.name for host in self.hosts],
            "vfs": self._vfs,
        }
        (self.state / _RECORD).write_text(json.dumps(record))
        make_handles_folder(self.state)
        self.switch.create()
        for host, creation in [(host, host.create(self.plans)) for host in self.hosts]:
            output, _ = creation.communicate(timeout=60)
            if creation.returncode:
                raise LabError(f"the host {host.name} cannot be made: {output.strip()}")
        for host in self.hosts:
            host.start_daemons(self.switch.plug(host.plan, host.netns))
            self._say(f"host {host.name}: {host.address}, libvirtd {host.libvirtd_pid()}, {host.libvirt_uri}")
        (self.state / _READY).touch()

    def _sweep(self) -> None:
        """Removes what is there. The order matters: a process could make again what was removed before it."""
        for _ in range(3):  # a command that was just being started when its starter was killed shows up late
            processes.end_all(self.state)
            for namespaces in (self.switch.namespaces, *(host.namespaces for host in self.hosts)):
                namespaces.reap()
            self.switch.unplug_all()
            mounts.unmount_below(self.state)
            shutil.rmtree(self.state, ignore_errors=True)
            if not (traces := self._traces()):
                return
        raise LabError("this does not go away: " + ", ".join(traces))


def _check_paths(state: Path, guest_folder: Path, hosts: tuple[str, ...]) -> None:
    longest = max((socket_path(state, host) for host in hosts), key=lambda path: len(str(path)))
    if len(str(longest).encode()) > SOCKET_PATH_MAX:
        raise LabError(
            f"the state folder {state} is too deep: its sockets would have {len(str(longest).encode())} "
            f"characters, and the kernel takes {SOCKET_PATH_MAX}; choose another with --state or state="
        )
    for path in (state, guest_folder, REPOSITORY, Path(sys.prefix), Path(sys.base_prefix)):
        for covered in COVERED:
            if path.is_relative_to(covered):
                raise LabError(f"the hosts have a {covered} of their own and could not see {path} there")
