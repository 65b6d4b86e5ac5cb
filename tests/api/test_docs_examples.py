"""The examples in README and docs, run: each page is one session against a fresh server.

A ```console block holds commands after `$ ` and what they print, long lines cut at `…`. A ```toml block whose
first line is `# file: <name>` is written to that file first. A host that a page adds gets a simulated card
and the real agent.

    pytest tests/golden tests/api/test_docs_examples.py --regenerate      writes the output anew
"""

from __future__ import annotations

import re
import shlex
import threading
from pathlib import Path

import pytest
import structlog
from igb import unpack

from jackfield.agent import loop
from jackfield.agent.journal import Notebook
from jackfield.agent.loop import Agent, Hands
from jackfield.cli import settings as cli_settings
from jackfield.cli.main import main
from jackfield.client import Client
from jackfield.model.spec import parse_spec
from jackfield.reconcile.step import Settings
from jackfield.sim.effect import MemoryKeeper
from jackfield.sim.fleet import BRIDGES, SPEC, FixedSpec
from jackfield.sim.host import SCHEME, SimLibvirt, SimNetlink, SimSysfs
from jackfield.sim.machine import sim_host
from jackfield.sim.world import World

REPOSITORY = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(console|toml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def pages():
    found = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")]
    return sorted(str(page.relative_to(REPOSITORY)) for page in found if "```console\n" in page.read_text())


CHANGING = {
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}": "ID",
    r"fa:16:3e(:[0-9a-f]{2}){3}": "MAC",
    r"\d{4}-\d{2}-\d{2}T[\d:.]+(Z|\+00:00)": "TIME",
    r"\beth[0-9a-f]{8}-[0-9a-f]{2}\b": "NETDEV",
    r"(?<![\w-])[\w-]{43}(?![\w-])": "TOKEN",
    r"\b\d+\.\d{3}\b": "SECONDS",
    r"─+": "─",
    r" +": " ",
}


LINE_LENGTH_MAX = 150


def settled(line):
    """What of a line is the same every time."""
    for pattern, name in CHANGING.items():
        line = re.sub(pattern, name, line)
    return line.strip()


def says(told, printed):
    """Whether the page's lines are what was printed."""
    told, printed = [
        [settled(line) for line in text.splitlines() if line.strip()] for text in (told, printed)
    ]
    return len(told) == len(printed) and all(
        line.startswith(wanted[:-1]) if wanted.endswith("…") else line == wanted
        for wanted, line in zip(told, printed, strict=True)
    )


def clipped(line):
    if len(line) <= LINE_LENGTH_MAX:
        return line
    start = line[: LINE_LENGTH_MAX - 1]
    # Never in the middle of what changes from run to run.
    return start[: max(start.rfind(","), start.rfind(" "), 0) or None] + "…"


class AtOnce:
    """An executor whose work is done when it is given."""

    def __init__(self):
        self._done = []

    def submit(self, keys, work):
        self._done.append(work())
        return True

    def busy(self):
        return frozenset()

    def finished(self):
        done, self._done = self._done, []
        return done


class SimulatedHosts:
    """A simulated card and a real agent for every host that was added, all turned by one thread."""

    def __init__(self, url, token):
        self.world = World()
        self._control = Client(url, token)
        self._agents = []
        self._ended = threading.Event()
        self._turned = threading.Condition()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def add(self, name):
        """Returns once its devices are known."""
        host = self.world.add(sim_host(name, bus=len(self._agents) + 1, vfs=2))
        agent = Agent(
            name,
            control=self._control,
            hands=Hands(
                sysfs=SimSysfs(host),
                netlink=SimNetlink(host),
                libvirt=SimLibvirt(self.world, host),
                specs=FixedSpec(parse_spec(SPEC, "spec.toml")),
            ),
            notebook=Notebook(MemoryKeeper()),
            executor=AtOnce(),
            settings=Settings(bridge_mappings=BRIDGES),
            migrate_uri=f"{SCHEME}{name}",
        )
        with self._turned:
            self._agents.append(agent)
            assert self._turned.wait_for(lambda: agent.desired is not None, timeout=10)

    def end(self):
        self._ended.set()
        self._thread.join()
        self._control.close()

    def _run(self):
        while not self._ended.wait(0.01):
            with self._turned:
                for agent in self._agents:
                    agent.fetch(0)
                    agent.turn()
                self._turned.notify_all()


@pytest.fixture
def typed(monkeypatch, tmp_path, url, admin_token, capsys):
    """Runs one line as an operator in an empty folder; gives what it prints to standard output."""
    monkeypatch.setattr(cli_settings, "CONFIGURATION", tmp_path / "etc")
    monkeypatch.setenv("JACKFIELD_URL", url)
    monkeypatch.setenv("JACKFIELD_TOKEN", admin_token)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loop, "log", structlog.wrap_logger(structlog.ReturnLogger()))
    unpack(tmp_path)
    hosts = SimulatedHosts(url, admin_token)

    def run(line):
        program, *words = shlex.split(line)
        assert program == "jackfield", f"a console block runs nothing but jackfield: {line}"
        capsys.readouterr()
        code = main(words)
        captured = capsys.readouterr()
        assert code == 0, f"$ {line}\n{captured.err}"
        if words[:2] == ["host", "add"]:
            hosts.add(words[2])
        return "".join(f"{line.rstrip()}\n" for line in captured.out.splitlines() if line.strip())

    yield run
    hosts.end()


@pytest.mark.parametrize("page", pages())
def test_every_example_of_a_page_runs_and_prints_what_the_page_says(page, typed, tmp_path, request):
    file = REPOSITORY / page
    regenerate = request.config.getoption("--regenerate", default=False)

    def ran(block):
        kind, text = block.groups()
        if kind == "toml":
            if name := re.match(r"# file: ([a-z.-]+)\n", text):
                (tmp_path / name[1]).write_text(text)
            return block[0]
        printed = []
        for piece in re.split(r"^(?=\$ )", text, flags=re.MULTILINE):
            if not piece:
                continue
            command = re.match(r"\$ (?:.*\\\n)*.*\n", piece)
            output = typed(command[0].removeprefix("$ ").replace("\\\n", " "))
            if not regenerate:
                assert says(piece[command.end() :], output), f"{page}: {command[0]}{output}"
            printed.append(command[0] + "".join(f"{clipped(line)}\n" for line in output.splitlines()))
        return f"```console\n{''.join(printed)}```"

    text = BLOCK.sub(ran, file.read_text())
    if regenerate:
        file.write_text(text)
