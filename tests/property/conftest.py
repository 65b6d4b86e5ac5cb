"""Silent logs: a fleet that is struck a thousand times tells of it a thousand times."""

import logging

import pytest
import structlog


@pytest.fixture(scope="module", autouse=True)
def silent_logs():
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()
