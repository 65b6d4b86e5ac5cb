"""mount(2) and umount2(2), and what is mounted where: the few lines that the standard library lacks."""

import ctypes
import os
import re
from dataclasses import dataclass
from pathlib import Path

MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_MOVE, MS_PRIVATE = 0x2, 0x4, 0x8, 0x1000, 0x2000, 0x40000
MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, kw_only=True)
class Mount:
    """One line of a mountinfo file."""

    point: str
    kind: str  # the type of the file system
    source: str  # free text for a tmpfs: the laboratory signs its mounts there


def mount(source: str, target: Path, kind: str = "", flags: int = 0, options: str = "") -> None:
    """mount(2). Not idempotent: a second call stacks a second mount."""
    if _libc.mount(
        source.encode(), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), options.encode()
    ):
        number = ctypes.get_errno()
        raise OSError(number, f"mount {source} on {target}: {os.strerror(number)}")


def bind(source: Path, target: Path) -> None:
    """Shows the file or folder `source` at `target` too, which must exist."""
    mount(str(source), target, flags=MS_BIND)


def unmount_below(folder: Path) -> None:
    """Detaches every mount at or below `folder` that this process sees. Idempotent."""
    for point in sorted(points_below(folder), reverse=True):
        # Detaching a parent took its children along, so a point may be gone by now.
        _libc.umount2(os.fsencode(point), MNT_DETACH)


def points_below(folder: Path) -> list[str]:
    """Where something is mounted at or below `folder`, as this process sees it."""
    return [
        entry.point
        for entry in mounts("self")
        if entry.point == str(folder) or entry.point.startswith(f"{folder}/")
    ]


def mounts(pid: int | str) -> list[Mount]:
    """What the process sees mounted. Empty when it is gone or dead."""
    try:
        text = Path(f"/proc/{pid}/mountinfo").read_text(errors="surrogateescape")
    except OSError:
        return []
    return [_parse(line) for line in text.splitlines()]


def _parse(line: str) -> Mount:
    # https://docs.kernel.org/filesystems/proc.html: "id parent dev root point … - type source …"
    before, _, after = line.partition(" - ")
    kind, source = after.split(" ")[:2]
    return Mount(point=_unescape(before.split(" ")[4]), kind=kind, source=_unescape(source))


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
