"""What all shapes share, and how the values of the model inside them are written as JSON."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Strict, StringConstraints
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from jackfield.model.address import PciAddress
from jackfield.model.error import Rejected

VERSION = "v1"
"""The first part of every path. A change that an old client could not read needs another one."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""A name or an id as a caller writes it; whether it may name the thing is the model's to say."""

Line = Annotated[str, StringConstraints(max_length=4096, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""One line of text for people, a path or a command line. PostgreSQL has no NUL in a text."""

Integer = Annotated[int, Strict()]
Boolean = Annotated[bool, Strict()]


class Shape(BaseModel):
    """A noun as JSON, immutable. A reader passes over fields that it does not know: an older client reads
    a newer server's answers."""

    model_config = ConfigDict(frozen=True, validate_by_name=True, validate_by_alias=True)

    @classmethod
    def from_model(cls, value: object) -> Self:
        """The shape of a value of the model that has the shape's fields (and perhaps more)."""
        return cls.model_validate(value, from_attributes=True)

    def to_json(self) -> str:
        return self.model_dump_json(by_alias=True)


class Request(Shape):
    """What a caller writes. A field that it does not declare is refused by name: a misspelt wish that is
    silently dropped would be granted as its default. Dataclasses of the model inside it inherit that."""

    model_config = ConfigDict(extra="forbid")


def _read_address(value: Any) -> PciAddress:
    if isinstance(value, PciAddress):
        return value
    try:
        return PciAddress.parse(value if isinstance(value, str) else repr(value))
    except Rejected as error:
        raise PydanticCustomError("pci_address", "{sentence}", {"sentence": error.message}) from error


def _address_schema(cls: type[PciAddress], source: object, handler: object) -> CoreSchema:
    return core_schema.no_info_plain_validator_function(
        _read_address,
        json_schema_input_schema=core_schema.str_schema(),
        serialization=core_schema.to_string_ser_schema(when_used="json"),
    )


# The model's dataclasses are what agents and control side mean, so the documents between them need no
# second set of classes. It is enough to say here, since the model knows nothing of pydantic, that an
# address is a text.
setattr(PciAddress, "__get_pydantic_core_schema__", classmethod(_address_schema))  # noqa: B010 (mypy)
