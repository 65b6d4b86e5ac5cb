"""The kernel's links and the simulated ones behave alike."""

from __future__ import annotations

import errno
import os
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from pyroute2 import netns
from pyroute2.netlink.exceptions import NetlinkError

from jackfield.host import netlink as kernel
from jackfield.host.interface import Netlink
from jackfield.host.netlink import NO_MAC, NetlinkSocket
from jackfield.host.netlink_events import NetlinkEvents
from jackfield.model.address import MacAddress
from jackfield.model.error import NotFound, Rejected, Unavailable
from jackfield.sim.host import SimNetlink
from jackfield.sim.machine import sim_host

VF, OTHER = "enp1s0v0", "enp1s0v1"
FACTORY, OTHERS_FACTORY = MacAddress("02:00:00:01:00:00"), MacAddress("02:00:00:01:00:01")
GUESTS = MacAddress("fa:16:3e:46:d3:e8")
LOGICAL = "eth02bc4aec-b4"
WAS = f"jf-was-{VF}"


@pytest.fixture
def namespace() -> Iterator[str]:
    """A network namespace with two links, which the test's own thread, and those it starts, are in."""
    if os.geteuid():
        pytest.skip(f"making a network namespace needs root: this is uid {os.geteuid()}")
    name = f"jfh-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        for link, mac in ((VF, FACTORY), (OTHER, OTHERS_FACTORY)):
            peer = f"peer-{link[-1]}"
            subprocess.run(
                ["ip", "-n", name, "link", "add", link, "address", mac, "type", "veth", "peer", "name", peer],
                check=True,
            )
            subprocess.run(["ip", "-n", name, "link", "set", link, "up"], check=True)
        netns.pushns(name)
        try:
            yield name
        finally:
            netns.popns()
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


@pytest.fixture(params=["simulated", pytest.param("kernel", marks=pytest.mark.lab)])
def netlink(request) -> Netlink:
    if request.param == "kernel":
        request.getfixturevalue("namespace")
        return NetlinkSocket()
    return SimNetlink(sim_host("a", 1))


def test_a_link_shows_its_name_mac_and_state(netlink):
    link = netlink.links()[VF]
    assert (link.netdev, link.mac, link.is_up, link.altnames) == (VF, FACTORY, True, frozenset())


def test_a_link_is_renamed_while_it_is_up_and_stays_up(netlink):
    netlink.rename(VF, LOGICAL)
    links = netlink.links()
    assert VF not in links
    assert links[LOGICAL].mac == FACTORY
    assert links[LOGICAL].is_up


def test_renaming_a_link_to_its_own_name_changes_nothing(netlink):
    netlink.rename(VF, VF)
    assert netlink.links()[VF].mac == FACTORY


def test_a_link_is_found_by_an_altname(netlink):
    netlink.add_altname(VF, WAS)
    netlink.rename(VF, LOGICAL)
    netlink.set_mac(WAS, GUESTS)
    netlink.rename(WAS, VF)
    assert netlink.links()[VF].mac == GUESTS


def test_the_old_name_is_an_altname_that_a_rename_keeps(netlink):
    netlink.add_altname(VF, WAS)
    netlink.rename(VF, LOGICAL)
    assert netlink.links()[LOGICAL].altnames == {WAS}


def test_a_link_renamed_to_its_own_altname_has_it_as_its_name(netlink):
    netlink.add_altname(VF, LOGICAL)
    netlink.rename(VF, LOGICAL)
    assert netlink.links()[LOGICAL].altnames == frozenset()


@pytest.mark.parametrize("act", ["rename", "add_altname"])
def test_a_name_of_another_link_is_refused(netlink, act):
    with pytest.raises(Rejected) as refusal:
        getattr(netlink, act)(VF, OTHER)
    assert refusal.value.code == "netdev-name-taken"
    assert netlink.links()[VF].altnames == frozenset()


@pytest.mark.parametrize("act", ["rename", "add_altname"])
def test_an_altname_of_another_link_is_refused(netlink, act):
    netlink.add_altname(OTHER, LOGICAL)
    with pytest.raises(Rejected) as refusal:
        getattr(netlink, act)(VF, LOGICAL)
    assert refusal.value.code == "netdev-name-taken"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a b", "a:b", "a%d", "sixteen-letters.", "fünfzehn-bytes."]
)
def test_a_name_that_no_link_can_have_is_refused(netlink, name):
    with pytest.raises(Rejected) as refusal:
        netlink.rename(VF, name)
    assert refusal.value.code == "netdev-name-invalid"
    assert VF in netlink.links()


@pytest.mark.parametrize("altname", ["", "a/b", "a b", "x" * 128])
def test_an_altname_that_tools_would_choke_on_is_refused(netlink, altname):
    with pytest.raises(Rejected) as refusal:
        netlink.add_altname(VF, altname)
    assert refusal.value.code == "netdev-name-invalid"


def test_an_altname_may_be_longer_than_a_name(netlink):
    altname = "jf-was-" + "x" * 15
    netlink.add_altname(VF, altname)
    assert netlink.links()[VF].altnames == {altname}


@pytest.mark.parametrize(
    ("act", "value"), [("rename", LOGICAL), ("add_altname", LOGICAL), ("set_mac", GUESTS), ("set_up", None)]
)
@pytest.mark.parametrize("absent", ["nobody", "nobody-with-a-long-name", "x" * 200])
def test_a_link_that_is_not_there_is_not_found(netlink, act, value, absent):
    with pytest.raises(NotFound) as refusal:
        getattr(netlink, act)(absent, *([value] if value else []))
    assert refusal.value.code == "netdev-absent"


def test_a_link_that_was_renamed_is_not_found_by_its_old_name(netlink):
    netlink.rename(VF, LOGICAL)
    with pytest.raises(NotFound):
        netlink.rename(VF, LOGICAL)


def test_an_altname_is_added_once_however_often_it_is_asked_for(netlink):
    netlink.add_altname(VF, LOGICAL)
    netlink.add_altname(VF, LOGICAL)
    assert netlink.links()[VF].altnames == {LOGICAL}


def test_the_name_of_a_link_is_no_altname_of_its_own(netlink):
    netlink.add_altname(VF, VF)
    assert netlink.links()[VF].altnames == frozenset()


def test_an_altname_is_removed_however_often_it_is_asked_for(netlink):
    netlink.add_altname(VF, LOGICAL)
    netlink.remove_altname(VF, LOGICAL)
    netlink.remove_altname(VF, LOGICAL)
    netlink.remove_altname("nobody", LOGICAL)
    assert netlink.links()[VF].altnames == frozenset()


def test_removing_the_altname_of_another_link_leaves_it_there(netlink):
    netlink.add_altname(OTHER, LOGICAL)
    netlink.remove_altname(VF, LOGICAL)
    assert netlink.links()[OTHER].altnames == {LOGICAL}


def test_a_mac_is_set_and_set_back(netlink):
    netlink.set_mac(VF, GUESTS)
    netlink.set_mac(VF, GUESTS)
    assert netlink.links()[VF].mac == GUESTS
    netlink.set_mac(VF, FACTORY)
    assert netlink.links()[VF].mac == FACTORY
    assert netlink.links()[VF].is_up


def test_a_mac_that_no_link_can_have_is_refused(netlink):
    with pytest.raises(Rejected) as refusal:
        netlink.set_mac(VF, MacAddress("01:00:00:00:00:01"))
    assert refusal.value.code == "netlink-refused"
    assert netlink.links()[VF].mac == FACTORY


def test_a_link_is_brought_up_however_often_it_is_asked_for(netlink):
    netlink.set_up(VF)
    netlink.set_up(VF)
    assert netlink.links()[VF].is_up


@pytest.mark.lab
def test_a_link_that_is_down_comes_up(namespace):
    subprocess.run(["ip", "link", "set", VF, "down"], check=True)
    assert not NetlinkSocket().links()[VF].is_up
    NetlinkSocket().set_up(VF)
    assert NetlinkSocket().links()[VF].is_up


@pytest.mark.lab
def test_a_link_without_a_mac_is_shown_without_one(namespace):
    subprocess.run(["ip", "tuntap", "add", "dev", "tunnel", "mode", "tun"], check=True)
    links = NetlinkSocket().links()
    assert links["lo"].mac == links["tunnel"].mac == NO_MAC
    assert links["tunnel"].permanent_mac is None


@pytest.mark.lab
def test_many_threads_may_share_one_netlink(namespace):
    netlink = NetlinkSocket()

    def there_and_back(number: int) -> None:
        for _ in range(5):
            netlink.add_altname(VF, f"altname-{number}")
            assert f"altname-{number}" in netlink.links()[VF].altnames
            netlink.remove_altname(VF, f"altname-{number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(there_and_back, range(8)))
    assert netlink.links()[VF].altnames == frozenset()


@pytest.mark.lab
def test_another_namespace_is_reached_by_its_name(namespace):
    outside = NetlinkSocket(namespace)
    netns.popns()
    try:
        assert VF not in NetlinkSocket().links()
        assert outside.links()[VF].mac == FACTORY
    finally:
        netns.pushns(namespace)


@pytest.mark.lab
def test_a_namespace_that_is_not_there_is_reported_and_not_made(namespace):
    with pytest.raises(Unavailable) as problem:
        NetlinkSocket("jfh-none").links()
    assert problem.value.code == "netlink-unreachable"
    assert "jfh-none" not in netns.listnetns()


@contextmanager
def interposed(monkeypatch, before_set):
    """Every socket opened in here calls `before_set(real, index, change)` instead of `link("set", …)`."""
    real_open = NetlinkSocket._open

    @contextmanager
    def opened(self):
        with real_open(self) as real:

            def link(command, **arguments):
                if command == "set":
                    return before_set(real, arguments.pop("index"), arguments)
                return real.link(command, **arguments)

            yield SimpleNamespace(link=link)

    with monkeypatch.context() as patch:
        patch.setattr(NetlinkSocket, "_open", opened)
        yield


@pytest.mark.lab
@pytest.mark.parametrize(("act", "value"), [("rename", LOGICAL), ("set_mac", GUESTS)])
def test_a_link_that_must_be_down_for_it_goes_down_and_comes_up_again(namespace, monkeypatch, act, value):
    states = []

    def like_linux_5(real, index, change):
        (link,) = real.link("get", index=index)
        if "state" not in change and link["flags"] & 1:
            raise NetlinkError(errno.EBUSY)
        states.append(change.get("state", "changed"))
        return real.link("set", index=index, **change)

    with interposed(monkeypatch, like_linux_5):
        getattr(NetlinkSocket(), act)(VF, value)
    assert states == ["down", "changed", "up"]
    assert any(link.is_up and value in (link.netdev, link.mac) for link in NetlinkSocket().links().values())


@pytest.mark.lab
@pytest.mark.parametrize(("act", "value"), [("rename", LOGICAL), ("set_mac", GUESTS)])
def test_a_change_that_the_driver_never_makes_is_reported(namespace, monkeypatch, act, value):
    monkeypatch.setattr(kernel, "READ_BACK_SECONDS_MAX", 0.05)
    with (
        interposed(monkeypatch, lambda *_: None),
        pytest.raises(Unavailable) as problem,
    ):
        getattr(NetlinkSocket(), act)(VF, value)
    assert problem.value.code == "netdev-unchanged"


@pytest.mark.lab
def test_a_busy_device_is_tried_again_later_and_not_given_up(namespace, monkeypatch):
    def busy(real, index, change):
        raise NetlinkError(errno.EBUSY)

    NetlinkSocket().rename(VF, LOGICAL)
    subprocess.run(["ip", "link", "set", LOGICAL, "down"], check=True)
    with interposed(monkeypatch, busy), pytest.raises(Unavailable) as problem:
        NetlinkSocket().rename(LOGICAL, VF)
    assert problem.value.code == "netdev-busy"


@pytest.mark.lab
def test_a_change_of_a_link_wakes_until_the_events_are_stopped(namespace):
    woken = threading.Event()
    events = NetlinkEvents(woken.set)
    events.start()
    NetlinkSocket().rename(VF, LOGICAL)
    assert woken.wait(5)
    events.stop()
    events.stop()
    woken.clear()
    NetlinkSocket().rename(LOGICAL, VF)
    assert not woken.wait(0.1)
