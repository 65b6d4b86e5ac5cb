"""What is asked for, and which pools answer to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jackfield.model.device import Attributes, DeviceId, Scalar
from jackfield.model.selector import Alternative, Equal
from jackfield.schedule.pool import Pool, Signature


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One device for one instance."""

    name: str
    """Unique among the requests of the instance: a port's id, or `gpu/1`."""
    alternatives: tuple[Alternative, ...]
    """In the order of preference."""
    required: Mapping[str, Scalar] = field(default_factory=dict)
    """What else the device must have, whichever alternative it answers to: its port's `physical_network`."""
    excluded: frozenset[DeviceId] = frozenset()
    """Devices that will not do for reasons that no attribute shows."""

    def missing(self, attributes: Attributes) -> str | None:
        """The first required attribute that is absent or another one."""
        for name, wanted in self.required.items():
            value = attributes.get(name)
            if value is None or not Equal(wanted).holds(value):
                return name
        return None

    def answers(self, attributes: Attributes) -> tuple[bool, ...]:
        """For each alternative, whether a device with these attributes will do."""
        fits = self.missing(attributes) is None
        return tuple(fits and alternative.matches(attributes) for alternative in self.alternatives)


class Matches:
    """Which alternatives of the requests a pool answers to, evaluated once for each signature."""

    def __init__(self, requests: Sequence[Request]) -> None:
        self._requests = requests
        self._known: dict[Signature, tuple[tuple[bool, ...], ...] | None] = {}

    def of(self, pool: Pool) -> tuple[tuple[bool, ...], ...] | None:
        """For each request and alternative, whether it matches; None if none does."""
        signature = pool.signature
        if signature not in self._known:
            answers = tuple(request.answers(pool.attributes) for request in self._requests)
            self._known[signature] = answers if any(map(any, answers)) else None
        return self._known[signature]
