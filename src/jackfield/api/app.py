"""The HTTP application: every route of version 1 over one service."""

from __future__ import annotations

import time
from importlib.metadata import version

from fastapi import FastAPI

from jackfield.api import (
    agent,
    claim,
    device,
    error,
    flavor,
    health,
    host,
    instance,
    migration,
    network,
    port,
)
from jackfield.api.access import Access
from jackfield.api.edge import Edge, Metrics
from jackfield.api.poll import Polls
from jackfield.service.context import Service

NOUNS = (host, agent, device, flavor, network, port, instance, migration, claim)


def create_app(service: Service) -> FastAPI:
    """An application over `service`, whose life is the caller's to begin and end."""
    app = FastAPI(
        title="Jackfield",
        version=version("jackfield"),
        summary="A piece of a network card for every virtual machine, anywhere in the fleet.",
        docs_url=None,  # the page that comes with the framework loads its scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        responses=error.RESPONSES,
        generate_unique_id_function=lambda route: f"{route.tags[0]}-{route.name}",
    )
    app.state.service = service
    app.state.access = Access(service, time.monotonic)
    app.state.metrics = Metrics()
    app.state.polls = Polls()
    error.install(app)
    app.add_middleware(Edge, metrics=app.state.metrics)
    app.include_router(health.router)
    for noun in NOUNS:
        app.include_router(noun.router)
    return app
