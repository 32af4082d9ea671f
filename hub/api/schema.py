"""Shapes of the REST API.

Credits are strings, times RFC 3339 in UTC, memory in MiB, shares in milli-GPU.
"""

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator


class Body(BaseModel):
    """A request body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _no_nul(cls, value: Any) -> Any:
        if _has_nul(value):
            raise ValueError("there is a NUL character in it")
        return value


def _has_nul(value: Any) -> bool:
    """Whether any text in a JSON value has one: PostgreSQL cannot hold them."""
    match value:
        case str():
            return "\0" in value
        case dict():
            return any(_has_nul(item) for pair in value.items() for item in pair)
        case list():
            return any(_has_nul(item) for item in value)
        case _:
            return False


T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """A list, and where its next page begins; null at the end."""

    items: list[T]
    next: str | None


class Price(BaseModel):
    """What it costs, in credits."""

    per_hour: str


class Alternative(BaseModel):
    """Something that would start now; `set` is what to pass as `set`."""

    offer: str
    set: dict[str, Any]
    price: Price
    text: str


class VerdictView(BaseModel):
    """The answer of `check(ask)`. `starts_at` is a bound that holds if nobody extends, or null."""

    verdict: Literal["fits", "waits", "denied"]
    reason: str
    code: str
    next: str
    position: int | None
    starts_at: datetime | None
    alternatives: list[Alternative]
    price: Price
    cost: str
    """Of the whole lease that was asked for; the most that will be held."""


class ShareView(BaseModel):
    """What is held of a device."""

    milli: int
    memory_mib: int
    mode: str
    emulated: bool
    model: str = ""


class FieldView(BaseModel):
    """A field of an offer's form. Hidden fields are not shown."""

    name: Literal["cpu", "memory", "gpu", "duration"]
    mode: Literal["fixed", "adjustable"]
    label: str
    value: str
    """The default, as written by people: ``"2"``, ``"4Gi"``, ``"0.25"``, ``"2h"``."""
    min: str | None = None
    max: str | None = None
    step: str | None = None
    choices: list[str] | None = None
    help: str = ""


class Availability(BaseModel):
    """How many of this offer would start now, of how many the site has room for."""

    free: int
    of: int
    text: str


class OfferView(BaseModel):
    """One line of the menu, as this visitor sees it now."""

    id: str
    kind: str
    title: str
    summary: str
    icon: str
    price: Price
    fields: list[FieldView]
    share: ShareView
    availability: Availability
    verdict: VerdictView


class Progress(BaseModel):
    """How far a start is: step `done` of `of`, in words."""

    done: int
    of: int
    text: str


class WorkloadView(BaseModel):
    """A person's wish that runs. `status` is one of hub.lifecycle.Status."""

    id: str
    name: str
    kind: str
    status: str
    target: str
    url: str
    share: ShareView
    cost: str
    reason: str
    reason_code: str
    next: str
    offer: str
    offer_title: str
    set: dict[str, Any]
    cpu: str
    memory_mib: int
    price: Price
    held: str
    owner: str
    tenant: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    lease_ends_at: datetime | None
    offered_until: datetime | None
    """While `status` is offered: accept before this, or the grant goes to the next."""
    can_extend: bool
    notify: bool
    position: int | None
    starts_at: datetime | None
    alternatives: list[Alternative]
    progress: Progress | None
    notes: list[str]
    """What is not enforced on this machine, the rescue note of a full home."""
    suggestion: dict[str, Any] | None
    """After out of memory: the `set` of a larger relaunch."""


class QuotaLine(BaseModel):
    """A line of the meter. Numbers are in the dimension's base unit; `text` is for people."""

    dimension: Literal["gpu", "cpu", "memory", "credits"]
    scope: str
    """``you`` or the name of a tenant."""
    used: int
    limit: int | None
    text: str


class MembershipView(BaseModel):
    """A role in a tenant."""

    tenant: str
    tenant_name: str
    role: str


class PersonView(BaseModel):
    """A person, to those who may see them."""

    login: str
    display_name: str
    email: str
    active: bool
    hub_name: str
    memberships: list[MembershipView]
    balance: str


class Me(BaseModel):
    """The visitor, the meter, and what every screen has to say about this site."""

    person: PersonView
    platform_admin: bool
    balance: str
    held: str
    spent: str
    meter: list[QuotaLine]
    site: "Site"
    unread: int


class Site(BaseModel):
    """What every screen shows: emulated devices, missing isolation, warnings of the set-up."""

    emulated: bool
    trust_everyone: bool
    warnings: list[str]
    version: str


class UsageLine(BaseModel):
    """One movement of the ledger that touches this person's credits."""

    id: str
    at: datetime
    kind: str
    amount: str
    """Change of what can be spent; negative when it was set aside. All add up to the balance."""
    workload: str
    workload_name: str
    text: str


class Usage(BaseModel):
    """A person's statement, the newest first."""

    balance: str
    held: str
    spent: str
    gpu_hours: str
    items: list[UsageLine]
    next: str | None


class Notice(BaseModel):
    """Something that a person should know: my turn, lease ending, ended, refunded."""

    id: str
    at: datetime
    kind: str
    workload: str | None
    text: str
    read: bool


class DeviceView(BaseModel):
    """A device and what is held of it."""

    id: str
    node: str
    vendor: str
    model: str
    memory_mib: int
    health: str
    health_reason: str
    held_milli: int
    emulated: bool
    untested: bool
    sharing: str


class NodeView(BaseModel):
    """A node and what is held of it."""

    name: str
    cpu_milli: int
    cpu_held_milli: int
    memory_mib: int
    memory_held_mib: int
    devices: list[DeviceView]


class InventoryView(BaseModel):
    """What exists and what is held; how hard shares are isolated here."""

    nodes: list[NodeView]
    isolation: dict[str, str]
    notes: list[str]


class Event(BaseModel):
    """One line of a workload's history."""

    id: int
    at: datetime
    status: str
    text: str


Name = Annotated[str, StringConstraints(strip_whitespace=True, max_length=60)]


class CheckBody(Body):
    """An ask: an offer and answers to its adjustable fields."""

    offer: str = Field(max_length=100)
    set: dict[str, str | int | float] = Field(default_factory=dict, max_length=20)


class LaunchBody(CheckBody):
    """A launch. With `notify`, my turn is announced and held for ten minutes."""

    name: Name = ""
    notify: bool = False


class ExtendBody(Body):
    """Longer by this much, like ``"1h"``."""

    by: str = Field(default="1h", max_length=20)


class RelaunchBody(Body):
    """The same again, with changed answers."""

    set: dict[str, str | int | float] = Field(default_factory=dict, max_length=20)


class NotifyBody(Body):
    """Whether to hold my turn and tell me, or to start at once."""

    on: bool = True


class InviteBody(Body):
    """Who may create an account with the link."""

    tenant: str = Field(default="main", max_length=60)
    role: Literal["member", "assistant", "instructor", "admin"] = "member"
    email: str = Field(default="", max_length=200)


class Invitation(BaseModel):
    """A one-time link, shown once."""

    url: str
    expires_at: datetime


class TenantView(BaseModel):
    """A node of the tenant tree."""

    id: str
    name: str
    parent: str | None
    kind: str


class QuotaBody(Body):
    """A limit; null removes it. `person` empty sets the tenant's own."""

    tenant: str = Field(default="main", max_length=60)
    person: str = Field(default="", max_length=60)
    dimension: Literal["gpu", "cpu", "memory", "workloads", "credits"]
    limit: str | None = Field(max_length=20)


class QuotaView(BaseModel):
    """A limit as it is set."""

    tenant: str
    person: str
    dimension: str
    limit: int | None
    text: str


class GrantBody(Body):
    """Credits for a person."""

    credits: str = Field(max_length=20)


class AuditLine(BaseModel):
    """One line of the audit."""

    id: int
    at: datetime
    actor: str
    action: str
    object: str
    tenant: str
    detail: dict[str, Any]


class ErrorDetail(BaseModel):
    """A stable code, plain words, the next step; with the Verdict where one was given."""

    code: str
    message: str
    next: str
    verdict: VerdictView | None = None


class ErrorBody(BaseModel):
    """Every answer that is not a success."""

    error: ErrorDetail
