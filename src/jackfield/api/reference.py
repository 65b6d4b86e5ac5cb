"""How a path or a query names a thing."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

from jackfield.wire.shape import Name

Reference = Annotated[Name, Path(description="Name or id.")]
Filter = Annotated[Name | None, Query(description="Only those of this name or id.")]
