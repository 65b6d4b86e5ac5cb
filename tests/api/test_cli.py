"""The commands against a real server: the same path as over HTTP, typed by a person."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time

import pytest

from jackfield.cli import settings as cli_settings
from jackfield.cli.condition import parse_conditions
from jackfield.cli.main import main
from jackfield.cli.serve import listen_on
from jackfield.cli.settings import ClientSettings, ServeSettings
from jackfield.client import Client
from jackfield.model.error import Rejected, Unavailable

MACHINE = ["--kernel", "/srv/vmlinuz", "--initrd", "/srv/initrd", "--domain-type", "qemu"]


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """No settings of this machine or its user."""
    for name in list(os.environ):
        if name.startswith("JACKFIELD_"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(cli_settings, "CONFIGURATION", tmp_path / "etc")
    monkeypatch.setattr(cli_settings, "default_state", lambda: tmp_path / "state")
    return tmp_path


@pytest.fixture
def run(nowhere, monkeypatch, url, admin_token, capsys):
    """Runs a command as an operator and gives (exit code, standard output, standard error)."""
    monkeypatch.setenv("JACKFIELD_URL", url)
    monkeypatch.setenv("JACKFIELD_TOKEN", admin_token)

    def typed(*words):
        capsys.readouterr()
        code = main(list(words))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return typed


@pytest.fixture
def got(run):
    """What a command that succeeds prints, read as JSON."""

    def typed(*words):
        code, out, err = run(*words, "-o", "json")
        assert code == 0, err
        return json.loads(out)

    return typed


@pytest.fixture
def busy(fleet):
    """Both hosts' agents at work in the background."""
    ended = threading.Event()

    def work():
        while not ended.wait(0.02):
            for agent in fleet.values():
                agent.step()

    thread = threading.Thread(target=work)
    thread.start()
    yield fleet
    ended.set()
    thread.join()


@pytest.fixture
def ready(run):
    run("flavor", "create", "fast", "--match", "vendor=8086", "--match", "physical_network=physnet1")
    run("network", "create", "lan", "--physical-network", "physnet1")
    run("port", "create", "web0", "--network", "lan", "--vnic-type", "macvtap", "--flavor", "fast")


def test_the_whole_path_is_typed(busy, ready, run, got):
    booted = got("instance", "boot", "web", "--port", "web0", "--host", "h1", *MACHINE, "--wait")
    assert (booted["status"], booted["host"]) == ("running", "h1")
    assert [one["name"] for one in got("instance", "list")] == ["web"]

    plan = got("instance", "migrate", "web", "--to", "h2", "--dry-run")
    assert (plan["source"], plan["target"]) == ("h1", "h2")
    assert got("migration", "list") == []

    code, out, err = run("instance", "migrate", "web", "--to", "h2", "--wait", "-o", "json")
    assert code == 0, err
    assert json.loads(out)["state"] == "done"
    assert "h1 -> h2: done" in err
    moved = got("migration", "list")[0]["id"]
    code, out, _ = run("migration", "show", moved)
    assert code == 0
    assert re.search(r"release-source +forward", out)
    assert got("port", "show", "web0")["binding:host_id"] == "h2"
    assert [claim["host"] for claim in got("claim", "list", "--instance", "web")] == ["h2"]

    assert got("instance", "stop", "web", "--wait")["status"] == "stopped"
    assert got("instance", "start", "web", "--wait")["status"] == "running"
    assert run("instance", "delete", "web", "--wait")[0] == 0
    assert got("claim", "list") == []
    for noun, name in (("port", "web0"), ("network", "lan"), ("flavor", "fast")):
        assert run(noun, "delete", name)[0] == 0


def test_the_plan_for_people_says_what_moves_and_in_which_steps(busy, ready, run):
    run("instance", "boot", "web", "--port", "web0", "--host", "h1", *MACHINE, "--wait")
    code, out, err = run("instance", "migrate", "web", "--to", "h2", "--dry-run")
    assert code == 0, err
    assert "destination-xml" in out
    assert all(step in out for step in ("prepare", "bind", "migrate", "survey", "activate", "release-source"))


def test_a_host_is_added_with_its_token_shown_once(run, got):
    assert len(got("host", "add", "h1")["token"]) > 30
    assert "token" not in got("host", "show", "h1")
    code, out, _ = run("host", "list", "-o", "value")
    assert (code, out.split()[0]) == (0, "h1")


def test_devices_are_listed_tainted_and_untainted(fleet, run, got):
    device = got("device", "list", "--host", "h1")[0]["id"]
    assert got("device", "taint", device, "--reason", "noisy")["tainted"] == "noisy"
    assert got("device", "untaint", device)["tainted"] is None
    assert got("device", "show", device)["id"] == device


def test_a_flavor_is_matched_and_changed_in_part(fleet, ready, run, got):
    assert len(got("flavor", "match", "fast")["matching"]) == 8
    changed = got("flavor", "set", "fast", "--match", "vendor=15b3", "--strategy", "netdev-rename")
    assert (changed["alternatives"], changed["strategy"]) == ([{"vendor": "15b3"}], "netdev-rename")
    assert got("flavor", "set", "fast", "--description", "10 Gbit/s")["alternatives"] == [{"vendor": "15b3"}]
    code, out, _ = run("flavor", "match", "fast")
    assert code == 0
    assert 'vendor is 8086, not "15b3"' in out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["port", "show", "nope"], 3, "'nope'"),
        (["network", "create", "lan", "--physical-network", "physnet1"], 4, "lan"),
        (["network", "create", "LAN", "--physical-network", "p"], 2, "network name 'LAN'"),
        (["flavor", "create", "f", "--match", "vendr=8086"], 2, "did you mean 'vendor'"),
        (["flavor", "create", "f"], 2, "give --match or --alternatives"),
        (["flavor", "create", "f", "--match", "vendor"], 2, "write attribute=value"),
        (["flavor", "create", "f", "--alternatives", "{"], 2, "is no JSON"),
        (["flavor", "create", "f", "--alternatives", "[1]"], 2, "write a list of objects"),
        (["flavor", "create", "f", "--match", "a=b", "--alternatives", "[]"], 2, "give one of them"),
        (["instance", "boot", "vm", "--domain-xml", "/no/such/file"], 2, "cannot read /no/such/file"),
        (["instance", "boot", "vm"], 2, "nothing to boot from"),
        (["migration", "abort", "nope"], 3, "nope"),
    ],
)
def test_an_error_is_one_sentence_and_an_exit_code(ready, run, words, code, says):
    found, out, err = run(*words)
    assert (found, out) == (code, "")
    assert err.startswith("jackfield: ")
    assert err.count("\n") == 1
    assert says in err


def test_a_server_that_is_not_there_is_named(nowhere, monkeypatch, capsys):
    monkeypatch.setattr("jackfield.client.http.PAUSES_SECONDS", ())
    with listen_on("127.0.0.1:0") as opened:
        port = opened.getsockname()[1]
    assert main(["--url", f"http://127.0.0.1:{port}", "port", "list"]) == 5
    assert f"http://127.0.0.1:{port} cannot be reached" in capsys.readouterr().err


def test_without_a_token_the_server_says_so(run, monkeypatch):
    monkeypatch.delenv("JACKFIELD_TOKEN")
    code, _, err = run("port", "list")
    assert code == 2
    assert "no token came with the request" in err


# Conditions


@pytest.mark.behaviour(14)
@pytest.mark.parametrize(
    ("typed", "alternative"),
    [
        (["vendor=8086"], {"vendor": "8086"}),
        (["product=10ca,1520"], {"product": ["10ca", "1520"]}),
        (["physical_network=phys*"], {"physical_network": {"glob": "phys*"}}),
        (["driver!=vfio-pci"], {"driver": {"not": "vfio-pci"}}),
        (["driver!=igb*"], {"driver": {"not": {"glob": "igb*"}}}),
        (["numa_node=0"], {"numa_node": 0}),
        (["link_speed_mbps>=10000"], {"link_speed_mbps": {"min": 10000}}),
        (["numa_node>=0", "numa_node<=1"], {"numa_node": {"min": 0, "max": 1}}),
        (["trusted=true", "rank=7", "tier=gold"], {"trusted": True, "rank": 7, "tier": "gold"}),
    ],
)
def test_a_condition_is_read_as_it_is_meant(typed, alternative):
    assert parse_conditions(typed) == alternative


@pytest.mark.parametrize("typed", [["a=1", "a=2"], ["a>=1", "a>=2"], ["a>=b"], ["=1"], [""]])
def test_a_condition_without_one_meaning_is_refused(typed):
    with pytest.raises(Rejected) as caught:
        parse_conditions(typed)
    assert caught.value.code == "condition-malformed"


# Settings


def configure(nowhere, name, text):
    (nowhere / "etc").mkdir(exist_ok=True)
    (nowhere / "etc" / name).write_text(text)


def test_a_flag_wins_over_the_environment_and_that_over_the_files(nowhere, monkeypatch):
    assert ClientSettings.load().url == "http://127.0.0.1:8440"
    configure(nowhere, "a.toml", '[client]\nurl = "http://a"\ntimeout = 5\n')
    configure(nowhere, "b.toml", '[client]\nurl = "http://b"\n[serve]\nlisten = "[::]:1"\n')
    assert ClientSettings.load().url == "http://b"
    monkeypatch.setenv("JACKFIELD_URL", "http://c")
    assert ClientSettings.load().url == "http://c"
    assert ClientSettings.load(url="http://d").url == "http://d"
    assert (ClientSettings.load().timeout, ServeSettings.load().listen) == (5, "[::]:1")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[client]\nulr = "x"\n', "'ulr' of [client]"),
        ("[client]\ntimeout = 'soon'\n", "'timeout' of [client]"),
        ("client = 1\n", "[client] is a table"),
        ("[client\n", "a.toml is no TOML"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(nowhere, text, says):
    configure(nowhere, "a.toml", text)
    with pytest.raises(Rejected) as caught:
        ClientSettings.load()
    assert says in caught.value.message


def test_the_token_is_the_one_given_else_in_the_file_given_else_the_local_servers(nowhere):
    assert ClientSettings.load().find_token() is None
    (nowhere / "state").mkdir()
    (nowhere / "state" / "admin.token").write_text("local\n")
    (nowhere / "mine").write_text("mine\n")
    assert ClientSettings.load().find_token() == "local"
    assert ClientSettings.load(token_file=nowhere / "mine").find_token() == "mine"
    assert ClientSettings.load(token="here", token_file=nowhere / "mine").find_token() == "here"
    with pytest.raises(Rejected, match="cannot read the token"):
        ClientSettings.load(token_file=nowhere / "none").find_token()


def test_the_database_is_a_file_in_the_state_directory_unless_named(tmp_path):
    assert ServeSettings.load(state=tmp_path).database_url() == f"sqlite:///{tmp_path}/jackfield.db"
    assert ServeSettings.load(database="postgresql://db/x").database_url() == "postgresql://db/x"


# serve


PROGRAM = [sys.executable, "-c", "import sys; from jackfield.cli.main import main; sys.exit(main())"]


def serve(state):
    """The command; in a process of its own, for it sets signal handlers and the form of all logs."""
    return [*PROGRAM, "serve", "--state", str(state), "--listen", "127.0.0.1:0"]


def refused(command):
    ran = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    return ran.returncode, ran.stderr


def started(state):
    process = subprocess.Popen(serve(state), stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        event = json.loads(line)
        if event["event"] == "serving":
            return process, event["url"]
    raise AssertionError(f"it ended with {process.wait()}")


def ended(process, number):
    process.send_signal(number)
    code = process.wait(10)
    process.stderr.close()
    return code


def token_of(state):
    return (state / "admin.token").read_text().strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_needs_no_configuration_and_ends_well_on_a_signal(tmp_path, number):
    state = tmp_path / "state"
    process, url = started(state)
    with Client(url, token_of(state)) as client:
        client.create_network("lan", "physnet1")
    assert stat.S_IMODE((state / "admin.token").stat().st_mode) == 0o600
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert ended(process, number) == 0


def test_what_was_acknowledged_is_there_after_kill_9_and_the_token_stays(tmp_path):
    process, url = started(tmp_path)
    token = token_of(tmp_path)
    with Client(url, token) as client:
        client.create_network("lan", "physnet1")
    assert ended(process, signal.SIGKILL) == -signal.SIGKILL
    process, url = started(tmp_path)
    assert token_of(tmp_path) == token
    with Client(url, token) as client:
        assert [network.name for network in client.networks()] == ["lan"]
    ended(process, signal.SIGTERM)


def test_serve_ends_at_once_while_an_agent_waits(tmp_path):
    process, url = started(tmp_path)
    with Client(url, token_of(tmp_path)) as admin, Client(url, admin.add_host("h1").token) as agent:
        _, epoch = agent.begin_epoch("h1", boot_id="b", migrate_uri="", bridge_mappings={})
        version = agent.desired("h1", epoch, -1, 0).version
        thread = threading.Thread(target=lambda: agent.desired("h1", epoch, version, 60))
        thread.start()
        time.sleep(0.3)
        began = time.monotonic()
        assert ended(process, signal.SIGTERM) == 0
        assert time.monotonic() - began < 5
        thread.join()


def test_a_second_serve_on_the_same_database_is_refused(tmp_path):
    process, _ = started(tmp_path)
    code, says = refused(serve(tmp_path))
    assert code == 4
    assert f"in use by process {process.pid}" in says
    ended(process, signal.SIGTERM)


@pytest.mark.parametrize("text", ["8440", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:70000"])
def test_a_place_to_listen_that_is_none_is_refused(text):
    with pytest.raises(Rejected) as caught:
        listen_on(text)
    assert caught.value.code == "listen-malformed"


def test_a_place_that_is_taken_is_told():
    with listen_on("127.0.0.1:0") as opened:
        port = opened.getsockname()[1]
        with pytest.raises(Unavailable, match=f"127.0.0.1:{port}: Address already in use"):
            listen_on(f"127.0.0.1:{port}")


def test_a_state_directory_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    code, says = refused(serve(tmp_path / "file" / "state"))
    assert code == 2
    assert "cannot make the state directory" in says


def test_the_admin_token_is_where_the_cli_looks(nowhere, capsys):
    state = nowhere / "state"
    process, url = started(state)
    assert main(["--url", url, "network", "list", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    ended(process, signal.SIGTERM)
