"""Agents wait for news by the thousand; that costs the others nothing, and no news is lost."""

from __future__ import annotations

import asyncio
import resource
import threading
import time

import pytest

from jackfield.model.port import VnicType
from jackfield.wire.instance import Machine

POLLS = 2_000
MACHINE = Machine(kernel="/srv/vmlinuz", initrd="/srv/initrd", domain_type="qemu")


@pytest.fixture
def many_files():
    """Room for both ends of every connection: client and server are one process here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * POLLS + 500
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"needs {needed} open files, the hard limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def agent(fleet):
    return fleet["h1"]


def version_of(agent):
    return agent.control.desired(agent.host, agent.epoch, -1, 0).version


def in_background(work):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(work()))
    thread.start()
    return thread, answers


def test_nothing_newer_is_answered_at_the_end_of_the_wait(agent):
    began = time.monotonic()
    assert agent.control.desired(agent.host, agent.epoch, version_of(agent), 0.3) is None
    assert 0.3 <= time.monotonic() - began < 5


def test_what_is_newer_already_is_answered_at_once(agent):
    began = time.monotonic()
    assert agent.control.desired(agent.host, agent.epoch, -1, 60) is not None
    assert time.monotonic() - began < 5


def test_news_end_the_wait(client, agent):
    before = version_of(agent)
    thread, answers = in_background(lambda: agent.control.desired(agent.host, agent.epoch, before, 30))
    time.sleep(0.3)
    assert not answers
    began = time.monotonic()
    boot(client)
    thread.join()
    assert time.monotonic() - began < 5
    assert answers[0].version > before
    assert [domain.name for domain in answers[0].domains] == ["web"]


def test_a_new_epoch_ends_the_wait_of_the_old_one(agent):
    before = version_of(agent)
    thread, answers = in_background(lambda: _code(lambda: wait_for_news(agent, before)))
    time.sleep(0.3)
    agent.control.begin_epoch(agent.host, boot_id="b", migrate_uri="", bridge_mappings={})
    thread.join()
    assert answers == ["epoch-over"]


def test_no_news_is_lost_between_two_polls(client, agent):
    client.create_network("lan", "physnet1")
    seen = version_of(agent)
    for round_number in range(20):
        client.create_port(f"p{round_number}", "lan")
        thread, answers = in_background(lambda after=seen: wait_for_news(agent, after))
        client.boot_instance(f"vm{round_number}", MACHINE, [f"p{round_number}"], host=agent.host)
        thread.join()
        seen = answers[0].version


def wait_for_news(agent, after):
    return agent.control.desired(agent.host, agent.epoch, after, 30)


def _code(work):
    try:
        work()
    except Exception as error:
        return error.code
    return None


def boot(client):
    client.create_flavor("fast", [{"vendor": "8086"}])
    client.create_network("lan", "physnet1")
    client.create_port("web0", "lan", vnic_type=VnicType.MACVTAP, flavor="fast")
    client.boot_instance("web", MACHINE, ["web0"], host="h1")


@pytest.mark.parametrize("wait", ["-1", "61", "nan", "inf", "soon"])
def test_a_wait_out_of_bounds_is_refused(http, agent, wait):
    answer = http.get("/v1/hosts/h1/desired", params={"epoch": agent.epoch, "wait": wait})
    assert (answer.status_code, answer.json()["code"]) == (400, "request-malformed")


def test_a_server_that_ends_answers_those_who_wait(url, app, agent):
    before = version_of(agent)
    thread, answers = in_background(lambda: wait_for_news(agent, before))
    time.sleep(0.3)
    app.state.server.should_exit = True
    began = time.monotonic()
    thread.join()
    assert answers == [None]
    assert time.monotonic() - began < 5


def test_a_port_is_created_in_under_a_second_while_2000_polls_wait(many_files, url, client, agent, service):
    client.create_network("lan", "physnet1")
    after = version_of(agent)
    request = (
        f"GET /v1/hosts/h1/desired?epoch={agent.epoch}&after={after}&wait=60 HTTP/1.1\r\n"
        f"Host: panel\r\nAuthorization: Bearer {agent.secret}\r\n\r\n"
    ).encode()
    port = int(url.rpartition(":")[2])
    took, statuses = asyncio.run(_meanwhile(port, request, service, lambda: _timed_port(url, client)))
    assert took < 1.0
    assert statuses == {b"HTTP/1.1 200 OK"}


def _timed_port(url, client):
    began = time.monotonic()
    client.create_port("p", "lan")
    took = time.monotonic() - began
    client.boot_instance("web", MACHINE, ["p"], host="h1")  # which wakes every one of them
    return took


async def _meanwhile(port, request, service, work):
    """Opens the polls, waits until all of them wait, does `work` in a thread, reads all answers."""
    connections = []
    for _ in range(POLLS):
        connections.append(await asyncio.open_connection("127.0.0.1", port))
        connections[-1][1].write(request)
    async with asyncio.timeout(60):
        while len(service.notifier._sleepers.get("host:h1", ())) < POLLS:
            await asyncio.sleep(0.05)
        result = await asyncio.to_thread(work)
        statuses = {(await reader.readline()).strip() for reader, _ in connections}
    for _, writer in connections:
        writer.close()
    return result, statuses
