"""What the control side wants of a host, and what the host's agent reports: the two documents between them.

Both are whole states, not messages: either may be lost, repeated or late without harm. A desired state
carries the installation's id and a rising version; an agent that meets another id or an older version
freezes instead of obeying. A report says which version it had read before it looked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from jackfield.model.address import MacAddress, PciAddress
from jackfield.model.migration import StrategyName
from jackfield.model.port import VnicType


class Wanted(StrEnum):
    PREPARED = "prepared"
    RELEASED = "released"


@dataclass(frozen=True, kw_only=True, slots=True)
class Attachment:
    """What an agent must make true for one claim. It names all that the XML needs: nobody is asked."""

    claim_id: str
    generation: int
    wanted: Wanted
    instance_id: str
    port_id: str
    port_number: int
    identity: str
    """Of the device; the address is where it was last seen."""
    address: PciAddress
    mac: MacAddress
    vnic_type: VnicType
    flavor: str
    strategy: StrategyName
    physical_network: str
    vlan: int | None = None
    guest_address: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PlainPort:
    """A `normal` port of a domain: an interface on the bridge that the host maps its network to."""

    port_id: str
    port_number: int
    mac: MacAddress
    physical_network: str
    guest_address: str | None = None


class Power(StrEnum):
    RUN = "run"
    STOP = "stop"
    DELETE = "delete"
    """A tombstone: stop it and undefine it."""
    DELETE_UNLESS_RUNNING = "delete-unless-running"
    """The tombstone after a move: remove what is paused or off, never a guest that runs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DesiredDomain:
    instance_id: str
    name: str
    power: Power
    start: int | None
    """The start generation to carry out once, or None when there is none: a domain that is missing is
    never started for being missing."""
    xml: str
    """The domain without Jackfield's interfaces; the agent adds them. Empty in a tombstone."""
    plain_ports: tuple[PlainPort, ...] = ()


class OrderKind(StrEnum):
    MIGRATE = "migrate"
    RESUME = "resume"
    """Let a guest run on that a lost migration left paused, after a survey showed it nowhere else."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """The one imperative: carried out once for each (id, generation), journalled before the call."""

    id: str
    """The migration's."""
    generation: int
    kind: OrderKind
    instance_id: str
    target_uri: str = ""
    netdevs: Mapping[str, str] = field(default_factory=dict)
    """MAC → netdev (of a `normal` port: bridge) on the target, for the interfaces whose XML must change on
    the way."""
    abort: bool = False
    bandwidth_mib: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class DesiredState:
    installation: str
    host: str
    epoch: int
    version: int
    domains: tuple[DesiredDomain, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    orders: tuple[Order, ...] = ()


class DomainState(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    SHUTOFF = "shutoff"
    CRASHED = "crashed"
    ABSENT = "absent"


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservedInterface:
    mac: MacAddress
    netdev: str | None = None
    network: str | None = None
    guest_address: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservedDomain:
    """One domain of ours as libvirt shows it, or a desired one that libvirt does not have (`absent`)."""

    instance_id: str
    state: DomainState
    started: int = 0
    """The last start generation that this host carried out."""
    interfaces: tuple[ObservedInterface, ...] = ()
    has_job: bool = False
    is_busy: bool = False
    """The agent's hands are on it: what it is now says little of what it will be."""
    error: str | None = None
    """Why the wanted start or stop failed, for the generation in `started`."""


class AttachmentState(StrEnum):
    PENDING = "pending"
    PREPARED = "prepared"
    RELEASED = "released"
    """Proved: no domain uses the device, the artifacts are gone, MAC and name are what they were."""
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class AttachmentReport:
    claim_id: str
    generation: int
    state: AttachmentState
    netdev: str | None = None
    """The name by which domain XML must call the device on this host."""
    problem: str | None = None


class OrderState(StrEnum):
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """The agent was away while it ran: look at both hosts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderReport:
    id: str
    generation: int
    state: OrderState
    error: str | None = None
    progress: Mapping[str, int] = field(default_factory=dict)
    """`memory_total`, `memory_remaining` in bytes, while it runs and libvirt tells."""
    paused_seconds: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservedState:
    installation: str
    epoch: int
    version: int
    """The desired version that the agent had read before it looked."""
    boot_id: str
    sequence: int = 0
    """Rises with each report of an epoch: one that overtook another is dropped."""
    domains: tuple[ObservedDomain, ...] = ()
    attachments: tuple[AttachmentReport, ...] = ()
    orders: tuple[OrderReport, ...] = ()
    frozen: str | None = None
    """Why the agent obeys nothing at present."""
