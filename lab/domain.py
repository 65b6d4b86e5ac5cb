"""The XML of a bare guest, for tests that talk to libvirt without Jackfield."""

import uuid
from collections.abc import Iterable
from xml.sax.saxutils import escape

from lab.guest import Guest, command_line

MEMORY_MIB = 128


def domain_xml(
    name: str, guest: Guest, interfaces: Iterable[str], ips: Iterable[str], memory_mib: int = MEMORY_MIB
) -> str:
    """A domain of the laboratory's guest, emulated, with the given NICs and their addresses in order."""
    return f"""\
<domain type='qemu'>
  <name>{escape(name)}</name>
  <uuid>{uuid.uuid4()}</uuid>
  <memory unit='MiB'>{memory_mib}</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>{escape(str(guest.kernel))}</kernel>
    <initrd>{escape(str(guest.initrd))}</initrd>
    <cmdline>{escape(command_line(ips))}</cmdline>
  </os>
  <features><acpi/></features>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/>
    <serial type='file'><source path='/var/log/libvirt/qemu/{escape(name)}.serial' append='on'/></serial>
    {"".join(interfaces)}
    <memballoon model='none'/>
  </devices>
</domain>
"""


def macvtap(netdev: str, mac: str) -> str:
    """A NIC that has the netdev for itself: macvtap in passthrough mode."""
    return (
        f"<interface type='direct'><mac address='{mac}'/><source dev='{netdev}' mode='passthrough'/>"
        "<model type='virtio'/><rom enabled='no'/></interface>"
    )
