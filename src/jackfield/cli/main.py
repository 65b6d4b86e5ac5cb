"""The command `jackfield`: finds the noun, and only then loads what it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from jackfield.cli.exit import ExitCode, exit_code
from jackfield.model.error import JackfieldError

NOUNS: Mapping[str, str] = {
    "host": "Hypervisors, each with its agent.",
    "device": "The PCI functions of this host and of the fleet.",
    "flavor": "PCI flavors: named selectors of devices.",
    "network": "Networks: a physical network and a segment.",
    "port": "Ports: what a guest's NIC is plugged into.",
    "instance": "Guests with their ports; booted, moved, stopped, deleted.",
    "migration": "Live migrations, under way and past.",
    "claim": "Who has which device.",
    "serve": "Run the control side.",
    "agent": "Run the agent of this host.",
    "demo": "Show the main job on two simulated hosts.",
}
"""Each noun or process with its line of help. `jackfield.cli.<name>` holds its Typer app, as `app`: made by
`noun_app` where it takes verbs, with one command where it does not."""


class LazyNouns(TyperGroup):
    """Stands for all nouns while help or completion lists them; imports the one that is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if name is None:
            return name, command, rest
        module = import_module(f"jackfield.cli.{name.replace('-', '_')}")
        return name, get_command(module.app), rest


# Typer's own tracebacks print the values of variables, and one of them may be a token.
app = typer.Typer(cls=LazyNouns, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def jackfield(
    url: Annotated[
        str | None, typer.Option(help="The server; JACKFIELD_URL, or the one on this machine.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="Holds your token; JACKFIELD_TOKEN_FILE, or JACKFIELD_TOKEN itself.")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds until the server must have answered.")
    ] = None,
) -> None:
    """Gives virtual machines their own piece of a network card, and keeps it when they move."""
    # `jackfield.cli.server.connect` finds the options in the context.


def _stand_in() -> None:
    raise AssertionError("the noun itself answers")


for _name, _help in NOUNS.items():
    app.command(_name, help=_help)(_stand_in)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and gives its exit code; what went wrong is one sentence on standard error."""
    try:
        app(args=arguments, prog_name="jackfield")
    except JackfieldError as error:
        typer.echo(f"jackfield: {error.message} ({error.code})", err=True)
        return exit_code(error)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else ExitCode.UNEXPECTED
    return ExitCode.OK
