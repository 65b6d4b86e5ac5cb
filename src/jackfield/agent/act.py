"""Carries actions out on the host. Each is idempotent, and journals before it touches."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import assert_never

from jackfield.agent.journal import Notebook
from jackfield.host.interface import Libvirt, Netlink
from jackfield.model.attachment import DomainState, Order, OrderKind, OrderReport, OrderState
from jackfield.model.error import JackfieldError, NotFound, Rejected, Unavailable
from jackfield.reconcile.action import (
    AbortJob,
    Action,
    CarryOut,
    ForgetOrder,
    ForgetPrior,
    ForgetStart,
    Naming,
    PrepareDevice,
    RecordOrder,
    RecordStart,
    RemoveDomain,
    RestoreDevice,
    StartDomain,
    StopDomain,
    Trouble,
)
from jackfield.reconcile.attachment import WAS, trouble_key
from jackfield.reconcile.observation import Started
from jackfield.xml.rewrite import with_netdevs


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an action ended: `trouble` is None when it did what it should."""

    action: Action
    trouble: Trouble | None


class Actor:
    def __init__(self, libvirt: Libvirt, netlink: Netlink, notebook: Notebook) -> None:
        self._libvirt = libvirt
        self._netlink = netlink
        self._notebook = notebook

    def work(self, action: Action) -> Callable[[], Outcome]:
        """The action as work for an executor; it never raises a `JackfieldError`. May block for long."""

        def run() -> Outcome:
            try:
                self._do(action)
            except JackfieldError as error:
                # What refuses will refuse again. What does not answer, or is not there as it was at the
                # last look, is tried again after the next one.
                final = isinstance(error, Rejected) and not isinstance(error, NotFound)
                return Outcome(action, Trouble(text=f"{error.code}: {error.message}", is_final=final))
            return Outcome(action, None)

        return run

    def _do(self, action: Action) -> None:
        match action:
            case PrepareDevice():
                self._prepare(action)
            case RestoreDevice():
                self._restore(action)
            case ForgetPrior():
                self._notebook.forget_prior(action.claim_id)
            case StartDomain():
                self._start(action)
            case RecordStart():
                self._notebook.record_start(action.instance_id, action.started)
            case ForgetStart():
                self._notebook.forget_start(action.instance_id)
            case StopDomain():
                self._libvirt.stop(action.instance_id)
            case RemoveDomain():
                self._remove(action)
            case CarryOut():
                self._carry_out(action.order)
            case AbortJob():
                self._libvirt.abort(action.instance_id)
            case RecordOrder():
                self._notebook.record_order(action.report)
            case ForgetOrder():
                self._notebook.forget_order(action.key)
            case _:
                assert_never(action)

    def _prepare(self, action: PrepareDevice) -> None:
        self._notebook.remember_prior(action.claim_id, action.prior)
        if action.logical_name is None:
            return
        if action.naming is Naming.ALTNAME:
            self._netlink.add_altname(action.netdev, action.logical_name)
            return
        # The old name first: whoever finds the renamed device without our journal knows the way back.
        self._netlink.add_altname(action.netdev, WAS + action.prior.netdev)
        self._netlink.rename(action.netdev, action.logical_name)

    def _restore(self, action: RestoreDevice) -> None:
        # The name last but one and the mark of the old name last: a crash in between is found again.
        self._netlink.set_mac(action.netdev, action.prior.mac)
        self._netlink.rename(action.netdev, action.prior.netdev)
        for altname in action.our_altnames:
            self._netlink.remove_altname(action.prior.netdev, altname)

    def _start(self, action: StartDomain) -> None:
        try:
            self._libvirt.define(action.xml)
            self._libvirt.start(action.instance_id)
        except Unavailable:
            raise
        except JackfieldError as error:
            # libvirt refused: this generation is carried out, and it failed.
            failed = Started(generation=action.generation, error=f"{error.code}: {error.message}")
            self._notebook.record_start(action.instance_id, failed)
            return
        self._notebook.record_start(action.instance_id, Started(generation=action.generation))

    def _remove(self, action: RemoveDomain) -> None:
        if action.unless_running:
            # Look again at the last moment: the guest may have been resumed since the step decided.
            state = next((d.state for d in self._libvirt.domains() if d.uuid == action.instance_id), None)
            if state is DomainState.RUNNING:
                return
        self._libvirt.stop(action.instance_id)
        self._libvirt.undefine(action.instance_id)

    def _carry_out(self, order: Order) -> None:
        def record(state: OrderState, error: str | None = None, paused: float | None = None) -> None:
            report = OrderReport(
                id=order.id, generation=order.generation, state=state, error=error, paused_seconds=paused
            )
            self._notebook.record_order(report)

        try:
            # All that only looks comes first: an order that is not journalled yet may be tried again.
            effect = self._made_ready(order)
        except Unavailable:
            raise
        except JackfieldError as problem:
            record(OrderState.FAILED, problem.message)
            return
        record(OrderState.RUNNING)
        try:
            paused = effect()
        except Unavailable as problem:
            record(OrderState.UNKNOWN, problem.message)
        except JackfieldError as problem:
            record(OrderState.FAILED, problem.message)
        else:
            record(OrderState.SUCCEEDED, paused=paused)

    def _made_ready(self, order: Order) -> Callable[[], float | None]:
        """What the order comes to; nothing is touched yet."""
        id = order.instance_id
        if order.kind is OrderKind.RESUME:
            return partial(self._libvirt.resume, id)
        live = inactive = None
        if order.netdevs:
            live = with_netdevs(self._libvirt.live_xml(id), order.netdevs)
            # A guest that runs here without a definition gets libvirt's own there.
            with contextlib.suppress(NotFound):
                inactive = with_netdevs(self._libvirt.inactive_xml(id), order.netdevs)
        return partial(
            self._libvirt.migrate,
            id,
            order.target_uri,
            destination_xml=live,
            persistent_xml=inactive,
            bandwidth_mib=order.bandwidth_mib,
        )


def trouble_key_of(action: Action) -> str | None:
    """Under which key the next step looks for this action's trouble; None where nobody looks."""
    match action:
        case PrepareDevice() | RestoreDevice():
            return trouble_key(action.claim_id, action.generation)
        case StartDomain() | StopDomain() | RemoveDomain():
            return f"instance/{action.instance_id}"
        case _:
            return None
