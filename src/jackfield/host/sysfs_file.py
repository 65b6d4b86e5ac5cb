"""Small files and links of a sysfs tree, each as the one value that it says, or None.

Paths are texts and calls are bare system calls: a scan of 1,024 VFs makes some 15,000 of them, and `Path`
would cost more than the kernel.
"""

from __future__ import annotations

import os

from jackfield.model.address import MacAddress, PciAddress, parse_hex_id, parse_mac
from jackfield.model.error import Rejected

_NO_MAC = "00:00:00:00:00:00"


def names(folder: str) -> list[str] | None:
    """What stands in a folder; None where it cannot be listed."""
    try:
        return os.listdir(folder)  # noqa: PTH208
    except OSError:
        return None


def exists(path: str) -> bool:
    return os.path.exists(path)  # noqa: PTH110


def read(path: str) -> str | None:
    """The text of a small file, stripped; None where it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(descriptor, 4096).decode("ascii", "replace").strip()
    except OSError:
        return None
    finally:
        os.close(descriptor)


def link(path: str) -> str | None:
    """What a link says, whether or not it leads anywhere."""
    try:
        return os.readlink(path)  # noqa: PTH115
    except OSError:
        return None


def link_name(path: str) -> str | None:
    """The last part of what a link says: a driver, a group, an address."""
    target = link(path)
    return target.rpartition("/")[2] or None if target else None


def digits(text: str | None) -> int | None:
    """A number of the kernel's; negative ones mean "none"."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None


def number(path: str) -> int | None:
    return digits(read(path))


def hex_id(path: str, width: int = 4) -> str | None:
    try:
        return parse_hex_id(read(path) or "", width)
    except Rejected:
        return None


def address(text: str | None) -> PciAddress | None:
    try:
        return PciAddress.parse(text or "")
    except Rejected:
        return None


def mac(text: str) -> MacAddress | None:
    """None also for what Ethernet has not: twenty octets of InfiniBand, or zeros."""
    if text == _NO_MAC:
        return None
    try:
        return parse_mac(text)
    except Rejected:
        return None
