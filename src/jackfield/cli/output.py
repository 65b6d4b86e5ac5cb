"""How a command shows what it got: a table for people, the rest for programs."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

_NOTHING = "-"
_YAML_1_2_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WIDTH_WITHOUT_TERMINAL = 1000


class Output(StrEnum):
    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    VALUE = "value"
    """The bare values: one row a line, separated by spaces; of one thing, one value a line."""


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How to print the result.")]


def show(
    rows: Sequence[Mapping[str, Any]] | Mapping[str, Any],
    *,
    output: Output,
    columns: Sequence[str] | None = None,
) -> None:
    """Prints rows, or one thing, to standard output.

    `columns` chooses and orders what table and value print, all of the first row's keys otherwise; JSON and
    YAML are always whole.
    """
    match output:
        case Output.JSON:
            typer.echo(_json(rows))
        case Output.YAML:
            typer.echo(_yaml(rows), nl=False)
        case Output.VALUE:
            for line in _lines(rows, columns):
                typer.echo(line)
        case Output.TABLE:
            _table(rows, columns)


def _json(rows: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> str:
    return json.dumps(rows, indent=2, ensure_ascii=False, default=str)


def _yaml(rows: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> str:
    import yaml

    class Dumper(yaml.SafeDumper):
        """PyYAML knows YAML 1.1, where the product id 10e9 is a text; for YAML 1.2 it is a number."""

    Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _YAML_1_2_FLOAT, list("-+.0123456789"))
    # By way of JSON, so that both say the same of enums, addresses and times.
    text: str = yaml.dump(json.loads(_json(rows)), Dumper=Dumper, sort_keys=False, allow_unicode=True)
    return text


def _lines(rows: Sequence[Mapping[str, Any]] | Mapping[str, Any], columns: Sequence[str] | None) -> list[str]:
    if isinstance(rows, Mapping):
        return [_cell(rows.get(name)) for name in columns or rows]
    return [" ".join(_cell(row.get(name)) for name in columns or row) for row in rows]


def _table(rows: Sequence[Mapping[str, Any]] | Mapping[str, Any], columns: Sequence[str] | None) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if isinstance(rows, Mapping):
        names: Sequence[str] = ("field", "value")
        cells: list[tuple[str, ...]] = [(name, _cell(rows.get(name))) for name in columns or rows]
    else:
        names = columns or (list(rows[0]) if rows else [])
        cells = [tuple(_cell(row.get(name)) for name in names) for row in rows]
    table = Table(box=box.SIMPLE_HEAD)
    for name in names:
        table.add_column(Text(name), overflow="fold")
    for line in cells:
        # As Text, because a value in square brackets is not markup.
        table.add_row(*map(Text, line))
    # A pipe has no width, and rich would fold everything into 80 columns.
    width = None if sys.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL
    if names:
        Console(width=width).print(table)


def _cell(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case Mapping():
            text = ",".join(f"{name}={_cell(inner)}" for name, inner in value.items())
        case list() | tuple():
            text = ",".join(_cell(inner) for inner in value)
        case None:
            text = ""
        case _:
            text = str(value)
    return text or _NOTHING
