"""Faults at numbered points: every effect passes two, one before and one after it is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, TypeVar, cast

from jackfield.model.error import Unavailable

T = TypeVar("T")


class Fault(StrEnum):
    CRASH_BEFORE = "crash-before"
    """The process dies, and nothing was done."""
    CRASH_AFTER = "crash-after"
    """It was done, and the process dies before it knows."""
    LOSE = "lose"
    """It was done, and the answer is lost."""
    FAIL = "fail"
    """It is refused cleanly, for now."""


class Crash(BaseException):
    """The process is dead. No code of ours may catch it: a dead process catches nothing."""


class Faults:
    """Counts the effects of a whole run, and lets those fail that the plan names."""

    def __init__(self, plan: Mapping[int, Fault] | None = None) -> None:
        self.plan = dict(plan or {})
        self.count = 0
        self.met: list[str] = []
        """What was struck, in order, for the message of a failing run."""

    def around(self, name: str, effect: Callable[[], T]) -> T:
        fault = self.plan.get(self.count)
        number, self.count = self.count, self.count + 1
        if fault is not None:
            self.met.append(f"{number} {name}: {fault.value}")
        if fault is Fault.CRASH_BEFORE:
            raise Crash(name)
        if fault is Fault.FAIL:
            raise Unavailable("sim-fault", f"{name} does not answer")
        result = effect()
        if fault is Fault.CRASH_AFTER:
            raise Crash(name)
        if fault is Fault.LOSE:
            raise Unavailable("sim-fault", f"the answer of {name} was lost")
        return result

    def over(self, target: T, name: str) -> T:
        """The target with a point at each of its methods."""
        return cast("T", _Faulty(target, name, self))


class _Faulty:
    def __init__(self, target: object, name: str, faults: Faults) -> None:
        self._target = target
        self._name = name
        self._faults = faults

    def __getattr__(self, method: str) -> Any:
        whole = getattr(self._target, method)

        def effect(*args: Any, **named: Any) -> Any:
            return self._faults.around(f"{self._name}.{method}", lambda: whole(*args, **named))

        return effect
