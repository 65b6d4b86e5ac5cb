from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
import yaml

from jackfield.cli.output import Output, show
from jackfield.model.address import PciAddress
from jackfield.model.device import DeviceKind

ROWS = [
    {"name": "a", "count": 1, "offered": True, "attributes": {"group": "x", "trusted": False}, "tags": []},
    {"name": "[b]", "count": None, "offered": False, "attributes": {}, "tags": ["x", "y"]},
]


def shown(capsys, rows, output: Output, columns=None) -> str:
    show(rows, output=output, columns=columns)
    return capsys.readouterr().out


@pytest.mark.parametrize("rows", [ROWS, ROWS[0], [], {}])
def test_json_and_yaml_are_whole_whatever_the_columns(rows, capsys):
    assert json.loads(shown(capsys, rows, Output.JSON, ["name"])) == rows
    assert yaml.safe_load(shown(capsys, rows, Output.YAML, ["name"])) == rows


def test_enums_addresses_and_times_are_texts(capsys):
    row = {
        "kind": DeviceKind.VF,
        "address": PciAddress(0, 1, 0x10, 2),
        "at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    }
    texts = {"kind": "vf", "address": "0000:01:10.2", "at": "2026-01-02 03:04:05+00:00"}
    assert json.loads(shown(capsys, row, Output.JSON)) == texts
    assert yaml.safe_load(shown(capsys, row, Output.YAML)) == texts


@pytest.mark.parametrize("text", ["10e9", "1e5", "0123", "8086", "true", "-", "1.", ".5", "2026-01-02"])
def test_a_text_that_a_yaml_reader_might_take_for_something_else_is_quoted(text, capsys):
    assert shown(capsys, {"product_id": text}, Output.YAML) == f"product_id: '{text}'\n"


def test_values_are_bare_one_row_a_line(capsys):
    assert shown(capsys, ROWS, Output.VALUE) == "a 1 yes group=x,trusted=no -\n[b] - no - x,y\n"
    assert shown(capsys, ROWS, Output.VALUE, ["count", "name"]) == "1 a\n- [b]\n"


def test_of_one_thing_each_value_is_a_line(capsys):
    assert shown(capsys, ROWS[0], Output.VALUE, ["count", "missing"]) == "1\n-\n"


def test_a_table_has_the_columns_asked_for_and_takes_no_value_for_markup(capsys):
    out = shown(capsys, ROWS, Output.TABLE, ["name", "attributes"])
    assert "group=x,trusted=no" in out
    assert "[b]" in out
    assert "count" not in out


def test_a_table_of_one_thing_has_a_line_a_field(capsys):
    lines = shown(capsys, ROWS[0], Output.TABLE).splitlines()
    assert any(line.split() == ["count", "1"] for line in lines)


def test_a_table_in_a_pipe_is_not_folded(capsys):
    assert "x" * 500 in shown(capsys, [{"a": "x" * 500}], Output.TABLE)


def test_a_table_of_nothing_has_its_head_or_is_empty(capsys):
    assert "name" in shown(capsys, [], Output.TABLE, ["name"])
    assert shown(capsys, [], Output.TABLE) == ""
