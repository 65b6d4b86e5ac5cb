"""The network interfaces of one host, through rtnetlink.

The kernel may answer "done" before the driver is, and pyroute2 drops an empty name without a word, so
whatever is written here is read back before the call returns.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink import NLM_F_DUMP_INTR
from pyroute2.netlink.exceptions import NetlinkError

from jackfield.host.netdev_name import ALTNAME_BYTES_MAX, NETDEV_BYTES_MAX, check_netdev_name
from jackfield.model.address import MacAddress
from jackfield.model.error import JackfieldError, NotFound, Reach, Rejected, Unavailable
from jackfield.reconcile.observation import Link

NO_MAC = MacAddress("00:00:00:00:00:00")
"""Of a link that has none (a tunnel), or an address of another kind: `lo` bears the same."""

READ_BACK_SECONDS_MAX = 1.0
_READ_BACK_INTERVAL_SECONDS = 0.02
_DUMPS_MAX = 10
_IFF_UP = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    index: int
    link: Link


class NetlinkSocket:
    """`Netlink` of the caller's network namespace, or of `netns`: a name below /run/netns, or a path.

    May be shared by threads. Needs CAP_NET_ADMIN for everything but `links`, and CAP_SYS_ADMIN for `netns`.
    """

    def __init__(self, netns: str | None = None) -> None:
        self._netns = None if netns is None else str(Path("/run/netns", netns))

    def links(self) -> Mapping[str, Link]:
        with self._open() as rtnl:
            return {found.link.netdev: found.link for found in _dump(rtnl)}

    def rename(self, netdev: str, name: str) -> None:
        """As `Netlink.rename`. An absent `netdev` is refused (`netdev-absent`) even when a link has
        `name` already, for it may be somebody else's. On a kernel before 6.2 a link that is up goes
        down for a moment. An altname of the link's own that is `name` becomes its name."""
        check_netdev_name(name, NETDEV_BYTES_MAX)
        with self._open() as rtnl, _refusals(netdev, name):
            found = _find(rtnl, netdev)
            if found.link.netdev == name:
                return
            if name in found.link.altnames:
                # The kernel says "File exists" to this, too.
                rtnl.link("property_del", index=found.index, altname=name)
            _change(rtnl, found, ifname=name)
            _read_back(rtnl, found, f"the name {name!r}", lambda link: link.netdev == name)

    def add_altname(self, netdev: str, altname: str) -> None:
        check_netdev_name(altname, ALTNAME_BYTES_MAX)
        with self._open() as rtnl, _refusals(netdev, altname):
            found = _find(rtnl, netdev)
            if found.link.answers_to(altname):
                return
            rtnl.link("property_add", index=found.index, altname=altname)
            _read_back(rtnl, found, f"the altname {altname!r}", lambda link: altname in link.altnames)

    def remove_altname(self, netdev: str, altname: str) -> None:
        with self._open() as rtnl, _refusals(netdev, altname):
            try:
                found = _find(rtnl, netdev)
                if altname not in found.link.altnames:
                    return
                rtnl.link("property_del", index=found.index, altname=altname)
            except NotFound:
                return
            _read_back(rtnl, found, f"no altname {altname!r}", lambda link: altname not in link.altnames)

    def set_mac(self, netdev: str, mac: MacAddress) -> None:
        """As `Netlink.set_mac`. Where the driver refuses it on a link that is up, that goes down for a
        moment."""
        with self._open() as rtnl, _refusals(netdev, mac):
            found = _find(rtnl, netdev)
            if found.link.mac == mac:
                return
            _change(rtnl, found, address=mac)
            _read_back(rtnl, found, f"the MAC {mac}", lambda link: link.mac == mac)

    def set_up(self, netdev: str) -> None:
        with self._open() as rtnl, _refusals(netdev, "up"):
            found = _find(rtnl, netdev)
            if not found.link.is_up:
                rtnl.link("set", index=found.index, state="up")
                _read_back(rtnl, found, "to be up", lambda link: link.is_up)

    @contextmanager
    def _open(self) -> Iterator[IPRoute]:
        # A socket for each call: one of pyroute2's belongs to the event loop of the thread that made it,
        # and effects run in many. It costs a millisecond. Without `flags=0` a missing namespace is made, and
        # an IPRoute that fails to open leaves its event loop behind: so look first.
        try:
            if self._netns is not None:
                Path(self._netns).stat()
            rtnl = IPRoute(netns=self._netns, flags=0, groups=0)
        except OSError as error:
            place = f"of network namespace {self._netns!r} " if self._netns else ""
            raise Unavailable(
                "netlink-unreachable",
                f"the kernel's routing socket {place}cannot be opened: {error.strerror or error}",
                reach=Reach.HOST,
            ) from error
        with rtnl:
            yield rtnl


def _dump(rtnl: IPRoute) -> list[_Found]:
    # The kernel flags a dump during which links came or went (pyroute2 0.9 only passes the flag on): it
    # may lack some, so it is taken anew.
    for _ in range(_DUMPS_MAX):
        messages = rtnl.link("dump")
        if not any(message["header"]["flags"] & NLM_F_DUMP_INTR for message in messages):
            return [_parse(message) for message in messages]
    raise Unavailable(
        "netlink-unsettled",
        f"the links of this host changed during each of {_DUMPS_MAX} looks at them; try again",
        reach=Reach.HOST,
    )


def _find(rtnl: IPRoute, name: str) -> _Found:
    # The kernel looks up names and altnames alike by this attribute; the one for names ends at 15 bytes.
    try:
        (message,) = rtnl.link("get", altname=name)
    except NetlinkError as error:
        if error.code in (errno.ENODEV, errno.ERANGE, errno.EINVAL):
            raise _absent(name) from error
        raise
    return _parse(message)


def _parse(message: Any) -> _Found:
    properties = message.get_attr("IFLA_PROP_LIST")
    return _Found(
        index=message["index"],
        link=Link(
            netdev=message.get_attr("IFLA_IFNAME"),
            mac=_mac(message.get_attr("IFLA_ADDRESS")) or NO_MAC,
            altnames=frozenset(properties.altnames()) if properties else frozenset(),
            is_up=bool(message["flags"] & _IFF_UP),
            permanent_mac=_mac(message.get_attr("IFLA_PERM_ADDRESS")),
        ),
    )


def _mac(address: str | None) -> MacAddress | None:
    # A tunnel's address is four octets, InfiniBand's twenty.
    return MacAddress(address.lower()) if address is not None and address.count(":") == 5 else None


def _change(rtnl: IPRoute, found: _Found, **attributes: str) -> None:
    try:
        rtnl.link("set", index=found.index, **attributes)
    except NetlinkError as error:
        # Before Linux 6.2 (bd039b5ea2a9, "Allow live renaming when an interface is up") a link that is up
        # cannot be renamed; some drivers want it down for a new MAC as well.
        if error.code != errno.EBUSY or not found.link.is_up:
            raise
        rtnl.link("set", index=found.index, state="down")
        try:
            rtnl.link("set", index=found.index, **attributes)
        finally:
            rtnl.link("set", index=found.index, state="up")


def _read_back(rtnl: IPRoute, before: _Found, what: str, is_done: Callable[[Link], bool]) -> None:
    deadline = time.monotonic() + READ_BACK_SECONDS_MAX
    while True:
        (message,) = rtnl.link("get", index=before.index)
        link = _parse(message).link
        if is_done(link):
            return
        if time.monotonic() > deadline:
            raise Unavailable(
                "netdev-unchanged",
                f"the kernel accepted {what} for {before.link.netdev!r}, but after "
                f"{READ_BACK_SECONDS_MAX:g} s the link still reads {link}; look at the driver's messages",
                reach=Reach.HOST,
            )
        time.sleep(_READ_BACK_INTERVAL_SECONDS)


@contextmanager
def _refusals(netdev: str, value: str) -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        raise _refusal(error, netdev, value) from error


def _refusal(error: NetlinkError, netdev: str, value: str) -> JackfieldError:
    words = os.strerror(error.code)
    match error.code:
        case errno.EEXIST:
            return Rejected(
                "netdev-name-taken",
                f"{netdev!r} cannot be called {value!r}: another link has that name or altname",
                detail={"netdev": netdev, "name": value},
            )
        case errno.ENODEV:
            return _absent(netdev)
        case errno.EBUSY | errno.EAGAIN | errno.ENOMEM | errno.ENOBUFS:
            return Unavailable(
                "netdev-busy",
                f"the kernel cannot give {netdev!r} {value!r} just now: {words} ({error.code}); try again",
                detail={"netdev": netdev, "errno": error.code},
            )
        case _:
            return Rejected(
                "netlink-refused",
                f"the kernel refused {value!r} for {netdev!r}: {words} ({error.code})",
                detail={"netdev": netdev, "errno": error.code},
            )


def _absent(netdev: str) -> NotFound:
    return NotFound("netdev-absent", f"no link has the name or altname {netdev!r}", detail={"netdev": netdev})
