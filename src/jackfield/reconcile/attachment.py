"""One attachment: what is wanted of a device, what it is, and what to do about the difference.

wanted prepared:  journal the prior ─▶ give it its logical name ─▶ report `prepared`
wanted released:  wait until no domain uses it ─▶ MAC, name, altnames back ─▶ read back ─▶ `released`
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from jackfield.model.attachment import Attachment, AttachmentReport, AttachmentState, Wanted
from jackfield.model.device import Device
from jackfield.model.migration import StrategyName
from jackfield.model.port import logical_name
from jackfield.reconcile.action import Action, ForgetPrior, Naming, PrepareDevice, RestoreDevice, Trouble
from jackfield.reconcile.observation import Link, Observation, Prior

WAS = "jf-was-"
"""A device that we renamed carries its old name behind this as an altname: the way back without a journal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    report: AttachmentReport
    action: Action | None = None


def decide(
    attachment: Attachment,
    seen: Observation,
    *,
    naming: Naming,
    trouble: Trouble | None = None,
    is_busy: bool = False,
) -> Verdict:
    """What to report of one attachment, and the one action that brings it further.

    `is_busy`: the agent's hands are on the attachment's instance.
    """
    if trouble is not None and trouble.is_final:
        return _report(attachment, AttachmentState.FAILED, problem=trouble.text)
    verdict = (
        _prepare(attachment, seen, naming)
        if attachment.wanted is Wanted.PREPARED
        else _release(attachment, seen, is_busy)
    )
    if verdict.action is None or trouble is None:
        return verdict
    return _report(attachment, AttachmentState.PENDING, problem=trouble.text, action=verdict.action)


def _prepare(attachment: Attachment, seen: Observation, naming: Naming) -> Verdict:
    device = seen.devices.get(attachment.identity)
    if device is None:
        return _failed(attachment, f"device {attachment.address} is not on this host any more")
    if device.netdev is None:
        driver = device.driver or "none"
        return _failed(attachment, f"device {device.address} has no netdev (its driver: {driver})")
    if attachment.vlan is not None and not device.is_real_vf:
        return _failed(
            attachment,
            f"device-cannot-vlan: {device.netdev} is no SR-IOV VF to libvirt, which tags VLANs on VFs only",
        )
    link = seen.link_of(device)
    if link is None:
        # Sysfs and netlink were read at two moments, with a rename between them: look again.
        return _report(attachment, AttachmentState.PENDING, problem=f"{device.netdev} is just being renamed")
    users = seen.users(device)
    strangers = [user.name for user in users if user.uuid != attachment.instance_id]
    if strangers:
        return _failed(attachment, f"{device.netdev} is used by domain {', '.join(strangers)}")
    if users:
        # Never rename under a running guest: libvirt would not find its saved MAC when the guest ends.
        return _report(attachment, AttachmentState.PREPARED, netdev=link.netdev)

    name = logical_name(attachment.port_id) if attachment.strategy is StrategyName.NETDEV_RENAME else None
    if name is not None:
        if naming is Naming.ALTNAME and device.is_real_vf:
            return _failed(
                attachment, f"libvirt does not recognise the VF {link.netdev} by an altname: rename it"
            )
        other = next((x for x in seen.links.values() if x.answers_to(name) and x.netdev != link.netdev), None)
        if other is not None:
            return _failed(attachment, f"the name {name} is taken by {other.netdev}")
    prior = seen.journal.priors.get(attachment.claim_id)
    is_named = name is None or (link.netdev == name if naming is Naming.RENAME else name in link.altnames)
    if prior is not None and is_named:
        return _report(attachment, AttachmentState.PREPARED, netdev=name or link.netdev)
    return _report(
        attachment,
        AttachmentState.PENDING,
        action=PrepareDevice(
            claim_id=attachment.claim_id,
            generation=attachment.generation,
            prior=prior or _prior(device, link),
            netdev=link.netdev,
            logical_name=None if is_named else name,
            naming=naming,
        ),
    )


def _release(attachment: Attachment, seen: Observation, is_busy: bool) -> Verdict:
    if is_busy:
        # A start on an older word may be under way: the guest that uses the device is not to be seen yet.
        return _report(attachment, AttachmentState.PENDING, problem="its guest is being started or ended")
    device = seen.devices.get(attachment.identity)
    if device is None or device.netdev is None:
        # Nothing that we put there can be left on a device that is gone, or that has no netdev.
        return _report(attachment, AttachmentState.RELEASED)
    users = seen.users(device)
    if users:
        names = ", ".join(user.name for user in users)
        return _report(
            attachment, AttachmentState.PENDING, problem=f"domain {names} still uses {device.netdev}"
        )
    link = seen.link_of(device)
    if link is None:
        return _report(attachment, AttachmentState.PENDING, problem=f"{device.netdev} is just being renamed")
    prior = seen.journal.priors.get(attachment.claim_id) or _prior(device, link)
    ours = _our_altnames(link, logical_name(attachment.port_id))
    if _is_restored(link, prior, ours):
        return _report(attachment, AttachmentState.RELEASED, netdev=link.netdev)
    return _report(
        attachment,
        AttachmentState.PENDING,
        action=RestoreDevice(
            claim_id=attachment.claim_id,
            generation=attachment.generation,
            prior=prior,
            netdev=link.netdev,
            our_altnames=ours,
        ),
    )


def sweep(attachments: tuple[Attachment, ...], seen: Observation) -> Iterator[Action]:
    """Brings devices back whose claim is no longer spoken of, and forgets what is settled.

    Such a journal entry is what a lost answer or a restored control plane leaves. Nothing is touched that
    a domain uses or that another claim is preparing.
    """
    spoken_of = {attachment.claim_id for attachment in attachments}
    busy = {attachment.identity for attachment in attachments}
    for claim_id, prior in seen.journal.priors.items():
        if claim_id in spoken_of:
            continue
        device = seen.devices.get(prior.identity)
        link = seen.link_of(device) if device else None
        if device is None or prior.identity in busy:
            yield ForgetPrior(claim_id=claim_id)
        elif link is not None and not seen.users(device):
            ours = _our_altnames(link, None)
            if _is_restored(link, prior, ours):
                yield ForgetPrior(claim_id=claim_id)
            else:
                yield RestoreDevice(
                    claim_id=claim_id, generation=0, prior=prior, netdev=link.netdev, our_altnames=ours
                )


def _prior(device: Device, link: Link) -> Prior:
    """What the device is now; if we renamed it and lost the journal, what it was."""
    before = next((name.removeprefix(WAS) for name in sorted(link.altnames) if name.startswith(WAS)), None)
    return Prior(identity=device.identity, netdev=before or link.netdev, mac=link.mac)


def _our_altnames(link: Link, logical: str | None) -> tuple[str, ...]:
    return tuple(sorted(name for name in link.altnames if name.startswith(WAS) or name == logical))


def _is_restored(link: Link, prior: Prior, our_altnames: tuple[str, ...]) -> bool:
    return link.netdev == prior.netdev and link.mac == prior.mac and not our_altnames


def _failed(attachment: Attachment, problem: str) -> Verdict:
    return _report(attachment, AttachmentState.FAILED, problem=problem)


def _report(
    attachment: Attachment,
    state: AttachmentState,
    *,
    netdev: str | None = None,
    problem: str | None = None,
    action: Action | None = None,
) -> Verdict:
    report = AttachmentReport(
        claim_id=attachment.claim_id,
        generation=attachment.generation,
        state=state,
        netdev=netdev,
        problem=problem,
    )
    return Verdict(report=report, action=action)


def trouble_key(claim_id: str, generation: int) -> str:
    return f"attachment/{claim_id}/{generation}"


Troubles = Mapping[str, Trouble]
