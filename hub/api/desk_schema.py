"""Shapes of the administrator's desk: the tree of quotas, changes of limits, requests for more."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from hub.api.schema import Body

DimensionName = Literal[
    "gpu", "cpu", "memory", "workloads", "credits", "gpu-hours", "tokens", "storage"
]
PeriodName = Literal["", "day", "week", "month"]


class TreeCell(BaseModel):
    """One dimension of a tenant, in its base unit; `limit` null is none, `used` null is not
    measured. `written` and `guaranteed_written` are what may be edited and sent back: ``"4"``,
    ``"8Gi"``, empty for no limit."""

    limit: int | None
    guaranteed: int
    period: str
    used: int | None
    borrowed: int
    used_in: str
    """The period that `used` is of: that of the limit, or the present month; empty: now, or ever."""
    written: str
    guaranteed_written: str
    version: str
    text: str


class TreeLine(BaseModel):
    """A tenant of the tree. `path` are the names of the tenants above it, the root first."""

    tenant: str
    name: str
    kind: str
    parent: str | None
    path: list[str]
    children: int
    may_set: bool
    """Whether you may change what is set for it as a whole."""
    may_set_people: bool
    dimensions: dict[DimensionName, TreeCell]


class QuotaWish(Body):
    """A change of one limit. What is left out stays; `limit` null removes it. `version` as it was
    seen: nothing is changed that somebody else has changed since."""

    tenant: str = Field(max_length=60)
    person: str = Field(default="", max_length=60)
    """A login, ``*`` for each person of the tenant, empty for the tenant as a whole."""
    dimension: DimensionName
    limit: str | None = Field(default=None, max_length=20)
    guaranteed: str | None = Field(default=None, max_length=20)
    period: PeriodName = ""
    version: str | None = Field(default=None, max_length=60)


class ChangesBody(Body):
    """Changes that belong together: all are made, or none."""

    changes: list[QuotaWish] = Field(min_length=1, max_length=100)


class UndoBody(Body):
    """Changes to take back together."""

    changes: list[int] = Field(min_length=1, max_length=100)


class PreviewLine(BaseModel):
    """A change in words: ``GPU of Physics``, from ``no limit`` to ``4 GPUs``."""

    name: str
    before: str
    after: str
    changes: bool


class Problem(BaseModel):
    """Why the changes would be refused, and what helps."""

    message: str
    next: str


class ConsequenceView(BaseModel):
    """What the changes would bring about. Nothing is ever stopped by a change of a limit."""

    kind: Literal["over", "starts", "waits", "never", "lent", "more"]
    text: str
    workload: str


class PreviewView(BaseModel):
    """`refused` tells that the changes cannot be made, for the reasons in `problems`."""

    refused: bool
    lines: list[PreviewLine]
    problems: list[Problem]
    consequences: list[ConsequenceView]


class QuotaChangeView(BaseModel):
    """A change that was made. `undone_by` and `undoes` are ids of changes."""

    id: int
    tenant: str
    person: str
    dimension: str
    name: str
    before: str
    after: str
    by: str
    at: datetime
    undoes: int | None
    undone_by: int | None


class RequestBody(Body):
    """Ask for more: `amount` is what you would have in all."""

    tenant: str = Field(default="", max_length=60)
    """Where; empty: your own."""
    dimension: DimensionName
    amount: str = Field(max_length=20)
    period: PeriodName = ""
    reason: str = Field(max_length=500)


class DecideBody(Body):
    """The answer to a request; `amount` empty approves what was asked for."""

    approve: bool
    amount: str = Field(default="", max_length=20)
    answer: str = Field(default="", max_length=500)


class RequestView(BaseModel):
    """Somebody asks for more. `now` is what they may have now."""

    id: str
    person: str
    name: str
    tenant: str
    tenant_name: str
    dimension: str
    period: str
    amount: str
    text: str
    now: str
    reason: str
    state: Literal["open", "approved", "denied", "withdrawn"]
    asked_at: datetime
    decided_at: datetime | None
    decided_by: str
    granted: str | None
    answer: str
    may_decide: bool
    mine: bool
