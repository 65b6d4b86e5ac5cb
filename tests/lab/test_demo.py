"""The demo on two real hypervisors, as `make demo` runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab import needs

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.lab
@pytest.mark.skipif(bool(needs.missing()), reason=f"missing: {', '.join(needs.missing())}")
def test_the_demo_moves_a_guest_there_and_back_on_real_libvirt_and_leaves_nothing(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-m", "lab.demo"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    report = json.loads((tmp_path / ".demo/report.json").read_text())
    assert "simulated" not in report and report["leftovers"] == []
    assert [move["strategy"] for move in report["moves"]] == ["netdev-rename", "destination-xml"]
    assert all(move["longest_silence_seconds"] < 5 for move in report["moves"])
    assert "longest" in ran.stdout and "nothing is left behind" in ran.stdout
