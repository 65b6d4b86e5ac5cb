"""Networks on the wire."""

from __future__ import annotations

from jackfield.model.network import SegmentKind
from jackfield.wire.shape import Integer, Name, Request, Shape


class NetworkCreate(Request):
    name: Name
    physical_network: Name
    segment: SegmentKind = SegmentKind.FLAT
    vlan: Integer | None = None


class Network(Shape):
    id: str
    name: str
    physical_network: str
    segment: SegmentKind
    vlan: int | None


class Networks(Shape):
    networks: tuple[Network, ...]
