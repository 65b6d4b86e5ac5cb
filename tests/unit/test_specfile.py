from __future__ import annotations

import os

import pytest
from build import vf

from jackfield.host.specfile import SpecFile
from jackfield.model.error import NotFound, Rejected
from jackfield.reconcile.inventory import apply, diff

ONE = '[[rule]]\nmatch = {netdev = "eth2v0"}\n'
TWO = '[[rule]]\nmatch = {netdev = "eth2v1"}\n'


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "host.toml"
    file.write_text(ONE)
    return file


@pytest.mark.behaviour(6)
def test_a_spec_is_read_again_and_says_what_it_adds_and_removes(path):
    file = SpecFile(path)
    first = file.read()
    assert first.is_new
    assert not file.read().is_new
    path.write_text(TWO)
    second = file.read()
    assert second.is_new
    cards = [vf(0), vf(1)]
    change = diff(apply(first.spec, cards), apply(second.spec, cards))
    assert [entry.device.netdev for entry in change.added] == ["eth2v1"]
    assert [entry.device.netdev for entry in change.removed] == ["eth2v0"]


@pytest.mark.behaviour(6)
def test_two_writes_of_one_length_within_one_tick_are_told_apart(path):
    file = SpecFile(path)
    file.read()
    times = path.stat()
    path.write_text(TWO)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert file.read().is_new


@pytest.mark.behaviour(6)
def test_another_text_with_the_same_rules_is_no_new_spec(path):
    file = SpecFile(path)
    file.read()
    path.write_text("# the first VF only\n" + ONE)
    assert not file.read().is_new


@pytest.mark.behaviour(5)
@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b'[[rule]]\nmatch = {vendro = "8086"}\n', "spec-malformed"),
        (b"\xff\xfe", "spec-unreadable"),
        (b"#" * (1 << 20) + b"\n", "spec-unreadable"),
    ],
)
def test_a_wrong_spec_leaves_the_running_one_in_force_until_it_is_mended(path, content, code):
    file = SpecFile(path)
    running = file.read().spec
    path.write_bytes(content)
    for _ in range(2):
        reading = file.read()
        assert (reading.spec, reading.is_new, reading.problem.code) == (running, False, code)
        assert str(path) in reading.problem.message
    path.write_text(TWO)
    mended = file.read()
    assert mended.is_new
    assert mended.problem is None


@pytest.mark.behaviour(5)
def test_a_spec_that_is_put_back_as_it_was_is_no_problem_any_more(path):
    file = SpecFile(path)
    file.read()
    path.write_text("[[rule")
    assert file.read().problem
    path.write_text(ONE)
    reading = file.read()
    assert (reading.is_new, reading.problem) == (False, None)


@pytest.mark.behaviour(5)
def test_a_spec_that_vanishes_leaves_the_running_one_in_force(path):
    file = SpecFile(path)
    running = file.read().spec
    path.unlink()
    reading = file.read()
    assert (reading.spec, reading.problem.code) == (running, "spec-missing")
    path.write_text(ONE)
    assert file.read().problem is None


@pytest.mark.behaviour(5)
def test_at_the_start_there_must_be_a_spec_and_a_right_one(path):
    file = SpecFile(path)
    path.write_text("[[rule")
    for _ in range(2):
        with pytest.raises(Rejected):
            file.read()
    path.unlink()
    with pytest.raises(NotFound):
        file.read()
    path.mkdir()
    with pytest.raises(Rejected, match="Is a directory") as refused:
        file.read()
    assert refused.value.code == "spec-unreadable"
    path.rmdir()
    path.write_text(ONE)
    assert file.read().is_new
