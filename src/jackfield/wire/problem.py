"""Problem documents (RFC 9457): how an error is written over HTTP, and read back as the same error."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from jackfield.model.error import (
    Conflict,
    Forbidden,
    Gone,
    JackfieldError,
    NotFound,
    Reach,
    Rejected,
    Unavailable,
)

MEDIA_TYPE = "application/problem+json"
_TYPE_PREFIX = "urn:jackfield:problem:"


class Problem(BaseModel):
    """An error. Members beside the declared ones are the values that belong to its code."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str
    """`urn:jackfield:problem:<code>`."""
    title: str
    status: int
    detail: str
    """One sentence with the values in it, and the way out."""
    code: str
    """Stable: programs may rely on it."""
    reach: Reach
    """How far the error goes: what else would meet it."""

    @classmethod
    def from_model(cls, error: JackfieldError, status: int | None = None) -> Problem:
        declared: dict[str, Any] = {
            "type": _TYPE_PREFIX + error.code,
            "title": error.code.replace("-", " ").capitalize(),
            "status": status if status is not None else status_of(error),
            "detail": error.message,
            "code": error.code,
            "reach": error.reach,
        }
        return cls.model_validate({**error.detail, **declared})

    def to_model(self) -> JackfieldError:
        kind = _kind_of(self.status)
        return kind(self.code, self.detail, reach=self.reach, detail=self.model_extra)


def status_of(error: JackfieldError) -> HTTPStatus:
    match error:
        case NotFound():
            return HTTPStatus.NOT_FOUND
        case Forbidden():
            return HTTPStatus.FORBIDDEN
        case Rejected():
            return HTTPStatus.BAD_REQUEST
        case Gone():
            return HTTPStatus.GONE
        case Conflict():
            return HTTPStatus.CONFLICT
        case Unavailable():
            return HTTPStatus.SERVICE_UNAVAILABLE
        case _:
            return HTTPStatus.INTERNAL_SERVER_ERROR


def read_problem(status: int, body: bytes, source: str) -> JackfieldError:
    """The error that an HTTP answer carries, also when something between wrote an answer of its own."""
    try:
        return Problem.model_validate_json(body).to_model()
    except ValidationError:
        words = body[:200].decode("utf-8", "replace").strip() or "nothing"
        return _kind_of(status)(
            "answer-unreadable", f"{source} answered {status} and no problem document, but {words!r}"
        )


def _kind_of(status: int) -> type[JackfieldError]:
    match status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return Forbidden
        case HTTPStatus.NOT_FOUND:
            return NotFound
        case HTTPStatus.CONFLICT | HTTPStatus.PRECONDITION_FAILED:
            return Conflict
        case HTTPStatus.GONE:
            return Gone
        case _:
            return Rejected if 400 <= status < 500 else Unavailable
