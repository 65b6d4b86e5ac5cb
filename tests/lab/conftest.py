"""Jackfield on the two-hosts laboratory, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from house import House

from lab import needs


@pytest.fixture(scope="module")
def standing() -> Iterator[list[House]]:
    """The one laboratory of a module; a list, so that a spoilt one can be replaced."""
    if missing := needs.missing():
        pytest.skip("the laboratory needs " + ", ".join(missing))
    houses: list[House] = []
    yield houses
    for house in houses:
        house.close()


@pytest.fixture
def house(request: pytest.FixtureRequest, standing: list[House]) -> Iterator[House]:
    """A laboratory with Jackfield, under the name that the module gives as `LABORATORY`.

    Fresh as far as a test can tell: all that a test made is taken away after it, by Jackfield itself, and
    what is left then fails the test, which leaves a new laboratory to the next one.
    """
    if not standing:
        standing.append(House(request.module.LABORATORY))
    (present,) = standing
    try:
        present.open()
        yield present
        present.tidy()
    except BaseException:
        standing.clear()
        present.close()
        raise
