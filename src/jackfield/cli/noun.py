"""What all nouns of the command line have in common."""

from __future__ import annotations

import typer


def noun_app(help_line: str) -> typer.Typer:
    """The Typer app of a noun, which takes verbs, also where it has only one."""
    app = typer.Typer(add_completion=False, no_args_is_help=True)

    # Without a callback, Typer takes an app of one command for that command.
    @app.callback(help=help_line)
    def _noun() -> None:
        pass

    return app
