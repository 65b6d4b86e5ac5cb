"""`jackfield network …`."""

from __future__ import annotations

from typing import Annotated

import typer

from jackfield.cli.noun import noun_app
from jackfield.cli.output import Output, OutputOption
from jackfield.cli.server import connect, show_all, show_one
from jackfield.model.network import SegmentKind

app = noun_app("Networks: a physical network and a segment on it.")

_COLUMNS = ("name", "physical_network", "segment", "vlan", "id")


@app.command()
def create(
    ctx: typer.Context,
    name: str,
    physical_network: Annotated[str, typer.Option(help="As the host specs call it.")],
    vlan: Annotated[int | None, typer.Option(help="The VLAN id; a flat network without.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Create a network.

    $ jackfield network create lan --physical-network physnet1
    """
    segment = SegmentKind.FLAT if vlan is None else SegmentKind.VLAN
    with connect(ctx) as client:
        it = client.create_network(name, physical_network, segment=segment, vlan=vlan)
        show_one(it, output=output)


@app.command("list")
def listing(ctx: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """List the networks."""
    with connect(ctx) as client:
        show_all(client.networks(), output=output, columns=_COLUMNS)


@app.command()
def show(ctx: typer.Context, name: str, output: OutputOption = Output.TABLE) -> None:
    """Show one network, by name or id."""
    with connect(ctx) as client:
        show_one(client.network(name), output=output)


@app.command()
def delete(ctx: typer.Context, name: str) -> None:
    """Delete a network that has no ports."""
    with connect(ctx) as client:
        client.delete_network(name)
