"""When an agent's loop goes on, and when it gives up."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from jackfield.agent.loop import Loop
from jackfield.model.error import Rejected, Unavailable

NO_TOKEN = Rejected("token-unknown", "nobody has this token")
AWAY = Unavailable("libvirt-unreachable", "libvirt does not answer")


class ScriptedAgent:
    """An agent whose turns go as told; the loop is stopped after the last."""

    epoch = 1

    def __init__(self, *turns: Exception | None) -> None:
        self.turns = list(turns)
        self.at_the_end: Callable[[], None] = lambda: None

    def turn(self) -> bool:
        problem = self.turns.pop(0)
        if not self.turns:
            self.at_the_end()
        if problem is not None:
            raise problem
        return False

    def fetch(self, wait: float) -> bool:
        threading.Event().wait(0.01)
        return False


def run(*turns: Exception | None) -> ScriptedAgent:
    agent = ScriptedAgent(*turns)
    loop = Loop(agent, threading.Event(), interval=0.01)
    agent.at_the_end = loop.stop
    try:
        loop.run()
    finally:
        loop.stop()
    return agent


def test_what_is_wrong_at_the_start_is_told_to_whoever_started_the_agent():
    with pytest.raises(Rejected, match="nobody has this token"):
        run(NO_TOKEN, None)


def test_a_side_that_does_not_answer_is_waited_for_from_the_start():
    assert run(AWAY, AWAY, None).turns == []


@pytest.mark.behaviour(77)
def test_an_agent_that_worked_outlives_a_control_plane_that_does_not_know_it():
    assert run(None, NO_TOKEN, NO_TOKEN, None).turns == []
