"""The last device, raced for: one winner each round, and no function with two holders ever."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest
from build import offered, pf, vf
from sqlalchemy import Connection, NullPool, create_engine, select

from jackfield.model.error import Conflict
from jackfield.store import claim, device, table
from jackfield.store.engine import Store

from .conftest import Fleet

CLIENTS = 16
ROUNDS = 50
PF = pf()
VFS = [vf(index, of=PF) for index in range(8)]

Write = Callable[[Callable[[Connection], None]], None]


@pytest.fixture
def clients(store: Store, url: str) -> Iterator[list[Write]]:
    """How each client writes: on SQLite all through the one writer that there is, on PostgreSQL each through
    a store of its own, as replicas do."""
    with ExitStack() as open_stores:
        if url.startswith("sqlite"):
            yield [store.write] * CLIENTS
        else:
            yield [open_stores.enter_context(closing(Store.open(url))).write for _client in range(CLIENTS)]


@pytest.fixture
def bare_clients(store: Store, url: str) -> Iterator[list[Write]]:
    """Clients in transactions of their own that take no turn: only the constraints stand between them."""

    def write(work: Callable[[Connection], None]) -> None:
        with engine.begin() as connection:
            work(connection)

    engine = create_engine(url, poolclass=NullPool)
    yield [write] * CLIENTS


def race(fleet: Fleet, clients: list[Write], wanted: list[str]) -> list[str]:
    """Each client takes its device at the same moment; gives the ids of the claims that won."""
    line = threading.Barrier(len(clients))

    def run(write: Write, device_id: str) -> str | None:
        mine = fleet.new_claim(device_id)
        line.wait(30)
        try:
            write(lambda c: claim.take(c, mine, claim.holds_for(c, mine.device_id)))
        except Conflict as conflict:
            assert conflict.code == "device-taken"
            return None
        return mine.id

    with ThreadPoolExecutor(len(clients)) as threads:
        return [won for won in threads.map(run, clients, wanted) if won is not None]


def holders(fleet: Fleet) -> set[str]:
    return set(fleet.store.read(lambda c: c.execute(select(table.hold.c.claim_id)).scalars().all()))


@pytest.mark.behaviour(35, 37)
def test_the_last_device_raced_by_16_clients_has_one_winner_each_round(fleet, clients):
    fleet.host("alpha", offered(VFS[0]))
    for _round in range(ROUNDS):
        [last] = fleet.store.read(device.free)
        [winner] = race(fleet, clients, [last.id] * CLIENTS)
        assert holders(fleet) == {winner}
        fleet.end(fleet.claim(winner))


@pytest.mark.behaviour(4, 37)
def test_a_pf_and_its_vfs_raced_for_never_both_have_holders(fleet, clients):
    fleet.host("alpha", offered(PF), *map(offered, VFS))
    the_pf, vfs = f"alpha/{PF.identity}", [f"alpha/{one.identity}" for one in VFS]
    wanted = [name for pair in zip([the_pf] * 8, vfs, strict=True) for name in pair]
    for _round in range(10):
        won = [fleet.claim(winner) for winner in race(fleet, clients, wanted)]
        taken = [one.device_id for one in won]
        assert taken == [the_pf] or (the_pf not in taken and sorted(taken) == sorted(set(taken)) != [])
        for one in won:
            fleet.end(one)


@pytest.mark.behaviour(35, 37)
@pytest.mark.postgresql
@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_the_database_itself_refuses_the_second_holder(fleet, bare_clients):
    fleet.host("alpha", offered(PF), *map(offered, VFS))
    the_pf, last = f"alpha/{PF.identity}", f"alpha/{VFS[7].identity}"
    for _round in range(20):
        [winner] = race(fleet, bare_clients, [the_pf, last] * (CLIENTS // 2))
        assert holders(fleet) == {winner}
        fleet.end(fleet.claim(winner))
