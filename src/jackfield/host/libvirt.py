"""The domains and networks of one host, through its libvirt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Any

import libvirt

from jackfield.host.libvirt_observation import has_own_job, observe_domain, observe_network
from jackfield.host.libvirt_session import code_of, connected, detail_of, in_words, is_lost
from jackfield.model.error import Conflict, NotFound
from jackfield.reconcile.observation import Domain, HostNetwork

SYSTEM_URI = "qemu:///system"

_MIGRATE = (
    libvirt.VIR_MIGRATE_LIVE
    | libvirt.VIR_MIGRATE_PEER2PEER
    | libvirt.VIR_MIGRATE_PERSIST_DEST
    | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
)

_UNDEFINE = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
)

# What a peer needs: no defaults of this version in it, and the passwords that libvirt hides otherwise.
_FOR_PEER = libvirt.VIR_DOMAIN_XML_MIGRATABLE | libvirt.VIR_DOMAIN_XML_SECURE

STATISTICS_SECONDS_MAX = 2.0

_NO_JOB_HERE = frozenset({libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_OPERATION_UNSUPPORTED})
"""How libvirt answers for the job of a domain that is off, and of one that is just arriving."""


class LibvirtConnection:
    """`Libvirt` of the daemon at `uri`. May be shared by threads, outlives any number of libvirtd.

    Raises, besides what `Libvirt` says: `Unavailable` (`libvirt-unreachable`, reach: host) when libvirtd
    is away or goes away in the middle, and then what was asked may have been done or not; `Unavailable`
    (`domain-busy`) when another job kept the domain locked for half a minute; `Rejected`
    (`libvirt-refused`) with libvirt's words, and its code and domain in the detail.
    """

    def __init__(self, uri: str = SYSTEM_URI) -> None:
        self._uri = uri

    def domains(self) -> tuple[Domain, ...]:
        with self._connected("list domains") as connection:
            return tuple(seen for domain in connection.listAllDomains() if (seen := observe_domain(domain)))

    def networks(self) -> tuple[HostNetwork, ...]:
        with self._connected("list networks") as connection:
            return tuple(
                seen for network in connection.listAllNetworks() if (seen := observe_network(network))
            )

    def define(self, xml: str) -> None:
        with self._connected("define the domain") as connection:
            # Not VIR_DOMAIN_DEFINE_VALIDATE: libvirt's schemas refuse XML of users' that libvirt itself
            # takes, and a migration's target validates nothing either.
            domain = connection.defineXMLFlags(xml, 0)
            # A definition that was there before keeps its autostart, and a host that comes back from a
            # crash must not start a guest that was moved away meanwhile.
            if domain.autostart():
                domain.setAutostart(0)

    def start(self, uuid: str) -> None:
        with self._domain(uuid, "start") as domain, _no_error_if(domain.isActive):
            domain.create()

    def stop(self, uuid: str) -> None:
        with (
            suppress(NotFound),
            self._domain(uuid, "stop") as domain,
            _no_error_if(lambda: not domain.isActive()),
        ):
            domain.destroy()

    def undefine(self, uuid: str) -> None:
        with (
            suppress(NotFound),
            self._domain(uuid, "undefine") as domain,
            _no_error_if(lambda: not domain.isPersistent()),
        ):
            domain.undefineFlags(_UNDEFINE)

    def resume(self, uuid: str) -> None:
        with (
            self._domain(uuid, "resume") as domain,
            _no_error_if(lambda: domain.state()[0] == libvirt.VIR_DOMAIN_RUNNING),
        ):
            domain.resume()

    def live_xml(self, uuid: str) -> str:
        with self._domain(uuid, "read the running form of") as domain:
            if not domain.isActive():
                raise NotFound("domain-absent", f"domain {uuid} is not running on this host")
            return str(domain.XMLDesc(_FOR_PEER))

    def inactive_xml(self, uuid: str) -> str:
        with self._domain(uuid, "read the definition of") as domain:
            if not domain.isPersistent():
                raise NotFound("domain-absent", f"domain {uuid} runs on this host without a definition")
            return str(domain.XMLDesc(_FOR_PEER | libvirt.VIR_DOMAIN_XML_INACTIVE))

    def migrate(
        self,
        uuid: str,
        uri: str,
        *,
        destination_xml: str | None = None,
        persistent_xml: str | None = None,
        bandwidth_mib: int | None = None,
    ) -> float | None:
        """As `Libvirt.migrate`. `Unavailable` says that our libvirtd went away: the move may have ended
        either way, or be under way still."""
        parameters = {
            libvirt.VIR_MIGRATE_PARAM_DEST_XML: destination_xml,
            libvirt.VIR_MIGRATE_PARAM_PERSIST_XML: persistent_xml,
            libvirt.VIR_MIGRATE_PARAM_BANDWIDTH: bandwidth_mib,
        }
        given = {name: value for name, value in parameters.items() if value is not None}
        with self._connected(f"migrate domain {uuid}") as connection:
            domain = connection.lookupByUUIDString(uuid)
            with _statistics(connection, domain) as downtime:
                try:
                    domain.migrateToURI3(uri, given, _MIGRATE)
                except libvirt.libvirtError as error:
                    if is_lost(connection):
                        raise
                    raise Conflict(
                        "migration-failed",
                        f"domain {uuid} did not move to {uri}: {in_words(error)}",
                        detail=detail_of(error),
                    ) from error
                return downtime()

    def abort(self, uuid: str) -> None:
        with suppress(NotFound), self._domain(uuid, "abort the job of") as domain:
            # On the target of a migration, abortJob waits for its end (seen: 23 s) and then finds no job.
            if has_own_job(domain):
                with _no_error_if(lambda: not has_own_job(domain)):
                    domain.abortJob()

    def job(self, uuid: str) -> Mapping[str, int] | None:
        with suppress(NotFound), self._domain(uuid, "ask for the job of") as domain:
            try:
                statistics = domain.jobStats()
            except libvirt.libvirtError as error:
                if code_of(error) in _NO_JOB_HERE:
                    return None
                raise
            if statistics["type"] != libvirt.VIR_DOMAIN_JOB_NONE:
                return {name: int(statistics.get(name, 0)) for name in ("memory_total", "memory_remaining")}
        return None

    @contextmanager
    def _connected(self, intent: str) -> Iterator[Any]:
        with connected(self._uri, intent) as connection:
            yield connection

    @contextmanager
    def _domain(self, uuid: str, verb: str) -> Iterator[Any]:
        with self._connected(f"{verb} domain {uuid}") as connection:
            yield connection.lookupByUUIDString(uuid)


@contextmanager
def _no_error_if(is_so: Callable[[], bool]) -> Iterator[None]:
    # Done first and looked at after: the other order could be overtaken.
    try:
        yield
    except libvirt.libvirtError as error:
        if code_of(error) != libvirt.VIR_ERR_OPERATION_INVALID or not is_so():
            raise


@contextmanager
def _statistics(connection: Any, domain: Any) -> Iterator[Callable[[], float | None]]:
    """Gives a function that, after a success, tells how many seconds the guest was paused.

    The domain that could be asked is gone from the source by then; what is left is the event, which comes
    for jobs that succeed only, some milliseconds before or after the call's reply.
    """
    completed: SimpleQueue[Mapping[str, int]] = SimpleQueue()
    event = connection.domainEventRegisterAny(
        domain,
        libvirt.VIR_DOMAIN_EVENT_ID_JOB_COMPLETED,
        lambda _connection, _domain, statistics, _opaque: completed.put(statistics),
        None,
    )

    def downtime() -> float | None:
        try:
            milliseconds = completed.get(timeout=STATISTICS_SECONDS_MAX).get("downtime")
        except Empty:
            return None
        return None if milliseconds is None else milliseconds / 1000

    try:
        yield downtime
    finally:
        with suppress(libvirt.libvirtError):
            connection.domainEventDeregisterAny(event)
