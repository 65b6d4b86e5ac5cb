"""What the HTTP interface promises of every request, whatever the noun."""

from __future__ import annotations

import json

import pytest
import structlog

from jackfield.api.edge import BODY_BYTES_MAX
from jackfield.model.error import Unavailable
from jackfield.service import network

NETWORK = {"name": "lan", "physical_network": "physnet1"}


def problem(answer, status, code):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert (found["status"], found["code"]) == (status, code)
    assert found["type"] == f"urn:jackfield:problem:{code}"
    return found["detail"]


def test_a_created_thing_is_answered_201_with_its_place(http):
    answer = http.post("/v1/networks", json=NETWORK)
    assert answer.status_code == 201
    assert http.get(answer.headers["location"]).json() == answer.json()


def test_a_deleted_thing_is_answered_204_and_is_gone(http):
    http.post("/v1/networks", json=NETWORK)
    assert http.delete("/v1/networks/lan").status_code == 204
    problem(http.get("/v1/networks/lan"), 404, "network-not-found")


def test_a_list_is_an_object_with_the_nouns_plural(http):
    http.post("/v1/networks", json=NETWORK)
    assert [one["name"] for one in http.get("/v1/networks").json()["networks"]] == ["lan"]
    for path in ("hosts", "devices", "ports", "instances", "migrations", "claims"):
        assert http.get(f"/v1/{path}").json() == {path: []}
    assert http.get("/v1/pci-flavors").json() == {"pci_flavors": []}


# Problems


def test_what_does_not_exist_is_a_problem_404(http):
    detail = problem(http.get("/v1/networks/lan"), 404, "network-not-found")
    assert "'lan'" in detail


def test_what_exists_already_is_a_problem_409(http):
    http.post("/v1/networks", json=NETWORK)
    problem(http.post("/v1/networks", json=NETWORK), 409, "network-exists")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"name": "lan"}, "body.physical_network: this field is required"),
        (NETWORK | {"mtu": 9000}, "body.mtu: there is no such field"),
        (
            NETWORK | {"segment": "vxlan"},
            "body.segment: cannot use 'vxlan': input should be 'flat' or 'vlan'",
        ),
        (NETWORK | {"vlan": "7"}, "body.vlan: cannot use '7'"),
        (NETWORK | {"name": "a\x00b"}, "body.name: cannot use 'a\\x00b'"),
        (NETWORK | {"name": "\ud800"}, "body.name: cannot use"),
        ([], "body: cannot use []"),
        (None, "body"),
    ],
)
def test_a_malformed_request_names_field_value_and_way_out(http, body, expected):
    answer = http.post("/v1/networks", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert expected in problem(answer, 400, "request-malformed")


@pytest.mark.parametrize(
    "body",
    [b"{", b"\xff\xfe", b"[" * 100_000, b'{"name": NaN}', b"", b'{"name": 1e999}'],
    ids=["cut", "no-utf8", "deep", "nan", "empty", "infinite"],
)
def test_a_body_that_is_no_json_is_a_problem_400(http, body):
    answer = http.post("/v1/networks", content=body, headers={"Content-Type": "application/json"})
    problem(answer, 400, "request-malformed")


def test_an_unknown_route_is_a_problem_404(http):
    detail = problem(http.get("/v1/netwroks"), 404, "route-unknown")
    assert "/v1/netwroks" in detail


def test_a_method_that_a_route_does_not_take_is_a_problem_405(http):
    answer = http.patch("/v1/networks")
    assert "PATCH" in problem(answer, 405, "method-not-allowed")
    assert set(answer.headers["allow"].replace(" ", "").split(",")) <= {"GET", "POST"}


def test_a_body_announced_too_large_is_refused_unread(http):
    body = b" " * (BODY_BYTES_MAX + 1)
    answer = http.post("/v1/networks", content=body, headers={"Content-Type": "application/json"})
    problem(answer, 413, "request-too-large")


def test_a_body_that_grows_too_large_is_refused(http):
    chunks = (b" " * 65536 for _ in range(BODY_BYTES_MAX // 65536 + 1))
    answer = http.post("/v1/networks", content=chunks, headers={"Content-Type": "application/json"})
    problem(answer, 413, "request-too-large")


def test_a_service_that_is_away_is_a_problem_503_and_says_when_to_come_back(http, monkeypatch):
    def away(unit):
        raise Unavailable("store-unavailable", "the database failed")

    monkeypatch.setattr(network, "listing", away)
    answer = http.get("/v1/networks")
    problem(answer, 503, "store-unavailable")
    assert answer.headers["retry-after"] == "1"


def test_a_bug_is_a_problem_500_without_what_is_inside(http, monkeypatch):
    def broken(unit):
        raise KeyError("the secret name of a variable")

    monkeypatch.setattr(network, "listing", broken)
    with structlog.testing.capture_logs() as logged:
        detail = problem(http.get("/v1/networks"), 500, "internal-error")
    assert "secret" not in detail
    assert [(one["event"], one["path"], one["exc_info"]) for one in logged] == [
        ("request-failed", "/v1/networks", True)
    ]


# Tokens


@pytest.mark.parametrize("header", [{}, {"Authorization": "Basic abc"}, {"Authorization": "Bearer"}])
def test_without_a_token_nothing_is_answered(anonymous, header):
    answer = anonymous.get("/v1/networks", headers=header)
    problem(answer, 401, "token-missing")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("secret", ["wrong", "\u00fc"])
def test_with_an_unknown_token_nothing_is_answered(anonymous, secret):
    answer = anonymous.get("/v1/networks", headers={"Authorization": f"Bearer {secret}".encode()})
    problem(answer, 401, "token-unknown")
    assert "www-authenticate" in answer.headers


def test_every_route_of_the_version_wants_a_token(app, anonymous):
    tried = 0
    for path, operations in app.openapi()["paths"].items():
        if not path.startswith("/v1/"):
            continue
        for method in operations:
            filled = path.replace("{", "").replace("}", "")
            problem(anonymous.request(method.upper(), filled), 401, "token-missing")
            tried += 1
    assert tried > 30


@pytest.mark.behaviour(71)
def test_a_hosts_token_opens_that_host_and_nothing_else(anonymous, fleet):
    mine, other = fleet["h1"], fleet["h2"]
    header = {"Authorization": f"Bearer {mine.secret}"}
    query = {"epoch": mine.epoch, "after": 0}
    assert anonymous.get("/v1/hosts/h1/desired", headers=header, params=query).status_code == 200
    query["epoch"] = other.epoch
    problem(anonymous.get("/v1/hosts/h2/desired", headers=header, params=query), 403, "host-foreign")
    epoch = {"boot_id": "b", "migrate_uri": "", "bridge_mappings": {}}
    problem(anonymous.post("/v1/hosts/h2/epochs", headers=header, json=epoch), 403, "host-foreign")
    for path in ("hosts", "hosts/h1", "devices", "pci-flavors", "networks", "ports", "instances", "claims"):
        problem(anonymous.get(f"/v1/{path}", headers=header), 403, "role-insufficient")


def test_a_hosts_token_cannot_tell_which_other_hosts_exist(anonymous, fleet):
    header = {"Authorization": f"Bearer {fleet['h1'].secret}"}
    epoch = {"boot_id": "b", "migrate_uri": "", "bridge_mappings": {}}
    answers = [
        anonymous.post(f"/v1/hosts/{name}/epochs", headers=header, json=epoch).json()["code"]
        for name in ("h2", "no-such-host")
    ]
    assert answers == ["host-foreign", "host-foreign"]


# Idempotency-Key


def test_a_create_repeated_under_its_key_gives_the_first_answer_again(http):
    header = {"Idempotency-Key": "k-1"}
    first = http.post("/v1/networks", json=NETWORK, headers=header)
    again = http.post("/v1/networks", json=NETWORK, headers=header)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["location"] == first.headers["location"]
    assert len(http.get("/v1/networks").json()["networks"]) == 1


def test_a_key_with_another_request_is_refused(http):
    header = {"Idempotency-Key": "k-1"}
    http.post("/v1/networks", json=NETWORK, headers=header)
    other = http.post("/v1/networks", json=NETWORK | {"name": "wan"}, headers=header)
    problem(other, 409, "idempotency-key-reused")


def test_a_key_counts_for_one_route_alone(http):
    header = {"Idempotency-Key": "k-1"}
    http.post("/v1/networks", json=NETWORK, headers=header)
    assert http.post("/v1/ports", json={"name": "p", "network_id": "lan"}, headers=header).status_code == 201


def test_a_create_that_failed_leaves_its_key_free(http):
    header = {"Idempotency-Key": "k-1"}
    port = {"name": "p", "network_id": "lan"}
    problem(http.post("/v1/ports", json=port, headers=header), 404, "network-not-found")
    http.post("/v1/networks", json=NETWORK)
    assert http.post("/v1/ports", json=port, headers=header).status_code == 201


def test_a_repeated_answer_does_not_hold_the_secret(http):
    header = {"Idempotency-Key": "k-1"}
    first = http.post("/v1/hosts", json={"name": "h1"}, headers=header).json()
    again = http.post("/v1/hosts", json={"name": "h1"}, headers=header).json()
    assert first["token"]
    assert again == first | {"token": None}


@pytest.mark.parametrize("key", ["", "a b", "x" * 256])
def test_a_malformed_key_is_refused(http, key):
    answer = http.post("/v1/networks", json=NETWORK, headers={"Idempotency-Key": key})
    assert "Idempotency-Key" in problem(answer, 400, "request-malformed")


# Beside the nouns


def test_health_and_metrics_want_no_token(anonymous):
    assert anonymous.get("/healthz").json() == {"status": "ok"}
    assert anonymous.get("/readyz").json() == {"status": "ok"}
    assert anonymous.get("/metrics").status_code == 200


def test_requests_are_counted_by_route_and_status(http):
    http.get("/v1/networks/a")
    http.get("/v1/networks/b")
    http.get("/v1/nowhere")
    text = http.get("/metrics").text
    counted = 'jackfield_http_requests_total{method="GET",route="/v1/networks/{name}",status="404"} 2.0'
    assert counted in text
    assert 'route="unknown",status="404"} 1.0' in text


def test_a_method_of_somebodys_own_making_adds_no_counter(http):
    http.request("BREW", "/v1/networks")
    text = http.get("/metrics").text
    assert "BREW" not in text


def test_the_interface_describes_itself(anonymous):
    found = anonymous.get("/openapi.json").json()
    assert found["openapi"].startswith("3.1")
    operations = [one for path in found["paths"].values() for one in path.values()]
    assert not [one for one in operations if "422" in one["responses"]]
    assert len({one["operationId"] for one in operations}) == len(operations)
    assert found["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    port = found["components"]["schemas"]["PortCreate"]["properties"]
    assert "binding:vnic_type" in port
