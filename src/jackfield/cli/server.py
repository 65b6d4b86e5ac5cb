"""What the commands that ask a server have in common: reaching it, and showing its shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from jackfield.cli.output import Output, show

if TYPE_CHECKING:
    from jackfield.client import Client
    from jackfield.wire.shape import Shape


def connect(ctx: typer.Context) -> Client:
    """A client of the server that flags, environment and settings name; use it in a `with`."""
    from jackfield.cli.settings import ClientSettings
    from jackfield.client import Client

    flags = ctx.find_root().params
    settings = ClientSettings.load(**{name: flags.get(name) for name in ("url", "token_file", "timeout")})
    return Client(settings.url, settings.find_token(), settings.timeout)


def show_all(shapes: Sequence[Shape], *, output: Output, columns: Sequence[str]) -> None:
    show([_row(shape) for shape in shapes], output=output, columns=columns)


def show_one(shape: Shape, *, output: Output) -> None:
    show(_row(shape), output=output)


def _row(shape: Shape) -> dict[str, Any]:
    return shape.model_dump(mode="json", by_alias=True)
