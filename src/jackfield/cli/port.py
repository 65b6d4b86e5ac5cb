"""`jackfield port …`."""

from __future__ import annotations

from typing import Annotated

import typer

from jackfield.cli.noun import noun_app
from jackfield.cli.output import Output, OutputOption
from jackfield.cli.server import connect, show_all, show_one
from jackfield.model.migration import StrategyName
from jackfield.model.port import VnicType

app = noun_app("Ports: what joins a guest to a network.")

_COLUMNS = ("name", "mac_address", "binding:vnic_type", "flavor", "binding:host_id", "binding:profile", "id")


@app.command()
def create(
    ctx: typer.Context,
    name: str,
    *,
    network: Annotated[str, typer.Option(help="Its name or id.")],
    vnic_type: Annotated[VnicType, typer.Option(help="How the guest gets the network.")] = VnicType.NORMAL,
    flavor: Annotated[
        str | None, typer.Option(help="The PCI flavor; every type but `normal` needs one.")
    ] = None,
    mac: Annotated[str | None, typer.Option(help="One is made unless given.")] = None,
    strategy: Annotated[
        StrategyName | None, typer.Option(help="How the NIC is kept through a migration.")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Create a port.

    $ jackfield port create web0 --network lan --vnic-type macvtap --flavor fast
    """
    with connect(ctx) as client:
        it = client.create_port(
            name, network, vnic_type=vnic_type, flavor=flavor, mac_address=mac, strategy=strategy
        )
        show_one(it, output=output)


@app.command("list")
def listing(ctx: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """List the ports."""
    with connect(ctx) as client:
        show_all(client.ports(), output=output, columns=_COLUMNS)


@app.command()
def show(ctx: typer.Context, name: str, output: OutputOption = Output.TABLE) -> None:
    """Show one port with its bindings, by name or id."""
    with connect(ctx) as client:
        show_one(client.port(name), output=output)


@app.command()
def delete(ctx: typer.Context, name: str) -> None:
    """Delete a port that no instance uses."""
    with connect(ctx) as client:
        client.delete_port(name)
