"""Shapes of the API of the audit."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel


class AuditEntry(BaseModel):
    """One line. Where the actor or the object is a person, their login is beside the id."""

    id: int
    at: datetime
    actor: str
    actor_login: str
    action: str
    object: str
    object_login: str
    tenant: str
    detail: dict[str, Any]
    told: dict[str, str]
    """What `detail` says, in names and units that people know; times in it are RFC 3339."""


class SoundnessView(BaseModel):
    """What a look at the whole audit found; `end` is the hash of its last line, to be noted
    elsewhere."""

    sound: bool
    lines: int
    end: str
    broken: int | None
    """The first line that was changed, or before which one is gone."""
    missing: int | None
    """How many lines were cut off its end, where that can be told; 0 where only the end differs."""
    noted: bool
    """The line whose hash was asked for is there."""
