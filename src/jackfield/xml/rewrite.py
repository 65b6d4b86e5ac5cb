"""Changes to a whole domain XML that leave everything else as it was."""

from __future__ import annotations

from collections.abc import Mapping

from jackfield.model.error import Rejected
from jackfield.xml.domain import parse_domain
from jackfield.xml.parse import serialize


def with_netdevs(text: str, netdevs: Mapping[str, str]) -> str:
    """The domain with other netdevs under its macvtap interfaces: `netdevs` gives them by MAC.

    Raises `Rejected`: `interface-absent` for a MAC that no `<interface type='direct'>` has,
    `xml-not-domain` and the codes of `parse`.
    """
    domain = parse_domain(text)
    wanted = {mac.lower(): netdev for mac, netdev in netdevs.items()}
    found = set()
    for interface in domain.interfaces:
        source = interface.source
        if interface.type == "direct" and source and interface.mac in wanted:
            source.dev = wanted[interface.mac]
            found.add(interface.mac)
    if absent := sorted(wanted.keys() - found):
        raise Rejected(
            "interface-absent",
            f"domain {domain.name!r} has no <interface type='direct'> with MAC {', '.join(absent)}; "
            "its XML is not the one that was composed for these ports",
        )
    return serialize(domain.node)
