"""Creating things at most once: `Idempotency-Key`, honoured in the transaction that creates."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, Header, Request
from pydantic import StringConstraints
from starlette.responses import Response

from jackfield.api.access import ThePrincipal, TheService
from jackfield.service.unit import Unit
from jackfield.wire.shape import Shape

Key = Annotated[
    Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")] | None,
    Header(
        alias="Idempotency-Key",
        description="Repeating a create with the same key within 24 hours gives the first answer again.",
    ),
]


class Creation:
    """One create. A repeated request with the same key is answered as the first was, whatever became of
    the thing since; the same key with another request is refused."""

    def __init__(
        self, request: Request, service: TheService, principal: ThePrincipal, key: Key = None
    ) -> None:
        self._path = request.url.path
        self._service = service
        self._scope = f"{principal.name} {request.method} {self._path}"
        self._key = key

    def answer(
        self,
        body: Shape,
        create: Callable[[Unit], tuple[str, Shape]],
        *,
        status: HTTPStatus = HTTPStatus.CREATED,
        keep: Callable[[Shape], Shape] = lambda shape: shape,
    ) -> Response:
        """Does `create`, which gives the name under the request's path of what it made, and its shape;
        `keep` says what of the answer may be stored."""
        key = self._key
        request_hash = hashlib.sha256(body.to_json().encode()).hexdigest()

        def once(unit: Unit) -> tuple[str, str]:
            if key is not None:
                kept = unit.recall(self._scope, key, request_hash)
                if kept is not None:
                    location, text = json.loads(kept)
                    return location, text
            name, shape = create(unit)
            location = f"{self._path}/{quote(name, safe='')}"
            if key is not None:
                unit.remember(self._scope, key, request_hash, json.dumps([location, keep(shape).to_json()]))
            return location, shape.to_json()

        location, text = self._service.write(once)
        return Response(
            text, status_code=status, media_type="application/json", headers={"Location": location}
        )


TheCreation = Annotated[Creation, Depends()]
