"""One server over HTTP: what is sent, what is tried again, and how failures are told."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import httpx

from jackfield.model.error import Reach, Unavailable
from jackfield.wire.problem import read_problem

PAUSES_SECONDS = (0.1, 0.3, 0.6)
"""Before the second, third and fourth try; the last failure is told."""


class Connection:
    """Requests to one server. Thread-safe. Raises the server's errors as the tree of `model.error`, and
    `Unavailable` when there is no answer.

    What may be repeated without harm is repeated when the connection fails: reads, puts, deletes, and
    creates that carry an `Idempotency-Key`. An answer of the server is never asked for twice.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        timeout_seconds: float,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url = url.rstrip("/")
        self._timeout_seconds = timeout_seconds
        self._sleep = sleep
        # The environment's proxies are for the way out; Jackfield's server is on the operator's network.
        self._http = httpx.Client(
            base_url=self._url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=timeout_seconds,
            trust_env=False,
            transport=transport,
        )

    def close(self) -> None:
        self._http.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int | float | bool | None] | None = None,
        body: bytes | str | None = None,
        key: str | None = None,
        patience_seconds: float = 0,
    ) -> httpx.Response:
        """The server's answer, if it is a good one; `patience_seconds` are added to the time allowed."""
        headers = {"Idempotency-Key": key} if key else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        request = self._http.build_request(
            method,
            path,
            params={name: value for name, value in (query or {}).items() if value is not None},
            content=body,
            headers=headers,
            timeout=httpx.Timeout(self._timeout_seconds, read=self._timeout_seconds + patience_seconds),
        )
        response = self._send(request, may_repeat=method != "POST" or key is not None)
        if response.is_success:
            return response
        raise read_problem(response.status_code, response.content, self._url)

    def _send(self, request: httpx.Request, *, may_repeat: bool) -> httpx.Response:
        pauses = iter(PAUSES_SECONDS)
        while True:
            try:
                return self._http.send(request)
            except httpx.TransportError as error:
                nothing_sent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
                if isinstance(error, httpx.TimeoutException) and not nothing_sent:
                    raise self._unreachable("server-silent", "gave no answer in time", error) from error
                pause = next(pauses, None) if nothing_sent or may_repeat else None
                if pause is None:
                    raise self._unreachable("server-unreachable", "cannot be reached", error) from error
                self._sleep(pause)

    def _unreachable(self, code: str, what: str, error: Exception) -> Unavailable:
        words = str(error) or type(error).__name__
        return Unavailable(
            code,
            f"the server at {self._url} {what} ({words}); check that it runs and that the URL is right",
            reach=Reach.EVERYTHING,
        )
