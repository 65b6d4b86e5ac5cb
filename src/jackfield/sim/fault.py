"""Faults at numbered points: every effect is one, and may be struck before or after it is done."""

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
    LATE = "late"
    """There is no answer, and it is done some time later: what a network may do to a request to the control
    side. Nothing else is late: it fails."""


class Crash(BaseException):
    """The process is dead. No code of ours may catch it: a dead process catches nothing."""


class Faults:
    """Counts the effects of a whole run, and lets those fail that the plan names.

    Looks are counted apart: they are many, and to strike one is seldom the end of anything.
    """

    def __init__(
        self, plan: Mapping[int, Fault] | None = None, looks: Mapping[int, Fault] | None = None
    ) -> None:
        self.plan = dict(plan or {})
        self.looks = dict(looks or {})
        self.count = self.count_of_looks = 0
        self.met: list[str] = []
        """What was struck, in order, for the message of a failing run."""
        self.late: list[Callable[[], object]] = []
        """Requests that are still on their way. Whoever made them has given them up."""

    def around(self, name: str, effect: Callable[[], T], *, is_look: bool = False) -> T:
        """Does the effect, unless the plan has something else in mind for its number."""
        if is_look:
            number, fault = f"look {self.count_of_looks}", self.looks.get(self.count_of_looks)
            self.count_of_looks += 1
        else:
            number, fault = f"{self.count}", self.plan.get(self.count)
            self.count += 1
        if fault is not None:
            self.met.append(f"{number} {name}: {fault.value}")
        if fault is Fault.CRASH_BEFORE:
            raise Crash(name)
        is_request = ".control." in name
        if fault is Fault.FAIL or (fault is Fault.LATE and not is_request):
            raise Unavailable("sim-fault", f"{name} does not answer")
        if fault is Fault.LATE:
            self.late.append(effect)
            raise Unavailable("sim-fault", f"{name} does not answer yet")
        result = effect()
        if fault is Fault.CRASH_AFTER:
            raise Crash(name)
        if fault is Fault.LOSE:
            raise Unavailable("sim-fault", f"the answer of {name} was lost")
        return result


def over(target: T, name: str, around: Callable[[str, Callable[[], Any]], Any]) -> T:
    """The target with `around(<name>.<method>, effect)` at each call of its methods."""
    return cast("T", _Faulty(target, name, around))


class _Faulty:
    def __init__(self, target: object, name: str, around: Callable[[str, Callable[[], Any]], Any]) -> None:
        self._target = target
        self._name = name
        self._around = around

    def __getattr__(self, method: str) -> Any:
        whole = getattr(self._target, method)

        def call(*given: Any, **named: Any) -> Any:
            return self._around(f"{self._name}.{method}", lambda: whole(*given, **named))

        return call
