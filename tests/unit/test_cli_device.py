from __future__ import annotations

import json
import subprocess
import sys

import pytest
from igb import SCAN, unpack

from jackfield.cli.exit import ExitCode
from jackfield.cli.main import main

SPEC = """
[[rule]]
match = {vendor = "8086", product = "10ca"}
attributes = {physical_network = "physnet1"}
"""
HEAVY = ("libvirt", "pyroute2", "sqlalchemy", "alembic", "fastapi", "httpx", "lxml", "uvicorn", "structlog")
# Not pydantic: Typer loads it by itself wherever it is installed.


@pytest.fixture(scope="module")
def igb(tmp_path_factory) -> str:
    return str(unpack(tmp_path_factory.mktemp("igb")))


def scan(capsys, *options: str) -> tuple[int, str, str]:
    code = main(["device", "scan", *options])
    output = capsys.readouterr()
    return code, output.out, output.err


@pytest.mark.behaviour(1, 10)
def test_a_scan_without_a_spec_prints_every_device_and_offers_none(igb, capsys):
    code, out, _ = scan(capsys, "--sysfs", igb, "-o", "json")
    assert code == ExitCode.OK
    assert json.loads(out) == SCAN


@pytest.mark.behaviour(1, 2, 3)
def test_a_scan_with_a_spec_prints_what_its_rules_offer_and_give(igb, capsys, tmp_path):
    (tmp_path / "host.toml").write_text(SPEC)
    _, out, _ = scan(capsys, "--sysfs", igb, "--spec", str(tmp_path / "host.toml"), "-o", "json")
    given = {"offered": True, "attributes": {"physical_network": "physnet1"}}
    assert json.loads(out) == [{**entry, **(given if entry["kind"] == "vf" else {})} for entry in SCAN]


def test_a_scan_is_a_table_unless_told(igb, capsys):
    _, out, _ = scan(capsys, "--sysfs", igb)
    assert "0000:01:10.6   vf" in out


def test_a_root_that_is_none_is_one_sentence_and_an_exit_code(tmp_path, capsys):
    code, out, err = scan(capsys, "--sysfs", str(tmp_path))
    assert (code, out) == (ExitCode.NOT_FOUND, "")
    assert err.startswith(f"jackfield: cannot list {tmp_path}/bus/pci/devices: give a sysfs root")
    assert err.count("\n") == 1


@pytest.mark.behaviour(5)
def test_a_wrong_spec_is_one_sentence_with_file_rule_and_field(igb, tmp_path, capsys):
    (tmp_path / "host.toml").write_text('[[rule]]\nmatch = {vendro = "8086"}\n')
    code, _, err = scan(capsys, "--sysfs", igb, "--spec", str(tmp_path / "host.toml"))
    assert code == ExitCode.USAGE
    assert f"host spec {tmp_path}/host.toml, rule 1, field match.vendro: " in err


def test_a_spec_that_is_not_there_is_not_found(igb, tmp_path, capsys):
    code, _, err = scan(capsys, "--sysfs", igb, "--spec", str(tmp_path / "host.toml"))
    assert code == ExitCode.NOT_FOUND
    assert f"no host spec {tmp_path}/host.toml" in err


def test_a_scan_loads_nothing_that_other_commands_need(igb):
    program = (
        "import sys\n"
        "from jackfield.cli.main import main\n"
        f"assert main(['device', 'scan', '--sysfs', {igb!r}, '-o', 'json']) == 0\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stderr == "[]\n"
