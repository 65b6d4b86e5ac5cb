"""One step of an agent: from what it sees and what is wanted to what it reports and does."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace

from jackfield.model.attachment import (
    AttachmentReport,
    DesiredState,
    ObservedDomain,
    ObservedState,
    OrderReport,
)
from jackfield.reconcile import attachment, domain, order
from jackfield.reconcile.action import Action, ForgetOrder, ForgetStart, Naming, Trouble
from jackfield.reconcile.observation import Observation, order_key


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    naming: Naming = Naming.RENAME
    bridge_mappings: Mapping[str, str] = field(default_factory=dict)
    """Physical network → bridge of this host."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    attachments: tuple[AttachmentReport, ...] = ()
    domains: tuple[ObservedDomain, ...] = ()
    orders: tuple[OrderReport, ...] = ()
    actions: tuple[Action, ...] = ()
    frozen: str | None = None

    def report(
        self, *, installation: str, epoch: int, version: int, boot_id: str, sequence: int
    ) -> ObservedState:
        return ObservedState(
            installation=installation,
            epoch=epoch,
            version=version,
            boot_id=boot_id,
            sequence=sequence,
            domains=self.domains,
            attachments=self.attachments,
            orders=self.orders,
            frozen=self.frozen,
        )


def step(
    seen: Observation,
    desired: DesiredState,
    *,
    settings: Settings,
    busy: frozenset[Hashable] = frozenset(),
    troubles: Mapping[str, Trouble] | None = None,
) -> Step:
    """What to report and to do, given one look and the latest word of the control side.

    `busy` are the keys of effects under way: no action that touches one of them is given. `troubles` tells
    how the last tries failed, by `trouble_key`.
    """
    reason = freeze_reason(seen, desired)
    if reason is not None:
        return Step(frozen=reason, domains=_ours(seen, desired, ()))
    troubles = troubles or {}
    actions: list[Action] = []

    reports: dict[str, AttachmentReport] = {}
    for wanted in desired.attachments:
        trouble = troubles.get(attachment.trouble_key(wanted.claim_id, wanted.generation))
        is_busy = ("instance", wanted.instance_id) in busy
        decided = attachment.decide(wanted, seen, naming=settings.naming, trouble=trouble, is_busy=is_busy)
        reports[wanted.claim_id] = decided.report
        _add(actions, decided.action)
    actions += attachment.sweep(desired.attachments, seen)

    wiring = domain.Wiring(
        installation=desired.installation,
        attachments=desired.attachments,
        reports=reports,
        bridge_mappings=settings.bridge_mappings,
    )
    domains: list[ObservedDomain] = []
    for one in desired.domains:
        ruled = domain.decide(one, seen, wiring, troubles.get(f"instance/{one.instance_id}"))
        domains.append(ruled.report)
        _add(actions, ruled.action)

    orders: list[OrderReport] = []
    for command in desired.orders:
        told = order.decide(command, seen, busy)
        if told.report is not None:
            orders.append(told.report)
        _add(actions, told.action)
    spoken_of = {order_key(command.id, command.generation) for command in desired.orders}
    actions += [ForgetOrder(key=key) for key in seen.journal.orders if key not in spoken_of]
    known = {one.instance_id for one in desired.domains} | {one.uuid for one in seen.domains}
    actions += [ForgetStart(instance_id=id) for id in seen.journal.started if id not in known]

    return Step(
        attachments=tuple(reports.values()),
        domains=tuple(
            replace(one, is_busy=("instance", one.instance_id) in busy)
            for one in (*domains, *_ours(seen, desired, tuple(d.instance_id for d in domains)))
        ),
        orders=tuple(orders),
        actions=tuple(action for action in actions if not action.keys & busy),
    )


def freeze_reason(seen: Observation, desired: DesiredState) -> str | None:
    """Why this desired state must not be obeyed, or None.

    A control plane that was restored from a backup, or mistaken for another, must never wipe a host.
    """
    journal = seen.journal
    if journal.installation is not None and journal.installation != desired.installation:
        return (
            f"this host belongs to installation {journal.installation}, and {desired.installation} speaks; "
            "nothing is done until the journal is moved away or the right control plane is back"
        )
    if desired.version < journal.version:
        return (
            f"desired version {desired.version} is older than {journal.version}, which was obeyed before; "
            "was the control plane restored from a backup? Nothing is done until it is newer"
        )
    return None


def _ours(seen: Observation, desired: DesiredState, told: tuple[str, ...]) -> tuple[ObservedDomain, ...]:
    """Domains of ours that nothing is wanted of here: a guest on its way in, or one left behind."""
    return tuple(
        domain.observed(one.uuid, one, seen.journal.started.get(one.uuid))
        for one in seen.domains
        if one.installation == desired.installation and one.uuid not in told
    )


def _add(actions: list[Action], action: Action | None) -> None:
    if action is not None:
        actions.append(action)
