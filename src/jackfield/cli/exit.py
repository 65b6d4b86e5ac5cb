"""Exit codes: stable, so that scripts can tell one failure from another."""

from __future__ import annotations

from enum import IntEnum

from jackfield.model.error import Conflict, JackfieldError, NotFound, Rejected, Unavailable


class ExitCode(IntEnum):
    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    """Wrong options, wrong input, or not allowed: the same command will fail again."""
    NOT_FOUND = 3
    CONFLICT = 4
    UNAVAILABLE = 5


def exit_code(error: JackfieldError) -> ExitCode:
    match error:
        case NotFound():
            return ExitCode.NOT_FOUND
        case Rejected():
            return ExitCode.USAGE
        case Conflict():
            return ExitCode.CONFLICT
        case Unavailable():
            return ExitCode.UNAVAILABLE
    return ExitCode.UNEXPECTED
