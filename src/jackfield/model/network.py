"""Networks, as in Neutron: a physical network and a segment on it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from jackfield.model.error import Rejected

VLAN_MIN, VLAN_MAX = 1, 4094


class SegmentKind(StrEnum):
    FLAT = "flat"
    VLAN = "vlan"


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    id: str
    name: str
    physical_network: str
    segment: SegmentKind = SegmentKind.FLAT
    vlan: int | None = None
    """1 to 4094 on a VLAN segment, None on a flat one."""


def check_segment(segment: SegmentKind, vlan: int | None) -> None:
    """Raises `Rejected` (`network-vlan`) unless segment and VLAN id belong together."""
    if segment is SegmentKind.FLAT and vlan is not None:
        raise Rejected(
            "network-vlan", f"a flat network has no VLAN, but {vlan} was given; use segment 'vlan'"
        )
    if segment is SegmentKind.VLAN and (vlan is None or not VLAN_MIN <= vlan <= VLAN_MAX):
        raise Rejected(
            "network-vlan", f"VLAN {vlan}: a VLAN network needs an id from {VLAN_MIN} to {VLAN_MAX}"
        )
