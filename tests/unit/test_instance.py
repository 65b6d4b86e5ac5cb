from __future__ import annotations

import pytest

from jackfield.model.error import Rejected
from jackfield.model.instance import Machine, check_machine


@pytest.mark.parametrize(
    "options",
    [
        {"kernel": "/boot/vmlinuz", "initrd": "/boot/initrd", "command_line": "quiet"},
        {"disk": "/srv/disk.qcow2", "domain_type": "qemu"},
        {"kernel": "/boot/vmlinuz", "memory_mib": 16, "vcpus": 1024},
        {"domain_xml": "<domain/>"},
    ],
)
def test_a_machine_boots_from_a_kernel_a_disk_or_its_own_xml(options):
    check_machine(Machine(**options))


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, "nothing to boot from"),
        ({"kernel": "/k", "memory_mib": 15}, "15 MiB"),
        ({"kernel": "/k", "vcpus": 0}, "0 vcpus"),
        ({"disk": "/d", "initrd": "/i"}, "needs a kernel"),
        ({"disk": "/d", "command_line": "quiet"}, "needs a kernel"),
        ({"kernel": "k"}, "kernel 'k'"),
        ({"kernel": "/k", "initrd": "i"}, "initrd 'i'"),
        ({"disk": "d"}, "disk 'd'"),
        ({"kernel": "/k", "domain_type": "xen"}, "'xen'"),
    ],
)
def test_a_machine_that_cannot_start_is_refused_with_the_option(options, names):
    with pytest.raises(Rejected, match=names) as refused:
        check_machine(Machine(**options))
    assert refused.value.code == "machine-malformed"
