"""The decision: which host, and which device there for each request of an instance.

    allocate(requests, pools_by_host, flavors_matching) -> Placement | NoFit | BoundHit

1. On each host, the requests in order take the first of their alternatives with which the rest still fits
   in some way (`fit`): the lexicographically best vector of alternatives.
2. The best vector of the fleet wins: a host that satisfies an earlier alternative beats every host that
   satisfies only a later one.
3. On the hosts with that vector, each request in order takes the least-featured device with which the
   rest still fits; the hosts are ranked by what that costs (`rank`).

Grows linearly with hosts. On a host a decision costs requests times alternatives tries for the vector and
requests times units for the devices, a try being one matching, save where PFs and VFs are asked for together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from jackfield.model.device import DeviceId
from jackfield.schedule.explain import Explanations, Shortfall, total
from jackfield.schedule.fit import BRANCHES_MAX, BoundReached, Host, bits
from jackfield.schedule.match import Matches, Request
from jackfield.schedule.pool import FreeDevice, Pool
from jackfield.schedule.rank import DeviceRank, Features, rank_host

Vector: TypeAlias = tuple[int, ...]
"""For each request, the index of the alternative that its device answers to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    host: str
    devices: Mapping[str, DeviceId]
    """By the request's name."""
    vector: Vector
    undecided: tuple[str, ...] = ()
    """Hosts whose search was given up: they might have had a better vector."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NoFit:
    """An answer, not an error: no host has room for all requests together. It is final for its snapshot."""

    hosts: Mapping[str, str]
    """Each host's first reason, in a sentence."""
    shortfalls: tuple[Shortfall, ...]
    """Free devices that did not help, by first reason and signature, summed over the hosts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BoundHit:
    """Nothing was found, and on these hosts the search was given up: they may have room or not."""

    hosts: tuple[str, ...]


def allocate(
    requests: Sequence[Request],
    pools_by_host: Mapping[str, Sequence[Pool]],
    flavors_matching: Callable[[Pool], int],
    *,
    branches_max: int = BRANCHES_MAX,
) -> Placement | NoFit | BoundHit:
    """Where the instance goes; the same snapshot gives the same answer, in whatever order it is told.

    Only hosts in `pools_by_host` are considered: one without free devices stands there with no pools.
    `flavors_matching` is asked once for each signature.
    """
    assert len({request.name for request in requests}) == len(requests)
    matches = Matches(requests)
    best: Vector | None = None
    equals: list[tuple[str, Host]] = []
    undecided: list[str] = []
    for name in sorted(pools_by_host):
        host = Host(requests, pools_by_host[name], matches, branches_max)
        try:
            vector = _best_vector(host, best)
        except BoundReached:
            undecided.append(name)
            continue
        if vector is None:
            continue
        if vector != best:
            best, equals = vector, []
        equals.append((name, host))

    features = Features(flavors_matching)
    candidates = []
    for name, host in equals:
        try:
            taken = _pick(host, best or (), features)
        except BoundReached:
            undecided.append(name)
            continue
        candidates.append((rank_host(name, pools_by_host[name], taken), taken))
    if candidates:
        rank, taken = min(candidates, key=lambda candidate: candidate[0])
        return Placement(
            host=rank[-1],
            devices={
                request.name: device.device_id for request, (_, device) in zip(requests, taken, strict=True)
            },
            vector=best or (),
            undecided=tuple(undecided),
        )
    if undecided:
        return BoundHit(hosts=tuple(undecided))
    explanations = Explanations(requests, branches_max)
    refusals = {name: explanations.of(pools_by_host[name]) for name in sorted(pools_by_host)}
    return NoFit(
        hosts={name: refusal.sentence for name, refusal in refusals.items() if refusal},
        shortfalls=total(refusal for refusal in refusals.values() if refusal),
    )


def _best_vector(host: Host, limit: Vector | None) -> Vector | None:
    """The lexicographically best vector; None if nothing fits, or nothing as good as `limit`."""
    choices = [host.answering(r) for r in range(len(host.allowed))]
    if not all(choices) or not host.fits(choices):
        return None
    vector: list[int] = []
    for r, alternatives in enumerate(host.allowed):
        # The last needs no try: with any alternative for this request, the rest has just been found to fit.
        tries = (host.fits([*choices[:r], units, *choices[r + 1 :]]) for units in alternatives[:-1])
        a = next((a for a, fits in enumerate(tries) if fits), len(alternatives) - 1)
        choices[r] = alternatives[a]
        vector.append(a)
        if limit is not None and tuple(vector) > limit[: r + 1]:
            return None
    return tuple(vector)


def _pick(host: Host, vector: Vector, features: Features) -> list[tuple[DeviceRank, FreeDevice]]:
    """For each request, the least-featured device with which those after it still fit."""
    choices = [alternatives[a] for alternatives, a in zip(host.allowed, vector, strict=True)]
    taken: list[tuple[DeviceRank, FreeDevice]] = []
    while choices:
        mine, *rest = choices
        devices = ((unit, host.next_device(unit)) for unit in bits(mine))
        ranked = sorted(
            (features.of(host.units[unit].pool, device), unit, device) for unit, device in devices if device
        )
        rank, unit, device = next(each for each in ranked if host.leaves_room(each[1], rest))
        host.take(unit)
        choices = host.without(unit, rest)
        taken.append((rank, device))
    return taken
