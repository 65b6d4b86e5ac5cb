"""Settings of the commands: flags, then environment, then `/etc/jackfield/*.toml`, then what needs no
setting at all.

    [client]                               [serve]
    url = "http://panel.example:8440"      database = "postgresql+psycopg://panel.example/jackfield"
    token_file = "/root/jackfield.token"   listen = "0.0.0.0:8440"

    [flavors]
    allow_location = true

In the environment: `JACKFIELD_URL`, `JACKFIELD_TOKEN`, `JACKFIELD_DATABASE` and so on, and
`JACKFIELD_FLAVORS_ALLOW_LOCATION`.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from jackfield.migrate.plan import STRATEGIES
from jackfield.model.error import Rejected
from jackfield.model.migration import StrategyName

CONFIGURATION = Path("/etc/jackfield")
DEFAULT_LISTEN = "127.0.0.1:8440"
ADMIN_TOKEN = "admin.token"


def default_state() -> Path:
    """Where `serve` keeps its things unless told otherwise, and where the CLI looks for its token."""
    if os.geteuid() == 0:
        return Path("/var/lib/jackfield")
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "jackfield"


class Settings(BaseSettings):
    """The settings of one table. A key that the table does not know is refused, by file and name."""

    model_config = SettingsConfigDict(env_prefix="JACKFIELD_", extra="forbid", frozen=True)
    TABLE: ClassVar[str]

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        files = InitSettingsSource(settings_cls, read_table(CONFIGURATION, cls.TABLE))
        return init_settings, env_settings, files

    @classmethod
    def load(cls, **flags: Any) -> Self:
        """The settings in force; a flag that is None was not given.

        Raises `Rejected` (`settings-malformed`).
        """
        try:
            return cls(**{name: value for name, value in flags.items() if value is not None})
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(map(str, first["loc"]))
            raise Rejected(
                "settings-malformed",
                f"setting {name!r} of [{cls.TABLE}]: {first['msg'][:1].lower()}{first['msg'][1:]}; "
                f"look at the flags, the variables JACKFIELD_* and {CONFIGURATION}/*.toml",
            ) from error


class ClientSettings(Settings):
    TABLE = "client"

    url: str = f"http://{DEFAULT_LISTEN}"
    token: str | None = None
    token_file: Path | None = None
    timeout: float = 30.0

    def find_token(self) -> str | None:
        """The token given, that in the file given, or that of a `serve` on this machine; or None."""
        if self.token is not None:
            return self.token
        if self.token_file is not None:
            return _read_token(self.token_file)
        local = default_state() / ADMIN_TOKEN
        return _read_token(local) if os.access(local, os.R_OK) else None


class ServeSettings(Settings):
    TABLE = "serve"

    database: str | None = None
    """None: SQLite in the state directory."""
    listen: str = DEFAULT_LISTEN
    state: Path | None = None

    def state_directory(self) -> Path:
        return self.state or default_state()

    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.state_directory().absolute() / 'jackfield.db'}"


class FlavorSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="JACKFIELD_FLAVORS_")
    TABLE = "flavors"

    allow_location: bool = False
    """Flavors may select by address, host and the like, which ties what asks for them to one place."""


class MigrationSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="JACKFIELD_MIGRATION_")
    TABLE = "migration"

    shared_storage: tuple[str, ...] = ()
    """Folders that every host sees alike; only a guest whose disks are in them is moved."""
    strategies: tuple[StrategyName, ...] = tuple(STRATEGIES)
    """The order in which `auto` tries them."""


TABLES = frozenset({"agent", "client", "flavors", "migration", "serve"})
"""Every table that some command reads: another one is a misspelt one."""


def read_table(folder: Path, table: str) -> dict[str, Any]:
    """What the folder's files say under `[table]`; of two files the later name wins. A file that may not
    be read is another user's: that of `serve` may hold a password."""
    found: dict[str, Any] = {}
    for file in sorted(folder.glob("*.toml")):
        if not os.access(file, os.R_OK):
            continue
        try:
            tables = tomllib.loads(file.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise Rejected("settings-malformed", f"{file} is no TOML: {error}") from error
        if unknown := sorted(tables.keys() - TABLES):
            raise Rejected(
                "settings-malformed",
                f"{file}: there is no table [{unknown[0]}]; there are {', '.join(sorted(TABLES))}",
            )
        content = tables.get(table, {})
        if not isinstance(content, dict):
            raise Rejected("settings-malformed", f"{file}: [{table}] is a table; {content!r} is none")
        found |= content
    return found


def _read_token(file: Path) -> str:
    try:
        return file.read_text("utf-8").strip()
    except OSError as error:
        raise Rejected("token-unreadable", f"cannot read the token in {file}: {error.strerror}") from error
