"""Talking to a libvirtd that may die: connections, what its errors mean, and the thread it needs of us."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import libvirt

from jackfield.model.error import JackfieldError, NotFound, Reach, Rejected, Unavailable

KEEPALIVE_SECONDS = 5
KEEPALIVE_MISSES_MAX = 5

_once = threading.Lock()
_loop: threading.Thread | None = None


def connect(uri: str) -> Any:
    """A new connection, which breaks within half a minute of the other end falling silent.

    Raises `Unavailable` (`libvirt-unreachable`). The caller closes it.
    """
    _serve_libvirt()
    try:
        connection = libvirt.open(uri)
    except libvirt.libvirtError as error:
        raise _unreachable(uri, error) from error
    # Drivers inside of this process (`test:///`) have no other end, and say so by an error.
    with suppress(libvirt.libvirtError):
        connection.setKeepAlive(KEEPALIVE_SECONDS, KEEPALIVE_MISSES_MAX)
    return connection


@contextmanager
def connected(uri: str, intent: str) -> Iterator[Any]:
    """A connection for one piece of work, with libvirt's errors as ours; `intent` goes on "cannot …".

    Each piece has its own: libvirtd carries out five requests of one client at a time and reads no
    more until one has ended (`max_client_requests`), so five migrations over a shared connection could not
    even be aborted. Opening one takes a millisecond, and none is ever found dead.
    """
    connection = connect(uri)
    try:
        yield connection
    except libvirt.libvirtError as error:
        raise _as_ours(error, connection, uri, intent) from error
    finally:
        close(connection)


def close(connection: Any) -> None:
    """Closes it, dead or alive."""
    with suppress(libvirt.libvirtError):
        connection.close()


def is_lost(connection: Any) -> bool:
    """The other end is gone, so an error says nothing of what it did.

    The only good sign: "client socket is closed" and "End of file" also come from a living libvirtd that
    lost another one in mid-migration.
    """
    try:
        return not connection.isAlive()
    except libvirt.libvirtError:
        return True


def code_of(error: libvirt.libvirtError) -> int:
    return int(error.get_error_code() or 0)


def in_words(error: libvirt.libvirtError) -> str:
    """libvirt's own sentence and number."""
    return f"{error} (libvirt error {code_of(error)})"


def detail_of(error: libvirt.libvirtError) -> dict[str, int]:
    return {"libvirt_code": code_of(error), "libvirt_domain": int(error.get_error_domain() or 0)}


def _as_ours(error: libvirt.libvirtError, connection: Any, uri: str, intent: str) -> JackfieldError:
    if is_lost(connection):
        return _unreachable(uri, error)
    match code_of(error):
        case libvirt.VIR_ERR_NO_DOMAIN:
            return NotFound("domain-absent", f"cannot {intent}: this host has no such domain")
        case libvirt.VIR_ERR_OPERATION_TIMEOUT:
            # Another job holds the domain's lock; libvirt waits 30 s for it.
            return Unavailable(
                "domain-busy", f"cannot {intent} now: {in_words(error)}; try again", detail=detail_of(error)
            )
        case _:
            return Rejected("libvirt-refused", f"cannot {intent}: {in_words(error)}", detail=detail_of(error))


def _unreachable(uri: str, error: libvirt.libvirtError) -> Unavailable:
    return Unavailable(
        "libvirt-unreachable",
        f"libvirt at {uri} does not answer: {in_words(error)}; is libvirtd running?",
        reach=Reach.HOST,
        detail=detail_of(error),
    )


def _serve_libvirt() -> None:
    # Keepalive and events need an event loop, registered before the first connection is opened and run
    # for as long as any lives: https://libvirt.org/html/libvirt-libvirt-event.html
    global _loop  # noqa: PLW0603 - libvirt has one loop for each process, too
    with _once:
        if _loop is None:
            # By default libvirt prints each error to stderr, also those that are answers.
            libvirt.registerErrorHandler(lambda _context, _error: None, None)
            libvirt.virEventRegisterDefaultImpl()
            _loop = threading.Thread(target=_run_loop, name="libvirt-loop", daemon=True)
            _loop.start()


def _run_loop() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()
