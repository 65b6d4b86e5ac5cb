from __future__ import annotations

import importlib
import os
import subprocess
import sys

import pytest

from jackfield.cli import main as command
from jackfield.cli.exit import ExitCode, exit_code
from jackfield.cli.main import NOUNS, main
from jackfield.model.error import Conflict, Forbidden, Gone, JackfieldError, NotFound, Rejected, Unavailable


@pytest.mark.parametrize("name", NOUNS)
def test_every_noun_that_is_listed_is_there(name, capsys):
    assert main([name, "--help"]) == ExitCode.OK
    assert f"jackfield {name}" in capsys.readouterr().out


def test_help_lists_the_nouns_and_loads_none_of_them(capsys):
    program = (
        "import sys\n"
        "from jackfield.cli.main import NOUNS, main\n"
        "assert main(['--help']) == 0\n"
        "names = {f'jackfield.cli.{name.replace(chr(45), chr(95))}' for name in NOUNS}\n"
        "print(sorted(names & set(sys.modules)), file=sys.stderr)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stderr == "[]\n"
    assert all(name in ran.stdout for name in NOUNS)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["devise"], "Did you mean 'device'"),
        (["device", "scn"], "Did you mean 'scan'"),
        (["device", "scan", "--sysf", "/"], "No such option"),
        (["device", "scan", "-o", "xml"], "'xml' is not one of"),
        ([], "Usage: jackfield"),
    ],
)
def test_a_wrong_command_line_says_what_was_meant(arguments, says, capsys):
    assert main(arguments) == ExitCode.USAGE
    output = capsys.readouterr()
    assert says in output.out + output.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Rejected, 2),
        (Forbidden, 2),
        (NotFound, 3),
        (Conflict, 4),
        (Gone, 4),
        (Unavailable, 5),
        (JackfieldError, 1),
    ],
)
def test_each_kind_of_error_has_its_exit_code(error, code):
    assert exit_code(error("some-code", "sentence")) == code


def test_an_error_of_ours_is_one_sentence_and_no_traceback(monkeypatch, capsys):
    device = importlib.import_module("jackfield.cli.device")

    def fail(*_, **__) -> None:
        raise Unavailable("host-silent", "host h1 does not answer")

    monkeypatch.setattr(device, "show", fail)
    assert main(["device", "scan", "--sysfs", "/sys"]) == ExitCode.UNAVAILABLE
    assert capsys.readouterr().err == "jackfield: host h1 does not answer (host-silent)\n"


@pytest.mark.parametrize(
    ("words", "proposed"),
    [
        ("jackfield dev", ["device"]),
        ("jackfield device sc", ["scan"]),
        ("jackfield nonsense dev", ["device"]),
    ],
)
def test_the_shell_completes_nouns_and_verbs(words, proposed):
    environment = {
        **os.environ,
        "_JACKFIELD_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    program = "import sys; from jackfield.cli.main import main; sys.exit(main())"
    ran = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert ran.stdout.split() == proposed
    assert ran.stderr == ""


def test_the_stand_ins_of_the_help_are_never_run():
    with pytest.raises(AssertionError):
        command._stand_in()
