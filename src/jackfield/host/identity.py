"""What a PCI function is known by when its address and its netdev's name may change.

The first of: the PCIe serial number with the function, the permanent MAC, the path of slots from the root
port. A VF is its PF's identity with its index.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterable, Mapping

from jackfield.model.address import MacAddress, PciAddress

_EXTENDED_SPACE = 0x100
_SERIAL_NUMBER = 0x0003
_EXTENDED_CAPABILITIES_MAX = 64
_HOST_BRIDGE = re.compile(r"pci[0-9a-f]{4,8}:[0-9a-f]{2}", re.ASCII)
_FUNCTION = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:([0-9a-f]{2}\.[0-7])", re.ASCII)


def vf_identity(pf_identity: str, index: int) -> str:
    return f"{pf_identity}/vf{index}"


def serial_identity(serial: str, address: PciAddress) -> str:
    return f"serial-{serial}.{address.function}"


def mac_identity(mac: MacAddress) -> str:
    return f"mac-{mac}"


def path_identity(path: str, bridges: Mapping[str, int]) -> str:
    """From where the function stands below `/sys/devices`, without bus numbers.

    Root buses are numbers, too, and two sockets often have the same slots behind different ones: so the
    host bridge counts by its place among the host's bridges (`bridge_order`).
    """
    slots = [match[1] for part in path.split("/") if (match := _FUNCTION.fullmatch(part))]
    return "-".join(["path", str(bridges.get(_bridge(path), 0)), *slots])


def bridge_order(paths: Iterable[str]) -> dict[str, int]:
    """The place of each host bridge that the paths go through, in the order of their root buses."""
    return {name: place for place, name in enumerate(sorted({_bridge(path) for path in paths}))}


def _bridge(path: str) -> str:
    return next((part for part in path.split("/") if _HOST_BRIDGE.fullmatch(part)), "")


def read_serial(config: str) -> str | None:
    """The PCIe device serial number in the function's `config` file, None where there is none.

    The kernel shows the extended configuration space to root only. Each read is a cycle on the bus, so
    only the headers of the capabilities are read.
    """
    try:
        descriptor = os.open(config, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return _serial(descriptor)
    except (OSError, struct.error):  # struct.error: the space ends here
        return None
    finally:
        os.close(descriptor)


def _serial(descriptor: int) -> str | None:
    offset = _EXTENDED_SPACE
    for _ in range(_EXTENDED_CAPABILITIES_MAX):
        (header,) = struct.unpack("<I", os.pread(descriptor, 4, offset))
        if header & 0xFFFF == _SERIAL_NUMBER:
            (number,) = struct.unpack("<Q", os.pread(descriptor, 8, offset + 4))
            # Cards without one written into them show all zeros or all ones.
            return f"{number:016x}" if number not in (0, 2**64 - 1) else None
        offset = header >> 20
        if offset < _EXTENDED_SPACE:
            return None
    return None
