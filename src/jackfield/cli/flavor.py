"""`jackfield flavor …`: PCI flavors."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from jackfield.cli.condition import parse_conditions
from jackfield.cli.noun import noun_app
from jackfield.cli.output import Output, OutputOption
from jackfield.cli.output import show as show_rows
from jackfield.cli.server import connect, show_all, show_one
from jackfield.model.error import Rejected
from jackfield.model.migration import StrategyName
from jackfield.wire.flavor import FailedCondition

app = noun_app("PCI flavors: what kind of device a port or instance may ask for by name.")

_COLUMNS = ("name", "description", "strategy", "alternatives")

MatchOption = Annotated[
    list[str] | None,
    typer.Option("--match", help="A condition; all of them together are the one alternative."),
]
AlternativesOption = Annotated[
    str | None, typer.Option(help="All alternatives as JSON: a list of objects, tried in order.")
]
DescriptionOption = Annotated[str | None, typer.Option(help="What tenants read.")]
StrategyOption = Annotated[
    StrategyName | None, typer.Option(help="How such a NIC is kept through a migration.")
]


@app.command()
def create(
    ctx: typer.Context,
    name: str,
    *,
    match: MatchOption = None,
    alternatives: AlternativesOption = None,
    description: DescriptionOption = None,
    strategy: StrategyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Create a flavor.

    $ jackfield flavor create fast --match vendor=8086 --match physical_network=physnet1

    $ jackfield flavor create any --alternatives '[{"product": "10ca"}, {"kind": "vf"}]'
    """
    wanted = _alternatives(match, alternatives)
    if wanted is None:
        raise Rejected("flavor-malformed", f"flavor {name}: give --match or --alternatives")
    with connect(ctx) as client:
        it = client.create_flavor(name, wanted, description=description or "", strategy=strategy)
        show_one(it, output=output)


@app.command("list")
def listing(ctx: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """List the flavors."""
    with connect(ctx) as client:
        show_all(client.flavors(), output=output, columns=_COLUMNS)


@app.command()
def show(ctx: typer.Context, name: str, output: OutputOption = Output.TABLE) -> None:
    """Show one flavor."""
    with connect(ctx) as client:
        show_one(client.flavor(name), output=output)


@app.command("set")
def change(
    ctx: typer.Context,
    name: str,
    *,
    match: MatchOption = None,
    alternatives: AlternativesOption = None,
    description: DescriptionOption = None,
    strategy: StrategyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Change what is given; the rest stays. What instances have, they keep."""
    wanted = _alternatives(match, alternatives)
    with connect(ctx) as client:
        old = client.flavor(name)
        it = client.replace_flavor(
            name,
            old.alternatives if wanted is None else wanted,
            description=old.description if description is None else description,
            strategy=old.strategy if strategy is None else strategy,
        )
        show_one(it, output=output)


@app.command()
def delete(
    ctx: typer.Context,
    name: str,
    force: Annotated[bool, typer.Option("--force", help="Also while ports ask for it.")] = False,
) -> None:
    """Delete a flavor; what instances have of it, they keep."""
    with connect(ctx) as client:
        client.delete_flavor(name, force=force)


@app.command()
def match(ctx: typer.Context, name: str, output: OutputOption = Output.TABLE) -> None:
    """Show which devices the flavor matches, and what each of the others fails on."""
    with connect(ctx) as client:
        found = client.match_flavor(name)
    if output is not Output.TABLE:
        show_one(found, output=output)
        return
    rows: list[dict[str, Any]] = [
        {"device": one.device_id, "alternative": one.alternative, "fails": None} for one in found.matching
    ]
    rows += [
        {"device": one.device_id, "alternative": None, "fails": [_in_words(failed) for failed in one.failed]}
        for one in found.others
    ]
    show_rows(rows, output=output)


def _in_words(failed: FailedCondition) -> str:
    found = "is missing" if failed.found is None else f"is {failed.found}"
    return f"{failed.attribute} {found}, not {json.dumps(failed.wanted)}"


def _alternatives(match: list[str] | None, alternatives: str | None) -> list[dict[str, Any]] | None:
    if match and alternatives:
        raise Rejected(
            "flavor-malformed", "--match and --alternatives say the same thing twice; give one of them"
        )
    if match:
        return [parse_conditions(match)]
    if alternatives is None:
        return None
    try:
        found = json.loads(alternatives)
    except json.JSONDecodeError as error:
        raise Rejected("flavor-malformed", f"--alternatives is no JSON: {error}") from error
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise Rejected(
            "flavor-malformed", '--alternatives: write a list of objects, as in \'[{"kind": "vf"}]\''
        )
    return found
