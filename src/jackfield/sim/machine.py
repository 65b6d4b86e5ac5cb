"""One host in memory: its devices, links and domains, behaving as kernel and libvirt were measured to."""

from __future__ import annotations

from dataclasses import dataclass, field

from jackfield.host.identity import serial_identity, vf_identity
from jackfield.model.address import MacAddress, PciAddress
from jackfield.model.attachment import DomainState
from jackfield.model.device import Device, DeviceKind
from jackfield.model.error import NotFound, Rejected
from jackfield.reconcile.observation import HostNetwork
from jackfield.xml.domain import read

_ACTIVE = (DomainState.RUNNING, DomainState.PAUSED)


@dataclass(kw_only=True, slots=True, eq=False)
class SimLink:
    """A link is itself, whatever it is called: compared by identity."""

    netdev: str
    mac: MacAddress
    factory_mac: MacAddress
    altnames: set[str] = field(default_factory=set)
    is_up: bool = True

    def answers_to(self, name: str) -> bool:
        return name == self.netdev or name in self.altnames


@dataclass(kw_only=True, slots=True, eq=False)
class SimDomain:
    uuid: str
    name: str
    definition: str | None = None
    """None for a transient domain."""
    live: str | None = None
    """What runs; None while it is off."""
    state: DomainState = DomainState.SHUTOFF
    taken: dict[str, SimLink] = field(default_factory=dict)
    """The links under its macvtaps, by the name in its XML."""
    saved_macs: dict[str, MacAddress] = field(default_factory=dict)
    """libvirt's files in /run/libvirt/qemu: what to put back, by the name in its XML."""

    @property
    def is_active(self) -> bool:
        return self.state in _ACTIVE


@dataclass(kw_only=True, slots=True, eq=False)
class SimHost:
    name: str
    devices: list[Device] = field(default_factory=list)
    links: dict[str, SimLink] = field(default_factory=dict)
    """By the identity of their device; a link of no device (a bridge) has its first name here."""
    domains: dict[str, SimDomain] = field(default_factory=dict)
    networks: list[HostNetwork] = field(default_factory=list)
    boot_id: str = "boot-1"

    def link(self, name: str) -> SimLink | None:
        return next((link for link in self.links.values() if link.answers_to(name)), None)

    def domain(self, uuid: str) -> SimDomain:
        """Raises `NotFound` (`domain-absent`)."""
        if uuid not in self.domains:
            raise NotFound("domain-absent", f"host {self.name!r} has no domain {uuid}")
        return self.domains[uuid]

    def run(self, domain: SimDomain, xml: str, state: DomainState) -> None:
        """Starts the domain from `xml`, with the links that it names, or leaves all as it was.

        Each link goes up, and bears the guest's MAC from now on. Raises `Rejected` (`libvirt-refused`).
        """
        domain.live = xml
        try:
            for interface in read(xml).interfaces:
                if interface.netdev is not None:
                    self._take(domain, interface.netdev, interface.mac)
        except Rejected:
            self.end(domain)
            raise
        domain.state = state

    def end(self, domain: SimDomain) -> None:
        """Ends the domain, putting the MACs back that were saved, each to whoever has the *name* now.

        As measured: a link that was renamed under a running guest keeps the guest's MAC.
        """
        for name, mac in domain.saved_macs.items():
            link = self.link(name)
            if link is not None:
                link.mac = mac
        domain.taken.clear()
        domain.saved_macs.clear()
        domain.live, domain.state = None, DomainState.SHUTOFF
        if domain.definition is None:
            self.domains.pop(domain.uuid, None)

    def reboot(self) -> None:
        """Nothing runs any more, and every link is what it was at first; definitions stay."""
        for domain in list(self.domains.values()):
            if domain.is_active:
                self.end(domain)
        for device in self.devices:
            link = self.links.get(device.identity)
            if link is not None and device.netdev is not None:
                link.netdev, link.mac = device.netdev, link.factory_mac
                link.altnames.clear()
        stem, _, number = self.boot_id.rpartition("-")
        self.boot_id = f"{stem}-{int(number) + 1}"

    def _take(self, domain: SimDomain, name: str, mac: MacAddress) -> None:
        link = self.link(name)
        if link is None:
            raise _refused(f"Cannot get interface MAC on '{name}': No such device")
        for user in self.domains.values():
            if link in user.taken.values():
                # As measured: the start that fails takes the other one's saved MAC with it.
                user.saved_macs.pop(name, None)
                raise _refused(f"error creating macvtap interface macvtap0@{name} ({mac}): Invalid argument")
        domain.taken[name] = link
        domain.saved_macs[name] = link.mac
        link.mac, link.is_up = mac, True


def sim_host(name: str, bus: int, *, vfs: int = 4, numa: int | None = None) -> SimHost:
    """A host with one igb card, as the laboratory's hosts have: a PF 8086:10c9 and its VFs 8086:10ca."""
    host = SimHost(name=name)
    stem = f"enp{bus}s0"
    address = PciAddress(0, bus, 0, 0)
    identity = serial_identity(f"02-00-00-ff-ff-{bus:02x}-ff-00", address)
    pf = Device(
        identity=identity,
        address=address,
        kind=DeviceKind.PF,
        vendor_id="8086",
        product_id="10c9",
        class_id="020000",
        numa_node=numa,
        netdev=stem,
        driver="igb",
        mac=MacAddress(f"02:00:00:{bus:02x}:ff:00"),
    )
    # Offset 128 and stride 2, as the card's SR-IOV capability says.
    places = [divmod(128 + 2 * index, 8) for index in range(vfs)]
    host.devices = [pf] + [
        Device(
            identity=vf_identity(identity, index),
            address=PciAddress(0, bus, slot, function),
            kind=DeviceKind.VF,
            vendor_id="8086",
            product_id="10ca",
            class_id="020000",
            parent=address,
            parent_identity=identity,
            vf_index=index,
            numa_node=numa,
            netdev=f"{stem}v{index}",
            driver="igbvf",
            mac=MacAddress(f"02:00:00:{bus:02x}:00:{index:02x}"),
        )
        for index, (slot, function) in enumerate(places)
    ]
    for device in host.devices:
        assert device.netdev is not None and device.mac is not None
        host.links[device.identity] = SimLink(netdev=device.netdev, mac=device.mac, factory_mac=device.mac)
    return host


def _refused(words: str) -> Rejected:
    return Rejected(
        "libvirt-refused",
        f"cannot start the domain: {words} (libvirt error 38)",
        detail={"libvirt_code": 38, "libvirt_domain": 0},
    )
