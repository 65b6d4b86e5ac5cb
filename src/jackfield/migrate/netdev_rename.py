"""`netdev-rename`: the XML names a logical netdev made from the port's UUID, the same on every host.

The target's device bears that name before the move begins, so the XML need not change on the way.
"""

from __future__ import annotations

from jackfield.migrate.strategy import NicFacts, NicPlan, Verdict, macvtap_only
from jackfield.model.migration import StrategyName
from jackfield.model.port import logical_name


class NetdevRename:
    name = StrategyName.NETDEV_RENAME

    def supports(self, nic: NicFacts) -> Verdict:
        return macvtap_only(nic)

    def plan(self, nic: NicFacts) -> NicPlan:
        netdev, name = nic.target_device.netdev, logical_name(nic.port_id)
        return NicPlan(
            prepares=f"give {netdev} ({nic.target_device.address}) the name {name}",
            undoes=f"give {name} its own name back",
            target_netdev=name,
        )
