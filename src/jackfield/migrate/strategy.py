"""What a strategy is: one way to keep a NIC through a migration. Each is one file beside this one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from jackfield.model.device import Device
from jackfield.model.migration import StrategyName
from jackfield.model.port import VnicType


@dataclass(frozen=True, kw_only=True, slots=True)
class NicFacts:
    """One NIC that moves, and the device that it would have on the target."""

    port_id: str
    mac: str
    vnic_type: VnicType
    source_claim_id: str
    source_device: Device
    source_netdev: str | None
    """The name by which the running domain's XML calls the device."""
    target_device: Device


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Whether a strategy can move this NIC; a no comes with its reason."""

    refusal: str | None = None

    @property
    def is_yes(self) -> bool:
        return self.refusal is None


YES = Verdict()


@dataclass(frozen=True, kw_only=True, slots=True)
class NicPlan:
    """What a strategy does for one NIC, in words for people and names for the agents."""

    prepares: str
    undoes: str
    target_netdev: str | None
    """The name that the target's device will bear; None where it keeps the one it has."""


class Strategy(Protocol):
    name: StrategyName

    def supports(self, nic: NicFacts) -> Verdict: ...

    def plan(self, nic: NicFacts) -> NicPlan: ...


def macvtap_only(nic: NicFacts) -> Verdict:
    """What both strategies that name a netdev in the XML need."""
    if nic.vnic_type is not VnicType.MACVTAP:
        return Verdict(refusal=f"the port is {nic.vnic_type.value}, and only a macvtap names a netdev")
    if nic.target_device.netdev is None:
        driver = nic.target_device.driver or "none"
        return Verdict(refusal=f"{nic.target_device.address} has no netdev (its driver: {driver})")
    return YES
