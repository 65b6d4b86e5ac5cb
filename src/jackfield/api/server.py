"""The HTTP server around the application, and how it ends: nobody who waits is cut off."""

from __future__ import annotations

import socket

import uvicorn
from fastapi import FastAPI

from jackfield.api.poll import Polls

GRACE_SECONDS = 10
"""How long requests under way may take to end, once the server is told to stop."""
IDLE_SECONDS_MAX = 75
"""How long a connection stays open unused; longer than clients of ours leave one alone."""


class Server(uvicorn.Server):
    """Serves the application on sockets that listen already, until a signal or `should_exit`."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=IDLE_SECONDS_MAX,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        polls = app.state.polls
        assert isinstance(polls, Polls)
        self._polls = polls

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._polls.close()
        await super().shutdown(sockets)
