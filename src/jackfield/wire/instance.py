"""Instances on the wire."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from jackfield.model import instance as model
from jackfield.model.instance import InstanceStatus
from jackfield.model.migration import StrategyName
from jackfield.wire.claim import Claim
from jackfield.wire.port import Port
from jackfield.wire.shape import Integer, Line, Name, Request, Shape

DOMAIN_XML_LENGTH_MAX = 1024 * 1024
PORTS_MAX = 28


class Machine(Request):
    """The guest apart from its ports: a few options, or a whole domain XML."""

    memory_mib: Integer = 512
    vcpus: Integer = 1
    kernel: Line | None = None
    initrd: Line | None = None
    command_line: Line | None = None
    disk: Line | None = None
    domain_type: Name = "kvm"
    domain_xml: Annotated[str, StringConstraints(max_length=DOMAIN_XML_LENGTH_MAX)] | None = None

    def to_model(self) -> model.Machine:
        return model.Machine(**self.model_dump())


class InstanceBoot(Request):
    name: Name
    machine: Machine
    ports: Annotated[tuple[Name, ...], Field(max_length=PORTS_MAX)] = ()
    """Names or ids; their order is the order of the guest's interfaces."""
    host: Name | None = None
    strategy: StrategyName | None = None


class Instance(Shape):
    id: str
    name: str
    status: InstanceStatus
    host: str | None
    strategy: StrategyName | None
    error: str | None
    machine: Machine


class InstanceDetail(Instance):
    """An instance with its ports and what it claims."""

    ports: tuple[Port, ...]
    claims: tuple[Claim, ...]


class Instances(Shape):
    instances: tuple[Instance, ...]
