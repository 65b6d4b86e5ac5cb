"""`destination-xml`: the XML names each host's own device, and the move carries XML for the target.

Nothing on either host bears a new name. The guest-visible parts stay equal: only `<source dev>` changes.
"""

from __future__ import annotations

from jackfield.migrate.strategy import NicFacts, NicPlan, Verdict, macvtap_only
from jackfield.model.migration import StrategyName


class DestinationXml:
    name = StrategyName.DESTINATION_XML

    def supports(self, nic: NicFacts) -> Verdict:
        return macvtap_only(nic)

    def plan(self, nic: NicFacts) -> NicPlan:
        netdev = nic.target_device.netdev
        return NicPlan(
            prepares=f"write down MAC and name of {netdev} ({nic.target_device.address})",
            undoes=f"see {netdev} as it was",
            target_netdev=None,
        )
