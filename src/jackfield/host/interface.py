"""What an agent can see and do on its host. The real bodies are beside this file, the others in `sim`.

Every method may block on the kernel or on libvirt, and raises `Unavailable` (reach: this host) when the
other side does not answer, `Rejected` when it refuses. Methods that change something are idempotent
where their docstring says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from jackfield.model.address import MacAddress
from jackfield.model.device import Device
from jackfield.reconcile.observation import Domain, HostNetwork, Link


class Sysfs(Protocol):
    def devices(self) -> tuple[Device, ...]:
        """Every PCI function but bridges, sorted by address, read afresh."""
        ...

    def boot_id(self) -> str:
        """Changes with every boot of the host."""
        ...


class Netlink(Protocol):
    def links(self) -> Mapping[str, Link]:
        """All interfaces of the host's network namespace, by their present name."""
        ...

    def rename(self, netdev: str, name: str) -> None:
        """Gives `netdev` the name `name`; idempotent. `netdev` may be an altname. Refused
        (`netdev-name-taken`) when another link has it, as name or altname."""
        ...

    def add_altname(self, netdev: str, altname: str) -> None:
        """Idempotent. Refused (`netdev-name-taken`) when another link has the name."""
        ...

    def remove_altname(self, netdev: str, altname: str) -> None:
        """Idempotent: an altname or a link that is not there is no error."""
        ...

    def set_mac(self, netdev: str, mac: MacAddress) -> None:
        """Idempotent."""
        ...

    def set_up(self, netdev: str) -> None:
        """Idempotent."""
        ...


class Libvirt(Protocol):
    def domains(self) -> tuple[Domain, ...]:
        """Every domain, ours and foreign, running or not."""
        ...

    def networks(self) -> tuple[HostNetwork, ...]: ...

    def define(self, xml: str) -> None:
        """Defines or redefines the domain, never autostarted; idempotent."""
        ...

    def start(self, uuid: str) -> None:
        """Starts a defined domain. A domain that is already active is no error. Not atomic: a failure
        leaves it defined and off."""
        ...

    def stop(self, uuid: str) -> None:
        """Ends the domain at once; one that is off or absent is no error."""
        ...

    def undefine(self, uuid: str) -> None:
        """Forgets the definition of a domain; one that is absent is no error."""
        ...

    def resume(self, uuid: str) -> None:
        """Lets a paused domain run; one that runs is no error."""
        ...

    def live_xml(self, uuid: str) -> str:
        """The migratable XML of the running domain. Raises `NotFound` (`domain-absent`)."""
        ...

    def inactive_xml(self, uuid: str) -> str:
        """The migratable XML of the definition. Raises `NotFound` (`domain-absent`)."""
        ...

    def migrate(
        self,
        uuid: str,
        uri: str,
        *,
        destination_xml: str | None = None,
        persistent_xml: str | None = None,
        bandwidth_mib: int | None = None,
    ) -> float | None:
        """Moves the domain live, peer to peer, defining it there and undefining it here.

        Blocks until libvirt says how it ended; gives the seconds that the guest was paused, where
        libvirt tells. The job outlives this process: a caller that died looks at both hosts. Raises
        `Conflict` (`migration-failed`) with libvirt's words.
        """
        ...

    def abort(self, uuid: str) -> None:
        """Asks libvirt to end the domain's job; no job is no error."""
        ...

    def job(self, uuid: str) -> Mapping[str, int] | None:
        """`memory_total` and `memory_remaining` in bytes of the running job, None without one."""
        ...
