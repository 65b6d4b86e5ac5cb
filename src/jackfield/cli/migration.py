"""`jackfield migration …`."""

from __future__ import annotations

import typer

from jackfield.cli.noun import noun_app
from jackfield.cli.output import Output, OutputOption
from jackfield.cli.output import show as show_rows
from jackfield.cli.server import connect, show_all, show_one
from jackfield.wire.migration import Migration, Plan

app = noun_app("Migrations: moves of instances, under way and over.")

_MOVE = ("mac", "source_address", "source_netdev", "target_address", "target_netdev", "reason")
_COLUMNS = ("id", "instance_id", "source", "target", "state", "position", "error")


@app.command("list")
def listing(ctx: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """List the migrations, the oldest first."""
    with connect(ctx) as client:
        show_all(client.migrations(), output=output, columns=_COLUMNS)


@app.command()
def show(ctx: typer.Context, id: str, output: OutputOption = Output.TABLE) -> None:
    """Show one migration, with the time that each step took."""
    with connect(ctx) as client:
        show_migration(client.migration(id), output=output)


@app.command()
def abort(ctx: typer.Context, id: str, output: OutputOption = Output.TABLE) -> None:
    """Turn a migration back, as long as the guest has not changed over."""
    with connect(ctx) as client:
        show_migration(client.abort_migration(id), output=output)


def show_migration(migration: Migration, *, output: Output) -> None:
    """The migration; for people without its plan, and its steps as a table of their own."""
    if output is not Output.TABLE:
        show_one(migration, output=output)
        return
    show_rows(migration.model_dump(mode="json", exclude={"plan", "records"}), output=output)
    steps = [
        {
            "step": record.name.value,
            "direction": record.direction.value,
            "began_at": record.began_at.isoformat(timespec="milliseconds"),
            "seconds": f"{(record.ended_at - record.began_at).total_seconds():.3f}"
            if record.ended_at
            else None,
            "note": record.note,
        }
        for record in migration.records
    ]
    show_rows(steps, output=output)


def show_plan(plan: Plan, *, output: Output) -> None:
    """The plan; for people as what moves how and why, and then the steps in their order."""
    if output is not Output.TABLE:
        show_one(plan, output=output)
        return
    moves = zip(plan.moves, plan.reasons, strict=True)
    show_rows(
        [move.model_dump(mode="json") | {"reason": why} for move, why in moves], output=output, columns=_MOVE
    )
    show_rows([step.model_dump(mode="json") for step in plan.steps], output=output)
