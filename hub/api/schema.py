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

    name: Literal["cpu", "memory", "gpu", "gpu_memory", "gpu_count", "duration"]
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
    """How far a start is: step `done` of `of`, in words, with those that are before it."""

    done: int
    of: int
    text: str
    before: int = 0
    """How many were granted their place earlier and are starting still."""
    about_s: int | None = None
    """Seconds until it is up, by how many came up lately; null where too few did."""


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
    preemptible: bool
    """It was launched so that urgent work may take its place."""
    borrowed: bool
    """Its place is guaranteed to another tenant, and goes back when they need it."""
    goes_at: datetime | None
    """It was told to go then; it waits again after that."""
    goes_why: str
    again: str
    """Why it waits again; empty when it never lost its place."""
    saved_at: datetime | None
    """When it last said that its work is saved."""
    active_at: datetime | None
    """When somebody or something was last at work in it; null before it runs and after."""
    idle_stop_at: datetime | None
    """It is idle: it stops then unless its owner says that they still work."""
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

    dimension: Literal["gpu", "cpu", "memory", "credits", "gpu-hours", "tokens", "storage"]
    scope: str
    """``you`` or the name of a tenant."""
    period: str = ""
    """When what is used up begins anew: ``day``, ``week``, ``month``."""
    used: int
    limit: int | None
    text: str


class FairShareLine(BaseModel):
    """What a scope has lately used, as a part of the site; older use fades. Who used less goes
    first in the queue."""

    scope: str
    """``you`` or the name of a tenant."""
    share: float
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
    fair_share: list[FairShareLine]
    site: "Site"
    unread: int
    wallets: list["Wallet"] = []
    """My credits in courses, one line for each."""


class Wallet(BaseModel):
    """My credits in one course: what can be spent, what is set aside, what was spent."""

    course: str
    name: str
    balance: str
    held: str
    spent: str


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


NodeWord = Literal[
    "in service", "impaired", "to be drained", "draining", "empty", "closed", "silent"
]


class DeviceState(BaseModel):
    """A device as administrators see it. `failed_starts` are those in a row, up to now."""

    id: str
    model: str
    health: str
    health_reason: str
    held_milli: int
    failed_starts: int
    quarantined: bool


class NodeState(BaseModel):
    """A node as administrators see it. `closed` says why nothing new is placed there; `by` is when a
    drain is due."""

    name: str
    state: NodeWord
    closed: str
    by: datetime | None
    empty_at: datetime | None
    reason: str
    running: int
    devices: list[DeviceState]


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
    tenant: str = Field(default="", max_length=60)
    """A course of yours, or your group in one: its limits hold, and your credits there pay."""


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


class DrainBody(Body):
    """When the node must be empty: a duration from now (``"2h"``) or a time with its zone."""

    by: str = Field(max_length=40)
    reason: str = Field(default="", max_length=200)


class RollBody(Body):
    """At most this part of the site's GPUs, cpu and memory is out at any time; each node has so
    long to empty."""

    at_most: float = Field(gt=0, le=1)
    each: str = Field(default="4h", max_length=20)
    reason: str = Field(default="", max_length=200)


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


class TenantBody(Body):
    """A tenant to add. `name` empty is the id."""

    id: str = Field(max_length=60)
    name: str = Field(default="", max_length=200)
    parent: str = Field(default="main", max_length=60)
    kind: str = Field(default="group", max_length=20)


class TenantChange(Body):
    """What changes of a tenant; null stays."""

    name: str | None = Field(default=None, max_length=200)
    parent: str | None = Field(default=None, max_length=60)


class QuotaBody(Body):
    """A limit; null removes it. `person` empty sets the tenant's own."""

    tenant: str = Field(default="main", max_length=60)
    person: str = Field(default="", max_length=60)
    dimension: Literal[
        "gpu", "cpu", "memory", "workloads", "credits", "gpu-hours", "tokens", "storage"
    ]
    limit: str | None = Field(max_length=20)
    period: Literal["", "day", "week", "month"] = ""
    """For what is used up: when the limit begins anew, by the site's calendar; empty: never."""
    version: str | None = Field(default=None, max_length=60)
    """As it was seen: with it, nothing is changed that somebody else has changed since."""


class QuotaView(BaseModel):
    """A limit as it is set."""

    tenant: str
    person: str
    dimension: str
    limit: int | None
    period: str
    resets_at: datetime | None
    guaranteed: int
    text: str
    version: str
    """What to send back to change only what was seen."""


class TenantUse(BaseModel):
    """What a tenant's people hold now in one dimension, in its base unit; `limit` null is none.
    `borrowed` is above its guarantee, where others are guaranteed some: it may have to go back."""

    tenant: str
    name: str
    parent: str | None
    dimension: Literal["gpu", "cpu", "memory"]
    used: int
    guaranteed: int
    limit: int | None
    borrowed: int
    text: str


class GuaranteeBody(Body):
    """What a tenant is guaranteed; ``0`` for nothing any more."""

    tenant: str = Field(max_length=60)
    dimension: Literal["gpu", "cpu", "memory"]
    amount: str = Field(max_length=20)
    version: str | None = Field(default=None, max_length=60)


class ReservationBody(Body):
    """Capacity to hold: `count` places like an `offer` with `set`, or like cpu, memory and gpu, or
    whole nodes; once on `first_day`, or on `weekdays` until `last_day`, by the clocks of
    `time_zone`."""

    tenant: str = Field(default="", max_length=60)
    """Whose people may use it; empty: mine."""
    name: Name = ""
    count: int = 1
    offer: str = Field(default="", max_length=100)
    set: dict[str, str | int | float] = Field(default_factory=dict, max_length=20)
    cpu: str = Field(default="", max_length=20)
    memory: str = Field(default="", max_length=20)
    gpu: str = Field(default="", max_length=20)
    gpu_count: int = 1
    models: list[Annotated[str, Field(max_length=100)]] = Field(default=[], max_length=20)
    whole_node: bool = False
    time_zone: str = Field(default="UTC", max_length=60)
    first_day: str = Field(max_length=10)
    last_day: str = Field(default="", max_length=10)
    weekdays: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = Field(
        default=[], max_length=7
    )
    starts: str = Field(max_length=5)
    length: str = Field(max_length=20)
    lend_margin: str = Field(default="15m", max_length=20)
    """So long before each window, work to which its places are lent is told to go."""
    no_show: str = Field(default="15m", max_length=20)
    """So long after the beginning, a window to which nobody came is given up."""


class PlainWindow(BaseModel):
    """From a moment until another."""

    id: str
    """Its name in an address: the beginning in UTC."""
    starts_at: datetime
    ends_at: datetime
    text: str
    """By the clocks of the reservation's time zone."""


class HeldWindow(PlainWindow):
    """A window of a reservation. `held` places are kept free, `used` are in use by its people,
    `short` have no place now. `state` is one of quotas.reservations.WindowState."""

    state: str
    reason: str
    lent_until: datetime
    held: int
    used: int
    short: int


class ReservationView(BaseModel):
    """Capacity held for a tenant. In a list, `windows` has the one that is on or comes next."""

    id: str
    tenant: str
    tenant_name: str
    name: str
    count: int
    unit: str
    """What each place is like, in words."""
    gpu_milli: int
    time_zone: str
    first_day: str
    last_day: str
    weekdays: list[str]
    starts: str
    length: str
    lend_margin: str
    no_show: str
    created_by: str
    created_at: datetime
    cancelled_at: datetime | None
    can_change: bool
    windows: list[HeldWindow]
    ahead: int
    """How many windows are not over yet, given up or not."""


class ReservationConflict(BaseModel):
    """A window that cannot be held, why, and the nearest free one of the same length."""

    window: PlainWindow
    text: str
    reservations: list[str]
    """Those in the way, by name where the reader may know it."""
    nearest: PlainWindow | None


class ReservationCheck(BaseModel):
    """What a reservation would be: every window, and each that cannot be held."""

    possible: bool
    count: int
    unit: str
    windows: list[PlainWindow]
    conflicts: list[ReservationConflict]


class GrantBody(Body):
    """Credits for a person or a tenant."""

    credits: str = Field(max_length=20)


class PartyBody(Body):
    """A side of a transfer: a tenant by id, or a person by login; exactly one of the two. Of a
    person the wallet in the course `in`; without it, their own."""

    tenant: str = Field(default="", max_length=60)
    person: str = Field(default="", max_length=60)
    inside: str = Field(default="", alias="in", max_length=60)


class TransferBody(Body):
    """Credits from one wallet to another, down the tree of tenants or back up."""

    source: PartyBody = Field(alias="from")
    target: PartyBody = Field(alias="to")
    credits: str = Field(max_length=20)


class TenantAccount(BaseModel):
    """A tenant's own wallet, and what its people, those of tenants below included, have."""

    tenant: str
    name: str
    balance: str
    """In the tenant's wallet, to be moved to tenants below and to people."""
    people: str
    held: str
    spent: str


class StatementLine(BaseModel):
    """What one posting changed for one person or tenant. `balance` is the whole statement's."""

    id: str
    at: datetime
    kind: str
    tenant: str
    person: str
    """Empty for a tenant's own wallet."""
    amount: str
    """Change of what can be spent."""
    held: str
    used: str
    balance: str
    offer: str
    workload: str
    workload_name: str
    text: str


class SpentOn(BaseModel):
    """What was used on an offer or by a person; `id` is empty for neither."""

    id: str
    used: str


class Statement(BaseModel):
    """Between two times, the oldest first: `opening` and all amounts add up to `closing`."""

    of: str
    starts_at: datetime
    ends_at: datetime
    opening: str
    closing: str
    used: str
    by_offer: list[SpentOn]
    by_person: list[SpentOn]
    items: list[StatementLine]
    next: str | None


class PriceBody(Body):
    """What an offer costs an hour, from a date or a time (RFC 3339) on, or from now."""

    offer: str = Field(max_length=100)
    per_hour: str = Field(max_length=25)
    starts_at: str = Field(default="", alias="from", max_length=40)


class PriceLine(BaseModel):
    """A line of the price list. Without `starts_at` it is the menu's own price."""

    offer: str
    title: str
    per_hour: str
    starts_at: datetime | None
    in_effect: bool


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
