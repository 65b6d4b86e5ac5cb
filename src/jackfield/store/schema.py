"""The schema in a database: which revision stands there, and bringing it up to ours."""

from __future__ import annotations

from functools import cache

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from jackfield.model.error import Conflict, Reach, Rejected
from jackfield.store.connect import engines, file_of, parse
from jackfield.store.lock import FileLock


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "jackfield.store:migrations")
    return config


@cache
def _known() -> tuple[str, frozenset[str]]:
    """Our newest revision, and all that we know."""
    scripts = ScriptDirectory.from_config(_config())
    head = scripts.get_current_head()
    assert head is not None
    return head, frozenset(revision.revision for revision in scripts.walk_revisions())


def upgrade(url: str) -> None:
    """Brings the database at `url` up to our revision, in one transaction; idempotent.

    Raises `Conflict` (`store-locked`) while a process serves a SQLite file, `Rejected`
    (`store-schema-newer`) when the database was written by a later Jackfield.
    """
    parsed = parse(url)
    path = file_of(parsed)
    writer, _reader = engines(parsed)
    lock = FileLock(path) if path else None
    try:
        bring_up(writer)
    finally:
        writer.dispose()
        if lock:
            lock.release()


def bring_up(writer: Engine) -> None:
    """The same, on the engine of a writer."""
    head, known = _known()
    with writer.connect() as connection:
        on_sqlite = connection.dialect.name == "sqlite"
        raw = connection.connection.driver_connection
        assert raw is not None
        if on_sqlite:
            # SQLite alters a table by making another one and dropping the first, which foreign keys would
            # refuse or cascade; the switch is dead inside a transaction. https://www.sqlite.org/lang_altertable.html
            raw.execute("PRAGMA foreign_keys = OFF")
        try:
            with connection.begin():
                present = MigrationContext.configure(connection).get_current_revision()
                if present == head:
                    return
                if present is not None and present not in known:
                    raise Rejected(
                        "store-schema-newer",
                        f"the database {writer.url.render_as_string()} has schema {present}, which this "
                        f"Jackfield (schema {head}) does not know; install the release that wrote it, or a "
                        "later one",
                        reach=Reach.EVERYTHING,
                    )
                config = _config()
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                if on_sqlite:
                    orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
                    if orphans:
                        raise Conflict(
                            "store-schema-orphans",
                            f"the upgrade of {writer.url.render_as_string()} to schema {head} would leave "
                            f"{len(orphans)} rows without their parent, the first in {orphans[0][0]}; "
                            "nothing was changed; restore a backup that was taken by this version",
                            reach=Reach.EVERYTHING,
                        )
        finally:
            if on_sqlite:
                raw.execute("PRAGMA foreign_keys = ON")
