"""The private folder of one host: what its libvirtd and its programs find instead of the machine's files."""

from pathlib import Path

from lab.inside import PRIVATE_FILES
from lab.plan import MANAGEMENT_NETWORK, SWITCH_NUMBER, HostPlan

LIBVIRT_TCP_PORT = 16509
# libvirtd looks up the user that it was compiled for before it reads qemu.conf, where we say root.
_LIBVIRT_USER = "libvirt-qemu"


def write_folder(folder: Path, plan: HostPlan, hosts: tuple[HostPlan, ...]) -> None:
    """Writes everything that the host will mount, but for its sysfs tree."""
    for name in (
        "etc/libvirt/qemu/networks",
        "etc/libvirt/hooks/qemu.d",
        "etc/libvirt/secrets",
        "dev",
        "run/lock",
    ):
        (folder / name).mkdir(parents=True)
    for name in ("lib/libvirt", "cache/libvirt", "log/libvirt/qemu", "tmp"):
        (folder / "var" / name).mkdir(parents=True)
    (folder / "var/tmp").chmod(0o1777)
    (folder / "var/run").symlink_to("/run")
    (folder / "var/lock").symlink_to("/run/lock")
    (folder / "etc/libvirt/libvirtd.conf").write_text(_libvirtd_conf(plan))
    (folder / "etc/libvirt/qemu.conf").write_text(_qemu_conf(plan))
    texts = {
        "etc/passwd": _with_line(
            "/etc/passwd", f"{_LIBVIRT_USER}:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin"
        ),
        "etc/group": _with_line("/etc/group", f"{_LIBVIRT_USER}:x:64055:"),
        "etc/hosts": _hosts(hosts),
        "etc/machine-id": f"{plan.machine_id}\n",
    }
    assert set(texts) == set(PRIVATE_FILES)
    for name, text in texts.items():
        # A bind mount needs a file to stand on, and the machine gets none from us.
        if (Path("/") / name).exists():
            (folder / name).write_text(text)


def _libvirtd_conf(plan: HostPlan) -> str:
    return f"""\
host_uuid = "{plan.uuid}"
listen_tls = 0
listen_tcp = 1
listen_addr = "{plan.address}"
tcp_port = "{LIBVIRT_TCP_PORT}"
auth_tcp = "none"
auth_unix_rw = "none"
auth_unix_ro = "none"
unix_sock_dir = "/run/libvirt"
log_level = 3
log_outputs = "3:file:/var/log/libvirt/libvirtd.log"
"""


def _qemu_conf(plan: HostPlan) -> str:
    return f"""\
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
security_default_confined = 0
namespaces = []
cgroup_controllers = []
clear_emulator_capabilities = 0
stdio_handler = "file"
migration_address = "{plan.address}"
migration_host = "{plan.address}"
migration_port_min = 49152
migration_port_max = 49215
"""


def _hosts(hosts: tuple[HostPlan, ...]) -> str:
    known = [("127.0.0.1", "localhost"), (f"{MANAGEMENT_NETWORK}.{SWITCH_NUMBER}", "switch")]
    known += [(host.address, host.name) for host in hosts]
    return "".join(f"{address} {name}\n" for address, name in known)


def _with_line(path: str, line: str) -> str:
    text = Path(path).read_text()
    name = line.partition(":")[0]
    return text if f"\n{name}:" in f"\n{text}" else f"{text.rstrip()}\n{line}\n"
