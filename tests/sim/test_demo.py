"""The demo where there is no root and no hypervisor: the same story on simulated hosts."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = str(Path(sys.executable).with_name("jackfield"))


@pytest.mark.behaviour(73)
def test_the_demo_tells_its_story_without_special_hardware_and_says_that_it_is_simulated(tmp_path):
    ran = subprocess.run([COMMAND, "demo"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stderr == ""
    assert "SIMULATED" in ran.stdout and "nothing is left behind" in ran.stdout
    report = json.loads((tmp_path / ".demo/report.json").read_text())
    assert report["simulated"] is True and report["leftovers"] == []
    assert [move["strategy"] for move in report["moves"]] == ["netdev-rename", "destination-xml"]
    there, back = report["moves"]
    assert there["source_device"] == back["target_device"] and there["target_device"] == back["source_device"]
    assert all(0 <= move["longest_silence_seconds"] < move["seconds"] for move in report["moves"])
