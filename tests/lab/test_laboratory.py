"""The two-hosts laboratory does what the other tests and the demo believe of it."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab import __main__ as command
from lab import needs
from lab.domain import domain_xml, macvtap
from lab.error import LabError
from lab.host import LabHost
from lab.laboratory import Laboratory
from lab.namespaces import REPOSITORY
from lab.processes import end_all

pytestmark = pytest.mark.lab

MAC, OTHER_MAC = "52:54:00:aa:00:01", "52:54:00:aa:00:02"
IP = "10.9.0.11"
UP_SECONDS_MAX, ANSWER_SECONDS_MAX, SILENCE_SECONDS_MAX = 30, 90, 5

# Brings a laboratory up and ends itself by kill -9 when it comes to the n-th different line of `lab`, so that
# every two lines have a crash between them. Beyond the last line it stays alive and prints their number.
UP_UNTIL_LINE = """
import os, signal, sys
from pathlib import Path
from lab.laboratory import Laboratory

laboratory, fatal, seen = Laboratory(sys.argv[1]), int(sys.argv[2]), set()
laboratory.guest

def trace(frame, event, argument):
    if Path(frame.f_code.co_filename).parent.name != "lab":
        return None
    if event == "line":
        seen.add((frame.f_code.co_filename, frame.f_lineno))
        if len(seen) == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
    return trace

sys.settrace(trace)
laboratory.up()
sys.settrace(None)
print(len(seen))
"""


@pytest.fixture(scope="module", autouse=True)
def machine() -> None:
    """Skips everything here on a machine that cannot have a laboratory."""
    if missing := needs.missing():
        pytest.skip("the laboratory needs " + ", ".join(missing))


@pytest.fixture(scope="module")
def lab(machine: None) -> Iterator[Laboratory]:
    """One laboratory for all tests that leave it as they found it."""
    with laboratory("test") as standing:
        yield standing


@contextmanager
def laboratory(name: str) -> Iterator[Laboratory]:
    """A laboratory that is up here and down afterwards, also when an earlier session left one."""
    made = Laboratory(name)
    made.down()
    with made:
        yield made
    assert made.leftovers() == []


@contextmanager
def connection(host: LabHost) -> Iterator[Any]:
    import libvirt

    libvirt.registerErrorHandler(lambda *_: None, None)
    opened = libvirt.open(host.libvirt_uri)
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def running_guest(lab: Laboratory, name: str = "vm", vf: int = 0, mac: str = MAC) -> Iterator[None]:
    """A guest on the first host that answers, gone afterwards from whichever host has it by then."""
    host = lab.hosts[0]
    nic = macvtap(host.devices[vf].netdev, mac)
    with connection(host) as libvirt:
        libvirt.createXML(domain_xml(name, lab.guest, [nic], [IP]))
    try:
        lab.switch.ping(IP, ANSWER_SECONDS_MAX)
        yield
    finally:
        for host in lab.hosts:
            if host.qemu_pid(name):
                with connection(host) as libvirt:
                    libvirt.lookupByName(name).destroy()


def eventually(is_so: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def up_until_line(name: str, line: int) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", UP_UNTIL_LINE, name, str(line)]
    return subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)


def nsfs_mounts(pid: int) -> list[str]:
    lines = Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
    return [line.split()[4] for line in lines if " - nsfs " in line]


def test_it_is_up_in_seconds_and_down_without_a_trace() -> None:
    made = Laboratory("test-trace")
    made.down()
    _ = made.guest
    links = socket.if_nameindex()
    started = time.monotonic()
    made.up()
    assert time.monotonic() - started < UP_SECONDS_MAX
    assert made.is_up
    # Somebody else makes a mount namespace just now, and gets copies of all mounts that there are.
    stranger = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sleep", "600"])
    try:
        state = str(made.state)
        assert eventually(lambda: any(point.startswith(state) for point in nsfs_mounts(stranger.pid)))
        made.down()
        assert made.leftovers() == []
        assert not [point for point in nsfs_mounts(stranger.pid) if point.startswith(state)]
        assert state not in Path("/proc/self/mountinfo").read_text()
        assert socket.if_nameindex() == links
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
    made.down()


def test_down_after_kill_9_of_libvirtd_and_devmgr() -> None:
    with laboratory("test-kill") as made:
        ha, hb = made.hosts
        with connection(ha) as libvirt:
            libvirt.createXML(domain_xml("vm", made.guest, [macvtap(ha.devices[0].netdev, MAC)], [IP]))
        qemu, devmgr = ha.qemu_pid("vm"), hb.devmgr_pid()
        assert qemu
        assert devmgr
        ha.kill_libvirtd()
        os.kill(devmgr, signal.SIGKILL)
        # libvirt starts QEMU with an environment of its own, so this one no longer tells whose child it is
        assert {qemu, ha.devmgr_pid()} <= set(ha.pids())
        made.down()
        assert made.leftovers() == []


@pytest.fixture(scope="module")
def up_lines(machine: None) -> int:
    """How many different lines an `up` comes by."""
    made = Laboratory("test-crash")
    made.down()
    whole = up_until_line("test-crash", -1)
    made.down()
    assert whole.returncode == 0, whole.stderr
    return int(whole.stdout)


@pytest.mark.parametrize("tenths", range(1, 10))
def test_down_after_kill_9_in_the_midst_of_up(tenths: int, up_lines: int) -> None:
    made = Laboratory("test-crash")
    line = up_lines * tenths // 10
    assert up_until_line("test-crash", line).returncode == -signal.SIGKILL, f"not killed at line {line}"
    made.down()
    assert made.leftovers() == [], f"killed at line {line} of {up_lines}"


def test_up_clears_what_a_killed_up_left(up_lines: int) -> None:
    assert up_until_line("test-crash", up_lines * 9 // 10).returncode == -signal.SIGKILL
    made = Laboratory("test-crash")
    assert made.leftovers()
    with made:
        assert made.is_up
    assert made.leftovers() == []


def test_a_second_up_of_one_name_is_refused_and_does_no_harm(lab: Laboratory) -> None:
    before = {host.name: host.libvirtd_pid() for host in lab.hosts}
    with pytest.raises(LabError, match="'test' is up already"):
        Laboratory("test").up()
    assert lab.is_up
    assert {host.name: host.libvirtd_pid() for host in lab.hosts} == before


def test_two_laboratories_side_by_side(lab: Laboratory) -> None:
    with laboratory("test-twin") as twin, running_guest(lab), running_guest(twin):
        # Equal names, MACs and addresses in both, and yet two guests
        assert lab.hosts[0].qemu_pid("vm") != twin.hosts[0].qemu_pid("vm")
        with connection(twin.hosts[0]) as libvirt:
            libvirt.lookupByName("vm").destroy()
        with pytest.raises(LabError, match="no answer"):
            twin.switch.ping(IP, timeout=2)
        lab.switch.ping(IP, ANSWER_SECONDS_MAX)
    assert lab.is_up


def test_bare_live_migration_under_the_probe(lab: Laboratory) -> None:
    import libvirt

    ha, hb = lab.hosts
    old, new = ha.devices[0], hb.devices[3]
    assert old.address != new.address
    assert old.netdev != new.netdev
    with running_guest(lab), connection(ha) as source, lab.switch.probe(IP) as probe:
        booted = lab.switch.uptime(IP)
        assert eventually(lambda: probe.received > 20)
        domain = source.lookupByName("vm")
        xml = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_MIGRATABLE)
        moved = xml.replace(f"dev='{old.netdev}'", f"dev='{new.netdev}'")
        flags = libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_PEER2PEER
        domain.migrateToURI3(hb.migrate_uri, {libvirt.VIR_MIGRATE_PARAM_DEST_XML: moved}, flags)
        answered = probe.received
        assert eventually(lambda: probe.received > answered + 20)
        silence = probe.stop()
        assert 0 < silence.longest_seconds < SILENCE_SECONDS_MAX
        assert silence.received > silence.sent / 4
        assert ha.qemu_pid("vm") is None
        assert hb.qemu_pid("vm")
        uptime = lab.switch.uptime(IP)
        assert booted is not None
        assert uptime is not None
        assert uptime > booted, "the guest was started anew"
        assert hb.links()[new.netdev].mac == MAC
        assert "macvtap" in {link.kind for link in hb.links().values()}
        assert ha.links()[old.netdev].mac == old.mac
        hb.settle()
        assert (hb.sysfs / f"class/net/{new.netdev}/address").read_text() == f"{MAC}\n"
    assert hb.links()[new.netdev].mac == new.mac


def test_the_probe_tells_of_a_silence_while_it_lasts(lab: Laboratory) -> None:
    with lab.switch.probe(lab.hosts[0].address) as probe:
        assert eventually(lambda: probe.received > 10)
        lab.hosts[0].run("ip", "link", "set", "mgmt", "down", check=True)
        try:
            assert eventually(lambda: probe.current_silence > 0.3)
        finally:
            lab.hosts[0].run("ip", "link", "set", "mgmt", "up", check=True)
        assert eventually(lambda: probe.current_silence < 0.2)
        silence = probe.stop()
    assert silence.longest_seconds > 0.3
    assert silence.lost == silence.sent - silence.received > 5


def test_a_rename_shows_in_the_sysfs_tree(lab: Laboratory) -> None:
    host, device = lab.hosts[0], lab.hosts[0].devices[2]
    folder = host.sysfs / "bus/pci/devices" / device.address / "net"

    def is_told(name: str, other: str) -> bool:
        classes = {entry.name for entry in (host.sysfs / "class/net").iterdir()}
        return (
            [entry.name for entry in folder.iterdir()] == [name] and name in classes and other not in classes
        )

    assert is_told(device.netdev, "eth02bc4aec-b4")
    host.run("ip", "link", "set", device.netdev, "name", "eth02bc4aec-b4", check=True)
    assert eventually(lambda: is_told("eth02bc4aec-b4", device.netdev))
    renamed = host.sysfs / "class/net/eth02bc4aec-b4"
    assert (renamed / "device").resolve().name == device.address
    assert int((renamed / "ifindex").read_text()) == host.links()["eth02bc4aec-b4"].ifindex
    host.run("ip", "link", "set", "eth02bc4aec-b4", "name", device.netdev, check=True)
    assert eventually(lambda: is_told(device.netdev, "eth02bc4aec-b4"))


def test_two_netdevs_may_exchange_their_names(lab: Laboratory) -> None:
    host = lab.hosts[0]
    one, other = host.devices[4:6]
    swap = [(one.netdev, "swap"), (other.netdev, one.netdev), ("swap", other.netdev)]

    def addresses() -> list[str]:
        folder = host.sysfs / "class/net"
        return [(folder / device.netdev / "device").resolve().name for device in (one, other)]

    exchanged = [other.address, one.address]
    script = "".join(f"ip link set {old} name {new} && " for old, new in swap) + "true"
    host.run("sh", "-c", script, check=True)
    assert eventually(lambda: addresses() == exchanged)
    host.run("sh", "-c", script, check=True)
    assert eventually(lambda: addresses() == exchanged[::-1])
    tree = {entry.name for entry in (host.sysfs / "class/net").iterdir()}
    assert tree == {"lo", host.pf.netdev, *(device.netdev for device in host.devices)}


def test_devices_can_be_put_back_as_they_were(lab: Laboratory) -> None:
    host, (one, other) = lab.hosts[1], lab.hosts[1].devices[:2]
    for argv in (
        ["set", "dev", one.netdev, "address", MAC],
        ["property", "add", "dev", one.netdev, "altname", "jf-was-something"],
        ["set", "dev", one.netdev, "name", "passing"],
        ["set", "dev", other.netdev, "name", one.netdev],
        ["set", "dev", "passing", "name", other.netdev],
    ):
        host.run("ip", "link", *argv, check=True)
    assert host.links()[other.netdev].altnames == ("jf-was-something",)
    assert host.links()[other.netdev].mac == MAC
    host.reset_devices()
    links = host.links()
    assert {name: links[name].mac for name in (one.netdev, other.netdev)} == {
        one.netdev: one.mac,
        other.netdev: other.mac,
    }
    assert links[one.netdev].altnames == links[other.netdev].altnames == ()
    tree = (host.sysfs / "class/net" / one.netdev / "device").resolve().name
    assert tree == one.address


def test_a_guest_survives_kill_9_of_its_libvirtd(lab: Laboratory) -> None:
    host = lab.hosts[0]
    with running_guest(lab):
        qemu = host.qemu_pid("vm")
        host.kill_libvirtd()
        assert host.libvirtd_pid() is None
        lab.switch.ping(IP, ANSWER_SECONDS_MAX)
        host.start_libvirtd()
        assert host.qemu_pid("vm") == qemu
        with connection(host) as libvirt:
            assert libvirt.lookupByName("vm").isActive()


def test_the_hosts_differ_and_their_trees_are_whole(lab: Laboratory) -> None:
    ha, hb = lab.hosts
    assert not {d.address for d in ha.devices} & {d.address for d in hb.devices}
    assert not {d.netdev for d in ha.devices} & {d.netdev for d in hb.devices}
    assert not {d.mac for d in ha.devices} & {d.mac for d in hb.devices}
    for host in lab.hosts:
        host.settle()
        assert host.run("hostname").stdout.strip() == host.name
        bus = host.sysfs / "bus/pci/devices"
        pf = bus / host.pf.address
        classes = sorted((bus / device.name / "class").read_text().strip() for device in bus.iterdir())
        assert classes == ["0x020000"] * 7 + ["0x030200", "0x060000", "0x060400", "0x060400"]
        assert (pf / "net" / host.pf.netdev / "address").read_text().strip() == host.pf.mac
        for number, device in enumerate(host.devices):
            vf = bus / device.address
            assert (vf / "physfn").resolve() == pf.resolve()
            assert (pf / f"virtfn{number}").resolve() == vf.resolve()
            assert (vf / "driver").resolve().name == "igbvf"
            assert (vf / "iommu_group/devices" / device.address).resolve() == vf.resolve()
            assert (vf / "net" / device.netdev / "address").read_text().strip() == device.mac
            assert host.links()[device.netdev].mac == device.mac
    for file in ("numa_node", "uevent"):
        texts = {(host.sysfs / "bus/pci/devices" / host.pf.address / file).read_text() for host in lab.hosts}
        assert len(texts) == 2


def test_hosts_reach_what_runs_on_the_switch(lab: Laboratory) -> None:
    switch = lab.switch
    server = switch.spawn(
        sys.executable, "-u", "-m", "http.server", "--bind", switch.address, "8000", stdout=subprocess.PIPE
    )
    assert server.stdout
    with server.stdout as lines:
        assert "Serving" in lines.readline()
        for host in lab.hosts:
            get = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; head -c 12 <&3"
            script = f"exec 3<>/dev/tcp/{switch.address}/8000; {get}"
            assert host.run("bash", "-c", script, timeout=20).stdout == "HTTP/1.0 200"
        assert switch.pids() == [server.pid]
        server.kill()
        server.wait()


def test_only_the_processes_of_the_laboratory_are_ended() -> None:
    bystander = subprocess.Popen(["sleep", "600"], env={**os.environ, "JACKFIELD_LAB": "/elsewhere"})
    try:
        end_all(Path("/no/such/laboratory"))
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_state_folder_too_deep_for_sockets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"too deep: its sockets would have \d+ characters"):
        Laboratory("test-deep", tmp_path / ("d" * 90))


@pytest.mark.parametrize("name", ["", "Upper", "guest", "a/b", "x" * 21])
def test_a_name_that_is_no_folder_is_refused(name: str) -> None:
    with pytest.raises(LabError, match="does not fit a laboratory"):
        Laboratory(name)


def test_the_command_refuses_without_root(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["lab", "up"])
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert command.main() == 2
    assert re.search("needs root: this is uid 1000", capsys.readouterr().err)


def test_the_command_reaches_into_a_host(lab: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    for argv, code in (
        (["exec", "--name", "test", "hb", "sh", "-c", "test $(hostname) = hb"], 0),
        (["exec", "--name", "test", "switch", "sh", "-c", "exit 7"], 7),
        (["virsh", "--name", "test", "ha", "uri"], 0),
        (["ping", "--name", "test", lab.hosts[1].address], 0),
        (["pids", "--name", "test", "ha"], 0),
        (["status", "--name", "test"], 0),
        (["status", "--name", "test-nowhere"], 1),
    ):
        monkeypatch.setattr(sys, "argv", ["lab", *argv])
        assert command.main() == code, argv
