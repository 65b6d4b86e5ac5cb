"""`jackfield instance …`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jackfield.cli.noun import noun_app
from jackfield.cli.output import Output, OutputOption
from jackfield.cli.output import show as show_rows
from jackfield.cli.server import connect, show_all, show_one
from jackfield.cli.wait import WaitOption, until_gone, until_settled
from jackfield.model.error import Rejected
from jackfield.model.migration import StrategyName
from jackfield.wire.instance import Instance, InstanceDetail, Machine

app = noun_app("Instances: the guests that Jackfield boots.")

_COLUMNS = ("name", "status", "host", "error", "id")


@app.command()
def boot(
    ctx: typer.Context,
    name: str,
    *,
    port: Annotated[
        list[str] | None, typer.Option(help="Name or id; repeat it for more, in the guest's order.")
    ] = None,
    memory: Annotated[int, typer.Option(help="MiB.")] = 512,
    vcpus: Annotated[int, typer.Option(help="Virtual processors.")] = 1,
    kernel: Annotated[str | None, typer.Option(help="A path on the host.")] = None,
    initrd: Annotated[str | None, typer.Option(help="A path on the host.")] = None,
    command_line: Annotated[str | None, typer.Option(help="The kernel's.")] = None,
    disk: Annotated[
        str | None, typer.Option(help="A path that every host reaches to which the guest may move.")
    ] = None,
    domain_type: Annotated[str, typer.Option(help="kvm, or qemu for emulation.")] = "kvm",
    domain_xml: Annotated[
        Path | None, typer.Option(help="A whole domain instead; its ports are still Jackfield's.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Where; chosen unless given.")] = None,
    strategy: Annotated[
        StrategyName | None, typer.Option(help="How its NICs are kept through a migration.")
    ] = None,
    wait: Annotated[bool, WaitOption] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Boot a guest.

    $ jackfield instance boot web --port web0 --kernel /srv/vmlinuz --initrd /srv/initrd --wait
    """
    machine = Machine(
        memory_mib=memory,
        vcpus=vcpus,
        kernel=kernel,
        initrd=initrd,
        command_line=command_line,
        disk=disk,
        domain_type=domain_type,
        domain_xml=None if domain_xml is None else _read(domain_xml),
    )
    with connect(ctx) as client:
        begun = client.boot_instance(name, machine, port or (), host=host, strategy=strategy)
        _show(until_settled(client, begun.id) if wait else begun, output=output)


@app.command("list")
def listing(ctx: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """List the instances."""
    with connect(ctx) as client:
        show_all(client.instances(), output=output, columns=_COLUMNS)


@app.command()
def show(ctx: typer.Context, name: str, output: OutputOption = Output.TABLE) -> None:
    """Show one instance with its ports and claims, by name or id."""
    with connect(ctx) as client:
        _show(client.instance(name), output=output)


@app.command()
def start(
    ctx: typer.Context,
    name: str,
    wait: Annotated[bool, WaitOption] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Start a stopped instance, with the devices it kept."""
    with connect(ctx) as client:
        begun = client.start_instance(name)
        _show(until_settled(client, begun.id) if wait else begun, output=output)


@app.command()
def stop(
    ctx: typer.Context,
    name: str,
    wait: Annotated[bool, WaitOption] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Stop a running instance at once; it keeps its host and its devices."""
    with connect(ctx) as client:
        begun = client.stop_instance(name)
        _show(until_settled(client, begun.id) if wait else begun, output=output)


@app.command()
def delete(ctx: typer.Context, name: str, wait: Annotated[bool, WaitOption] = False) -> None:
    """Delete an instance. Its ports stay."""
    with connect(ctx) as client:
        client.delete_instance(name)
        if wait:
            until_gone(client, name)


@app.command()
def migrate(
    ctx: typer.Context,
    name: str,
    *,
    to: Annotated[str | None, typer.Option(help="The host; chosen unless given.")] = None,
    strategy: Annotated[StrategyName | None, typer.Option(help="Another than it was booted with.")] = None,
    bandwidth: Annotated[int | None, typer.Option(help="MiB/s that it may use at most.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")] = False,
    wait: Annotated[bool, WaitOption] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Move a running guest to another host, live.

    $ jackfield instance migrate web --to h2 --dry-run

    $ jackfield instance migrate web --to h2 --wait
    """
    from jackfield.cli.migration import show_migration, show_plan
    from jackfield.cli.progress import follow

    with connect(ctx) as client:
        if dry_run:
            show_plan(client.plan_migration(name, target=to, strategy=strategy), output=output)
            return
        begun = client.migrate(name, target=to, strategy=strategy, bandwidth_mib=bandwidth)
        show_migration(follow(client, begun) if wait else begun, output=output)


def _show(instance: Instance, *, output: Output) -> None:
    """The instance; for people with a few words for each port and claim instead of all of it."""
    if output is not Output.TABLE:
        show_one(instance, output=output)
        return
    row = instance.model_dump(mode="json", exclude={"ports", "claims"})
    row["machine"] = {name: value for name, value in row["machine"].items() if value is not None}
    if isinstance(instance, InstanceDetail):
        row["ports"] = [f"{port.name} ({port.mac_address})" for port in instance.ports]
        row["claims"] = [f"{claim.device_id} ({claim.state.value})" for claim in instance.claims]
    show_rows(row, output=output)


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Rejected("file-unreadable", f"cannot read {file}: {error}") from error
