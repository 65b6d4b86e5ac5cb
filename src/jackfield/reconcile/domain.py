"""One domain: whether to start, stop or remove it. Never because something is absent.

A start happens once for each start generation; a stop or removal only on an explicit word (behaviour 77).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from jackfield.model.attachment import (
    Attachment,
    AttachmentReport,
    AttachmentState,
    DesiredDomain,
    DomainState,
    ObservedDomain,
    Power,
    Wanted,
)
from jackfield.model.port import VnicType
from jackfield.reconcile.action import Action, RecordStart, RemoveDomain, StartDomain, StopDomain, Trouble
from jackfield.reconcile.observation import Domain, Observation, Started
from jackfield.xml.domain import MarkedPort, Metadata, compose
from jackfield.xml.interface import BridgeInterface, Interface, MacvtapInterface


@dataclass(frozen=True, kw_only=True, slots=True)
class Wiring:
    """All that the interfaces of one domain are made of."""

    installation: str
    attachments: tuple[Attachment, ...]
    reports: Mapping[str, AttachmentReport]
    bridge_mappings: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    report: ObservedDomain
    action: Action | None = None


def decide(
    desired: DesiredDomain, seen: Observation, wiring: Wiring, trouble: Trouble | None = None
) -> Verdict:
    """What to report of one wanted domain, and the one action that brings it further."""
    domain = seen.domain(desired.instance_id)
    started = seen.journal.started.get(desired.instance_id, Started(generation=0))
    report = observed(desired.instance_id, domain, started, trouble.text if trouble else None)
    return Verdict(report=report, action=_action(desired, domain, started, wiring, trouble))


def observed(
    instance_id: str, domain: Domain | None, started: Started | None, trouble: str | None = None
) -> ObservedDomain:
    """A domain as it is reported; `None` is one that libvirt does not have."""
    generation = started.generation if started else 0
    error = (started.error if started else None) or trouble
    if domain is None:
        return ObservedDomain(
            instance_id=instance_id, state=DomainState.ABSENT, started=generation, error=error
        )
    return ObservedDomain(
        instance_id=instance_id,
        state=domain.state,
        started=generation,
        interfaces=domain.interfaces,
        has_job=domain.has_job,
        error=error,
    )


def _action(
    desired: DesiredDomain,
    domain: Domain | None,
    started: Started,
    wiring: Wiring,
    trouble: Trouble | None,
) -> Action | None:
    match desired.power:
        case Power.RUN:
            return _start(desired, domain, started, wiring, trouble)
        case Power.STOP:
            return StopDomain(instance_id=desired.instance_id) if domain and domain.is_active else None
        case Power.DELETE:
            return RemoveDomain(instance_id=desired.instance_id, unless_running=False) if domain else None
        case Power.DELETE_UNLESS_RUNNING:
            if domain is None or domain.state is DomainState.RUNNING or domain.has_job:
                return None
            return RemoveDomain(instance_id=desired.instance_id, unless_running=True)
    assert_never(desired.power)


def _start(
    desired: DesiredDomain,
    domain: Domain | None,
    started: Started,
    wiring: Wiring,
    trouble: Trouble | None,
) -> Action | None:
    if desired.start is None or desired.start <= started.generation:
        return None
    if domain is not None and domain.state is DomainState.PAUSED and domain.has_job:
        # A start that was begun before we died, or libvirtd did, and that may yet be undone: QEMU is there,
        # nothing ran.
        return None
    if domain is not None and domain.is_active:
        # We started it and died before the journal knew, or it was never off.
        return RecordStart(instance_id=desired.instance_id, started=Started(generation=desired.start))
    if trouble is not None and trouble.is_final:
        return _cannot(desired, desired.start, trouble.text)
    mine = [
        a for a in wiring.attachments if a.instance_id == desired.instance_id and a.wanted is Wanted.PREPARED
    ]
    for attachment in mine:
        report = wiring.reports[attachment.claim_id]
        if report.state is AttachmentState.FAILED:
            return _cannot(desired, desired.start, report.problem or "a device could not be prepared")
        if report.state is not AttachmentState.PREPARED:
            return None
    interfaces: list[tuple[int, Interface]] = []
    for attachment in mine:
        netdev = wiring.reports[attachment.claim_id].netdev
        if attachment.vnic_type is not VnicType.MACVTAP or netdev is None:
            return _cannot(
                desired, desired.start, f"no XML is known for a port of {attachment.vnic_type.value}"
            )
        nic = MacvtapInterface(
            mac=attachment.mac, netdev=netdev, vlan=attachment.vlan, guest_address=attachment.guest_address
        )
        interfaces.append((attachment.port_number, nic))
    for port in desired.plain_ports:
        bridge = wiring.bridge_mappings.get(port.physical_network)
        if bridge is None:
            return _cannot(
                desired, desired.start, f"bridge_mappings of this host lacks {port.physical_network!r}"
            )
        interfaces.append(
            (port.port_number, BridgeInterface(mac=port.mac, bridge=bridge, guest_address=port.guest_address))
        )
    interfaces.sort(key=lambda numbered: numbered[0])
    ports = [MarkedPort(port_id=a.port_id, number=a.port_number, mac=a.mac) for a in mine]
    ports += [MarkedPort(port_id=p.port_id, number=p.port_number, mac=p.mac) for p in desired.plain_ports]
    metadata = Metadata(
        installation=wiring.installation,
        instance_id=desired.instance_id,
        ports=tuple(sorted(ports, key=lambda port: port.number)),
    )
    return StartDomain(
        instance_id=desired.instance_id,
        generation=desired.start,
        xml=compose(desired.xml, metadata, [nic for _, nic in interfaces]),
    )


def _cannot(desired: DesiredDomain, generation: int, why: str) -> Action:
    return RecordStart(instance_id=desired.instance_id, started=Started(generation=generation, error=why))
