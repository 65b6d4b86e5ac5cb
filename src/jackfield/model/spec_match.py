"""What a rule of a host spec asks of a device."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from jackfield.model.address import PciAddress
from jackfield.model.address_pattern import AddressPattern
from jackfield.model.device import Device, DeviceKind


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """Conditions that must all hold; a missing one means any.

    Where a device is (`address`, `netdev`, `pf`) holds for a VF also when it holds for its PF: a rule on a
    PF covers its VFs, and `kind` tells them apart.
    """

    vendor: str | None = None
    product: str | None = None
    class_prefix: str | None = None
    """Base class, base class and subclass, or all six digits."""
    address: AddressPattern | None = None
    netdev: str | None = None
    """A glob."""
    pf: AddressPattern | str | None = None
    """A PF by its address, or by a glob over its netdev's name: it and its VFs, no other device."""
    kind: DeviceKind | None = None
    driver: str | None = None

    def holds(self, device: Device, pf: Device | None) -> bool:
        return (
            self.vendor in (None, device.vendor_id)
            and self.product in (None, device.product_id)
            and device.class_id.startswith(self.class_prefix or "")
            and self.kind in (None, device.kind)
            and self.driver in (None, device.driver)
            and (self.address is None or _address_holds(self.address, device.address, device.parent))
            and (self.netdev is None or _netdev_holds(self.netdev, device, pf))
            and (self.pf is None or self._pf_holds(self.pf, device, pf))
        )

    @staticmethod
    def _pf_holds(wanted: AddressPattern | str, device: Device, pf: Device | None) -> bool:
        if isinstance(wanted, str):
            return _netdev_holds(wanted, device if device.kind is DeviceKind.PF else pf)
        return _address_holds(wanted, device.address if device.kind is DeviceKind.PF else device.parent)


def _address_holds(wanted: AddressPattern, *addresses: PciAddress | None) -> bool:
    return any(address is not None and wanted.holds(address) for address in addresses)


def _netdev_holds(wanted: str, *devices: Device | None) -> bool:
    return any(
        device is not None and device.netdev is not None and fnmatchcase(device.netdev, wanted)
        for device in devices
    )
