"""Who asks, and whether they may: bearer tokens, two roles, and the service behind the application."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool

from jackfield.model.error import Forbidden
from jackfield.service import token
from jackfield.service.context import Service
from jackfield.service.token import Principal, Role

CACHE_SECONDS = 5.0
"""How long a token may still work after it was revoked."""
CACHE_LENGTH_MAX = 10_000


class Access:
    """Authenticates tokens, and remembers for a short while whom it knows: 2,000 polls that come back at
    once are not worth 2,000 reads."""

    def __init__(self, service: Service, monotonic: Callable[[], float]) -> None:
        self._service = service
        self._monotonic = monotonic
        self._known: dict[bytes, tuple[Principal, float]] = {}

    async def principal(self, secret: str) -> Principal:
        if not secret:
            raise Forbidden(
                "token-missing",
                "no token came with the request; send the header Authorization: Bearer <token>",
            )
        digest = hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
        now = self._monotonic()
        found = self._known.get(digest)
        if found is not None and now < found[1]:
            return found[0]
        principal = await run_in_threadpool(self._service.read, lambda unit: token.authenticate(unit, secret))
        if len(self._known) >= CACHE_LENGTH_MAX:
            self._known.clear()
        self._known[digest] = (principal, now + CACHE_SECONDS)
        return principal


async def _service(request: Request) -> Service:
    service = request.app.state.service
    assert isinstance(service, Service)
    return service


_BEARER = HTTPBearer(auto_error=False, description="A token of `host add`, or the operator's first one.")


async def _principal(
    request: Request, bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
) -> Principal:
    access = request.app.state.access
    assert isinstance(access, Access)
    return await access.principal(bearer.credentials.strip() if bearer else "")


TheService = Annotated[Service, Depends(_service)]
ThePrincipal = Annotated[Principal, Depends(_principal)]


async def operator(principal: ThePrincipal) -> None:
    """Lets through who may do everything."""
    if principal.role is not Role.ADMIN:
        raise Forbidden(
            "role-insufficient",
            f"the token of host {principal.host} is for that host's agent alone; use an operator's token",
        )


async def agent_of(host: str, principal: ThePrincipal) -> None:
    """Lets through the agent of the host that the path names, and operators."""
    if principal.role is not Role.ADMIN and principal.host != host:
        raise Forbidden(
            "host-foreign", f"the token is that of host {principal.host} and does not open host {host}"
        )
