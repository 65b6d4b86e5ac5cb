"""`jackfield claim …`."""

from __future__ import annotations

from typing import Annotated

import typer

from jackfield.cli.noun import noun_app
from jackfield.cli.output import Output, OutputOption
from jackfield.cli.server import connect, show_all

app = noun_app("Claims: who has which device.")

_COLUMNS = ("device_id", "state", "purpose", "instance_id", "port_id", "flavor", "lease_expires_at", "id")


@app.command("list")
def listing(
    ctx: typer.Context,
    host: Annotated[str | None, typer.Option(help="Only those on this host.")] = None,
    instance: Annotated[str | None, typer.Option(help="Only those of this instance.")] = None,
    released: Annotated[bool, typer.Option("--released", help="Also those that are over.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """List the claims."""
    with connect(ctx) as client:
        found = client.claims(host=host, instance=instance, released=released)
        show_all(found, output=output, columns=_COLUMNS)
