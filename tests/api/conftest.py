"""A real service on a SQLite file behind the real application, and hosts whose agents do as they are told."""

from __future__ import annotations

import socket
import threading

import httpx
import pytest
from build import offered, pf, vf

from jackfield.api.app import create_app
from jackfield.api.server import Server
from jackfield.client import Client
from jackfield.model.attachment import (
    AttachmentReport,
    AttachmentState,
    DomainState,
    ObservedDomain,
    ObservedInterface,
    ObservedState,
    OrderReport,
    OrderState,
    Power,
    Wanted,
)
from jackfield.service import token
from jackfield.service.context import Service
from jackfield.store.engine import Store


@pytest.fixture
def service(tmp_path):
    store = Store.open(f"sqlite:///{tmp_path}/jackfield.db")
    yield Service(store)
    store.close()


@pytest.fixture
def admin_token(service):
    return service.write(token.first_admin)


@pytest.fixture
def app(service):
    return create_app(service)


@pytest.fixture
def url(app):
    """Where the application is served, by the real server on a socket of this machine."""
    server = app.state.server = Server(app)
    with socket.create_server(("127.0.0.1", 0)) as opened:
        port = opened.getsockname()[1]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [opened]})
        thread.start()
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
        thread.join()


@pytest.fixture
def anonymous(url):
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as http:
        yield http


@pytest.fixture
def http(url, admin_token):
    """The interface as an operator meets it, byte by byte."""
    bearer = {"Authorization": f"Bearer {admin_token}"}
    with httpx.Client(base_url=url, headers=bearer, trust_env=False, timeout=30) as http:
        yield http


@pytest.fixture
def client(url, admin_token):
    with Client(url, admin_token) as client:
        yield client


class FakeAgent:
    """A host with a card of four VFs, whose agent does at once what is wanted, and reports it."""

    def __init__(self, client, url, name):
        self.host = name
        self.secret = client.add_host(name).token
        self.control = Client(url, self.secret)
        self.installation, self.epoch = self.control.begin_epoch(
            name,
            boot_id="boot-1",
            migrate_uri=f"qemu+tcp://{name}/system",
            bridge_mappings={"physnet1": "br0"},
        )
        card = pf()
        self.devices = tuple(offered(vf(i, of=card), physical_network="physnet1") for i in range(4))
        self.control.put_inventory(name, self.epoch, self.devices)
        self.sequence = 0
        self.running = {}
        self.migrated_to = {}

    def step(self):
        """Reads the desired state, does it, reports it."""
        state = self.control.desired(self.host, self.epoch, -1, 0)
        wanted = {domain.instance_id: domain for domain in state.domains}
        for id, domain in wanted.items():
            if domain.start is not None:
                self.running[id] = domain.start
            if domain.power is not Power.RUN:
                self.running.pop(id, None)
        for order in state.orders:
            if order.instance_id in self.running:
                peer = self.migrated_to[order.target_uri]
                peer.running[order.instance_id] = self.running.pop(order.instance_id)
        self.sequence += 1
        macs = {}
        for one in state.attachments:
            macs.setdefault(one.instance_id, []).append(one.mac)
        self.control.put_observed(
            self.host,
            self.epoch,
            ObservedState(
                installation=state.installation,
                epoch=self.epoch,
                version=state.version,
                boot_id="boot-1",
                sequence=self.sequence,
                domains=tuple(
                    ObservedDomain(
                        instance_id=id,
                        state=DomainState.RUNNING if id in self.running else DomainState.ABSENT,
                        started=self.running.get(id, 0),
                        interfaces=tuple(
                            ObservedInterface(mac=mac, guest_address="0000:00:03.0")
                            for mac in macs.get(id, ())
                        ),
                    )
                    for id in wanted.keys() | self.running.keys()
                ),
                attachments=tuple(
                    AttachmentReport(
                        claim_id=one.claim_id,
                        generation=one.generation,
                        state=AttachmentState.PREPARED
                        if one.wanted is Wanted.PREPARED
                        else AttachmentState.RELEASED,
                        netdev="eth2v0" if one.wanted is Wanted.PREPARED else None,
                    )
                    for one in state.attachments
                ),
                orders=tuple(
                    OrderReport(id=order.id, generation=order.generation, state=OrderState.SUCCEEDED)
                    for order in state.orders
                ),
            ),
        )


@pytest.fixture
def fleet(client, url):
    """Two hosts, h1 and h2, each able to receive the other's guests."""
    agents = {name: FakeAgent(client, url, name) for name in ("h1", "h2")}
    for agent in agents.values():
        agent.migrated_to = {f"qemu+tcp://{name}/system": peer for name, peer in agents.items()}
        agent.step()
    yield agents
    for agent in agents.values():
        agent.control.close()
