"""The host spec's file, read again whenever it may have changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jackfield.model.error import JackfieldError, NotFound, Reach, Rejected
from jackfield.model.spec import HostSpec, parse_spec

_BYTES_MAX = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class SpecReading:
    """The spec in force, and what is wrong with the file if that is another."""

    spec: HostSpec
    is_new: bool
    """Other rules than at the reading before; true at the first. Then `reconcile.inventory.diff` says
    what that adds and removes."""
    problem: JackfieldError | None = None
    """Why the file as it is now is not in force; said anew at each reading until it is mended."""


class SpecFile:
    """One spec file over time: a wrong or vanished one leaves the running spec in force.

    The text itself is compared, not times and sizes: it is small, and two writes within one tick of the
    file system's clock look alike by its times.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._text: str | None = None
        """What the running spec was read from."""
        self._spec: HostSpec | None = None

    def read(self) -> SpecReading:
        """The spec now. Raises `NotFound` (`spec-missing`) or `Rejected` (`spec-unreadable`,
        `spec-malformed`) while no spec is in force yet."""
        before = self._spec
        problem = None
        try:
            text = self._read()
            if text != self._text:
                self._spec, self._text = parse_spec(text, str(self._path)), text
        except JackfieldError as error:
            if self._spec is None:
                raise
            problem = error
        assert self._spec is not None
        return SpecReading(spec=self._spec, is_new=self._spec != before, problem=problem)

    def _read(self) -> str:
        try:
            with self._path.open("rb") as file:
                content = file.read(_BYTES_MAX + 1)
            if len(content) > _BYTES_MAX:
                raise self._unreadable(f"is longer than {_BYTES_MAX} bytes: is it the right file?")
            return content.decode()
        except FileNotFoundError:
            raise NotFound(
                "spec-missing",
                f"there is no host spec {self._path}: write one, or give another file",
                reach=Reach.HOST,
            ) from None
        except UnicodeDecodeError as error:
            raise self._unreadable(f"is not UTF-8 at byte {error.start}") from None
        except OSError as error:
            raise self._unreadable(f"cannot be read: {error.strerror}") from None

    def _unreadable(self, why: str) -> Rejected:
        return Rejected("spec-unreadable", f"host spec {self._path} {why}", reach=Reach.HOST)
