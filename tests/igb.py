"""The captured igb card of `tests/data/igb`: one PF, four VFs."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

DATA = Path(__file__).parent / "data/igb"
SCAN = json.loads((Path(__file__).parent / "golden/igb-scan.json").read_text())
"""What a scan without a spec must say: written by hand from the raw files, never regenerated."""


def unpack(folder: Path) -> Path:
    """The captured tree, below `folder`: what stands there in place of /sys."""
    with tarfile.open(DATA / "sysfs-igb.tar.gz") as archive:
        archive.extractall(folder, filter="tar")
    return folder / "sys"
