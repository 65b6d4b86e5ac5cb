"""Addresses, parsed once at the edge and trusted afterwards."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NewType

from jackfield.model.error import Rejected

MacAddress = NewType("MacAddress", str)
"""Six octets in lower-case hex joined by colons, as the kernel prints them."""

_PCI = re.compile(r"(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([01][0-9a-f])\.([0-7])", re.ASCII)
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.ASCII)
_HEX_ID = re.compile(r"(?:0x)?([0-9a-f]{1,8})", re.ASCII)


@dataclass(frozen=True, order=True, slots=True)
class PciAddress:
    """Where a PCI function is plugged in, `domain:bus:slot.function`; it may change over a reboot."""

    domain: int
    bus: int
    slot: int
    function: int

    @classmethod
    def parse(cls, text: str) -> PciAddress:
        """The address that `text` names; the domain may be left out and is then 0.

        Raises `Rejected` (`address-malformed`).
        """
        match = _PCI.fullmatch(text.strip().lower())
        if match is None:
            raise Rejected(
                "address-malformed",
                f"{text!r} is not a PCI address; write it as domain:bus:slot.function, as in 0000:01:10.2",
            )
        domain, bus, slot, function = match.groups()
        return cls(int(domain or "0", 16), int(bus, 16), int(slot, 16), int(function, 16))

    def __str__(self) -> str:
        return f"{self.domain:04x}:{self.bus:02x}:{self.slot:02x}.{self.function:x}"


def parse_mac(text: str) -> MacAddress:
    """The MAC address in `text`, in lower case.

    Raises `Rejected` (`mac-malformed`), also for a multicast address: no interface can have one.
    """
    mac = text.strip().lower().replace("-", ":")
    if not _MAC.fullmatch(mac):
        raise Rejected("mac-malformed", f"{text!r} is not a MAC address; write it as fa:16:3e:46:d3:e8")
    if int(mac[:2], 16) & 1:
        raise Rejected("mac-malformed", f"{text!r} is a multicast address; an interface needs a unicast one")
    return MacAddress(mac)


def parse_hex_id(text: str, digits: int = 4) -> str:
    """A PCI vendor, product or class id in lower-case hex without `0x`, padded to `digits`.

    Raises `Rejected` (`id-malformed`).
    """
    match = _HEX_ID.fullmatch(text.strip().lower())
    if match is None or len(match[1].lstrip("0")) > digits:
        raise Rejected("id-malformed", f"{text!r} is not a PCI id of at most {digits} hexadecimal digits")
    return match[1].lstrip("0").rjust(digits, "0")
