"""The tiny guest: the kernel of Debian's cloud image and a busybox that answers ping and tells its uptime.

It is built once in about ten seconds and kept by content, so that a change of any part makes another build.
"""

import gzip
import hashlib
import io
import re
import shutil
import struct
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from lab.cpio import Archive
from lab.error import LabError
from lab.needs import path_of
from lab.plan import PREFIX_LENGTH

META_PACKAGE = "linux-image-cloud-amd64"
PACKAGE_PATTERN = "linux-image-[0-9]*-cloud-amd64_*_amd64.deb"
APT_CACHE = Path("/var/cache/apt/archives")
INIT = Path(__file__).with_name("guest_init.sh")
APPLETS = (  # of busybox
    "cat",
    "cut",
    "dmesg",
    "echo",
    "grep",
    "httpd",
    "insmod",
    "ip",
    "ls",
    "mkdir",
    "mount",
    "ping",
    "poweroff",
    "sed",
    "sh",
    "sleep",
    "tr",
)
MODULES = (  # in the order in which they must be loaded
    "net/core/failover",
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci",
    "drivers/net/net_failover",
    "drivers/net/virtio_net",
)


@dataclass(frozen=True, kw_only=True)
class Guest:
    """The two files that a domain boots from."""

    kernel: Path
    initrd: Path


def command_line(ips: Iterable[str]) -> str:
    """The kernel command line that gives the guest's first NIC the first address, and so on."""
    addresses = (ip if "/" in ip else f"{ip}/{PREFIX_LENGTH}" for ip in ips)
    return f"console=ttyS0 panic=-1 quiet labips={','.join(addresses)}"


def prepare(folder: Path, say: Callable[[str], None] = lambda line: None) -> Guest:
    """The guest, built below `folder` when it is not there yet. May block. Idempotent; safe beside another.

    The kernel's package comes from `folder`, else from apt's cache, else by `apt-get download`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    busybox = _read_busybox()
    packages = sorted(folder.glob(PACKAGE_PATTERN)) or sorted(APT_CACHE.glob(PACKAGE_PATTERN))
    if not packages:
        say("downloading the guest's kernel")
        packages = [_download(folder)]
    package = packages[-1]
    key = hashlib.sha256(
        f"{package.name} {APPLETS} {MODULES}".encode() + INIT.read_bytes() + busybox
    ).hexdigest()
    home = folder / key[:16]
    guest = Guest(kernel=home / "vmlinuz", initrd=home / "initrd.gz")
    if not home.is_dir():
        say(f"building the guest from {package.name}")
        draft = Path(tempfile.mkdtemp(prefix="draft-", dir=folder))
        try:
            _build(package, busybox, draft)
            _move_into_place(draft, home)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return guest


def _build(package: Path, busybox: bytes, draft: Path) -> None:
    kernel, modules = _unpack(package)
    archive = Archive()
    for folder in ("bin", "dev", "etc", "mod", "proc", "sys", "tmp", "www"):
        archive.folder(folder)
    archive.device("dev/console", 5, 1)
    archive.file("bin/busybox", busybox, 0o755)
    for applet in APPLETS:
        archive.link(f"bin/{applet}", "busybox")
    for number, (name, content) in enumerate(modules):
        archive.file(f"mod/{number:02d}-{name}.ko", content)
    archive.file("init", INIT.read_bytes(), 0o755)
    (draft / "vmlinuz").write_bytes(kernel)
    (draft / "initrd.gz").write_bytes(gzip.compress(archive.finish(), mtime=0))
    draft.chmod(0o755)  # mkdtemp made it for its owner only


def _unpack(package: Path) -> tuple[bytes, list[tuple[str, bytes]]]:
    """The kernel and the modules of the package, in the order of MODULES."""
    archive = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(package)], capture_output=True, check=False)
    if archive.returncode:
        raise LabError(
            f"{package} cannot be read ({archive.stderr.decode().strip()}): remove it and try again"
        )
    kernel, found = b"", dict[str, bytes]()
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as members:
        for member in members:
            content = members.extractfile(member) if member.isfile() else None
            module = re.fullmatch(r".*/kernel/(.*)\.ko", member.name)
            if content and "/boot/vmlinuz-" in member.name:
                kernel = content.read()
            elif content and module and module[1] in MODULES:
                found[module[1]] = content.read()
    if lacking := [name for name in MODULES if name not in found] + ([] if kernel else ["vmlinuz"]):
        raise LabError(f"{package} has no {', '.join(lacking)}")
    return kernel, [(name.rpartition("/")[2], found[name]) for name in MODULES]


def _download(folder: Path) -> Path:
    draft = Path(tempfile.mkdtemp(prefix="download-", dir=folder))
    try:
        depends = subprocess.run(
            ["apt-cache", "depends", META_PACKAGE], capture_output=True, text=True, check=False
        )
        name = re.search(r"Depends: (linux-image-\S+)", depends.stdout)
        if name is None:
            raise LabError(f"apt knows no {META_PACKAGE}: run apt-get update")
        download = subprocess.run(
            ["apt-get", "download", "-q", name[1]], cwd=draft, capture_output=True, text=True, check=False
        )
        packages = list(draft.glob("*.deb"))
        if download.returncode or not packages:
            raise LabError(
                f"apt-get download {name[1]}: {download.stderr.strip()}; perhaps apt-get update helps"
            )
        return packages[0].replace(folder / packages[0].name)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _move_into_place(draft: Path, home: Path) -> None:
    try:
        draft.rename(home)
    except OSError:
        # Another build was first. Its files are equal, and a guest may already boot from them.
        if not home.is_dir():
            raise


def _read_busybox() -> bytes:
    path = path_of("busybox")
    content = Path(path).read_bytes() if path else b""
    if not content or not _is_static(content):
        raise LabError("the guest needs a static busybox: install the Debian package busybox-static")
    return content


def _is_static(program: bytes) -> bool:
    """Whether a 64-bit ELF file needs no loader, which would be a program header of type PT_INTERP."""
    offset, size, count = *struct.unpack_from("<Q", program, 32), *struct.unpack_from("<HH", program, 54)
    return all(struct.unpack_from("<I", program, offset + i * size) != (3,) for i in range(count))
