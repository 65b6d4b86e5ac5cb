"""The wire's JSON is a promise: these texts may gain fields, and may never lose or rename one."""

from __future__ import annotations

import json

import pytest
from build import offered, pf, vf
from pydantic import ValidationError

from jackfield.model.address import MacAddress, PciAddress
from jackfield.model.attachment import (
    Attachment,
    AttachmentReport,
    AttachmentState,
    DesiredDomain,
    DesiredState,
    DomainState,
    ObservedDomain,
    ObservedInterface,
    ObservedState,
    Order,
    OrderKind,
    OrderReport,
    OrderState,
    PlainPort,
    Power,
    Wanted,
)
from jackfield.model.error import Conflict, Forbidden, Gone, NotFound, Reach, Rejected, Unavailable
from jackfield.model.migration import StrategyName
from jackfield.model.network import Network as ModelNetwork
from jackfield.model.network import SegmentKind
from jackfield.model.port import Port as ModelPort
from jackfield.model.port import VifType, VnicType, binding_of
from jackfield.wire.attachment import Desired, Observed
from jackfield.wire.host import Inventory
from jackfield.wire.network import Network, NetworkCreate
from jackfield.wire.port import Port, PortCreate
from jackfield.wire.problem import Problem, read_problem

MAC = MacAddress("fa:16:3e:46:d3:e8")

DESIRED = DesiredState(
    installation="i-1",
    host="h1",
    epoch=3,
    version=7,
    domains=(
        DesiredDomain(
            instance_id="vm-1",
            name="web",
            power=Power.RUN,
            start=2,
            xml="<domain/>",
            plain_ports=(PlainPort(port_id="p-2", port_number=1, mac=MAC, physical_network="physnet1"),),
        ),
    ),
    attachments=(
        Attachment(
            claim_id="c-1",
            generation=1,
            wanted=Wanted.PREPARED,
            instance_id="vm-1",
            port_id="p-1",
            port_number=0,
            identity="pf-1/vf0",
            address=PciAddress(0, 1, 16, 2),
            mac=MAC,
            vnic_type=VnicType.MACVTAP,
            flavor="fast",
            strategy=StrategyName.NETDEV_RENAME,
            physical_network="physnet1",
        ),
    ),
    orders=(Order(id="m-1", generation=1, kind=OrderKind.MIGRATE, instance_id="vm-1", netdevs={MAC: "jf0"}),),
)

OBSERVED = ObservedState(
    installation="i-1",
    epoch=3,
    version=7,
    boot_id="b-1",
    domains=(
        ObservedDomain(
            instance_id="vm-1",
            state=DomainState.RUNNING,
            started=2,
            interfaces=(ObservedInterface(mac=MAC, netdev="eth2v0"),),
        ),
    ),
    attachments=(
        AttachmentReport(claim_id="c-1", generation=1, state=AttachmentState.PREPARED, netdev="eth2v0"),
    ),
    orders=(OrderReport(id="m-1", generation=1, state=OrderState.RUNNING, progress={"memory_total": 9}),),
)


@pytest.mark.parametrize(
    "document", [Desired(desired=DESIRED), Observed(observed=OBSERVED)], ids=["desired", "observed"]
)
def test_a_document_between_agent_and_control_side_reads_back_as_it_was(document):
    text = document.to_json()
    assert type(document).model_validate_json(text) == document
    assert type(document).model_validate(json.loads(text)) == document


def test_an_attachment_writes_its_address_as_text_and_its_enums_as_words():
    written = json.loads(Desired(desired=DESIRED).to_json())["desired"]["attachments"][0]
    assert written == {
        "claim_id": "c-1",
        "generation": 1,
        "wanted": "prepared",
        "instance_id": "vm-1",
        "port_id": "p-1",
        "port_number": 0,
        "identity": "pf-1/vf0",
        "address": "0000:01:10.2",
        "mac": "fa:16:3e:46:d3:e8",
        "vnic_type": "macvtap",
        "flavor": "fast",
        "strategy": "netdev-rename",
        "physical_network": "physnet1",
        "vlan": None,
        "guest_address": None,
    }


def test_an_inventory_reads_back_as_it_was():
    card = pf()
    devices = (offered(vf(0, of=card), physical_network="physnet1", trusted=True, rank=3), offered(card))
    written = Inventory(epoch=1, devices=devices).to_json()
    assert Inventory.model_validate_json(written).devices == devices


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ((), ("surprise",)),
        (("domains", 0), ("domains", 0, "surprise")),
        (("domains", 0, "interfaces", 0), ("domains", 0, "interfaces", 0, "surprise")),
    ],
)
def test_an_unknown_field_anywhere_in_a_document_is_refused_by_name(where, expected):
    written = json.loads(Observed(observed=OBSERVED).to_json())
    inner = written["observed"]
    for step in where:
        inner = inner[step]
    inner["surprise"] = 1
    with pytest.raises(ValidationError) as caught:
        Observed.model_validate(written)
    assert caught.value.errors()[0]["loc"] == ("observed", *expected)


@pytest.mark.parametrize("address", ["01:10", "0000:01:20.0", 7, None])
def test_a_wrong_address_is_refused_where_it_stands(address):
    body = json.loads(Inventory(epoch=1, devices=(offered(vf(0)),)).to_json())
    body["devices"][0]["device"]["address"] = address
    with pytest.raises(ValidationError, match="is not a PCI address") as caught:
        Inventory.model_validate(body)
    assert caught.value.errors()[0]["loc"] == ("devices", 0, "device", "address")


def test_a_request_refuses_what_it_does_not_know_and_an_answer_passes_over_it():
    with pytest.raises(ValidationError, match="Extra inputs"):
        NetworkCreate.model_validate({"name": "n", "physical_network": "p", "mtu": 9000})
    later = {"id": "1", "name": "n", "physical_network": "p", "segment": "flat", "vlan": None, "mtu": 9000}
    assert Network.model_validate(later).name == "n"


@pytest.mark.parametrize("vlan", ["7", 7.5, True])
def test_a_number_is_a_number(vlan):
    with pytest.raises(ValidationError):
        NetworkCreate.model_validate({"name": "n", "physical_network": "p", "segment": "vlan", "vlan": vlan})


@pytest.mark.parametrize("name", ["", "a\x00b", "a\nb", "x" * 256])
def test_a_name_is_one_short_line(name):
    with pytest.raises(ValidationError):
        NetworkCreate(name=name, physical_network="p")


def network(**facts):
    return ModelNetwork(id="n-1", name="net", physical_network="physnet1", **facts)


def port(**facts):
    return ModelPort(id="p-1", name="web0", network_id="n-1", mac=MAC, **facts)


@pytest.mark.behaviour(45)
def test_a_bound_port_shows_its_binding_under_neutrons_names():
    a_port = port(vnic_type=VnicType.MACVTAP, flavor="fast")
    net = network(segment=SegmentKind.VLAN, vlan=7)
    binding = binding_of(a_port, net, "h1", vf(1), active=True)
    written = json.loads(Port.of(a_port, [binding]).to_json())
    assert written["mac_address"] == "fa:16:3e:46:d3:e8"
    assert written["network_id"] == "n-1"
    assert written["binding:vnic_type"] == "macvtap"
    assert written["binding:host_id"] == "h1"
    assert written["binding:vif_type"] == "hw_veb"
    assert written["binding:profile"] == {
        "physical_network": "physnet1",
        "pci_slot": "0000:01:10.2",
        "pci_vendor_info": "8086:10ca",
    }
    assert written["binding:vif_details"] == {"port_filter": False, "connectivity": "l2", "vlan": "7"}


@pytest.mark.behaviour(46)
def test_a_moving_port_shows_the_active_binding_as_its_own_and_both_in_the_list():
    a_port = port(vnic_type=VnicType.MACVTAP, flavor="fast")
    coming = binding_of(a_port, network(), "h2", vf(0), active=False)
    present = binding_of(a_port, network(), "h1", vf(1), active=True)
    shape = Port.of(a_port, [coming, present])
    assert shape.host_id == "h1"
    assert [(one.host, one.status.value) for one in shape.bindings] == [("h2", "INACTIVE"), ("h1", "ACTIVE")]


def test_an_unbound_port_is_bound_nowhere():
    shape = Port.of(port())
    assert (shape.host_id, shape.vif_type, shape.profile) == ("", VifType.UNBOUND, {})


@pytest.mark.behaviour(45)
def test_a_tenant_cannot_write_a_pci_slot():
    with pytest.raises(ValidationError) as caught:
        PortCreate.model_validate(
            {"name": "p", "network_id": "n", "binding:profile": {"pci_slot": "0000:01:00.0"}}
        )
    assert caught.value.errors()[0]["loc"] == ("binding:profile",)


@pytest.mark.parametrize("kind", [Rejected, NotFound, Forbidden, Conflict, Gone, Unavailable])
def test_an_error_crosses_the_wire_as_itself(kind):
    error = kind("some-code", "A sentence with 7 values.", reach=Reach.HOST, detail={"near": ["a", "b"]})
    problem = Problem.from_model(error)
    again = read_problem(problem.status, problem.model_dump_json().encode(), "http://panel")
    assert type(again) is kind
    assert (again.code, again.message, again.reach, again.detail) == (
        "some-code",
        "A sentence with 7 values.",
        Reach.HOST,
        {"near": ["a", "b"]},
    )


def test_a_problem_document_has_the_members_of_rfc_9457():
    problem = Problem.from_model(NotFound("port-unknown", "There is no port 'x'.", detail={"port": "x"}))
    assert json.loads(problem.model_dump_json()) == {
        "type": "urn:jackfield:problem:port-unknown",
        "title": "Port unknown",
        "status": 404,
        "detail": "There is no port 'x'.",
        "code": "port-unknown",
        "reach": "request",
        "port": "x",
    }


@pytest.mark.parametrize(("status", "kind"), [(502, Unavailable), (400, Rejected), (401, Forbidden)])
def test_an_answer_that_is_no_problem_document_is_still_told(status, kind):
    error = read_problem(status, b"<html>Bad gateway</html>", "http://panel:8440")
    assert type(error) is kind
    assert error.code == "answer-unreadable"
    assert "http://panel:8440 answered" in error.message
    assert "Bad gateway" in error.message
