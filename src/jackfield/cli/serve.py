"""`jackfield serve`: the control side, in one process."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

from jackfield.cli.settings import ADMIN_TOKEN, FlavorSettings, MigrationSettings, ServeSettings
from jackfield.model.error import Reach, Rejected, Unavailable

if TYPE_CHECKING:
    from jackfield.service.unit import Unit

app = typer.Typer(add_completion=False)

log = structlog.get_logger()


@app.command()
def serve(
    database: Annotated[
        str | None,
        typer.Option(help="sqlite:///<path> or postgresql+psycopg://…; SQLite in --state unless given."),
    ] = None,
    listen: Annotated[str | None, typer.Option(help="<address>:<port>; 127.0.0.1:8440 unless given.")] = None,
    state: Annotated[
        Path | None, typer.Option(help="Its own directory; as root /var/lib/jackfield unless given.")
    ] = None,
) -> None:
    """Run the control side. It needs no configuration at all.

    The first operator's token is made at the first start and kept in `admin.token` in the state directory,
    where this command line finds it by itself.
    """
    from sqlalchemy import make_url

    from jackfield.api.app import create_app
    from jackfield.api.server import Server
    from jackfield.cli import logs
    from jackfield.service.context import Service
    from jackfield.service.settings import Settings
    from jackfield.store.engine import Store

    # uvicorn ends well on a signal and then raises it again, which would kill us before we had closed.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    logs.set_up()
    settings = ServeSettings.load(database=database, listen=listen, state=state)
    folder = settings.state_directory()
    _make_private(folder)
    with (
        listen_on(settings.listen) as opened,
        contextlib.closing(Store.open(settings.database_url(), exclusive=True)) as store,
    ):
        moves = MigrationSettings.load()
        service = Service(
            store,
            settings=Settings(
                allow_location=FlavorSettings.load().allow_location,
                shared_storage=moves.shared_storage,
                strategies=moves.strategies,
            ),
        )
        token_file = folder / ADMIN_TOKEN
        if service.write(lambda unit: _make_first_token(unit, token_file)):
            log.info("admin-token-made", file=str(token_file))
        service.start()
        try:
            log.info(
                "serving",
                url=_url_of(opened),
                database=make_url(settings.database_url()).render_as_string(),
                state=str(folder),
            )
            Server(create_app(service)).run(sockets=[opened])
        finally:
            service.stop()
            log.info("stopped")


def listen_on(text: str) -> socket.socket:
    """A socket that listens on `<address>:<port>`, an IPv6 address in brackets; port 0 takes a free one.

    Raises `Rejected` (`listen-malformed`) and `Unavailable` (`listen-refused`).
    """
    address, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise Rejected(
            "listen-malformed", f"cannot listen on {text!r}: write <address>:<port>, as in 127.0.0.1:8440"
        )
    bare = address.removeprefix("[").removesuffix("]")
    family = socket.AF_INET6 if ":" in bare else socket.AF_INET
    try:
        return socket.create_server((bare, int(port)), family=family, backlog=socket.SOMAXCONN)
    except OSError as error:
        raise Unavailable(
            "listen-refused",
            f"cannot listen on {text}: {os.strerror(error.errno) if error.errno else error}; "
            "does another one run there?",
            reach=Reach.EVERYTHING,
        ) from error


def _url_of(opened: socket.socket) -> str:
    address, port = opened.getsockname()[:2]
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Rejected(
            "state-unwritable",
            f"cannot make the state directory {folder}: {error.strerror}; choose another with --state",
        ) from error


def _make_first_token(unit: Unit, file: Path) -> bool:
    """The file is written before the token is committed: a crash in between leaves a file without a
    meaning, which the next start writes anew, and never a token that nobody has."""
    from jackfield.service import token

    secret = token.first_admin(unit)
    if secret is None:
        return False
    fresh = file.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    _write_durably(fresh, f"{secret}\n".encode())
    fresh.rename(file)
    _sync(file.parent)
    return True


def _write_durably(file: Path, content: bytes) -> None:
    descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync(folder: Path) -> None:
    """Makes the folder's names durable, not only what the files say."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
