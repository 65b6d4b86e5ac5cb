"""The client against servers that fail: what it repeats, what it never repeats, and what it says."""

from __future__ import annotations

import json
import socket

import httpx
import pytest

from jackfield.client import Client
from jackfield.client.http import Connection
from jackfield.model.error import Conflict, NotFound, Unavailable
from jackfield.wire.problem import Problem

NETWORK = {"id": "n-1", "name": "net", "physical_network": "physnet1", "segment": "flat", "vlan": None}


class Server:
    """Answers from a list; an exception in it is a connection that fails."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    def __call__(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def client_of(monkeypatch):
    monkeypatch.setattr("jackfield.client.http.PAUSES_SECONDS", (0.0, 0.0, 0.0))

    def make(*answers):
        server = Server(*answers)
        return Client("http://panel:8440/", "secret", transport=httpx.MockTransport(server)), server

    return make


BROKEN = httpx.RemoteProtocolError("Server disconnected without sending a response.")


def test_a_read_is_repeated_when_the_connection_breaks(client_of):
    client, server = client_of(BROKEN, httpx.ReadError("reset"), httpx.Response(200, json=NETWORK))
    assert client.network("net").id == "n-1"
    assert len(server.requests) == 3


def test_a_create_is_repeated_under_the_same_idempotency_key(client_of):
    client, server = client_of(BROKEN, httpx.Response(201, json=NETWORK))
    client.create_network("net", "physnet1")
    first, second = (request.headers["Idempotency-Key"] for request in server.requests)
    assert first == second
    assert json.loads(server.requests[1].content)["name"] == "net"


def test_two_creates_have_two_keys(client_of):
    client, server = client_of(httpx.Response(201, json=NETWORK), httpx.Response(201, json=NETWORK))
    client.create_network("net", "physnet1")
    client.create_network("net", "physnet1")
    assert len({request.headers["Idempotency-Key"] for request in server.requests}) == 2


def test_an_epoch_is_not_begun_twice(client_of):
    client, server = client_of(BROKEN)
    with pytest.raises(Unavailable) as caught:
        client.begin_epoch("h1", boot_id="b", migrate_uri="qemu+tcp://h1/system", bridge_mappings={})
    assert caught.value.code == "server-unreachable"
    assert len(server.requests) == 1


def test_a_server_that_stays_away_is_told_with_its_url(client_of):
    client, server = client_of(*[httpx.ConnectError("refused")] * 4)
    with pytest.raises(Unavailable, match="http://panel:8440 cannot be reached") as caught:
        client.networks()
    assert caught.value.code == "server-unreachable"
    assert len(server.requests) == 4


def test_a_server_that_does_not_answer_in_time_is_not_asked_again(client_of):
    client, server = client_of(httpx.ReadTimeout("slow"))
    with pytest.raises(Unavailable) as caught:
        client.networks()
    assert caught.value.code == "server-silent"
    assert len(server.requests) == 1


@pytest.mark.parametrize("error", [NotFound("network-unknown", "No."), Conflict("device-taken", "Busy.")])
def test_an_error_of_the_server_is_raised_again_and_not_asked_for_twice(client_of, error):
    problem = Problem.from_model(error)
    client, server = client_of(httpx.Response(problem.status, content=problem.model_dump_json()))
    with pytest.raises(type(error)) as caught:
        client.network("net")
    assert caught.value.code == error.code
    assert len(server.requests) == 1


def test_a_name_with_a_slash_stays_one_part_of_the_path(client_of):
    client, server = client_of(httpx.Response(204))
    client.delete_network("../hosts/h1")
    assert server.requests[0].url.raw_path == b"/v1/networks/..%2Fhosts%2Fh1"


def test_the_token_travels_as_a_bearer(client_of):
    client, server = client_of(httpx.Response(200, json={"networks": []}))
    assert client.networks() == ()
    assert server.requests[0].headers["Authorization"] == "Bearer secret"


def test_an_answer_of_another_version_is_told(client_of):
    client, _ = client_of(httpx.Response(200, json={"nets": []}))
    with pytest.raises(Unavailable) as caught:
        client.networks()
    assert caught.value.code == "answer-unreadable"


def test_nothing_newer_is_none(client_of):
    client, server = client_of(httpx.Response(204))
    assert client.desired("h1", 3, after=7, wait=30) is None
    assert dict(server.requests[0].url.params) == {"epoch": "3", "after": "7", "wait": "30"}


def test_a_closed_port_is_an_unreachable_server(monkeypatch):
    monkeypatch.setattr("jackfield.client.http.PAUSES_SECONDS", (0.0,))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    connection = Connection(f"http://127.0.0.1:{port}", None, 5)
    with pytest.raises(Unavailable, match=f"127.0.0.1:{port} cannot be reached"):
        connection.request("GET", "/v1/networks")
    connection.close()
