"""Whether requests fit on one host together: exactly, although a PF and its VFs exclude one another.

Devices that nobody can tell apart form a *unit*; a set of units is an integer, one bit for each. With the
choice "PF or VFs" made, the question is a bipartite matching of requests to units; without it, the
matching is a relaxation. So: match; no matching means no fit; a matching in which no PF meets a VF of its
own is a fit; otherwise branch on such a PF: either its VFs are out, or it is.

PFs with the same prospects (asked for by the same requests, with the same VFs) are interchangeable, so
that in some fit those taken whole are the first of them: a branch decides for all before or all after
one. Hence at most the product of (size + 1) over such classes is searched, times one matching: requests
squared by units. The search stops at a bound, and says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

from jackfield.model.device import DeviceId
from jackfield.schedule.match import Matches, Request
from jackfield.schedule.pool import FreeDevice, Pool

BRANCHES_MAX = 1000
"""How often one decision may branch on one host; a host of 8 equal PFs needs 8 at a time."""


class BoundReached(Exception):
    """The search was given up: neither a fit nor its absence is known. Never leaves `schedule`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    pool: Pool
    devices: tuple[FreeDevice, ...]
    """Equal to every request; the order is that in which they go. A PF with free VFs is alone."""
    answers: tuple[tuple[bool, ...], ...]
    """For each request and alternative, whether they will do."""


class Host:
    """One host's free devices, as far as some request asks for them."""

    def __init__(
        self, requests: Sequence[Request], pools: Sequence[Pool], matches: Matches, branches_max: int
    ) -> None:
        self.units = _units(requests, pools, matches)
        self.allowed = [
            [
                sum(1 << u for u, unit in enumerate(self.units) if unit.answers[r][a])
                for a in range(len(request.alternatives))
            ]
            for r, request in enumerate(requests)
        ]
        """For each request and alternative, the units that answer to it."""
        place = {unit.devices[0].device_id: u for u, unit in enumerate(self.units)}
        parents = [unit.pool.parent_id for unit in self.units]
        self._parent = [None if parent is None else place.get(parent) for parent in parents]
        self._children = [0] * len(self.units)
        for u, parent in enumerate(self._parent):
            if parent is not None:
                self._children[parent] |= 1 << u
        self._taken = [0] * len(self.units)
        self._branches_left = branches_max

    def answering(self, request: int) -> int:
        """The units that answer to any of the request's alternatives."""
        return reduce(or_, self.allowed[request], 0)

    def next_device(self, unit: int) -> FreeDevice | None:
        """The device of the unit that goes next; None once all are taken."""
        left = self.units[unit].devices[self._taken[unit] :]
        return left[0] if left else None

    def take(self, unit: int) -> None:
        """Takes the unit's next device out of every later question; its rivals are `without`'s affair."""
        self._taken[unit] += 1

    def without(self, unit: int, choices: Iterable[int]) -> list[int]:
        """The choices less what is out as soon as a device of this unit is taken: its PF, or its VFs."""
        parent = self._parent[unit]
        out = self._children[unit] | (0 if parent is None else 1 << parent)
        return [units & ~out for units in choices]

    def leaves_room(self, unit: int, choices: Iterable[int]) -> bool:
        """Whether `choices` would fit beside a request that takes the unit's next device.

        Raises `BoundReached`.
        """
        self._taken[unit] += 1
        try:
            return self.fits(self.without(unit, choices))
        finally:
            self._taken[unit] -= 1

    def fits(self, choices: Sequence[int]) -> bool:
        """Whether each request can have a device of its own, out of the units of its choice.

        Raises `BoundReached`.
        """
        classes = self._classes(choices)
        open_branches = [0]
        while open_branches:
            out = open_branches.pop()
            used = self._match([units & ~out for units in choices])
            if used is None:
                continue
            clash = self._clash(classes, used)
            if clash is None:
                return True
            if self._branches_left == 0:
                raise BoundReached
            self._branches_left -= 1
            vfs, pfs = clash
            open_branches += [out | pfs, out | vfs]
        return False

    def _clash(self, classes: Sequence[Sequence[int]], used: int) -> tuple[int, int] | None:
        """For the first PF used beside a VF of its own: what is out if it is taken whole, and if not."""
        for members in classes:
            for i, unit in enumerate(members):
                if used >> unit & 1 and used & self._children[unit]:
                    vfs = sum(self._children[member] for member in members[: i + 1])
                    return vfs, sum(1 << member for member in members[i:])
        return None

    def _classes(self, choices: Sequence[int]) -> list[list[int]]:
        """The PFs with free VFs, those together that are interchangeable under these choices."""

        def prospects(unit: int) -> tuple[int, int]:
            askers = sum(1 << r for r, units in enumerate(choices) if units >> unit & 1)
            return askers, self._capacity(unit)

        classes: dict[object, list[int]] = {}
        for unit, children in enumerate(self._children):
            if children:
                key = prospects(unit), tuple(sorted(prospects(child) for child in bits(children)))
                classes.setdefault(key, []).append(unit)
        return list(classes.values())

    def _capacity(self, unit: int) -> int:
        return len(self.units[unit].devices) - self._taken[unit]

    def _match(self, choices: Sequence[int]) -> int | None:
        """The units used by some matching of all requests, PFs and VFs regardless; None without any.

        Kuhn's algorithm: place one request after the other, moving earlier ones aside.
        """
        holders: list[list[int]] = [[] for _ in self.units]

        def place(request: int, seen: set[int]) -> bool:
            for unit in bits(choices[request]):
                if unit in seen:
                    continue
                seen.add(unit)
                if len(holders[unit]) < self._capacity(unit):
                    holders[unit].append(request)
                    return True
                for i, other in enumerate(holders[unit]):
                    if place(other, seen):
                        holders[unit][i] = request
                        return True
            return False

        if not all(place(request, set()) for request in range(len(choices))):
            return None
        return sum(1 << unit for unit, held in enumerate(holders) if held)


def bits(units: int) -> Iterator[int]:
    """The units of a set, in rising order."""
    while units:
        lowest = units & -units
        yield lowest.bit_length() - 1
        units ^= lowest


def _units(requests: Sequence[Request], pools: Sequence[Pool], matches: Matches) -> tuple[Unit, ...]:
    parents = frozenset(pool.parent_id for pool in pools if pool.parent_id is not None)
    special = parents.union(*(request.excluded for request in requests))
    units = []
    for pool in pools:
        answers = matches.of(pool)
        if answers is None:
            continue
        if special.isdisjoint(pool.ids):
            units.append(Unit(pool=pool, devices=pool.devices, answers=answers))
            continue
        groups: dict[tuple[DeviceId | None, tuple[bool, ...]], list[FreeDevice]] = {}
        for device in pool.devices:
            alone = device.device_id if device.device_id in parents else None
            excluded = tuple(device.device_id in request.excluded for request in requests)
            groups.setdefault((alone, excluded), []).append(device)
        for (_, excluded), devices in groups.items():
            left = tuple(
                tuple(yes and not out for yes in one) for out, one in zip(excluded, answers, strict=True)
            )
            units.append(Unit(pool=pool, devices=tuple(devices), answers=left))
    return tuple(units)
