"""What an agent may do. Each may run twice; each names what it touches, so that no two touch the same."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from enum import StrEnum

from jackfield.model.attachment import Order, OrderReport
from jackfield.reconcile.observation import Prior, Started


class Naming(StrEnum):
    """How `netdev-rename` makes a device answer to its logical name."""

    RENAME = "rename"
    ALTNAME = "altname"
    """Only for plain netdevs: libvirt does not recognise a real VF by an altname."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PrepareDevice:
    """Journal what the device was, then make it answer to `logical_name` (None: the journal alone)."""

    claim_id: str
    generation: int
    prior: Prior
    netdev: str
    logical_name: str | None
    naming: Naming

    @property
    def keys(self) -> frozenset[Hashable]:
        return frozenset({("device", self.prior.identity)})


@dataclass(frozen=True, kw_only=True, slots=True)
class RestoreDevice:
    """Make the device what it was: MAC, name, none of our altnames."""

    claim_id: str
    generation: int
    prior: Prior
    netdev: str
    our_altnames: tuple[str, ...]

    @property
    def keys(self) -> frozenset[Hashable]:
        return frozenset({("device", self.prior.identity)})


@dataclass(frozen=True, kw_only=True, slots=True)
class ForgetPrior:
    """Drop a journal entry whose claim is over and whose device is what it was."""

    claim_id: str

    @property
    def keys(self) -> frozenset[Hashable]:
        return frozenset({("prior", self.claim_id)})


@dataclass(frozen=True, kw_only=True, slots=True)
class StartDomain:
    """Define the domain and start it; then journal that this generation was carried out."""

    instance_id: str
    generation: int
    xml: str

    @property
    def keys(self) -> frozenset[Hashable]:
        return frozenset({("instance", self.instance_id)})


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordStart:
    """Journal a start that is seen done, or that cannot be done."""

    instance_id: str
    started: Started

    @property
    def keys(self) -> frozenset[Hashable]:
        return frozenset({("instance", self.instance_id)})


@dataclass(frozen=True, kw_only=True, slots=True)
class ForgetStart:
    """Drop the journal entry of a domain that is neither wanted here nor there."""

    instance_id: str

    @property
    def keys(self) -> frozenset[Hashable]:
        return frozenset({("instance", self.instance_id)})


@dataclass(frozen=True, kw_only=True, slots=True)
class StopDomain:
    instance_id: str

    @property
    def keys(self) -> frozenset[Hashable]:
        return frozenset({("instance", self.instance_id)})


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoveDomain:
    """Stop and undefine: only ever the answer to a tombstone."""

    instance_id: str
    unless_running: bool

    @property
    def keys(self) -> frozenset[Hashable]:
        return frozenset({("instance", self.instance_id)})


@dataclass(frozen=True, kw_only=True, slots=True)
class CarryOut:
    """Journal the order as begun, carry it out, journal how it ended."""

    order: Order

    @property
    def keys(self) -> frozenset[Hashable]:
        return frozenset({("instance", self.order.instance_id)})


@dataclass(frozen=True, kw_only=True, slots=True)
class AbortJob:
    instance_id: str

    @property
    def keys(self) -> frozenset[Hashable]:
        # Not the instance's key: the migration that is to be aborted holds that one.
        return frozenset({("abort", self.instance_id)})


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordOrder:
    """Journal how an order ended that will not, or cannot, be carried out by us any more."""

    report: OrderReport
    instance_id: str

    @property
    def keys(self) -> frozenset[Hashable]:
        return frozenset({("instance", self.instance_id)})


@dataclass(frozen=True, kw_only=True, slots=True)
class ForgetOrder:
    key: str

    @property
    def keys(self) -> frozenset[Hashable]:
        return frozenset({("order", self.key)})


Action = (
    PrepareDevice
    | RestoreDevice
    | ForgetPrior
    | StartDomain
    | RecordStart
    | ForgetStart
    | StopDomain
    | RemoveDomain
    | CarryOut
    | AbortJob
    | RecordOrder
    | ForgetOrder
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Trouble:
    """How the last try of an action failed."""

    text: str
    is_final: bool
    """The same try would fail again; else it is repeated at the next look."""
