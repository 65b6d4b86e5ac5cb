"""The schema: what Alembic makes is what the tables say, and every database is brought to it."""

from __future__ import annotations

import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import fields

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import NullPool, create_engine, text

from jackfield.model.claim import Claim
from jackfield.model.device import Device
from jackfield.model.error import Conflict, Rejected
from jackfield.model.flavor import Flavor
from jackfield.model.instance import Instance
from jackfield.model.migration import Migration
from jackfield.model.network import Network
from jackfield.model.port import Binding, Port
from jackfield.store import host, meta, schema, table, token, tombstone
from jackfield.store.engine import Store

from .conftest import NOW, POSTGRESQL, SQLITE

sqlite_only = pytest.mark.parametrize("url", [SQLITE], indirect=True)


def test_the_newest_revision_is_what_the_tables_say(url):
    schema.upgrade(url)
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, table.metadata) == []


def test_and_to_the_letter_with_checks_and_partial_indexes(tmp_path):
    schema.upgrade(f"sqlite:///{tmp_path}/upgraded.db")
    made = create_engine(f"sqlite:///{tmp_path}/made.db", poolclass=NullPool)
    table.metadata.create_all(made)
    assert _definitions(tmp_path / "upgraded.db") == _definitions(tmp_path / "made.db")


def _definitions(path) -> dict[str, list[str]]:
    """Each table's and index's definition, clause by clause: their order means nothing."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {
        name: sorted(
            " ".join(clause.split()) for clause in re.split(r",\s*\n", sql.rstrip().removesuffix("\n)"))
        )
        for name, sql in rows
        if name != "alembic_version"
    }


@pytest.mark.parametrize(
    ("noun", "stored"),
    [
        (Claim, table.claim), (Device, table.device), (Flavor, table.flavor), (Instance, table.instance),
        (Migration, table.migration), (Network, table.network), (Binding, table.binding), (Port, table.port),
        (host.Host, table.host), (token.Token, table.token), (tombstone.Tombstone, table.tombstone),
    ],
)  # fmt: skip
def test_every_field_of_a_noun_has_its_column_and_can_be_missing_in_both_or_neither(noun, stored):
    for field in fields(noun):
        may_be_none = "None" in str(field.type)
        assert stored.c[field.name].nullable is may_be_none, field.name


def test_an_upgrade_of_what_is_there_changes_nothing(url):
    schema.upgrade(url)
    with closing(Store.open(url)) as store:
        store.write(lambda c: host.insert(c, host.Host(name="alpha", created_at=NOW)))
    schema.upgrade(url)
    with closing(Store.open(url)) as store:
        assert [one.name for one in store.read(host.listing)] == ["alpha"]


def test_a_database_of_a_later_release_is_refused_and_left_alone(url):
    schema.upgrade(url)
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        ours = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    try:
        with pytest.raises(Rejected) as caught:
            Store.open(url)
        assert caught.value.code == "store-schema-newer"
        assert "9999" in caught.value.message
    finally:
        with engine.begin() as connection:
            connection.execute(text(f"UPDATE alembic_version SET version_num = '{ours}'"))


@pytest.mark.parametrize("kind", [SQLITE, POSTGRESQL])
def test_replicas_that_start_at_once_on_an_empty_database_agree_on_schema_and_installation(
    kind, tmp_path, request
):
    if kind == SQLITE:
        url = f"sqlite:///{tmp_path}/new.db"
    else:
        url = request.getfixturevalue("postgresql_server").create("new")

    def start(_replica: int) -> str:
        with closing(Store.open(url)) as store:
            return store.read(meta.installation)

    with ThreadPoolExecutor(4) as replicas:
        assert len(set(replicas.map(start, range(4)))) == 1


@sqlite_only
def test_no_upgrade_under_a_running_server(url):
    with closing(Store.open(url, exclusive=True)), pytest.raises(Conflict) as caught:
        schema.upgrade(url)
    assert caught.value.code == "store-locked"


@sqlite_only
def test_an_upgrade_that_would_leave_orphans_changes_nothing(url, tmp_path):
    schema.upgrade(url)
    with closing(sqlite3.connect(tmp_path / "jackfield.db")) as connection, connection:
        connection.execute("INSERT INTO hold VALUES ('alpha/nothing', 'nobody', 'claimed')")
        connection.execute("DELETE FROM alembic_version")
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('hold', 'alembic_version')"
        ).fetchall():
            connection.execute(f"DROP TABLE {name}")
        connection.execute("ALTER TABLE hold RENAME TO hold_before")
        connection.execute("DROP INDEX ix_hold_claim_id")
    with pytest.raises(Conflict) as caught:
        Store.open(url)
    assert caught.value.code == "store-schema-orphans"
    with closing(sqlite3.connect(tmp_path / "jackfield.db")) as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert tables == {"hold_before", "alembic_version"}
