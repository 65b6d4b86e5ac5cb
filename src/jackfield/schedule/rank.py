"""Which device goes first on a host, and which host among those that fit equally well."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from jackfield.model.device import DeviceId
from jackfield.schedule.pool import FreeDevice, Pool, Signature

DeviceRank: TypeAlias = tuple[int, int, str]
HostRank: TypeAlias = tuple[int, int, int, int, str]


class Features:
    """How much is lost with a device, by its pool; a fleet costs one count for each signature."""

    def __init__(self, flavors_matching: Callable[[Pool], int]) -> None:
        self._count = flavors_matching
        self._known: dict[Signature, int] = {}

    def of(self, pool: Pool, device: FreeDevice) -> DeviceRank:
        """The least-featured device is the smallest: fewest matching flavors, fewest spec attributes."""
        if pool.signature not in self._known:
            self._known[pool.signature] = self._count(pool)
        return self._known[pool.signature], device.spec_attribute_count, device.identity


def rank_host(host: str, pools: Sequence[Pool], taken: Sequence[tuple[DeviceRank, FreeDevice]]) -> HostRank:
    """The smallest goes first: fewest devices stranded, fewest features spent, fewest free devices.

    The last keeps hosts full of devices for guests that want them; a guest that wants none meets hosts
    without devices first. Costs pools times devices taken.
    """
    flavors = sum(rank[0] for rank, _ in taken)
    given = sum(rank[1] for rank, _ in taken)
    devices = sum(len(pool.devices) for pool in pools)
    return _stranded(pools, [device for _, device in taken]), flavors, given, devices, host


def _stranded(pools: Iterable[Pool], taken: Sequence[FreeDevice]) -> int:
    """How many free devices nobody can have any more though nobody took them: the PFs of VFs taken, the
    VFs of PFs taken."""
    whole: set[DeviceId] = {device.device_id for device in taken}
    opened = {device.parent_id for device in taken if device.parent_id is not None}
    return sum(
        (len(pool.devices) if pool.parent_id in whole else 0) + len(opened & pool.ids) for pool in pools
    )
