"""Golden files: `pytest tests/golden --regenerate` writes them anew, to be reviewed as a diff."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regenerate", action="store_true", help="write the golden files instead of comparing")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`golden("name.xml", text)`: the text is what the file says."""
    # The option is unknown when the whole tree is collected: pytest reads options of test roots only.
    regenerate = request.config.getoption("--regenerate", default=False)

    def check(name: str, text: str) -> None:
        if regenerate:
            (HERE / name).write_text(text + "\n")
        assert text + "\n" == (HERE / name).read_text()

    return check
