"""`python -m lab`: the laboratory by hand."""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from lab.error import LabError
from lab.laboratory import Laboratory


def main() -> int:
    """Runs one command. 0: done; 1: it went wrong; 2: not root, or not understood; or the inner command's."""
    arguments = _parser().parse_args()
    if os.geteuid():
        print(f"the laboratory needs root: this is uid {os.geteuid()}", file=sys.stderr)
        return 2
    try:
        return int(_COMMANDS[arguments.command](arguments))
    except (LabError, OSError) as problem:
        print(f"lab: {problem}", file=sys.stderr)
        return 1


def _up(arguments: argparse.Namespace) -> int:
    started = time.monotonic()
    laboratory = Laboratory(
        arguments.name, arguments.state, hosts=tuple(arguments.hosts.split(",")), vfs=arguments.vfs, say=_say
    )
    laboratory.up()
    _say(f"{arguments.name} is up after {time.monotonic() - started:.1f} s, in {laboratory.state}")
    return 0


def _down(arguments: argparse.Namespace) -> int:
    laboratory = Laboratory(arguments.name, arguments.state)
    found = laboratory.leftovers()
    laboratory.down()
    _say(f"{arguments.name} is down" if found else f"{arguments.name} was not up")
    return 0


def _exec(arguments: argparse.Namespace) -> int:
    laboratory = Laboratory.standing(arguments.name, arguments.state)
    place = laboratory.switch if arguments.host == "switch" else laboratory.host(arguments.host)
    return _in_the_foreground(place.namespaces.command(*arguments.argv), place.namespaces.environment())


def _virsh(arguments: argparse.Namespace) -> int:
    host = Laboratory.standing(arguments.name, arguments.state).host(arguments.host)
    return _in_the_foreground(["virsh", "-q", "-c", host.libvirt_uri, *arguments.argv], None)


def _ping(arguments: argparse.Namespace) -> int:
    seconds = Laboratory.standing(arguments.name, arguments.state).switch.ping(
        arguments.ip, arguments.timeout
    )
    _say(f"{arguments.ip} answers after {seconds:.1f} s")
    return 0


def _pids(arguments: argparse.Namespace) -> int:
    laboratory = Laboratory.standing(arguments.name, arguments.state)
    place = laboratory.switch if arguments.host == "switch" else laboratory.host(arguments.host)
    print(*place.pids(), sep="\n")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    laboratory = Laboratory.standing(arguments.name, arguments.state)
    condition = "up" if laboratory.is_up else "not whole: take it down"
    _say(f"{arguments.name} is {condition}, in {laboratory.state}")
    for host in laboratory.hosts:
        guests = [f"{name} {pid}" for name, pid in host.guests().items()]
        print(f"  {host.name} {host.address} libvirtd {host.libvirtd_pid()} devmgr {host.devmgr_pid()}")
        print(f"     guests {', '.join(guests) or 'none'}")
        print(f"     {host.libvirt_uri}")
    return 0


_COMMANDS = {
    "up": _up,
    "down": _down,
    "exec": _exec,
    "virsh": _virsh,
    "ping": _ping,
    "pids": _pids,
    "status": _status,
}


def _in_the_foreground(command: list[str], environment: dict[str, str] | None) -> int:
    return subprocess.run(command, env=environment, check=False).returncode


def _say(line: str) -> None:
    print(f"[lab] {line}", flush=True)


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--name", default="jf", help="which laboratory (default: jf)")
    common.add_argument("--state", type=Path, help="its folder (default: .lab/NAME in the repository)")
    parser = argparse.ArgumentParser(prog="python -m lab", description="two libvirt hosts on one machine")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", parents=[common], help="bring the laboratory up")
    up.add_argument("--hosts", default="ha,hb", help="names of the hosts (default: ha,hb)")
    up.add_argument("--vfs", type=int, default=6, help="VF stand-ins of every host (default: 6)")
    commands.add_parser("down", parents=[common], help="take it down, whatever state it is in")
    commands.add_parser("status", parents=[common], help="what is there")
    for command, text in (
        ("exec", "run a command on a host, or on the switch"),
        ("virsh", "run virsh on a host"),
    ):
        inside = commands.add_parser(command, parents=[common], help=f"{text}; options of ours come first")
        inside.add_argument("host")
        inside.add_argument("argv", nargs=argparse.REMAINDER)
    ping = commands.add_parser("ping", parents=[common], help="wait until a guest answers")
    ping.add_argument("ip")
    ping.add_argument("--timeout", type=float, default=60, help="seconds (default: 60)")
    commands.add_parser("pids", parents=[common], help="the processes of a host").add_argument("host")
    return parser


if __name__ == "__main__":
    sys.exit(main())
