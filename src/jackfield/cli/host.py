"""`jackfield host …`: the hypervisors of the fleet."""

from __future__ import annotations

import typer

from jackfield.cli.noun import noun_app
from jackfield.cli.output import Output, OutputOption
from jackfield.cli.server import connect, show_all, show_one

app = noun_app("The hypervisors of the fleet.")

_COLUMNS = ("name", "alive", "frozen", "last_report_at", "epoch", "migrate_uri")


@app.command()
def add(ctx: typer.Context, name: str, output: OutputOption = Output.TABLE) -> None:
    """Add a host, and print the token of its agent: this once, it is not kept.

    $ jackfield host add h1 -o json | jq -r .token > h1.token
    """
    with connect(ctx) as client:
        show_one(client.add_host(name), output=output)


@app.command("list")
def listing(ctx: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """List the hosts."""
    with connect(ctx) as client:
        show_all(client.hosts(), output=output, columns=_COLUMNS)


@app.command()
def show(ctx: typer.Context, name: str, output: OutputOption = Output.TABLE) -> None:
    """Show one host."""
    with connect(ctx) as client:
        show_one(client.host(name), output=output)
