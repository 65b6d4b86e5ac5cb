"""The agent's journal: durable before anything is touched, whole after any crash."""

import os

import pytest

from jackfield.agent.journal import FileKeeper, Notebook
from jackfield.model.address import MacAddress
from jackfield.model.attachment import OrderReport, OrderState
from jackfield.model.error import Conflict, Rejected, Unavailable
from jackfield.reconcile.observation import Journal, Prior, Started

PRIOR = Prior(identity="card/vf0", netdev="eth2v0", mac=MacAddress("02:00:00:00:00:01"))


@pytest.fixture
def keeper(tmp_path):
    keeper = FileKeeper(tmp_path / "agent")
    yield keeper
    keeper.close()


def test_everything_written_is_read_back_by_the_next_agent(keeper):
    notebook = Notebook(keeper)
    notebook.obey("installation", 7)
    notebook.remember_prior("claim", PRIOR)
    notebook.record_start("vm", Started(generation=2, error="no such kernel"))
    notebook.record_order(OrderReport(id="m", generation=1, state=OrderState.RUNNING))
    assert Notebook(keeper).journal == notebook.journal == keeper.load()


def test_what_a_device_was_first_stands_whatever_is_seen_of_it_later(keeper):
    notebook = Notebook(keeper)
    notebook.remember_prior("claim", PRIOR)
    notebook.remember_prior("claim", Prior(identity="card/vf0", netdev="eth02bc4aec-b4", mac=PRIOR.mac))
    assert keeper.load().priors["claim"] == PRIOR


def test_forgetting_twice_is_forgetting_once(keeper):
    notebook = Notebook(keeper)
    notebook.remember_prior("claim", PRIOR)
    for _ in range(2):
        notebook.forget_prior("claim")
        notebook.forget_order("m/1")
        notebook.forget_start("vm")
    assert keeper.load() == Journal()


def test_nothing_is_written_when_nothing_changes(keeper, monkeypatch):
    notebook = Notebook(keeper)
    notebook.obey("installation", 7)
    monkeypatch.setattr(keeper, "keep", lambda journal: pytest.fail("written for nothing"))
    notebook.obey("installation", 7)


@pytest.mark.parametrize("step", ["fsync", "rename"])
def test_a_crash_while_writing_leaves_the_old_journal(keeper, monkeypatch, step):
    notebook = Notebook(keeper)
    notebook.obey("installation", 7)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        target = os if step == "fsync" else type(keeper._path)
        patched.setattr(target, step, full)
        with pytest.raises(Unavailable, match="No space left") as refused:
            notebook.obey("installation", 8)
    assert refused.value.code == "journal-unwritable"
    assert notebook.journal.version == keeper.load().version == 7
    notebook.obey("installation", 8)
    assert keeper.load().version == 8


@pytest.mark.parametrize("damage", [b"", b"{", b'{"version": "many"}', b"\xff\xfe"])
def test_a_damaged_journal_stops_the_agent_instead_of_being_forgotten(keeper, tmp_path, damage):
    (tmp_path / "agent" / "journal.json").write_bytes(damage)
    with pytest.raises(Rejected) as refused:
        Notebook(keeper)
    assert refused.value.code == "journal-damaged" and "journal.json" in refused.value.message


def test_one_journal_has_one_agent(keeper, tmp_path):
    with pytest.raises(Conflict) as refused:
        FileKeeper(tmp_path / "agent")
    assert refused.value.code == "agent-running"
    keeper.close()
    FileKeeper(tmp_path / "agent").close()
