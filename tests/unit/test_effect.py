"""Work in threads: each key once at a time, and no bug in silence."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from jackfield.effect import ThreadExecutor

DEVICE, INSTANCE = frozenset({"device"}), frozenset({"instance"})


def test_a_key_is_busy_from_the_submission_until_the_end_was_seen():
    ended, go = threading.Event(), threading.Event()
    executor = ThreadExecutor[str](ended.set)
    assert executor.submit(DEVICE | INSTANCE, lambda: "done" if go.wait(10) else "never")
    assert not executor.submit(INSTANCE, lambda: "another")
    assert executor.busy() == DEVICE | INSTANCE and executor.finished() == []
    go.set()
    assert ended.wait(10)
    assert executor.finished() == ["done"]
    assert executor.busy() == frozenset()


def test_any_amount_of_long_work_holds_up_nothing_else():
    ended, go = threading.Event(), threading.Event()
    executor = ThreadExecutor[bool](lambda: None)
    for number in range(64):
        assert executor.submit(frozenset({number}), lambda: go.wait(10))
    assert executor.submit(DEVICE, lambda: ended.set() is None)
    assert ended.wait(10)
    go.set()


def test_a_bug_in_the_work_is_raised_and_not_kept_for_good():
    ended = threading.Event()
    executor = ThreadExecutor[None](ended.set)

    def work() -> None:
        raise ZeroDivisionError("a bug")

    executor.submit(DEVICE, work)
    assert ended.wait(10)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        executor.finished()
    assert executor.busy() == frozenset()


def test_a_process_that_ends_does_not_wait_for_its_work():
    script = """
import time
from jackfield.effect import ThreadExecutor
ThreadExecutor(lambda: None).submit(frozenset({1}), lambda: time.sleep(600))
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
