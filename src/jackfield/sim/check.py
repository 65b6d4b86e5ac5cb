"""What must be true of a fleet, looked at from outside: the world as it is, and the rows of the database.

Each function gives what is wrong, in sentences; an empty list is good. None of them asks an agent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select

from jackfield.model.attachment import DomainState
from jackfield.model.claim import Claim, ClaimState
from jackfield.model.device import DeviceId
from jackfield.model.instance import Instance, InstanceStatus
from jackfield.model.migration import ENDED
from jackfield.model.port import Port
from jackfield.sim.fleet import Fleet
from jackfield.sim.machine import SimDomain, SimHost, SimLink
from jackfield.sim.world import World
from jackfield.store import claim as claims
from jackfield.store import device as devices
from jackfield.store import instance as instances
from jackfield.store import migration as migrations
from jackfield.store import port as ports
from jackfield.store import table
from jackfield.store import tombstone as tombstones
from jackfield.store.device import id_of
from jackfield.xml.domain import read

_HOLDERS = select(table.hold.c.device_id, table.claim.c.instance_id).join(
    table.claim, table.claim.c.id == table.hold.c.claim_id
)


def in_world(world: World) -> list[str]:
    """At any moment, in the midst of anything: no guest runs twice, no device has two users."""
    wrong: list[str] = []
    running: dict[str, str] = {}
    for host in world.hosts.values():
        used: dict[int, str] = {}
        for domain in host.domains.values():
            if domain.state is DomainState.RUNNING:
                if domain.uuid in running:
                    wrong.append(f"{domain.name} runs on {running[domain.uuid]} and on {host.name}")
                running[domain.uuid] = host.name
            for link in domain.taken.values():
                other = used.setdefault(id(link), domain.name)
                if other != domain.name:
                    wrong.append(f"{link.netdev} of {host.name} is used by {other} and by {domain.name}")
    return wrong


def always(fleet: Fleet) -> list[str]:
    """Between any two transactions: `in_world`, and no guest uses a device that is not claimed for it."""
    holders = {
        row.device_id: row.instance_id for row in fleet.store.read(lambda c: c.execute(_HOLDERS).all())
    }
    return in_world(fleet.world) + [
        f"{domain.name} uses {device_id}, which is held for {holders.get(device_id, 'nobody')}"
        for host in fleet.world.hosts.values()
        for domain in host.domains.values()
        for device_id in _used(host, domain)
        if holders.get(device_id) != domain.uuid
    ]


def at_rest(fleet: Fleet) -> list[str]:
    """When nothing is left to happen: books and hosts say the same, and nothing is left over."""
    books = fleet.store.read(_read_books)
    wrong = always(fleet)
    wrong += [f"migration {id} is {state}" for id, state in books.moving.items()]
    wrong += [f"{m.uuid} still moves from {m.source.name}" for m in fleet.world.migrations]
    wrong += [f"a tombstone of {instance_id} stands on {host}" for host, instance_id in books.stones]
    wrong += _claims(books)
    wrong += _bindings(books)
    for name, host in fleet.world.hosts.items():
        wrong += _domains(host, books)
        wrong += _links(host, books)
        wrong += _inventory(host, books)
        wrong += _journal(fleet, name, books)
    return wrong


@dataclass(frozen=True, kw_only=True, slots=True)
class _Books:
    instances: Mapping[str, Instance]
    ports: Mapping[str, Port]
    claims: tuple[Claim, ...]
    """Those that are not released."""
    holds: Mapping[str, list[str]]
    """Claim → the devices that it blocks."""
    bindings: Mapping[str, list[tuple[str, bool]]]
    """Port → the hosts where it is bound, and whether actively."""
    netdevs: Mapping[str, str | None]
    """Device → its name in the inventory."""
    moving: Mapping[str, str]
    stones: tuple[tuple[str, str], ...]

    def claim_on(self, device_id: str) -> Claim | None:
        return next((claim for claim in self.claims if claim.device_id == device_id), None)


def _read_books(connection: Connection) -> _Books:
    holds: dict[str, list[str]] = {}
    for row in connection.execute(select(table.hold.c.claim_id, table.hold.c.device_id)):
        holds.setdefault(row.claim_id, []).append(row.device_id)
    known = ports.listing(connection)
    return _Books(
        instances={one.id: one for one in instances.listing(connection)},
        ports={port.id: port for port in known},
        claims=tuple(claims.listing(connection)),
        holds=holds,
        bindings={p.id: [(b.host, b.is_active) for b in ports.bindings(connection, p.id)] for p in known},
        netdevs={one.id: one.offer.device.netdev for one in devices.listing(connection)},
        moving={m.id: m.state.value for m in migrations.listing(connection) if m.state not in ENDED},
        stones=tuple((stone.host, stone.instance_id) for stone in tombstones.listing(connection)),
    )


def _claims(books: _Books) -> Iterator[str]:
    for claim in books.claims:
        if claim.state is not ClaimState.ACTIVE:
            yield f"claim {claim.id} on {claim.device_id} is {claim.state.value}"
        instance = books.instances.get(claim.instance_id or "")
        if instance is None or instance.host != claim.host:
            yield f"claim {claim.id} is on {claim.host}, its instance on {instance and instance.host}"
        if books.holds.get(claim.id) != [claim.device_id]:
            yield f"claim {claim.id} on {claim.device_id} holds {books.holds.get(claim.id)}"
    for claim_id in books.holds.keys() - {claim.id for claim in books.claims}:
        yield f"claim {claim_id} is released and holds {books.holds[claim_id]}"
    owned = Counter(claim.port_id for claim in books.claims)
    for port in books.ports.values():
        wanted = int(port.flavor is not None and port.instance_id is not None)
        if owned[port.id] != wanted and not (_is_lost(books, port) and owned[port.id] == 0):
            yield f"port {port.name} has {owned[port.id]} claims and should have {wanted}"


def _bindings(books: _Books) -> Iterator[str]:
    for port in books.ports.values():
        instance = books.instances.get(port.instance_id or "")
        wanted = [(instance.host, True)] if instance is not None else []
        if books.bindings[port.id] != wanted and not (_is_lost(books, port) and not books.bindings[port.id]):
            yield f"port {port.name} is bound as {books.bindings[port.id]} and should be as {wanted}"


def _is_lost(books: _Books, port: Port) -> bool:
    """Of an instance that failed: at its boot it gave everything back, later it keeps all until deleted."""
    instance = books.instances.get(port.instance_id or "")
    return instance is not None and instance.status is InstanceStatus.ERROR


def _domains(host: SimHost, books: _Books) -> Iterator[str]:
    for domain in host.domains.values():
        instance = books.instances.get(domain.uuid)
        if instance is None or instance.host != host.name:
            yield f"{domain.name} is left on {host.name}, {domain.state.value}"
        elif (instance.status is InstanceStatus.RUNNING) != (domain.state is DomainState.RUNNING):
            books_say = instance.status.value
            yield f"{domain.name} is {domain.state.value} on {host.name}, the books say {books_say}"
        if domain.is_active:
            yield from _nics(host, domain, books)
    for instance in books.instances.values():
        if instance.status in (InstanceStatus.BUILDING, InstanceStatus.STOPPING, InstanceStatus.DELETING):
            yield f"{instance.name} is still {instance.status.value}"
        is_here = instance.host == host.name and instance.status is not InstanceStatus.ERROR
        if is_here and instance.id not in host.domains:
            yield f"{instance.name} is {instance.status.value}, and {host.name} has no such domain"


def _nics(host: SimHost, domain: SimDomain, books: _Books) -> Iterator[str]:
    """The guest sees what it always saw, and uses what is claimed for it (behaviours 58 and 62)."""
    claimed = sorted(claim.device_id for claim in books.claims if claim.instance_id == domain.uuid)
    used = sorted(_used(host, domain))
    if used != claimed:
        yield f"{domain.name} uses {used}, and {claimed} is claimed for it"
    seen = [(nic.mac, nic.guest_address) for nic in read(domain.live or "").interfaces]
    mine = [port for port in books.ports.values() if port.instance_id == domain.uuid]
    stored = [(p.mac, p.guest_address) for p in sorted(mine, key=lambda port: port.number or 0)]
    if seen != stored:
        yield f"{domain.name} sees {seen} and should see {stored}"


def _links(host: SimHost, books: _Books) -> Iterator[str]:
    first = {device.identity: device for device in host.devices}
    in_use = {id(link) for domain in host.domains.values() for link in domain.taken.values()}
    for identity, link in host.links.items():
        if id(link) not in in_use and link.mac != link.factory_mac:
            yield f"{link.netdev} of {host.name} is unused and has the MAC {link.mac}"
        device = first.get(identity)
        if device is None or books.claim_on(id_of(host.name, identity)) is not None:
            continue
        if link.netdev != device.netdev or link.altnames:
            yield f"{device.netdev} of {host.name} is free and called {_names(link)}"


def _inventory(host: SimHost, books: _Books) -> Iterator[str]:
    for identity, link in host.links.items():
        known = books.netdevs.get(id_of(host.name, identity))
        if known is not None and known != link.netdev:
            yield f"the inventory calls {known} what {host.name} calls {link.netdev}"


def _journal(fleet: Fleet, name: str, books: _Books) -> Iterator[str]:
    journal = fleet.keepers[name].load()
    mine = {claim.id for claim in books.claims if claim.host == name}
    if set(journal.priors) != mine:
        yield f"the journal of {name} has priors of {sorted(journal.priors)} for the claims {sorted(mine)}"
    if journal.orders:
        yield f"the journal of {name} has the orders {sorted(journal.orders)}"
    gone = sorted(id for id in journal.started if id not in books.instances)
    if gone:
        yield f"the journal of {name} has starts of {gone}, which are gone"


def _used(host: SimHost, domain: SimDomain) -> Iterator[DeviceId]:
    links = {id(link) for link in domain.taken.values()}
    return (id_of(host.name, identity) for identity, link in host.links.items() if id(link) in links)


def _names(link: SimLink) -> str:
    return ", ".join((link.netdev, *sorted(link.altnames)))
