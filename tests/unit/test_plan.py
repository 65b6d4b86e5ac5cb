"""Which strategy moves a NIC, and what the plan says."""

from dataclasses import replace

import pytest
from build import pf, vf

from jackfield.migrate.plan import choose, make_plan
from jackfield.migrate.strategy import NicFacts
from jackfield.model.error import Rejected
from jackfield.model.migration import StepName, StrategyName
from jackfield.model.port import VnicType, logical_name

PORT = "02bc4aec-b4a8-4b4f-9b1c-1f0e6f2a7d11"
THERE = vf(2, of=pf("ens2f0", address="0000:02:00.0"))


def nic(**facts) -> NicFacts:
    given = {
        "port_id": PORT,
        "mac": "fa:16:3e:46:d3:e8",
        "vnic_type": VnicType.MACVTAP,
        "source_claim_id": "c1",
        "source_device": vf(0),
        "source_netdev": "eth2v0",
        "target_device": THERE,
    }
    return NicFacts(**{**given, **facts})


def plan_of(strategy: StrategyName, **facts):
    return make_plan([nic(**facts)], source="a", target="b", wanted={PORT: strategy})


def test_a_logical_name_is_made_from_the_ports_uuid_and_short_enough_for_the_kernel():
    assert logical_name(PORT) == "eth02bc4aec-b4"


@pytest.mark.behaviour(57)
def test_auto_takes_the_first_strategy_of_the_operators_order_and_says_why():
    assert choose(nic(), StrategyName.AUTO).strategy.name is StrategyName.DESTINATION_XML
    order = (StrategyName.NETDEV_RENAME, StrategyName.DESTINATION_XML)
    choice = choose(nic(), StrategyName.AUTO, order)
    assert choice.strategy.name is StrategyName.NETDEV_RENAME
    assert choice.reason == "netdev-rename: the first that supports it"


def test_a_strategy_that_was_asked_for_is_taken():
    assert choose(nic(), StrategyName.NETDEV_RENAME).reason == "netdev-rename: asked for"


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"vnic_type": VnicType.DIRECT}, "the port is direct"),
        ({"target_device": replace(THERE, netdev=None, driver="vfio-pci")}, "has no netdev .*vfio-pci"),
    ],
)
def test_what_no_strategy_can_move_is_refused_with_each_reason(facts, words):
    with pytest.raises(Rejected, match=words) as refused:
        choose(nic(**facts), StrategyName.AUTO)
    assert refused.value.code == "strategy-unsupported"
    assert "netdev-rename" in refused.value.message and "destination-xml" in refused.value.message


@pytest.mark.behaviour(56)
def test_destination_xml_names_the_targets_own_device():
    plan = plan_of(StrategyName.DESTINATION_XML)
    assert plan.moves[0].target_netdev == "ens2f0v2"
    pivot = next(step for step in plan.steps if step.name is StepName.MIGRATE)
    assert "carrying XML for the target" in pivot.does


def test_netdev_rename_needs_no_destination_xml_when_the_guest_was_booted_that_way():
    plan = plan_of(StrategyName.NETDEV_RENAME, source_netdev=logical_name(PORT))
    assert plan.moves[0].target_netdev == logical_name(PORT) == plan.moves[0].source_netdev
    pivot = next(step for step in plan.steps if step.name is StepName.MIGRATE)
    assert "carrying" not in pivot.does


def test_a_move_may_name_another_strategy_than_the_boot_and_then_carries_xml():
    plan = plan_of(StrategyName.NETDEV_RENAME, source_netdev="eth2v0")
    assert plan.moves[0].source_netdev != plan.moves[0].target_netdev


def test_an_instance_without_devices_moves_by_the_same_steps():
    plan = make_plan([], source="a", target="b", wanted={})
    assert [step.name for step in plan.steps] == list(StepName)
    assert plan.steps[0].does == "nothing: no port needs a device" and plan.steps[0].undo is None
