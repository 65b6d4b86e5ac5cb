"""What an agent sees of its host in one look, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from jackfield.model.address import MacAddress, PciAddress
from jackfield.model.attachment import DomainState, ObservedInterface, OrderReport
from jackfield.model.device import Device


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """One network interface of the host."""

    netdev: str
    mac: MacAddress
    altnames: frozenset[str] = frozenset()
    is_up: bool = False
    permanent_mac: MacAddress | None = None

    def answers_to(self, name: str) -> bool:
        return name == self.netdev or name in self.altnames


@dataclass(frozen=True, kw_only=True, slots=True)
class Domain:
    """One libvirt domain as it is now."""

    uuid: str
    name: str
    state: DomainState
    is_persistent: bool
    installation: str | None
    """From our metadata; None for a domain that is not ours."""
    interfaces: tuple[ObservedInterface, ...]
    pci_addresses: frozenset[PciAddress]
    """Of its `<hostdev>` elements and hostdev interfaces."""
    has_job: bool = False

    @property
    def is_active(self) -> bool:
        return self.state in (DomainState.RUNNING, DomainState.PAUSED)


@dataclass(frozen=True, kw_only=True, slots=True)
class HostNetwork:
    """One libvirt network that hands out netdevs."""

    name: str
    netdevs: tuple[str, ...]
    is_active: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Prior:
    """What a device was before Jackfield first touched it, for the way back."""

    identity: str
    netdev: str
    mac: MacAddress


@dataclass(frozen=True, kw_only=True, slots=True)
class Started:
    """A start generation that was carried out, well or not."""

    generation: int
    error: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Journal:
    """What the agent must remember over its own death. Written and fsynced before what it is about."""

    installation: str | None = None
    version: int = 0
    """The highest desired version ever obeyed."""
    priors: Mapping[str, Prior] = field(default_factory=dict)
    """By claim."""
    started: Mapping[str, Started] = field(default_factory=dict)
    """By instance."""
    orders: Mapping[str, OrderReport] = field(default_factory=dict)
    """By `order_key`."""


def order_key(id: str, generation: int) -> str:
    return f"{id}/{generation}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    devices: Mapping[str, Device]
    """By identity."""
    links: Mapping[str, Link]
    domains: tuple[Domain, ...]
    journal: Journal
    jobs: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By instance: what libvirt tells of a running job."""

    def link_of(self, device: Device) -> Link | None:
        return self.links.get(device.netdev) if device.netdev else None

    def domain(self, instance_id: str) -> Domain | None:
        return next((d for d in self.domains if d.uuid == instance_id), None)

    def users(self, device: Device) -> tuple[Domain, ...]:
        """Active domains, ours or not, that use the device by address or by any name of its netdev."""
        link = self.link_of(device)

        def uses(domain: Domain) -> bool:
            if device.address in domain.pci_addresses:
                return True
            return link is not None and any(
                interface.netdev is not None and link.answers_to(interface.netdev)
                for interface in domain.interfaces
            )

        return tuple(domain for domain in self.domains if domain.is_active and uses(domain))
