"""What an agent sees of a simulated host, and does to it: `Sysfs`, `Netlink` and `Libvirt` over the world.

Each method is one effect and holds no state of its own, so each can be wrapped to fail, before or after.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from jackfield.host.netdev_name import ALTNAME_BYTES_MAX, NETDEV_BYTES_MAX, check_netdev_name
from jackfield.model.address import MacAddress
from jackfield.model.attachment import DomainState
from jackfield.model.device import Device
from jackfield.model.error import NotFound, Rejected, Unavailable
from jackfield.reconcile.observation import Domain, HostNetwork, Link
from jackfield.sim.machine import SimDomain, SimHost, SimLink
from jackfield.sim.migration import Phase
from jackfield.sim.world import World
from jackfield.xml.domain import DomainElement, parse_domain, read
from jackfield.xml.element import append, make
from jackfield.xml.parse import serialize

SCHEME = "sim://"
PAUSED_SECONDS = 0.02
MEMORY_BYTES = 128 << 20


class SimSysfs:
    def __init__(self, host: SimHost) -> None:
        self._host = host

    def devices(self) -> tuple[Device, ...]:
        return tuple(sorted(map(self._now, self._host.devices), key=lambda device: device.address))

    def boot_id(self) -> str:
        return self._host.boot_id

    def _now(self, device: Device) -> Device:
        link = self._host.links.get(device.identity)
        return replace(device, netdev=link.netdev if link else None)


class SimNetlink:
    def __init__(self, host: SimHost) -> None:
        self._host = host

    def links(self) -> Mapping[str, Link]:
        return {link.netdev: _observe_link(link) for link in self._host.links.values()}

    def rename(self, netdev: str, name: str) -> None:
        check_netdev_name(name, NETDEV_BYTES_MAX)
        link = self._find(netdev)
        self._check_free(name, link)
        link.altnames.discard(name)
        link.netdev = name

    def add_altname(self, netdev: str, altname: str) -> None:
        check_netdev_name(altname, ALTNAME_BYTES_MAX)
        link = self._find(netdev)
        self._check_free(altname, link)
        if altname != link.netdev:
            link.altnames.add(altname)

    def remove_altname(self, netdev: str, altname: str) -> None:
        link = self._host.link(netdev)
        if link is not None:
            link.altnames.discard(altname)

    def set_mac(self, netdev: str, mac: MacAddress) -> None:
        link = self._find(netdev)
        if int(mac[:2], 16) & 1:
            raise Rejected("netlink-refused", f"the kernel refused {mac!r} for {netdev!r}: multicast")
        link.mac = mac

    def set_up(self, netdev: str) -> None:
        self._find(netdev).is_up = True

    def _find(self, netdev: str) -> SimLink:
        link = self._host.link(netdev)
        if link is None:
            raise NotFound("netdev-absent", f"no link has the name or altname {netdev!r}")
        return link

    def _check_free(self, name: str, link: SimLink) -> None:
        if self._host.link(name) not in (None, link):
            raise Rejected(
                "netdev-name-taken",
                f"{link.netdev!r} cannot be called {name!r}: another link has that name or altname",
            )


class SimLibvirt:
    def __init__(self, world: World, host: SimHost) -> None:
        self._world = world
        self._host = host

    def domains(self) -> tuple[Domain, ...]:
        return tuple(map(self._observe, self._host.domains.values()))

    def networks(self) -> tuple[HostNetwork, ...]:
        return tuple(self._host.networks)

    def define(self, xml: str) -> None:
        domain = parse_domain(xml)
        _give_addresses(domain)
        namesake = next((d for d in self._host.domains.values() if d.name == domain.name), None)
        if namesake is not None and namesake.uuid != domain.uuid:
            raise Rejected(
                "libvirt-refused",
                f"cannot define the domain: operation failed: domain {domain.name!r} already exists with "
                f"uuid {namesake.uuid} (libvirt error 9)",
                detail={"libvirt_code": 9, "libvirt_domain": 20},
            )
        known = self._host.domains.setdefault(domain.uuid, SimDomain(uuid=domain.uuid, name=domain.name))
        known.name, known.definition = domain.name, serialize(domain.node)

    def start(self, uuid: str) -> None:
        domain = self._host.domain(uuid)
        if not domain.is_active:
            assert domain.definition is not None  # a transient domain that is off is gone
            self._host.run(domain, domain.definition, DomainState.RUNNING)

    def stop(self, uuid: str) -> None:
        domain = self._host.domains.get(uuid)
        if domain is not None and domain.is_active:
            self._host.end(domain)

    def undefine(self, uuid: str) -> None:
        domain = self._host.domains.get(uuid)
        if domain is not None:
            domain.definition = None
            if not domain.is_active:
                del self._host.domains[uuid]

    def resume(self, uuid: str) -> None:
        domain = self._host.domain(uuid)
        if not domain.is_active:
            raise Rejected("libvirt-refused", f"cannot resume domain {uuid}: domain is not running")
        if domain.state is DomainState.PAUSED:
            if self._world.migration_of(self._host.name, uuid) is not None:
                raise Unavailable("domain-busy", f"cannot resume domain {uuid} now: it is being migrated")
            domain.state = DomainState.RUNNING

    def live_xml(self, uuid: str) -> str:
        domain = self._host.domain(uuid)
        if domain.live is None:
            raise NotFound("domain-absent", f"domain {uuid} is not running on this host")
        return domain.live

    def inactive_xml(self, uuid: str) -> str:
        domain = self._host.domain(uuid)
        if domain.definition is None:
            raise NotFound("domain-absent", f"domain {uuid} runs on this host without a definition")
        return domain.definition

    def migrate(
        self,
        uuid: str,
        uri: str,
        *,
        destination_xml: str | None = None,
        persistent_xml: str | None = None,
        bandwidth_mib: int | None = None,
    ) -> float | None:
        """To the end, with the world's `on_phase` between the steps. What that raises leaves the migration
        under way, as a killed agent does: the world's holder goes on with `World.advance`."""
        migration = self._world.begin_migration(
            self._host.name,
            uri.removeprefix(SCHEME),
            uuid,
            destination_xml=destination_xml,
            persistent_xml=persistent_xml,
        )
        while not migration.is_over:
            self._world.advance(migration)
        if migration.error is not None:
            raise migration.error
        return PAUSED_SECONDS

    def abort(self, uuid: str) -> None:
        migration = self._world.migration_of(self._host.name, uuid)
        if migration is not None and migration.source is self._host:
            migration.abort_requested = True

    def job(self, uuid: str) -> Mapping[str, int] | None:
        migration = self._world.migration_of(self._host.name, uuid)
        if migration is None or migration.source is not self._host:
            return None
        is_under_way = migration.phase in (Phase.BEGUN, Phase.TARGET_CREATED)
        return {"memory_total": MEMORY_BYTES, "memory_remaining": MEMORY_BYTES if is_under_way else 0}

    def _observe(self, domain: SimDomain) -> Domain:
        text = domain.live or domain.definition
        assert text is not None
        facts = _read(text)
        return Domain(
            uuid=domain.uuid,
            name=domain.name,
            state=domain.state,
            is_persistent=domain.definition is not None,
            installation=facts.metadata.installation if facts.metadata else None,
            interfaces=facts.interfaces,
            pci_addresses=facts.pci_addresses,
            has_job=self._world.migration_of(self._host.name, domain.uuid) is not None,
        )


_read = lru_cache(maxsize=256)(read)
"""Every look reads every domain, and few have changed."""


def _observe_link(link: SimLink) -> Link:
    return Link(netdev=link.netdev, mac=link.mac, altnames=frozenset(link.altnames), is_up=link.is_up)


def _give_addresses(domain: DomainElement) -> None:
    # As libvirt on define: a NIC without a guest PCI address gets the next free slot; the first
    # is 2, which libvirt keeps for a video card only where there is one.
    nodes = [interface.node for interface in domain.interfaces]
    used = {address.get("slot") for node in nodes for address in node.iterfind("address[@type='pci']")}
    free = (slot for number in range(2, 32) if (slot := f"0x{number:02x}") not in used)
    for node in nodes:
        if node.find("address") is None:
            append(
                node,
                make("address", type="pci", domain="0x0000", bus="0x00", slot=next(free), function="0x0"),
            )
