"""From the facts of a move to its plan: a strategy for each NIC, and the steps in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jackfield.migrate.destination_xml import DestinationXml
from jackfield.migrate.netdev_rename import NetdevRename
from jackfield.migrate.strategy import NicFacts, Strategy
from jackfield.model.error import Rejected
from jackfield.model.migration import Plan, PlannedMove, PlannedStep, StepName, StrategyName

STRATEGIES: Mapping[StrategyName, Strategy] = {
    strategy.name: strategy for strategy in (DestinationXml(), NetdevRename())
}
"""In the order in which `auto` tries them unless the operator says otherwise: least touched first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    strategy: Strategy
    reason: str


def choose(nic: NicFacts, wanted: StrategyName, order: Sequence[StrategyName] = tuple(STRATEGIES)) -> Choice:
    """The strategy for one NIC: the one that was named, or the first of `order` that supports it.

    Raises `Rejected` (`strategy-unsupported`) with each strategy's reason.
    """
    candidates = order if wanted is StrategyName.AUTO else (wanted,)
    refusals: list[str] = []
    for name in candidates:
        verdict = STRATEGIES[name].supports(nic)
        if verdict.is_yes:
            passed = f"; passed over: {'; '.join(refusals)}" if refusals else ""
            how = "the first that supports it" if wanted is StrategyName.AUTO else "asked for"
            return Choice(strategy=STRATEGIES[name], reason=f"{name.value}: {how}{passed}")
        refusals.append(f"{name.value}: {verdict.refusal}")
    raise Rejected(
        "strategy-unsupported", f"no strategy moves port {nic.port_id} ({nic.mac}): {'; '.join(refusals)}"
    )


def make_plan(
    nics: Sequence[NicFacts],
    *,
    source: str,
    target: str,
    wanted: Mapping[str, StrategyName],
    order: Sequence[StrategyName] = tuple(STRATEGIES),
) -> Plan:
    """The plan of one migration; `wanted` tells each port's strategy.

    Raises `Rejected` (`strategy-unsupported`).
    """
    moves: list[PlannedMove] = []
    prepares: list[str] = []
    undoes: list[str] = []
    reasons: list[str] = []
    for nic in nics:
        choice = choose(nic, wanted[nic.port_id], order)
        nic_plan = choice.strategy.plan(nic)
        reasons.append(choice.reason)
        prepares.append(nic_plan.prepares)
        undoes.append(nic_plan.undoes)
        moves.append(
            PlannedMove(
                port_id=nic.port_id,
                mac=nic.mac,
                source_claim_id=nic.source_claim_id,
                source_address=str(nic.source_device.address),
                target_address=str(nic.target_device.address),
                strategy=choice.strategy.name,
                source_netdev=nic.source_netdev,
                target_netdev=nic_plan.target_netdev or nic.target_device.netdev,
            )
        )
    rewritten = [move for move in moves if move.source_netdev != move.target_netdev]
    carrying = ", carrying XML for the target" if rewritten else ""
    macs = ", ".join(move.mac for move in rewritten)
    return Plan(
        source=source,
        target=target,
        reasons=tuple(reasons),
        moves=tuple(moves),
        steps=(
            PlannedStep(
                name=StepName.PREPARE,
                host=target,
                does="; ".join(prepares) or "nothing: no port needs a device",
                undo="; ".join(undoes) or None,
            ),
            PlannedStep(
                name=StepName.BIND,
                host=target,
                does="give each port an inactive binding",
                undo="delete the inactive bindings",
            ),
            PlannedStep(
                name=StepName.MIGRATE,
                host=source,
                does=f"move the guest, peer to peer{carrying}" + (f" (for {macs})" if rewritten else ""),
            ),
            PlannedStep(name=StepName.SURVEY, host=source, does="ask both hosts where the guest runs"),
            PlannedStep(
                name=StepName.ACTIVATE,
                host=target,
                does="change bindings, claims and instance over, in one step",
            ),
            PlannedStep(
                name=StepName.RELEASE_SOURCE,
                host=source,
                does="; ".join(f"see {move.source_address} as it was before" for move in moves) or "nothing",
            ),
        ),
    )
