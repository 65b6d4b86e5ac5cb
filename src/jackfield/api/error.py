"""Errors as problem documents (RFC 9457), whoever raised them: a use case, the framework, or a bug."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from jackfield.model.error import JackfieldError, Reach, Rejected, Unavailable
from jackfield.wire.problem import MEDIA_TYPE, Problem

VALUE_LENGTH_MAX = 80
ERRORS_MAX = 16

RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A problem document (RFC 9457); `code` is stable, `detail` is for people.",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        "model": Problem,
    }
}
"""For every route: no status of failure has a form of its own."""


UNAUTHENTICATED = frozenset({"token-missing", "token-unknown"})
"""The codes of `Forbidden` that are about who asks, not about what is asked: 401 instead of 403."""


def answer(
    error: JackfieldError, status: int | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    problem = Problem.from_model(error, status)
    # The detail may quote what no JSON text can hold (a lone surrogate): better escaped than lost.
    body = problem.model_dump_json().encode("utf-8", "backslashreplace")
    return Response(body, status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)


def internal_error() -> Response:
    """What a caller learns of a bug; the log has the rest."""
    return answer(
        JackfieldError(
            "internal-error",
            "Jackfield met an error of its own; its log says more",
            reach=Reach.EVERYTHING,
        )
    )


def install(app: FastAPI) -> None:
    app.add_exception_handler(JackfieldError, _jackfield_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _framework_error)


async def _jackfield_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, JackfieldError)
    if error.code in UNAUTHENTICATED:
        return answer(error, HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": 'Bearer realm="jackfield"'})
    if isinstance(error, Unavailable):
        return answer(error, headers={"Retry-After": "1"})
    return answer(error)


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [_in_words(one) for one in error.errors()[:ERRORS_MAX]]
    return answer(
        Rejected(
            "request-malformed",
            "; ".join(errors),
            detail={"fields": [_field(one["loc"]) for one in error.errors()[:ERRORS_MAX]]},
        )
    )


def _in_words(error: Mapping[str, Any]) -> str:
    """One error of pydantic as: field, value, way out."""
    field = _field(error["loc"])
    match error["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            return f"{field}: there is no such field; leave it out"
        case "missing" | "missing_argument" | "missing_keyword_only_argument":
            return f"{field}: this field is required; give it"
        case "json_invalid":
            return f"the body is no JSON ({error['ctx']['error']} at character {error['loc'][-1]})"
        case _:
            value = repr(error.get("input"))
            short = value if len(value) <= VALUE_LENGTH_MAX else value[:VALUE_LENGTH_MAX] + "…"
            return f"{field}: cannot use {short}: {error['msg'][:1].lower()}{error['msg'][1:]}"


def _field(location: tuple[str | int, ...]) -> str:
    """`body.ports[0]`; the first part says where in the request."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


async def _framework_error(request: Request, error: Exception) -> Response:
    """What the framework refuses before any route of ours sees it."""
    assert isinstance(error, HTTPException)
    path, method = request.url.path, request.method
    match error.status_code:
        case HTTPStatus.NOT_FOUND:
            code, detail = "route-unknown", f"there is nothing at {path}; /openapi.json lists what there is"
        case HTTPStatus.METHOD_NOT_ALLOWED:
            allowed = (error.headers or {}).get("Allow", "another method")
            code, detail = "method-not-allowed", f"{path} does not take {method}; use {allowed}"
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            code, detail = "request-too-large", str(error.detail)
        case _:
            code, detail = "request-malformed", str(error.detail)
    return answer(Rejected(code, detail), error.status_code, error.headers)
