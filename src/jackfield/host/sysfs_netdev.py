"""The network interface of a PCI function, as a sysfs tree tells it."""

from __future__ import annotations

from dataclasses import dataclass

from jackfield.host import sysfs_file as file
from jackfield.model.address import MacAddress

_SPEED_MBPS_MAX = 2**31 - 1
_LOOKS_MAX = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Netdev:
    """One network interface of a function; without a name, that it has none."""

    folder: str = ""
    name: str | None = None
    mac: MacAddress | None = None

    def permanent_mac(self) -> MacAddress | None:
        """The MAC unless the kernel says that somebody gave it: a bond or a boot would change it."""
        if self.mac is None:
            return None
        return self.mac if file.read(f"{self.folder}/addr_assign_type") in ("0", "", None) else None

    def speed_mbps(self) -> int | None:
        # Unknown is -1, or that as an unsigned number; without a link, reading it fails.
        speed = file.number(f"{self.folder}/speed") if self.name else None
        return speed if speed and speed <= _SPEED_MBPS_MAX else None

    def state(self) -> str | None:
        if self.name is None:
            return None
        state = file.read(f"{self.folder}/operstate")
        if state != "unknown":
            return state or None
        # Drivers that report no operational state still report the carrier.
        return {"1": "up", "0": "down"}.get(file.read(f"{self.folder}/carrier") or "")


def first_netdev(folder: str, entries: list[str]) -> Netdev:
    """The function's first netdev, by port and then by name."""
    if "net" not in entries:
        # A virtio function has its netdev one step further down, below its virtio device.
        virtio = next((name for name in entries if name.startswith("virtio")), None)
        if virtio is None:
            return Netdev()
        folder = f"{folder}/{virtio}"
    for _ in range(_LOOKS_MAX):
        names = file.names(f"{folder}/net")
        if not names:
            break
        name = names[0]
        if len(names) > 1:
            name = min(names, key=lambda name: (file.number(f"{folder}/net/{name}/dev_port") or 0, name))
        text = file.read(f"{folder}/net/{name}/address")
        # Without the file, the netdev was perhaps renamed since it was listed: look again.
        if text is not None or file.exists(f"{folder}/net/{name}"):
            return Netdev(folder=f"{folder}/net/{name}", name=name, mac=file.mac(text or ""))
    return Netdev()
