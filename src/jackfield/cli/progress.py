"""Watching one migration until it is over: live on a terminal, one line a step anywhere else.

It all goes to standard error: standard output is for the result.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from jackfield.cli.wait import until
from jackfield.client import Client
from jackfield.model.error import Conflict
from jackfield.model.migration import MigrationState
from jackfield.wire.migration import Migration


def follow(client: Client, migration: Migration) -> Migration:
    """The migration once it is over, shown until then.

    Raises `Conflict` (`migration-failed`, `migration-aborted`, `migration-alarm`) unless the guest moved.
    """
    display = _on_terminal if sys.stderr.isatty() else _in_lines
    over = display(lambda: client.migration(migration.id), migration)
    if over.state is not MigrationState.DONE:
        raise Conflict(
            f"migration-{over.state.value}",
            f"migration {over.id} to {over.target} ended as {over.state.value}: "
            f"{over.error or 'as asked'}; `jackfield migration show {over.id}` tells each step",
        )
    return over


def _is_over(migration: Migration) -> bool:
    return migration.state is not MigrationState.RUNNING


def _on_terminal(look: Callable[[], Migration], first: Migration) -> Migration:
    columns = (
        TextColumn("{task.fields[route]}"),
        BarColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        route = f"{first.source} → {first.target}"
        task = progress.add_task(_words(first), total=len(first.plan.steps), route=route)

        def shown() -> Migration:
            now = look()
            done = sum(record.ended_at is not None for record in now.records)
            progress.update(task, description=_words(now), completed=done)
            return now

        return until(shown, _is_over)


def _in_lines(look: Callable[[], Migration], first: Migration) -> Migration:
    told = ""

    def shown() -> Migration:
        nonlocal told
        now = look()
        words = _words(now)
        if words != told:
            typer.echo(f"{first.source} -> {first.target}: {words}", err=True)
            told = words
        return now

    return until(shown, _is_over)


def _words(migration: Migration) -> str:
    if _is_over(migration):
        return migration.state.value
    back = "" if migration.direction.value == "forward" else " (turning back)"
    moved = migration.percent_moved
    return f"{migration.position.value}{back}" + ("" if moved is None else f" {moved} %")
