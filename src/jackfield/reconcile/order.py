"""One order: carried out once for each id and generation, whatever dies in between."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace

from jackfield.model.attachment import DomainState, Order, OrderKind, OrderReport, OrderState
from jackfield.reconcile.action import AbortJob, Action, CarryOut, RecordOrder
from jackfield.reconcile.observation import Observation, order_key


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    report: OrderReport | None
    """None before it was begun."""
    action: Action | None = None


def decide(order: Order, seen: Observation, busy: frozenset[Hashable]) -> Verdict:
    """What to report of one order, and the one action that brings it further."""
    known = seen.journal.orders.get(order_key(order.id, order.generation))
    domain = seen.domain(order.instance_id)
    if known is None:
        return Verdict(report=None, action=_begin(order, seen))
    if known.state is not OrderState.RUNNING:
        return Verdict(report=known)

    is_ours = ("instance", order.instance_id) in busy
    if is_ours or (domain is not None and domain.has_job):
        # A peer-to-peer job outlives its client: one that we find running after our own death is adopted.
        abort = AbortJob(instance_id=order.instance_id) if order.abort else None
        progress = seen.jobs.get(order.instance_id, {})
        return Verdict(report=replace(known, progress=progress), action=abort)
    unknown = replace(known, state=OrderState.UNKNOWN, error="the agent was away while the order ended")
    return Verdict(report=known, action=RecordOrder(report=unknown, instance_id=order.instance_id))


def _begin(order: Order, seen: Observation) -> Action:
    domain = seen.domain(order.instance_id)
    state = domain.state if domain else DomainState.ABSENT
    begins_on = DomainState.RUNNING if order.kind is OrderKind.MIGRATE else DomainState.PAUSED
    if order.abort:
        return _never_begun(order, "aborted before it began")
    if state is not begins_on:
        return _never_begun(order, f"the domain is {state.value} here, not {begins_on.value}")
    return CarryOut(order=order)


def _never_begun(order: Order, why: str) -> Action:
    report = OrderReport(id=order.id, generation=order.generation, state=OrderState.FAILED, error=why)
    return RecordOrder(report=report, instance_id=order.instance_id)
