"""The one tree of errors.

    JackfieldError          code, sentence with the values in it, reach
    ├── Rejected            the caller's fault; the same request will fail again
    │   ├── NotFound        names a thing that does not exist
    │   └── Forbidden       the caller may not do this
    ├── Conflict            the world moved or is busy; look again, then decide
    │   └── Gone            the caller speaks for a past that was ended (an old epoch)
    └── Unavailable         a host or service does not answer; back off and try again

Nothing fitting is an answer (`jackfield.schedule.allocate.NoFit`), not an error, until a caller asked
for exactly that thing to be done.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Reach(StrEnum):
    """How far an error goes: what else would meet it."""

    REQUEST = "request"
    HOST = "host"
    EVERYTHING = "everything"


class JackfieldError(Exception):
    """An error with a stable `code` (lower-case words joined by hyphens) and a sentence for people.

    `detail` carries further values for programs (reasons, names); it must be JSON-serialisable.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        reach: Reach = Reach.REQUEST,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reach = reach
        self.detail = dict(detail or {})


class Rejected(JackfieldError):
    """The caller's fault: the same request will fail again."""


class NotFound(Rejected):
    """The request names a thing that does not exist."""


class Forbidden(Rejected):
    """The caller may not do this."""


class Conflict(JackfieldError):
    """The world moved, or the thing is busy: look again, then decide."""


class Gone(Conflict):
    """The caller speaks for a past that was ended, as an agent with an old epoch does."""


class Unavailable(JackfieldError):
    """A host or a service does not answer: back off and try again."""
