"""The engine: group commit, who is told what and when, what survives, and who may write."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, text

from jackfield.model.error import Conflict, NotFound, Rejected, Unavailable
from jackfield.store import host, meta
from jackfield.store.engine import Store

from .conftest import NOW, SQLITE

sqlite_only = pytest.mark.parametrize("url", [SQLITE], indirect=True)


def add(name: str):
    return lambda c: host.insert(c, host.Host(name=name, created_at=NOW))


def names(store: Store) -> list[str]:
    return [one.name for one in store.read(host.listing)]


def fail(_connection):
    raise NotFound("nothing-there", "no such thing")


@contextlib.contextmanager
def one_batch(store: Store, *works) -> Iterator[list[Future]]:
    """All of `works` in one batch: the writer is kept busy until they wait, all of them, in this order."""
    begun, go = threading.Event(), threading.Event()

    def keep_busy(_connection):
        begun.set()
        assert go.wait(10)

    with ThreadPoolExecutor(len(works) + 1) as threads:
        threads.submit(store.write, keep_busy)
        assert begun.wait(10)
        futures = []
        for number, work in enumerate(works, 1):
            futures.append(threads.submit(store.write, work))
            deadline = time.monotonic() + 10
            while store._waiting.qsize() < number:
                assert time.monotonic() < deadline
                time.sleep(0.001)
        go.set()
        yield futures


def commits(store: Store) -> list[None]:
    seen: list[None] = []
    event.listen(store._writer, "commit", lambda _connection: seen.append(None))
    return seen


def test_work_that_waits_together_is_committed_together(store):
    seen = commits(store)
    with one_batch(store, *(add(f"h{number}") for number in range(10))) as replies:
        assert [reply.result(10) for reply in replies] == [None] * 10
    assert len(seen) == 2  # the piece that kept the writer busy, and all the others
    assert len(names(store)) == 10


def test_work_that_raises_harms_no_batch_mate_and_only_its_caller_hears(store):
    def write_then_fail(c):
        add("half")(c)
        fail(c)

    with one_batch(store, add("before"), write_then_fail, add("half"), add("after")) as replies:
        with pytest.raises(NotFound):
            replies[1].result(10)
        assert [reply.result(10) for reply in (replies[0], *replies[2:])] == [None, None, None]
    assert names(store) == ["after", "before", "half"]


def test_a_statement_that_the_database_refuses_harms_no_batch_mate(store):
    def nonsense(c):
        c.execute(text("SELECT * FROM nowhere"))

    with one_batch(store, add("before"), nonsense, add("after")) as replies:
        assert replies[1].exception(10) is not None
        assert [replies[0].result(10), replies[2].result(10)] == [None, None]
    assert names(store) == ["after", "before"]


def test_nobody_hears_of_success_before_the_commit(store):
    known = threading.Event()
    first: list[Future] = []

    def is_told(_connection):
        assert known.wait(10)
        return first[0].done()

    with one_batch(store, add("first"), is_told) as replies:
        first.append(replies[0])
        known.set()
        assert replies[1].result(10) is False
        assert replies[0].result(10) is None


def test_a_reply_means_that_others_can_read_it(store, url):
    with contextlib.closing(Store.open(url)) as other:
        for number in range(5):
            store.write(add(f"h{number}"))
            assert f"h{number}" in names(other)


@pytest.mark.behaviour(37)
def test_a_write_is_alone_in_its_database_from_its_first_statement(store, url):
    begun, order = threading.Event(), []

    def slow(c):
        begun.set()
        time.sleep(0.2)
        order.append(("slow", len(host.listing(c))))

    def quick(c):
        order.append(("quick", len(host.listing(c))))
        add("quick")(c)

    with contextlib.closing(Store.open(url)) as other, ThreadPoolExecutor(1) as thread:
        first = thread.submit(store.write, lambda c: (add("slow")(c), slow(c)))
        assert begun.wait(10)
        other.write(quick)
        first.result(10)
    assert order == [("slow", 1), ("quick", 1)]


def test_when_the_commit_fails_everybody_in_the_batch_hears_that(store):
    def refuse(_connection):
        raise OSError("the disk is on fire")

    with one_batch(store, add("one"), fail, add("two")) as replies:
        event.listen(store._writer, "commit", refuse)
        for reply in replies:
            failure = reply.exception(10)
            assert isinstance(failure, Unavailable) and failure.code == "store-unavailable"
            assert "the disk is on fire" in failure.message
    event.remove(store._writer, "commit", refuse)
    assert names(store) == []
    store.write(add("three"))
    assert names(store) == ["three"]


@sqlite_only
def test_a_constraint_that_only_the_commit_checks_fails_the_batch_and_leaves_the_store_usable(store):
    def break_a_promise(c):
        c.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        c.exec_driver_sql("INSERT INTO hold VALUES ('alpha/nothing', 'nobody', 'claimed')")

    with one_batch(store, add("mate"), break_a_promise) as replies:
        assert [type(reply.exception(10)) for reply in replies] == [Unavailable, Unavailable]
    assert names(store) == []
    store.write(add("after"))
    assert names(store) == ["after"]


@pytest.mark.postgresql
@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_when_the_connection_dies_everybody_in_the_batch_hears_that_and_the_next_write_works(store):
    def die(c):
        c.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with one_batch(store, add("before"), die, add("after")) as replies:
        for reply in replies:
            failure = reply.exception(10)
            assert isinstance(failure, Unavailable) and "terminat" in failure.message
    assert names(store) == []
    store.write(add("next"))
    assert names(store) == ["next"]


@pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit])
def test_even_an_exit_in_the_work_does_not_end_the_writer(store, exception):
    def leave(_connection):
        raise exception

    with pytest.raises(exception):
        store.write(leave)
    store.write(add("after"))


def test_a_read_sees_one_moment(store):
    def twice(c):
        before = len(host.listing(c))
        store.write(add("meanwhile"))
        return before, len(host.listing(c))

    assert store.read(twice) == (0, 0)
    assert names(store) == ["meanwhile"]


def test_a_read_cannot_write(store):
    with pytest.raises(Exception, match=r"readonly|read-only"):
        store.read(add("sneaky"))
    assert names(store) == []


def test_a_closed_store_says_so_and_closing_twice_is_closing_once(store):
    store.close()
    store.close()
    with pytest.raises(Unavailable) as caught:
        store.write(add("late"))
    assert caught.value.code == "store-closed"


def test_work_that_waits_at_the_close_is_done_first(url):
    store = Store.open(url)
    with one_batch(store, add("a"), add("b")) as replies:
        closing = threading.Thread(target=store.close)
        closing.start()
        assert [reply.result(10) for reply in replies] == [None, None]
        closing.join()
    with contextlib.closing(Store.open(url)) as again:
        assert names(again) == ["a", "b"]


def test_inline_the_work_runs_in_the_callers_thread_under_the_same_rules(url):
    with contextlib.closing(Store.open(url, inline=True)) as store:
        assert store.write(lambda _c: threading.current_thread()) is threading.current_thread()
        with pytest.raises(NotFound):
            store.write(lambda c: (add("half")(c), fail(c)))
        store.write(add("whole"))
        assert names(store) == ["whole"]


@sqlite_only
def test_sqlite_syncs_at_every_commit_and_holds_to_foreign_keys(store):
    def pragmas(c):
        return [
            c.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]

    FULL = 2
    assert store.write(pragmas) == ["wal", FULL, 1, 10_000]


@sqlite_only
def test_the_database_is_its_owners_alone(store, tmp_path):
    store.write(add("a"))
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(["jackfield.db", "jackfield.db-wal", "jackfield.db-shm"], 0o600)


def test_the_clock_is_the_databases(store):
    before = datetime.now(UTC) - timedelta(milliseconds=1)  # SQLite's clock counts in those
    told = store.read(store.now)
    assert before <= told <= datetime.now(UTC)
    assert told.tzinfo is UTC
    assert store.write(store.now) >= told


def test_the_clock_goes_on_within_a_transaction(store):
    def twice(c):
        first = store.now(c)
        time.sleep(0.01)
        return first, store.now(c)

    first, second = store.write(twice)
    assert first < second


def test_the_clock_can_be_given(url):
    with contextlib.closing(Store.open(url, now=lambda: NOW)) as store:
        assert store.write(store.now) == NOW == store.read(store.now)


@pytest.mark.behaviour(77)
def test_an_installation_keeps_its_id(url):
    ids = []
    for _opened in range(2):
        with contextlib.closing(Store.open(url)) as store:
            ids.append(store.read(meta.installation))
    assert ids[0] == ids[1] != ""


@pytest.mark.behaviour(37)
@sqlite_only
def test_two_processes_cannot_serve_one_sqlite_file(url, tmp_path):
    first = Store.open(url, exclusive=True)
    with pytest.raises(Conflict) as caught:
        Store.open(url, exclusive=True)
    assert caught.value.code == "store-locked"
    assert str(tmp_path / "jackfield.db.lock") in caught.value.message
    assert caught.value.detail["process"] == str(os.getpid())
    first.close()
    Store.open(url, exclusive=True).close()


@sqlite_only
def test_the_lock_of_a_killed_process_is_free(url):
    holder = writer(url, "Store.open(url, exclusive=True); print('ready', flush=True); time.sleep(60)")
    assert holder.stdout.readline() == "ready\n"
    with pytest.raises(Conflict, match=str(holder.pid)):
        Store.open(url, exclusive=True)
    kill(holder)
    Store.open(url, exclusive=True).close()


@pytest.mark.behaviour(37)
@sqlite_only
@pytest.mark.parametrize("seconds", [0.05, 0.15, 0.4])
def test_kill_9_of_the_writer_loses_no_acknowledged_write(url, seconds):
    Store.open(url).close()
    victim = writer(url, KILLED)
    time.sleep(0.01)
    acknowledged = [victim.stdout.readline()]  # it is at work
    time.sleep(seconds)
    acknowledged += kill(victim).splitlines(keepends=True)
    written = {line.strip() for line in acknowledged if line.endswith("\n")}
    assert len(written) > 8
    with contextlib.closing(Store.open(url, exclusive=True)) as store:
        assert written <= set(names(store))
        store.write(add("after"))


KILLED = """
def work(lane):
    for number in range(1_000_000):
        name = f"h-{lane}-{number}"
        store.write(lambda c: host.insert(c, host.Host(name=name, created_at=NOW)))
        os.write(1, f"{name}\\n".encode())
store = Store.open(url, exclusive=True)
for lane in range(8):
    threading.Thread(target=work, args=(lane,)).start()
"""


def writer(url: str, program: str) -> subprocess.Popen:
    """A process of its own that runs `program` on the store at `url`."""
    prelude = f"""
import os, threading, time
from datetime import UTC, datetime
from jackfield.store import host
from jackfield.store.engine import Store
NOW = datetime(2026, 1, 1, tzinfo=UTC)
url = {url!r}
"""
    return subprocess.Popen([sys.executable, "-c", prelude + program], stdout=subprocess.PIPE, text=True)


def kill(process: subprocess.Popen) -> str:
    """What it had said by then and nobody had read."""
    process.send_signal(signal.SIGKILL)
    return process.communicate()[0]


def test_a_world_in_memory_can_be_copied_and_the_copies_go_their_own_ways():
    first = Store.open_memory()
    first.write(add("common"))
    taken = first.snapshot()
    first.write(add("first"))
    second = Store.open_memory(taken)
    second.write(add("second"))
    assert (names(first), names(second)) == (["common", "first"], ["common", "second"])
    assert first.read(meta.installation) == second.read(meta.installation)
    first.close()
    second.close()
    third = Store.open_memory(taken)
    assert names(third) == ["common"]
    third.close()
    empty = Store.open_memory()
    assert names(empty) == []
    assert empty.read(meta.installation) != second_installation(taken)
    empty.close()


def second_installation(snapshot: bytes) -> str:
    store = Store.open_memory(snapshot)
    found = store.read(meta.installation)
    store.close()
    return found


def test_a_prepared_world_is_copied_in_about_a_millisecond():
    with contextlib.closing(Store.open_memory()) as store:
        taken = store.snapshot()
    best = min(_seconds_to_copy(taken) for _try in range(20))
    assert best < 0.005


def _seconds_to_copy(snapshot: bytes) -> float:
    began = time.perf_counter()
    Store.open_memory(snapshot).close()
    return time.perf_counter() - began


def test_a_store_in_memory_can_be_shared_by_threads():
    with contextlib.closing(Store.open("sqlite://")) as store, ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: store.write(add(f"h{number}")), range(40)))
        assert set(threads.map(lambda _n: len(names(store)), range(40))) == {40}


@pytest.mark.parametrize("url", ["mysql://localhost/jackfield", "sqlite:////nowhere/at/all/jackfield.db"])
def test_a_database_that_cannot_be_is_refused_with_its_address(url):
    with pytest.raises(Rejected) as caught:
        Store.open(url)
    assert caught.value.code == "store-url"
    assert url.partition(":///")[2] in caught.value.message


def test_a_server_that_does_not_answer_is_unavailable_and_its_password_stays_secret(tmp_path):
    with pytest.raises(Unavailable) as caught:
        Store.open(f"postgresql://someone:secret@/jackfield?host={tmp_path}")
    assert caught.value.code == "store-unavailable"
    assert "secret" not in caught.value.message


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not a database" * 100)
    with pytest.raises(Unavailable, match=r"notes.txt.*not a database"):
        Store.open(f"sqlite:///{path}")
