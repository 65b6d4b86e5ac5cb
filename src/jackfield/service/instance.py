"""Boots, starts, stops and deletes instances, and follows what their hosts report of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from jackfield.model.attachment import DomainState, ObservedDomain, ObservedState
from jackfield.model.claim import Claim, ClaimPurpose, ClaimState
from jackfield.model.error import Conflict, Rejected
from jackfield.model.flavor import check_name
from jackfield.model.instance import Instance, InstanceStatus, Machine, check_machine
from jackfield.model.migration import StrategyName
from jackfield.model.port import Port, binding_of
from jackfield.service.placement import PortRequest, claim_device, place, requests_of
from jackfield.service.port import PortView
from jackfield.service.unit import Unit
from jackfield.store import claim as claims
from jackfield.store import host as hosts
from jackfield.store import instance as instances
from jackfield.store import migration as migrations
from jackfield.store import port as ports
from jackfield.xml.domain import build

PORTS_MAX = 28
"""One bus has 32 slots, and host bridge, disk and others take some."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InstanceView:
    instance: Instance
    ports: tuple[PortView, ...]
    claims: tuple[Claim, ...]
    """Those that are not released."""


def boot(
    unit: Unit,
    name: str,
    machine: Machine,
    port_names: Sequence[str],
    host: str | None = None,
    strategy: StrategyName | None = None,
) -> Instance:
    """Claims a device for every port that needs one, all or none, and lets the host's agent begin.

    Raises `Rejected`, `NotFound`, or `Conflict` (`no-fit`, `device-taken`, `instance-exists`, `port-in-use`).
    """
    check_name("instance", name)
    check_machine(machine)
    id = unit.ids.new()
    build(machine, uuid=id, name=name)  # a domain XML that cannot be used is refused now, not on the host
    wanted = requests_of(unit, _free_ports(unit, port_names))
    candidates = [host] if host is not None else [one.name for one in hosts.listing(unit.connection)]
    if host is not None:
        hosts.get(unit.connection, host)
    where, chosen = place(unit, wanted, candidates=candidates, what=f"instance {name}")
    instance = Instance(
        id=id,
        name=name,
        machine=machine,
        status=InstanceStatus.BUILDING,
        host=where,
        start_generation=1,
        strategy=strategy,
    )
    instances.insert(unit.connection, instance)
    for number, one in enumerate(wanted):
        device = chosen.get(one.port.id)
        ports.replace(unit.connection, replace(one.port, instance_id=id, number=number, guest_address=None))
        binding = binding_of(
            one.port, one.network, where, device.offer.device if device else None, active=True
        )
        ports.bind(unit.connection, binding)
        if device is not None:
            claim_device(
                unit,
                one,
                device,
                instance_id=id,
                strategy=strategy_of(unit, instance, one),
                purpose=ClaimPurpose.RUN,
                lease_expires_at=unit.after(unit.settings.boot_seconds),
            )
    unit.touch(where)
    return instance


def strategy_of(unit: Unit, instance: Instance, wanted: PortRequest) -> StrategyName:
    """The port's strategy: its own, else the instance's, else the flavor's, else the operator's first."""
    flavor = wanted.flavor.strategy if wanted.flavor else None
    named = wanted.port.strategy or instance.strategy or flavor or StrategyName.AUTO
    return unit.settings.strategies[0] if named is StrategyName.AUTO else named


def listing(unit: Unit) -> list[Instance]:
    return instances.listing(unit.connection)


def show(unit: Unit, name: str) -> InstanceView:
    instance = instances.find(unit.connection, name)
    mine = ports.listing(unit.connection, instance_id=instance.id)
    return InstanceView(
        instance=instance,
        ports=tuple(PortView(port=p, bindings=tuple(ports.bindings(unit.connection, p.id))) for p in mine),
        claims=tuple(claims.listing(unit.connection, instance_id=instance.id)),
    )


def start(unit: Unit, name: str) -> Instance:
    """Starts a stopped or crashed instance on its host, with the devices it kept. Idempotent."""
    instance = instances.find(unit.connection, name)
    if instance.status in (InstanceStatus.RUNNING, InstanceStatus.BUILDING):
        return instance
    if instance.status not in (InstanceStatus.STOPPED, InstanceStatus.ERROR):
        raise _busy(instance, "started")
    _require_devices(unit, instance)
    return _start_again(unit, instance)


def stop(unit: Unit, name: str) -> Instance:
    """Stops a running instance at once; it keeps its host and its devices. Idempotent."""
    instance = instances.find(unit.connection, name)
    if instance.status in (InstanceStatus.STOPPING, InstanceStatus.STOPPED):
        return instance
    if instance.status is not InstanceStatus.RUNNING or _is_moving(unit, instance):
        raise _busy(instance, "stopped")
    return _become(unit, instance, InstanceStatus.STOPPING)


def delete(unit: Unit, name: str) -> None:
    """Ends the instance; it disappears when its host has proved its devices released. Idempotent."""
    instance = instances.find(unit.connection, name)
    if instance.status is InstanceStatus.DELETING:
        return
    if _is_moving(unit, instance):
        raise _busy(instance, "deleted")
    _become(unit, instance, InstanceStatus.DELETING)


def follow(unit: Unit, host: str, observed: ObservedState) -> None:
    """Brings the instances of a host in line with what its agent reports. Idempotent.

    A report on an older desired version tells what was, not what came of the last word.
    """
    if observed.version < hosts.get(unit.connection, host).desired_version:
        return
    told = {domain.instance_id: domain for domain in observed.domains}
    for instance in instances.listing(unit.connection, host=host):
        domain = told.get(instance.id)
        if domain is not None and not _is_moving(unit, instance):
            _follow(unit, instance, domain)


def settle(unit: Unit, instance_id: str) -> None:
    """Looks at the last report again: after a move ended, nothing new may come to say so."""
    instance = instances.find(unit.connection, instance_id)
    if instance.host is None:
        return
    observed = hosts.get(unit.connection, instance.host).observed
    for domain in observed.domains if observed else ():
        if domain.instance_id == instance_id:
            _follow(unit, instance, domain)


def fail(unit: Unit, instance: Instance, why: str) -> None:
    """The boot is lost: the error is kept, the devices are given back at once."""
    _become(unit, replace(instance, error=why), InstanceStatus.ERROR)
    give_back(unit, instance)
    _unbind(unit, instance)


def give_back(unit: Unit, instance: Instance) -> None:
    """Begins the release of everything the instance claims. Idempotent."""
    for claim in claims.listing(unit.connection, instance_id=instance.id):
        if claim.state in (ClaimState.HELD, ClaimState.ACTIVE):
            begin_release(unit, claim)


def begin_release(unit: Unit, claim: Claim) -> None:
    """From now on the agent is to release the device; a claim that no agent saw is released straight."""
    unit.touch(claim.host)
    claims.begin_release(unit.connection, claim.id)


def finish_deletion(unit: Unit, instance_id: str) -> None:
    """Removes an instance that is to go, once its domain is gone and it holds nothing. Idempotent."""
    instance = next((one for one in instances.listing(unit.connection) if one.id == instance_id), None)
    if instance is None or instance.status is not InstanceStatus.DELETING:
        return
    if claims.listing(unit.connection, instance_id=instance_id) or not _is_gone(unit, instance):
        return
    _unbind(unit, instance)
    if instance.host is not None:
        unit.touch(instance.host)
    instances.remove(unit.connection, instance_id)


def _follow(unit: Unit, instance: Instance, domain: ObservedDomain) -> None:
    if domain.is_busy:
        # Looked at in the midst of a start or a stop, it may show the journal after and the domain before.
        # The agent reports again as soon as its hands are off.
        return
    match instance.status:
        case InstanceStatus.BUILDING:
            _follow_boot(unit, instance, domain)
        case InstanceStatus.RUNNING:
            _follow_running(unit, instance, domain)
        case InstanceStatus.STOPPING:
            if domain.state not in (DomainState.RUNNING, DomainState.PAUSED):
                _become(unit, instance, InstanceStatus.STOPPED)
        case InstanceStatus.DELETING:
            if domain.state is DomainState.ABSENT:
                give_back(unit, instance)
                finish_deletion(unit, instance.id)
        case InstanceStatus.STOPPED:
            if domain.state is DomainState.RUNNING and not domain.is_busy:
                # Started by hand: it has its devices, so it is simply running again.
                _become(unit, instance, InstanceStatus.RUNNING)
        case InstanceStatus.ERROR:
            pass


def _follow_boot(unit: Unit, instance: Instance, domain: ObservedDomain) -> None:
    if domain.started < instance.start_generation:
        return
    if domain.state not in (DomainState.RUNNING, DomainState.PAUSED):
        why = domain.error or f"the guest was started and is {domain.state.value}"
        fail(unit, replace(instance, started_generation=domain.started), why)
        return
    for claim in claims.listing(unit.connection, instance_id=instance.id):
        if claim.state is ClaimState.HELD:
            claims.activate(unit.connection, claim.id)
    keep_guest_addresses(unit, instance.id, domain)
    _become(unit, replace(instance, started_generation=domain.started), InstanceStatus.RUNNING)


def keep_guest_addresses(unit: Unit, instance_id: str, domain: ObservedDomain) -> None:
    """Stores where the guest sees each NIC, once: from then on it stays there."""
    seen = {nic.mac: nic.guest_address for nic in domain.interfaces}
    for port in ports.listing(unit.connection, instance_id=instance_id):
        address = seen.get(port.mac)
        if address is not None and port.guest_address is None:
            ports.replace(unit.connection, replace(port, guest_address=address))


def _follow_running(unit: Unit, instance: Instance, domain: ObservedDomain) -> None:
    match domain.state:
        case DomainState.RUNNING | DomainState.PAUSED:
            return
        case DomainState.SHUTOFF:
            # Powered off from inside, or by hand: the control side decides, and lets it be.
            _become(unit, instance, InstanceStatus.STOPPED)
        case DomainState.CRASHED:
            why = "the guest crashed; it is not restarted by itself: look, then start it"
            _become(unit, replace(instance, error=why), InstanceStatus.ERROR)
        case DomainState.ABSENT:
            why = f"the domain is gone from {instance.host}, removed by somebody else; delete the instance"
            _become(unit, replace(instance, error=why), InstanceStatus.ERROR)


def after_reboot(unit: Unit, host: str) -> None:
    """The host came up anew: what was meant to run is started again."""
    for instance in instances.listing(unit.connection, host=host):
        if instance.status is InstanceStatus.RUNNING and not _is_moving(unit, instance):
            _start_again(unit, instance)


def _start_again(unit: Unit, instance: Instance) -> Instance:
    generation = instance.start_generation + 1
    return _become(unit, replace(instance, start_generation=generation, error=None), InstanceStatus.BUILDING)


def _become(unit: Unit, instance: Instance, status: InstanceStatus) -> Instance:
    changed = replace(instance, status=status)
    instances.replace(unit.connection, changed)
    if changed.host is not None:
        unit.touch(changed.host)
    return changed


def _is_gone(unit: Unit, instance: Instance) -> bool:
    """The host's last report, on the latest word, says that it has no such domain."""
    if instance.host is None:
        return True
    host = hosts.get(unit.connection, instance.host)
    told = {domain.instance_id: domain for domain in (host.observed.domains if host.observed else ())}
    domain = told.get(instance.id)
    return domain is not None and domain.state is DomainState.ABSENT and not domain.is_busy


def _unbind(unit: Unit, instance: Instance) -> None:
    for port in ports.listing(unit.connection, instance_id=instance.id):
        for binding in ports.bindings(unit.connection, port.id):
            ports.unbind(unit.connection, port.id, binding.host)


def _is_moving(unit: Unit, instance: Instance) -> bool:
    return migrations.under_way(unit.connection, instance.id) is not None


def _free_ports(unit: Unit, names: Sequence[str]) -> list[Port]:
    if len(names) > PORTS_MAX:
        raise Rejected("ports-too-many", f"{len(names)} ports: an instance takes at most {PORTS_MAX}")
    found: list[Port] = []
    for name in names:
        port = ports.find(unit.connection, name)
        if port.instance_id is not None or port in found:
            raise Conflict(
                "port-in-use",
                f"port {port.name} is already a port of instance {port.instance_id or 'this one'}",
            )
        found.append(port)
    return found


def _require_devices(unit: Unit, instance: Instance) -> None:
    held = claims.listing(unit.connection, instance_id=instance.id)
    kept = {claim.port_id for claim in held if claim.state is ClaimState.ACTIVE}
    for port in ports.listing(unit.connection, instance_id=instance.id):
        if port.flavor is not None and port.id not in kept:
            raise Conflict(
                "device-lost",
                f"instance {instance.name} no longer has a device for port {port.name}, given back when it "
                "failed; delete the instance and boot it again",
            )


def _busy(instance: Instance, verb: str) -> Conflict:
    return Conflict(
        "instance-busy",
        f"instance {instance.name} is {instance.status.value}, perhaps moving, and cannot be {verb} now",
        detail={"status": instance.status.value},
    )
