"""The store's contract runs against SQLite in a file and against a real PostgreSQL, by the same tests."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from postgresql import Missing, Server
from sqlalchemy import NullPool, create_engine, event

from jackfield.model.claim import Claim, ClaimPurpose, ClaimState
from jackfield.model.device import Device, DeviceId, OfferedDevice
from jackfield.store import claim, device, host, inventory, schema
from jackfield.store.engine import Store
from jackfield.store.table import metadata

NOW = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
SQLITE = "sqlite"
POSTGRESQL = pytest.param("postgresql", marks=pytest.mark.postgresql)


class Fleet:
    """A store with hosts, and one-line ways to do things there."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.ids = (f"c{number:04}" for number in itertools.count())
        self.gate = threading.Lock()

    def host(self, name: str = "alpha", *offers: OfferedDevice) -> str:
        self.store.write(lambda c: host.insert(c, host.Host(name=name, created_at=NOW)))
        self.inventory(*offers, on=name)
        return name

    def inventory(self, *offers: OfferedDevice, on: str = "alpha") -> bool:
        return self.store.write(lambda c: inventory.replace(c, on, offers))

    def new_claim(self, device_id: str, *, lease: datetime | None = NOW, **facts) -> Claim:
        with self.gate:
            facts.setdefault("id", next(self.ids))
        return Claim(
            device_id=DeviceId(device_id),
            host=device_id.partition("/")[0],
            state=ClaimState.HELD,
            purpose=facts.pop("purpose", ClaimPurpose.RUN),
            generation=1,
            lease_expires_at=lease,
            **facts,
        )

    def take(
        self, *wanted: Device | str, on: str = "alpha", needs_vfio: bool = False, **facts
    ) -> list[Claim]:
        """One claim for each device, all or none."""
        claims = [self.new_claim(self.id_of(one, on), **facts) for one in wanted]

        def work(c):
            for one in claims:
                claim.take(c, one, claim.holds_for(c, one.device_id, needs_vfio=needs_vfio))
            return claims

        return self.store.write(work)

    def take_one(self, wanted: Device | str, **facts) -> Claim:
        return self.take(wanted, **facts)[0]

    def free(self) -> list[str]:
        """The identities of what may be given, on all hosts."""
        return [found.offer.device.identity for found in self.store.read(device.free)]

    def device(self, one: Device, on: str = "alpha") -> device.StoredDevice:
        return self.store.read(lambda c: device.get(c, self.id_of(one, on)))

    def claim(self, claim_id: str) -> Claim:
        return self.store.read(lambda c: claim.get(c, claim_id))

    def give_up(self, claim_id: str) -> Claim:
        return self.store.write(lambda c: claim.begin_release(c, claim_id))

    def prove_released(self, given_up: Claim) -> bool:
        return self.store.write(lambda c: claim.release(c, given_up.id, given_up.generation))

    def end(self, one: Claim) -> None:
        self.prove_released(self.give_up(one.id))

    def tell_agent(self, name: str = "alpha") -> int:
        """Something changed on the host and its agent took delivery of it."""

        def work(c):
            version = host.touch(c, name)
            assert host.serve(c, name, version)
            return version

        return self.store.write(work)

    @staticmethod
    def id_of(one: Device | str, on: str) -> DeviceId:
        return DeviceId(one) if isinstance(one, str) else device.id_of(on, one.identity)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Server]:
    try:
        server = Server()
    except Missing as missing:
        pytest.skip(str(missing))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgresql_world(postgresql_server: Server) -> str:
    """One database with our schema for the session: making one for each test costs a third of a second."""
    url = postgresql_server.create("world")
    schema.upgrade(url)
    return url


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def url(request: pytest.FixtureRequest, tmp_path) -> Iterator[str]:
    """The address of an empty database, for one test alone."""
    if request.param == SQLITE:
        yield f"sqlite:///{tmp_path / 'jackfield.db'}"
        return
    world: str = request.getfixturevalue("postgresql_world")
    yield world
    engine = create_engine(world, poolclass=NullPool)
    with engine.begin() as connection:
        for emptied in reversed(metadata.sorted_tables):
            connection.execute(emptied.delete())


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store.open(url)
    yield opened
    opened.close()


@pytest.fixture
def fleet(store: Store) -> Fleet:
    return Fleet(store)


@pytest.fixture
def statements(store: Store) -> Iterator[list[str]]:
    """What the store says to the database, as it says it."""
    said: list[str] = []

    def listen(_connection, _cursor, statement, *_rest):
        said.append(statement)

    engines: Sequence = (store._writer, store._reader)
    for engine in engines:
        event.listen(engine, "before_cursor_execute", listen)
    yield said
    for engine in engines:
        event.remove(engine, "before_cursor_execute", listen)
