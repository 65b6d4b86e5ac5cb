"""The links of a network namespace, as the kernel has them now."""

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LO = 1  # the index of lo in every network namespace
_IFF_UP = 1


@dataclass(frozen=True, kw_only=True)
class Link:
    """One link."""

    ifindex: int
    mac: str
    altnames: tuple[str, ...]
    up: bool
    kind: str  # "veth", "bridge", "macvtap", …


def open_network(netns: Path) -> Any:
    """A netlink connection into a network namespace. Close it, or use it in a `with`."""
    # Imported late: it takes 0.4 s, and most commands of the laboratory never need it.
    from pyroute2 import IPRoute

    return IPRoute(netns=str(netns), flags=0)  # without the flag it would make a namespace that is not there


def open_socket(netns: Path) -> socket.socket:
    """A TCP socket that belongs to a network namespace, wherever it is used."""
    from pyroute2.netns import create_socket

    opened: socket.socket = create_socket(str(netns), socket.AF_INET, socket.SOCK_STREAM, flags=0)
    return opened


def read_links(netns: Path) -> dict[str, Link]:
    """Every link but lo, by name."""
    with open_network(netns) as network:
        return {
            message.get("ifname"): _link(message) for message in network.get_links() if message["index"] != LO
        }


def _link(message: Any) -> Link:
    properties = message.get_attr("IFLA_PROP_LIST")
    return Link(
        ifindex=message["index"],
        mac=message.get_attr("IFLA_ADDRESS") or "",
        altnames=tuple(properties.get_attrs("IFLA_ALT_IFNAME")) if properties else (),
        up=bool(message["flags"] & _IFF_UP),
        kind=message.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND") or "",
    )
