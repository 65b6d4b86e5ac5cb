"""A set of kernel namespaces that lives on without a process: one for every host and one for the switch.

Each namespace is kept by a handle, a bind mount of its /proc file on `<state>/ns/<name>.<kind>`. Unmounting a
handle and removing its file lets go of the namespace everywhere: the kernel detaches mounts on a removed file
also from mount namespaces that copied them (https://git.kernel.org/torvalds/c/80b5dce8c59b).
"""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from lab import processes
from lab.mounts import MS_PRIVATE, bind, mount

REPOSITORY = Path(__file__).resolve().parent.parent
IMPORTS_LAB = {"PYTHONPATH": str(REPOSITORY)}  # for `python -m lab.…` inside, where the folder is `/`
_OPTIONS = {"mnt": "mount", "net": "net", "uts": "uts"}


class Namespaces:
    """What runs commands in the namespaces of one host or of the switch.

    Everything started here is marked as the laboratory's, and ends with it at the latest.
    """

    def __init__(self, state: Path, name: str, kinds: tuple[str, ...]) -> None:
        self.name = name
        self.handles = {kind: state / "ns" / f"{name}.{kind}" for kind in kinds}
        self._state = state
        self._children: list[subprocess.Popen[str]] = []

    @property
    def netns(self) -> Path:
        """The handle of the network namespace: what `nsenter --net=` and pyroute2 take."""
        return self.handles["net"]

    def create(self, *argv: str) -> subprocess.Popen[str]:
        """Makes the namespaces and starts the command as their first process. Returns at once."""
        for handle in self.handles.values():
            handle.touch()
        options = [f"--{_OPTIONS[kind]}={handle}" for kind, handle in self.handles.items()]
        if "mnt" in self.handles:
            options += ["--propagation", "private"]
        return self._start(
            ["unshare", *options, "--", *argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=IMPORTS_LAB,
        )

    def command(self, *argv: str) -> list[str]:
        """The command line that runs `argv` inside. nsenter replaces itself, so the pid is the command's."""
        return [
            "nsenter",
            *(f"--{_OPTIONS[kind]}={path}" for kind, path in self.handles.items()),
            "--",
            *argv,
        ]

    def run(
        self,
        *argv: str,
        check: bool = False,
        stdin: str = "",
        timeout: float | None = 120,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command inside to its end, with its output as text. Blocks. On a host its folder is `/`."""
        return subprocess.run(
            self.command(*argv),
            check=check,
            input=stdin,
            timeout=timeout,
            capture_output=True,
            text=True,
            env=self.environment(env),
        )

    def spawn(
        self,
        *argv: str,
        stdout: int | IO[str] | IO[bytes] | None = subprocess.DEVNULL,
        stderr: int | IO[str] | IO[bytes] | None = subprocess.STDOUT,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """Starts a long-running command inside, in a session of its own so that Ctrl-C stays outside.

        `env` is added to this process's environment. Output goes nowhere unless asked for, and who asks for a
        pipe closes it. On a host its folder is `/`.
        """
        return self._start(self.command(*argv), stdout=stdout, stderr=stderr, env=env)

    def pids(self) -> list[int]:
        """The processes that live inside, whoever started them."""
        census = processes.Census(self._state)
        if "mnt" in self.handles:
            return [pid for pid in census.members() if census.host_of(pid) == self.name]
        inside = self.netns.stat().st_ino
        return [pid for pid in census.members() if _network_of(pid) == inside]

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of everything inside: this process's, the mark and `extra`."""
        path = f"{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/sbin:/sbin"
        return {**os.environ, "PATH": path, processes.MARK: str(self._state), **(extra or {})}

    def reap(self) -> None:
        """Waits for what was started here, so that no zombie stays. Call it when all have been ended."""
        for child in self._children:
            child.wait(10)
        self._children.clear()

    def _start(
        self,
        argv: list[str],
        *,
        stdout: int | IO[str] | IO[bytes] | None,
        stderr: int | IO[str] | IO[bytes] | None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            text=True,
            env=self.environment(env),
            start_new_session=True,
        )
        self._children.append(child)
        return child


def make_handles_folder(state: Path) -> None:
    """Makes `<state>/ns` a private mount: the kernel binds a mount namespace's handle on nothing else."""
    folder = state / "ns"
    folder.mkdir()
    bind(folder, folder)
    mount("", folder, flags=MS_PRIVATE)


def is_alive(handle: Path) -> bool:
    """Whether a namespace is still behind the handle. After a reboot it is a plain empty file."""
    try:
        return handle.stat().st_dev == Path("/proc/self/ns/net").stat().st_dev
    except OSError:
        return False


def _network_of(pid: int) -> int | None:
    try:
        return Path(f"/proc/{pid}/ns/net").stat().st_ino
    except OSError:
        return None
