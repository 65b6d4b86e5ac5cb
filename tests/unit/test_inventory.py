from __future__ import annotations

from dataclasses import replace

import pytest
from build import offered, pci, pf, vf

from jackfield.model.address import PciAddress
from jackfield.model.spec import HostSpec, parse_spec
from jackfield.reconcile.inventory import apply, diff

EVERYTHING = parse_spec("[[rule]]\n", "host.toml")


def addresses(entries) -> list[str]:
    return [str(entry.device.address) for entry in entries]


@pytest.mark.behaviour(1)
def test_every_device_is_told_of_and_without_rules_none_is_offered():
    inventory = apply(HostSpec(), [vf(1), vf(0), pf()])
    assert addresses(inventory) == ["0000:01:00.0", "0000:01:10.0", "0000:01:10.2"]
    assert not any(entry.offered for entry in inventory)


@pytest.mark.behaviour(3, 4)
def test_a_rule_on_a_pf_gives_its_attributes_to_its_vfs():
    spec = parse_spec(
        '[[rule]]\nmatch = {pf = "eth2", kind = "vf"}\nattributes = {physical_network = "physnet1"}\n'
        'pool_network = "fast"\n',
        "host.toml",
    )
    card, first, gpu = apply(spec, [pf("eth2"), vf(0), pci()])
    assert (card.offered, gpu.offered) == (False, False)
    assert first.offered
    assert first.selectable()["physical_network"] == "physnet1"
    assert first.pool_network == "fast"


@pytest.mark.behaviour(9)
def test_devices_of_one_identity_are_not_offered_and_can_still_be_named():
    twins = [pf("eth2", identity="serial-1"), pf("eth3", address="0000:02:00.0", identity="serial-1")]
    inventory = apply(EVERYTHING, [*twins, vf(0, of=twins[0]), vf(0, of=twins[1]), pci()])
    assert [entry.offered for entry in inventory] == [False, False, False, False, True]
    assert "0000:02:00.0" in inventory[0].refusal
    assert "serial-1" in inventory[0].refusal
    assert len({entry.device.identity for entry in inventory}) == 5
    parents = {entry.device.address: entry.device.identity for entry in inventory}
    for entry in inventory:
        if entry.device.parent:
            assert entry.device.parent_identity == parents[entry.device.parent]


def test_a_vf_follows_its_pf_s_new_identity_although_its_own_was_clear():
    twins = [pf("eth2", identity="serial-1"), pf("eth3", address="0000:02:00.0", identity="serial-1")]
    child = apply(EVERYTHING, [*twins, vf(3, of=twins[1])])[2]
    assert child.device.parent_identity == "serial-1@0000:02:00.0"
    assert child.offered


def test_a_device_that_no_rule_offers_is_not_refused_either():
    twins = [pci(identity="x"), pci("0000:06:00.0", identity="x")]
    assert [entry.refusal for entry in apply(HostSpec(), twins)] == [None, None]


@pytest.mark.behaviour(6)
def test_a_new_spec_adds_removes_keeps_and_changes():
    before = [
        offered(vf(0)),
        offered(vf(1)),
        offered(vf(2), group="a"),
        replace(offered(vf(3)), offered=False),
    ]
    after = [
        offered(vf(0)),
        replace(offered(vf(1)), offered=False),
        offered(vf(2), group="b"),
        offered(vf(3)),
    ]
    change = diff(before, after)
    assert addresses(change.added) == ["0000:01:10.6"]
    assert addresses(change.removed) == ["0000:01:10.2"]
    assert addresses(change.kept) == ["0000:01:10.0"]
    assert addresses(change.changed) == ["0000:01:10.4"]


@pytest.mark.behaviour(6)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (offered(vf(0), trusted=True), offered(vf(0), trusted=1)),
        (offered(vf(0)), replace(offered(vf(0)), pool_network="fast")),
    ],
)
def test_another_type_or_another_pool_is_a_change(before, after):
    assert addresses(diff([before], [after]).changed) == ["0000:01:10.0"]


@pytest.mark.behaviour(6, 9)
def test_a_device_that_was_renumbered_and_renamed_is_kept():
    moved = replace(vf(0), address=PciAddress.parse("0000:07:10.0"), netdev="enp7s0v0")
    assert addresses(diff([offered(vf(0))], [offered(moved)]).kept) == ["0000:07:10.0"]
