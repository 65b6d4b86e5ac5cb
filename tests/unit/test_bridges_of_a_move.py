"""A normal port moves to the target's own bridge."""

from __future__ import annotations

import pytest

from jackfield.model.attachment import DomainState, ObservedDomain, ObservedState
from jackfield.model.instance import Machine
from jackfield.model.network import SegmentKind
from jackfield.model.port import VnicType
from jackfield.service import host, instance, migration, network, port
from jackfield.service.context import Service
from jackfield.store.engine import Store

MACHINE = Machine(memory_mib=128, kernel="/srv/vmlinuz", domain_type="qemu")


def report(service: Service, name: str, *domains: ObservedDomain) -> None:
    """What the host's agent says on its latest word."""

    def tell(unit):
        told = host.show(unit, name)
        observed = ObservedState(
            installation=unit.installation,
            epoch=told.epoch,
            version=told.desired_version,
            boot_id="b",
            sequence=told.desired_version,
            domains=domains,
        )
        host.put_observed(unit, name, told.epoch, observed)

    service.write(tell)


@pytest.mark.behaviour(52, 56)
@pytest.mark.parametrize(("there", "carried"), [("br0", None), ("br-data", "br-data")])
def test_the_order_names_the_targets_bridge_where_it_has_another_name(there, carried):
    store = Store.open("sqlite://", inline=True)
    service = Service(store)
    for name, bridge in (("a", "br0"), ("b", there)):
        service.write(lambda unit, name=name: host.add(unit, name))
        service.write(
            lambda unit, name=name, bridge=bridge: host.begin_epoch(
                unit,
                name,
                boot_id="b",
                migrate_uri=f"qemu+tcp://{name}/system",
                bridge_mappings={"p": bridge},
            )
        )
        service.heard(name)
    service.write(lambda unit: network.create(unit, "lan", "p", SegmentKind.FLAT, None))
    nic = service.write(lambda unit: port.create(unit, "nic", "lan", VnicType.NORMAL))
    guest = service.write(lambda unit: instance.boot(unit, "web", MACHINE, ["nic"], host="a"))
    report(service, "a", ObservedDomain(instance_id=guest.id, state=DomainState.RUNNING, started=1))

    service.write(lambda unit: migration.begin(unit, "web", "b"))
    report(service, "b")  # it has nothing to prepare
    (order,) = service.read(lambda unit: host.desired(unit, "a", 1, -1)).orders
    assert order.netdevs == ({nic.mac: carried} if carried else {})
    store.close()
