"""What libvirt's objects say, as values."""

from __future__ import annotations

from typing import Any

import libvirt

from jackfield.host.libvirt_session import code_of
from jackfield.model.attachment import DomainState
from jackfield.reconcile.observation import Domain, HostNetwork
from jackfield.xml.domain import read
from jackfield.xml.parse import parse

_STATES = {
    libvirt.VIR_DOMAIN_NOSTATE: DomainState.PAUSED,
    libvirt.VIR_DOMAIN_RUNNING: DomainState.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: DomainState.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: DomainState.PAUSED,
    # The guest has powered off, but QEMU still lives and has the devices open: not off yet.
    libvirt.VIR_DOMAIN_SHUTDOWN: DomainState.RUNNING,
    libvirt.VIR_DOMAIN_SHUTOFF: DomainState.SHUTOFF,
    # Only with <on_crash>preserve</on_crash>: QEMU stays with its devices, and nothing runs.
    libvirt.VIR_DOMAIN_CRASHED: DomainState.PAUSED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: DomainState.PAUSED,
}

_HANDING_OUT = frozenset({"passthrough", "private", "vepa", "bridge", "hostdev"})
"""The forward modes of networks that hand out netdevs; `nat` and `route` only name the way out."""

_NO_JOB = int(libvirt.VIR_DOMAIN_JOB_NONE)


def observe_domain(domain: Any) -> Domain | None:
    """The domain as it is now; None for one that went away since it was listed."""
    try:
        state, reason, *_ = domain.state()
        has_job = _has_job(domain, state, reason)
        is_persistent = bool(domain.isPersistent())
        facts = read(domain.XMLDesc())
    except libvirt.libvirtError as error:
        if code_of(error) == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise
    has_crashed = state == libvirt.VIR_DOMAIN_SHUTOFF and reason == libvirt.VIR_DOMAIN_SHUTOFF_CRASHED
    return Domain(
        uuid=facts.uuid,
        name=facts.name,
        state=DomainState.CRASHED if has_crashed else _STATES.get(state, DomainState.PAUSED),
        is_persistent=is_persistent,
        installation=facts.metadata.installation if facts.metadata else None,
        interfaces=facts.interfaces,
        pci_addresses=facts.pci_addresses,
        has_job=has_job,
    )


def _has_job(domain: Any, state: int, reason: int) -> bool:
    if state == libvirt.VIR_DOMAIN_SHUTOFF:
        return False
    if state == libvirt.VIR_DOMAIN_PAUSED and reason == libvirt.VIR_DOMAIN_PAUSED_STARTING_UP:
        # A start lets nobody ask before it has ended, and the asker waits up to 30 s for it.
        return True
    return _job_type(domain) != _NO_JOB


def has_own_job(domain: Any) -> bool:
    """A job that can be aborted here: none that only arrives."""
    return _job_type(domain) not in (_NO_JOB, None)


def _job_type(domain: Any) -> int | None:
    """None for a domain that is arriving: only the source knows of its job."""
    try:
        return int(domain.jobInfo()[0])
    except libvirt.libvirtError as error:
        match code_of(error):
            case libvirt.VIR_ERR_OPERATION_UNSUPPORTED:
                return None
            case libvirt.VIR_ERR_OPERATION_INVALID:  # it went off since it was looked at
                return _NO_JOB
        raise


def observe_network(network: Any) -> HostNetwork | None:
    """The network, if it hands out netdevs and is still there."""
    try:
        is_active = bool(network.isActive())
        root = parse(network.XMLDesc())
    except libvirt.libvirtError as error:
        if code_of(error) == libvirt.VIR_ERR_NO_NETWORK:
            return None
        raise
    forward = root.find("forward")
    if forward is None or forward.get("mode") not in _HANDING_OUT:
        return None
    # A pool may name a PF for all of its VFs: then the PF is in use as well.
    netdevs = (child.get("dev") for child in forward.iterfind("*"))
    names = tuple(dict.fromkeys(netdev for netdev in netdevs if netdev))
    return HostNetwork(name=root.findtext("name", ""), netdevs=names, is_active=is_active) if names else None
