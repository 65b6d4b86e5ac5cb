"""What udev does on a real host, for one host of the laboratory: follows the links of its network namespace.

It makes the /dev/tapN of every macvtap, and keeps the generated sysfs tree in step with the names, MACs
and states of the links that stand for PCI functions. `python -m lab.devmgr TREE IFINDEXES`, started in the
host's namespaces, returns when the first look is done and stays behind as a daemon. Only the standard
library: one of these runs for every host.
"""

import errno
import json
import os
import socket
import stat
import sys
import time
from pathlib import Path

from lab.sysfs import Netdev, follow

RTMGRP_LINK = 1
NETLINK_ROUTE = 0
CLASS_NET = Path("/sys/class/net")
DEV = Path("/dev")
PID_FILE = Path("/run/devmgr.pid")
LOG_FILE = Path("/var/log/devmgr.log")
_IFF_UP = 1


def main(tree: Path, record: Path) -> None:
    """Looks, goes into the background, and looks again whenever a link changes. Never returns."""
    ifindexes: dict[str, int] = json.loads(record.read_text())
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_ROUTE) as events:
        # Listening begins before the first look, so that no change falls between the two.
        events.bind((0, RTMGRP_LINK))
        known = look(tree, ifindexes, {})
        _go_into_the_background()
        while True:
            _wait_for_a_change(events)
            known = look(tree, ifindexes, known)


def look(tree: Path, ifindexes: dict[str, int], known: dict[int, Netdev]) -> dict[int, Netdev]:
    """Makes the tree and /dev agree with the kernel, and gives the links that it saw, for the next look.

    Idempotent: an event only says when to look. The tree is touched only where a link is not as it was known.
    """
    now = links()
    follow(tree, {address: i for address, i in ifindexes.items() if now.get(i) != known.get(i)}, now)
    make_tap_nodes()
    return now


def make_tap_nodes() -> None:
    """Makes /dev/tapN for every macvtap of this network namespace and removes those of former ones."""
    wanted = {}
    for found in CLASS_NET.glob("*/tap*/dev"):
        try:
            major, minor = found.read_text().split(":")
        except FileNotFoundError:
            continue  # the macvtap is gone; its event is on the way
        wanted[DEV / found.parent.name] = os.makedev(int(major), int(minor))
    for node in DEV.glob("tap*"):
        if wanted.get(node) != node.stat().st_rdev:
            node.unlink()
    for node, number in wanted.items():
        if not node.exists():
            os.mknod(node, 0o600 | stat.S_IFCHR, number)


def links() -> dict[int, Netdev]:
    """The links of this network namespace by their index."""
    while True:
        try:
            # One netlink dump for the names: a listing of /sys may miss a link that is just being renamed.
            return {ifindex: _link(ifindex, name) for ifindex, name in socket.if_nameindex()}
        except OSError as problem:
            if problem.errno not in (errno.ENOENT, errno.ENODEV):
                raise
            time.sleep(0.001)  # renamed or deleted since the dump: look again


def _link(ifindex: int, name: str) -> Netdev:
    folder = CLASS_NET / name
    is_up = bool(int((folder / "flags").read_text(), 16) & _IFF_UP)
    return Netdev(
        name=name,
        ifindex=ifindex,
        mac=(folder / "address").read_text().strip(),
        is_up=is_up,
        has_carrier=is_up and (folder / "operstate").read_text().strip() in ("up", "unknown"),
        mtu=int((folder / "mtu").read_text()),
    )


def _wait_for_a_change(events: socket.socket) -> None:
    try:
        events.recv(65536)
        while True:  # one look for a burst of events
            events.recv(65536, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return
    except OSError as problem:
        if problem.errno != errno.ENOBUFS:  # more events than the socket holds: also only a reason to look
            raise


def _go_into_the_background() -> None:
    pid = os.fork()
    if pid:
        PID_FILE.write_text(f"{pid}\n")
        os._exit(0)
    os.setsid()
    os.nice(-10)  # sysfs itself never lags behind; a guest that eats a CPU must not make its stand-in lag
    # Whoever started us reads our output to its end: let go of it.
    log = os.open(LOG_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
