from __future__ import annotations

import pytest

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


def test_an_error_is_its_sentence_and_reaches_one_request_unless_told():
    error = Rejected("port-flavor", "no flavor", detail={"port": "p1"})
    assert (str(error), error.code, error.reach, error.detail) == (
        "no flavor",
        "port-flavor",
        Reach.REQUEST,
        {"port": "p1"},
    )


@pytest.mark.parametrize(
    ("kind", "parent"),
    [(NotFound, Rejected), (Forbidden, Rejected), (Gone, Conflict), (Unavailable, JackfieldError)],
)
def test_the_tree_of_errors_is_as_drawn(kind, parent):
    assert kind.__base__ is parent
