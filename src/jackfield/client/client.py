"""Every call of the interface that has a user: operators' nouns first, then what agents say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from jackfield.client.http import Connection
from jackfield.effect import Ids, RandomIds
from jackfield.model.attachment import DesiredState, ObservedState
from jackfield.model.device import OfferedDevice
from jackfield.model.error import Unavailable
from jackfield.model.migration import StrategyName
from jackfield.model.network import SegmentKind
from jackfield.model.port import VnicType
from jackfield.wire.attachment import Desired, Observed
from jackfield.wire.claim import Claim, Claims
from jackfield.wire.device import Device, Devices, Taint
from jackfield.wire.flavor import Flavor, FlavorCreate, FlavorMatch, FlavorReplace, Flavors
from jackfield.wire.host import (
    Epoch,
    EpochBegin,
    Host,
    HostCreate,
    HostCreated,
    Hosts,
    Inventory,
)
from jackfield.wire.instance import Instance, InstanceBoot, InstanceDetail, Instances, Machine
from jackfield.wire.migration import Migration, MigrationBegin, Migrations, Plan
from jackfield.wire.network import Network, NetworkCreate, Networks
from jackfield.wire.port import Port, PortCreate, Ports
from jackfield.wire.shape import VERSION, Shape

S = TypeVar("S", bound=Shape)


class Client:
    """A server's interface. Thread-safe; blocks until the server has answered.

    Every method raises the server's errors (`Rejected`, `NotFound`, `Conflict`, …) and `Unavailable`
    with the code `server-unreachable` when there is none. Things are named by name or id.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        timeout: float = 30.0,
        *,
        transport: httpx.BaseTransport | None = None,
        ids: Ids | None = None,
    ) -> None:
        self._connection = Connection(url, token, timeout, transport=transport)
        self._ids = ids or RandomIds()

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Hosts

    def add_host(self, name: str) -> HostCreated:
        return self._create(HostCreated, "hosts", HostCreate(name=name))

    def hosts(self) -> tuple[Host, ...]:
        return self._get(Hosts, "hosts").hosts

    def host(self, name: str) -> Host:
        return self._get(Host, "hosts", name)

    # Devices

    def devices(self, host: str | None = None) -> tuple[Device, ...]:
        return self._get(Devices, "devices", host=host).devices

    def device(self, device_id: str) -> Device:
        return self._get(Device, "devices", device_id)

    def taint(self, device_id: str, reason: str) -> Device:
        return self._send(Device, "PUT", Taint(reason=reason), "devices", device_id, "taint")

    def untaint(self, device_id: str) -> Device:
        return self._send(Device, "DELETE", None, "devices", device_id, "taint")

    # PCI flavors

    def create_flavor(
        self,
        name: str,
        alternatives: list[dict[str, Any]],
        *,
        description: str = "",
        strategy: StrategyName | None = None,
    ) -> Flavor:
        body = FlavorCreate(name=name, alternatives=alternatives, description=description, strategy=strategy)
        return self._create(Flavor, "pci-flavors", body)

    def flavors(self) -> tuple[Flavor, ...]:
        return self._get(Flavors, "pci-flavors").pci_flavors

    def flavor(self, name: str) -> Flavor:
        return self._get(Flavor, "pci-flavors", name)

    def replace_flavor(
        self,
        name: str,
        alternatives: list[dict[str, Any]],
        *,
        description: str = "",
        strategy: StrategyName | None = None,
    ) -> Flavor:
        body = FlavorReplace(alternatives=alternatives, description=description, strategy=strategy)
        return self._send(Flavor, "PUT", body, "pci-flavors", name)

    def delete_flavor(self, name: str, *, force: bool = False) -> None:
        self._request("DELETE", None, "pci-flavors", name, force=force)

    def match_flavor(self, name: str) -> FlavorMatch:
        return self._send(FlavorMatch, "POST", None, "pci-flavors", name, "match")

    # Networks

    def create_network(
        self,
        name: str,
        physical_network: str,
        *,
        segment: SegmentKind = SegmentKind.FLAT,
        vlan: int | None = None,
    ) -> Network:
        body = NetworkCreate(name=name, physical_network=physical_network, segment=segment, vlan=vlan)
        return self._create(Network, "networks", body)

    def networks(self) -> tuple[Network, ...]:
        return self._get(Networks, "networks").networks

    def network(self, name: str) -> Network:
        return self._get(Network, "networks", name)

    def delete_network(self, name: str) -> None:
        self._request("DELETE", None, "networks", name)

    # Ports

    def create_port(
        self,
        name: str,
        network: str,
        *,
        vnic_type: VnicType = VnicType.NORMAL,
        flavor: str | None = None,
        mac_address: str | None = None,
        strategy: StrategyName | None = None,
    ) -> Port:
        body = PortCreate(
            name=name,
            network_id=network,
            vnic_type=vnic_type,
            flavor=flavor,
            mac_address=mac_address,
            strategy=strategy,
        )
        return self._create(Port, "ports", body)

    def ports(self) -> tuple[Port, ...]:
        return self._get(Ports, "ports").ports

    def port(self, name: str) -> Port:
        return self._get(Port, "ports", name)

    def delete_port(self, name: str) -> None:
        self._request("DELETE", None, "ports", name)

    # Instances

    def boot_instance(
        self,
        name: str,
        machine: Machine,
        ports: Sequence[str] = (),
        *,
        host: str | None = None,
        strategy: StrategyName | None = None,
    ) -> Instance:
        """Answers as soon as the devices are claimed; the status tells when the guest runs."""
        body = InstanceBoot(name=name, machine=machine, ports=tuple(ports), host=host, strategy=strategy)
        return self._create(Instance, "instances", body)

    def instances(self) -> tuple[Instance, ...]:
        return self._get(Instances, "instances").instances

    def instance(self, name: str) -> InstanceDetail:
        return self._get(InstanceDetail, "instances", name)

    def start_instance(self, name: str) -> Instance:
        return self._send(Instance, "POST", None, "instances", name, "start")

    def stop_instance(self, name: str) -> Instance:
        return self._send(Instance, "POST", None, "instances", name, "stop")

    def delete_instance(self, name: str) -> None:
        """Answers at once; `instance` raises `NotFound` when all of it is gone."""
        self._request("DELETE", None, "instances", name)

    # Migrations

    def migrate(
        self,
        instance: str,
        *,
        target: str | None = None,
        strategy: StrategyName | None = None,
        bandwidth_mib: int | None = None,
    ) -> Migration:
        """Answers as soon as the target's devices are claimed and the plan is stored."""
        body = MigrationBegin(
            instance=instance, target=target, strategy=strategy, bandwidth_mib=bandwidth_mib
        )
        return self._create(Migration, "migrations", body)

    def plan_migration(
        self, instance: str, *, target: str | None = None, strategy: StrategyName | None = None
    ) -> Plan:
        """What `migrate` would do; changes nothing."""
        body = MigrationBegin(instance=instance, target=target, strategy=strategy, dry_run=True)
        return self._send(Plan, "POST", body, "migrations")

    def migrations(self) -> tuple[Migration, ...]:
        return self._get(Migrations, "migrations").migrations

    def migration(self, migration_id: str) -> Migration:
        return self._get(Migration, "migrations", migration_id)

    def abort_migration(self, migration_id: str) -> Migration:
        return self._send(Migration, "POST", None, "migrations", migration_id, "abort")

    # Claims

    def claims(
        self, *, host: str | None = None, instance: str | None = None, released: bool = False
    ) -> tuple[Claim, ...]:
        return self._get(Claims, "claims", host=host, instance=instance, released=released).claims

    # What agents say and ask

    def begin_epoch(
        self, host: str, *, boot_id: str, migrate_uri: str, bridge_mappings: Mapping[str, str]
    ) -> tuple[str, int]:
        """The installation's id and the new epoch.

        Not repeated when the connection fails: begin again, and an epoch that was lost on the way is
        simply an old one.
        """
        body = EpochBegin(boot_id=boot_id, migrate_uri=migrate_uri, bridge_mappings=dict(bridge_mappings))
        begun = self._send(Epoch, "POST", body, "hosts", host, "epochs")
        return begun.installation, begun.epoch

    def put_inventory(self, host: str, epoch: int, devices: Sequence[OfferedDevice]) -> None:
        self._request("PUT", Inventory(epoch=epoch, devices=tuple(devices)), "hosts", host, "inventory")

    def desired(self, host: str, epoch: int, after: int, wait: float = 0) -> DesiredState | None:
        """The host's desired state, if it is newer than `after` or becomes so within `wait` seconds."""
        response = self._connection.request(
            "GET",
            _path("hosts", host, "desired"),
            query={"epoch": epoch, "after": after, "wait": wait},
            patience_seconds=wait,
        )
        if response.status_code == httpx.codes.NO_CONTENT:
            return None
        return _read(Desired, response).desired

    def put_observed(self, host: str, epoch: int, observed: ObservedState) -> None:
        assert observed.epoch == epoch, "a report is sent in the epoch that it was made in"
        self._request("PUT", Observed(observed=observed), "hosts", host, "observed")

    # How

    def _get(self, shape: type[S], *parts: str, **query: str | bool | None) -> S:
        return _read(shape, self._request("GET", None, *parts, **query))

    def _send(self, shape: type[S], method: str, body: Shape | None, *parts: str) -> S:
        return _read(shape, self._request(method, body, *parts))

    def _create(self, shape: type[S], noun: str, body: Shape) -> S:
        response = self._connection.request("POST", _path(noun), body=body.to_json(), key=self._ids.new())
        return _read(shape, response)

    def _request(
        self, method: str, body: Shape | None, *parts: str, **query: str | bool | None
    ) -> httpx.Response:
        return self._connection.request(
            method, _path(*parts), query=query, body=None if body is None else body.to_json()
        )


def _path(*parts: str) -> str:
    """A name with a slash in it must not become two steps of the path."""
    return "/".join(("", VERSION, *(quote(part, safe="") for part in parts)))


def _read(shape: type[S], response: httpx.Response) -> S:
    try:
        return shape.model_validate_json(response.content)
    except ValidationError as error:
        raise Unavailable(
            "answer-unreadable",
            f"the server's answer is no {shape.__name__} of this client's version: "
            f"{error.errors()[0]['msg']}; use a client of the server's version",
        ) from error
