"""Changes to a whole domain XML that leave everything else as it was."""

from __future__ import annotations

from collections.abc import Mapping

from jackfield.model.error import Rejected
from jackfield.xml.domain import parse_domain
from jackfield.xml.parse import serialize


def with_netdevs(text: str, netdevs: Mapping[str, str]) -> str:
    """The domain with other netdevs under its macvtap interfaces, and other bridges under those on one:
    `netdevs` gives them by MAC.

    Raises `Rejected`: `interface-absent` for a MAC that no such interface has, `xml-not-domain` and the
    codes of `parse`.
    """
    domain = parse_domain(text)
    wanted = {mac.lower(): netdev for mac, netdev in netdevs.items()}
    found = set()
    for interface in domain.interfaces:
        source = interface.source
        if source is None or interface.mac not in wanted:
            continue
        match interface.type:
            case "direct":
                source.dev = wanted[interface.mac]
            case "bridge":
                source.bridge = wanted[interface.mac]
            case _:
                continue
        found.add(interface.mac)
    if absent := sorted(wanted.keys() - found):
        raise Rejected(
            "interface-absent",
            f"domain {domain.name!r} has no <interface type='direct'> or 'bridge' with MAC "
            f"{', '.join(absent)}; its XML is not the one that was composed for these ports",
        )
    return serialize(domain.node)
