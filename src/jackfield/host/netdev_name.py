"""What may be the name of a network interface, checked before the kernel sees it."""

from __future__ import annotations

import re

from jackfield.model.error import Rejected

NETDEV_BYTES_MAX = 15
ALTNAME_BYTES_MAX = 127

# A `%` is dangerous rather than forbidden: asked for the name `a%d`, the kernel numbers it and gives `a1`.
# Of altnames it checks the length alone: blanks, slashes and the empty name pass, and sysfs tools choke.
_FORBIDDEN = re.compile(r"[\s/:%\0]")


def check_netdev_name(name: str, bytes_max: int) -> None:
    """Raises `Rejected` (`netdev-name-invalid`) unless a link may have `name` as its name or altname."""
    if name in ("", ".", "..") or _FORBIDDEN.search(name):
        problem = "a name is not empty and has no blank, '/', ':' or '%'"
    elif (length := len(name.encode())) > bytes_max:
        problem = f"it has {length} bytes, and {bytes_max} fit"
    else:
        return
    raise Rejected("netdev-name-invalid", f"{name!r} cannot name a link: {problem}", detail={"name": name})
