"""Why requests do not fit on a host, in words.

The reason is the first that stops the instance there: a request that no free device answers to, else the
first request that does not fit beside those before it. Costs requests times pools for each host; what a
signature lacks is worked out once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jackfield.model.device import Attributes
from jackfield.model.selector import Alternative
from jackfield.schedule.fit import BRANCHES_MAX, BoundReached, Host
from jackfield.schedule.match import Matches, Request
from jackfield.schedule.pool import Pool, Signature

_CROWDED = "it is taken by the requests before, or shut out by a PF or VF that they take"


@dataclass(frozen=True, kw_only=True, slots=True)
class Shortfall:
    """Free devices of one signature that did not help, and the first reason why."""

    request: str
    reason: str
    signature: Signature
    devices: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """Why one host was refused."""

    sentence: str
    shortfalls: tuple[Shortfall, ...]
    """For the request that the sentence names."""


def explain(requests: Sequence[Request], pools: Sequence[Pool]) -> Refusal | None:
    """The first reason that a host with these pools is refused for; None when everything fits."""
    return Explanations(requests).of(pools)


class Explanations:
    """The same for many hosts."""

    def __init__(self, requests: Sequence[Request], branches_max: int = BRANCHES_MAX) -> None:
        self._requests = requests
        self._branches_max = branches_max
        self._matches = Matches(requests)
        self._lacks: dict[tuple[str, Signature], str | None] = {}

    def of(self, pools: Sequence[Pool]) -> Refusal | None:
        for request in self._requests:
            reasons = [self._reason(request, pool) for pool in pools]
            if all(reason is not None for reason in reasons):
                return Refusal(
                    sentence=f"request {request.name!r}: {_unanswered(request, pools)}",
                    shortfalls=tuple(
                        Shortfall(
                            request=request.name,
                            reason=reason or "",
                            signature=pool.signature,
                            devices=len(pool.devices),
                        )
                        for reason, pool in zip(reasons, pools, strict=True)
                    ),
                )
        return self._crowded(pools)

    def _crowded(self, pools: Sequence[Pool]) -> Refusal | None:
        host = Host(self._requests, pools, self._matches, self._branches_max)
        choices = [host.answering(r) for r in range(len(self._requests))]
        for last, request in enumerate(self._requests):
            try:
                if host.fits(choices[: last + 1]):
                    continue
            except BoundReached:
                return Refusal(
                    sentence=f"request {request.name!r}: the search was given up before an answer was found",
                    shortfalls=(),
                )
            answering = [pool for pool in pools if self._reason(request, pool) is None]
            others = ", ".join(repr(other.name) for other in self._requests[:last])
            return Refusal(
                sentence=f"request {request.name!r}: {_count(answering)} would do, but not beside {others}",
                shortfalls=tuple(
                    Shortfall(
                        request=request.name,
                        reason=_CROWDED,
                        signature=pool.signature,
                        devices=len(pool.devices),
                    )
                    for pool in answering
                ),
            )
        return None

    def _reason(self, request: Request, pool: Pool) -> str | None:
        """Why none of the pool's devices answers to the request; None when one does."""
        key = request.name, pool.signature
        if key not in self._lacks:
            self._lacks[key] = _lack(request, pool.attributes)
        lack = self._lacks[key]
        if lack is None and pool.ids <= request.excluded:
            return "it is excluded for this request"
        return lack


def total(refusals: Iterable[Refusal]) -> tuple[Shortfall, ...]:
    """The shortfalls of many hosts, devices summed; the largest first."""
    devices: Counter[tuple[str, str, Signature]] = Counter()
    for refusal in refusals:
        for one in refusal.shortfalls:
            devices[one.request, one.reason, one.signature] += one.devices
    return tuple(
        Shortfall(request=request, reason=reason, signature=signature, devices=count)
        for (request, reason, signature), count in devices.most_common()
    )


def _lack(request: Request, attributes: Attributes) -> str | None:
    missing = request.missing(attributes)
    if missing is not None:
        return _found(missing, attributes) + f", {request.required[missing]!r} is required"
    failing = [_failing(alternative, attributes) for alternative in request.alternatives]
    reasons = [reason for reason in failing if reason is not None]
    return " and ".join(dict.fromkeys(reasons)) if len(reasons) == len(failing) else None


def _failing(alternative: Alternative, attributes: Attributes) -> str | None:
    condition = alternative.first_failing(attributes)
    if condition is None:
        return None
    return f"{_found(condition.attribute, attributes)}, {condition.test.to_json()!r} is asked for"


def _found(name: str, attributes: Attributes) -> str:
    return f"{name} is {attributes[name]!r}" if name in attributes else f"it has no {name}"


def _unanswered(request: Request, pools: Sequence[Pool]) -> str:
    """Which requirement, alternatives or exclusion left none of the pools."""
    if not pools:
        return "the host has no free device"
    left = pools
    having = ""
    for name, value in request.required.items():
        wanted = Request(name=request.name, alternatives=(), required={name: value})
        before, left = left, [pool for pool in left if wanted.missing(pool.attributes) is None]
        having = f"{having} and {name}={value}" if having else f" with {name}={value}"
        if not left:
            return f"no free device{having} among {_count(before)}"
    matching = [pool for pool in left if any(request.answers(pool.attributes))]
    if matching:
        return f"{_count(matching)}{having} would do, but all are excluded for this request"
    return f"none of {_count(left)}{having} answers to any of its {len(request.alternatives)} alternatives"


def _count(pools: Iterable[Pool]) -> str:
    count = sum(len(pool.devices) for pool in pools)
    return f"{count} free device{'' if count == 1 else 's'}"
