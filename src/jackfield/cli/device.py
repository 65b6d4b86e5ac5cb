"""`jackfield device …`: PCI functions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from jackfield.cli.noun import noun_app
from jackfield.cli.output import Output, OutputOption, show
from jackfield.cli.server import connect, show_all, show_one
from jackfield.model.device import OfferedDevice

app = noun_app("The PCI functions of this host and of the fleet.")

_SCAN_COLUMNS = (
    "address", "kind", "vendor_id", "product_id", "parent", "numa_node", "netdev", "driver", "mac", "offered",
    "attributes",
)  # fmt: skip

_COLUMNS = (
    "id", "address", "kind", "netdev", "offered", "present", "tainted", "claim_id", "attributes",
)  # fmt: skip


@app.command()
def scan(
    sysfs: Annotated[Path, typer.Option(help="A folder that looks like /sys.")] = Path("/sys"),
    spec: Annotated[Path | None, typer.Option(help="The host spec; without one, nothing is offered.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what an agent would report of this host's devices; needs no server."""
    from jackfield.host.specfile import SpecFile
    from jackfield.host.sysfs import SysfsTree
    from jackfield.model.spec import HostSpec
    from jackfield.reconcile.inventory import apply

    rules = SpecFile(spec).read().spec if spec else HostSpec()
    inventory = apply(rules, SysfsTree(sysfs).devices())
    show([_row(entry) for entry in inventory], output=output, columns=_SCAN_COLUMNS)


@app.command("list")
def listing(
    ctx: typer.Context,
    host: Annotated[str | None, typer.Option(help="Only those of this host.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List the devices of the fleet, with who holds them."""
    with connect(ctx) as client:
        show_all(client.devices(host), output=output, columns=_COLUMNS)


@app.command("show")
def show_device(ctx: typer.Context, device: str, output: OutputOption = Output.TABLE) -> None:
    """Show one device, by its id: the host's name, a slash, the device's identity."""
    with connect(ctx) as client:
        show_one(client.device(device), output=output)


@app.command()
def taint(
    ctx: typer.Context,
    device: str,
    reason: Annotated[str, typer.Option(help="For those who find it tainted.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Put a device into quarantine: it is never given; who has it, keeps it."""
    with connect(ctx) as client:
        show_one(client.taint(device, reason), output=output)


@app.command()
def untaint(ctx: typer.Context, device: str, output: OutputOption = Output.TABLE) -> None:
    """Let a device be given again."""
    with connect(ctx) as client:
        show_one(client.untaint(device), output=output)


def _row(entry: OfferedDevice) -> dict[str, Any]:
    device = entry.device
    return {
        "address": str(device.address),
        "kind": device.kind.value,
        "vendor_id": device.vendor_id,
        "product_id": device.product_id,
        "class_id": device.class_id,
        "parent": None if device.parent is None else str(device.parent),
        "vf_index": device.vf_index,
        "numa_node": device.numa_node,
        "iommu_group": device.iommu_group,
        "netdev": device.netdev,
        "driver": device.driver,
        "mac": device.mac,
        "link_speed_mbps": device.link_speed_mbps,
        "offered": entry.offered,
        "attributes": dict(entry.attributes),
    }
