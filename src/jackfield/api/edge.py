"""What every request passes on its way in and out: the size limit, the count, and the last catch."""

from __future__ import annotations

import time
from http import HTTPStatus

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jackfield.api.error import answer, internal_error
from jackfield.model.error import Rejected

BODY_BYTES_MAX = 8 * 1024 * 1024
_TOO_LARGE = f"the request's body is larger than {BODY_BYTES_MAX} bytes; send less at once"

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

log = structlog.get_logger()


class Metrics:
    """The counters of one application; each application has a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "jackfield_http_requests",
            "HTTP requests answered.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "jackfield_http_request_seconds",
            "From the request's first byte to the answer's last; long polls wait on purpose.",
            ["method", "route"],
            registry=self.registry,
        )


class Edge:
    """Pure ASGI, because the framework's own middleware class costs a task for each request, which 2,000
    waiting polls would pay for."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 0
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > BODY_BYTES_MAX:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE, {"Connection": "close"})
            return message

        async def send_seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if _announced_length(scope) > BODY_BYTES_MAX:
                # Answered before a byte of it is read; the connection cannot be used again.
                refusal = answer(
                    Rejected("request-too-large", _TOO_LARGE),
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    {"Connection": "close"},
                )
                await refusal(scope, receive, send_seen)
            else:
                await self.app(scope, receive_counted, send_seen)
        except Exception:
            log.exception("request-failed", method=scope["method"], path=scope["path"])
            if status:  # the answer is under way; all that is left is to break it off
                raise
            await internal_error()(scope, receive, send_seen)
        finally:
            # Paths and methods that callers make up must not make new counters.
            route = getattr(scope.get("route"), "path", "unknown")
            method = scope["method"] if scope["method"] in METHODS else "unknown"
            self.metrics.requests.labels(method, route, str(status)).inc()
            self.metrics.seconds.labels(method, route).observe(time.perf_counter() - began)


def _announced_length(scope: Scope) -> int:
    """What `Content-Length` says; the server has already refused one that is no number."""
    return next((int(value) for name, value in scope["headers"] if name == b"content-length"), 0)
