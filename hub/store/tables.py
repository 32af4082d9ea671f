"""Tables. Money in micro-credits, GPU and cpu in thousandths, memory in bytes, times in UTC."""
# SQLModel types `__tablename__` as something that only its metaclass can satisfy.
# pyright: reportAssignmentType=false

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel


class UtcTime(TypeDecorator[datetime]):
    """Aware datetimes in, aware UTC datetimes out, on databases that forget the zone too."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def time_column(*, null: bool = False, index: bool = False) -> Any:
    return Field(default=None, sa_column=Column(UtcTime, nullable=null, index=index))


def big(default: int = 0) -> Any:
    return Field(default=default, sa_column=Column(BigInteger, nullable=False))


def json_column() -> Any:
    return Field(default_factory=dict, sa_column=Column(JSON, nullable=False))


def serial() -> Any:
    # SQLite numbers only INTEGER keys by itself.
    kind = BigInteger().with_variant(Integer, "sqlite")
    return Field(default=None, sa_column=Column(kind, primary_key=True, autoincrement=True))


class TenantRow(SQLModel, table=True):
    """A node of the tenant tree."""

    __tablename__ = "tenant"
    id: str = Field(primary_key=True)
    parent_id: str | None = Field(default=None, foreign_key="tenant.id")
    name: str
    kind: str = "organisation"
    created_at: datetime = time_column()


class PersonRow(SQLModel, table=True):
    """A human. `hub_name` is minted once and never reused; `uid` only where homes have owners."""

    __tablename__ = "person"
    id: str = Field(primary_key=True)
    login: str = Field(unique=True)
    hub_name: str = Field(unique=True)
    display_name: str = Field(default="", index=True)
    email: str = ""
    uid: int | None = Field(default=None, unique=True)
    active: bool = True
    closed_by: str = ""
    """Who closed the account, and so may open it again: ``admin``, ``provider:ISSUER``, ``scim:KEY``."""
    tenant_id: str = Field(foreign_key="tenant.id", index=True)
    created_at: datetime = time_column()


class PasswordRow(SQLModel, table=True):
    """A local account's password, as argon2 keeps it."""

    __tablename__ = "password"
    person_id: str = Field(primary_key=True, foreign_key="person.id")
    hash: str
    changed_at: datetime = time_column()


class IdentityRow(SQLModel, table=True):
    """Proof of a person by an identity provider."""

    __tablename__ = "identity"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)
    id: str = Field(primary_key=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    issuer: str
    subject: str
    sub: str = Field(default="", sa_column_kwargs={"server_default": ""})
    """What the provider's logouts call them, where another claim is the subject."""
    session_id: str = ""
    created_at: datetime = time_column()


class MembershipRow(SQLModel, table=True):
    """A role in a tenant: the strongest of those in `RoleGrantRow`; see `hub.memberships`."""

    __tablename__ = "membership"
    person_id: str = Field(primary_key=True, foreign_key="person.id")
    tenant_id: str = Field(primary_key=True, foreign_key="tenant.id", index=True)
    role: str


class LinkRow(SQLModel, table=True):
    """A one-time link: the first administrator's, an invitation, or a new password of `person_id`."""

    __tablename__ = "link"
    id: str = Field(primary_key=True)
    purpose: str
    secret_hash: str = Field(unique=True)
    tenant_id: str = Field(foreign_key="tenant.id")
    role: str = "member"
    email: str = ""
    person_id: str = ""
    created_by: str
    created_at: datetime = time_column()
    expires_at: datetime = time_column()
    used_at: datetime | None = time_column(null=True)


class QuotaRow(SQLModel, table=True):
    """A limit. An empty `person_id` is the tenant's own; ``*`` is each person of the tenant.

    `limit` is the ceiling, None for none; `guaranteed` is always there. `period` is for what is
    used up (GPU-hours, tokens, credits): ``day``, ``week``, ``month``; empty: it never resets.
    """

    __tablename__ = "quota"
    tenant_id: str = Field(primary_key=True, foreign_key="tenant.id")
    person_id: str = Field(primary_key=True)
    dimension: str = Field(primary_key=True)
    limit: int | None = Field(default=None, sa_column=Column("amount", BigInteger, nullable=True))
    guaranteed: int = big()
    period: str = ""


class WorkloadRow(SQLModel, table=True):
    """A person's wish. `version` moves with every change; a stale writer changes nothing."""

    __tablename__ = "workload"
    __table_args__ = (Index("workload_live", "status", "queued_at"),)
    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenant.id", index=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    payer: str = ""
    """The tenant in which the person's wallet pays: the course that `tenant_id` belongs to, or
    `tenant_id`."""
    created_by: str
    kind: str
    name: str
    offer_id: str
    offer_title: str
    answers: dict[str, Any] = json_column()
    cpu_milli: int
    memory_bytes: int = big()
    gpu_milli: int
    models: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    priority: str = "standard"
    preemptible: bool = False
    duration_s: int
    price_per_hour: int = big()
    status: str = Field(index=True)
    target: str
    notify: bool = False
    reason_code: str = ""
    reason: str = ""
    next: str = ""
    attempt_id: str | None = None
    cost: int = big()
    memory_peak: int = big()
    gpu_count: int = 1
    gpu_memory_mib: int = 0
    vendors: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    whole_node: bool = False
    apart: str = ""
    again: bool = False
    """It lost its place through no fault of its own and waits before what is new of its class."""
    saved_at: datetime | None = time_column(null=True)
    """When it last said that its work is saved."""
    created_at: datetime = time_column(index=True)
    queued_at: datetime = time_column()
    offered_until: datetime | None = time_column(null=True)
    started_at: datetime | None = time_column(null=True)
    ended_at: datetime | None = time_column(null=True)
    version: int = 1


class AttemptRow(SQLModel, table=True):
    """One run of a workload on one placement; the lease is on it.

    `released_at` is set when its engine has seen it gone: only then its shares are free.
    `held` is what the ledger holds for it now.
    """

    __tablename__ = "attempt"
    __table_args__ = (
        Index("attempt_open", "released_at"),
        Index("attempt_uncounted", "counted"),
        Index("attempt_reservation", "reservation"),
    )
    id: str = Field(primary_key=True)
    workload_id: str = Field(foreign_key="workload.id", index=True)
    tenant_id: str
    payer: str = ""
    person_id: str
    number: int
    node: str
    cpu_milli: int
    memory_bytes: int = big()
    gpu_milli: int
    price_per_hour: int = big()
    held: int = big()
    step: str = "granted"
    port: int | None = None
    rescue: bool = False
    reservation: str = ""
    """``ID@START`` of the window whose held capacity it uses."""
    go_at: datetime | None = time_column(null=True)
    """It was told to go (preempted, drained): it is stopped then and waits again."""
    go_reason: str = ""
    go_text: str = ""
    notes: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    warned: int = 0
    created_at: datetime = time_column()
    lease_ends_at: datetime = time_column()
    launched_at: datetime | None = time_column(null=True)
    ready_at: datetime | None = time_column(null=True)
    seen_at: datetime | None = time_column(null=True)
    ended_at: datetime | None = time_column(null=True)
    end_cause: str = ""
    exit_code: int | None = None
    released_at: datetime | None = time_column(null=True)
    active_at: datetime | None = time_column(null=True)
    """When somebody or something was last at work in it, as far as is known; see `hub.idle`."""
    heard_at: datetime | None = time_column(null=True)
    """When its own server last told."""
    idle_stop_at: datetime | None = time_column(null=True)
    """Its owner was asked whether anybody still works: it is stopped then unless something happens."""
    counted: str = ""
    """The time zone by whose days its use stands in `DayUseRow`; empty while it does not."""


class ShareRow(SQLModel, table=True):
    """What an attempt holds of a device, until `released_at`."""

    __tablename__ = "share"
    __table_args__ = (Index("share_device", "device_id", "released_at"),)
    attempt_id: str = Field(primary_key=True, foreign_key="attempt.id")
    device_id: str = Field(primary_key=True)
    milli: int
    memory_mib: int
    mode: str
    emulated: bool
    model: str = ""
    profile: str = ""
    start: int = 0
    released_at: datetime | None = time_column(null=True)


class DeviceRow(SQLModel, table=True):
    """The last word on how much of a device is held: the database itself refuses more than all."""

    __tablename__ = "device"
    __table_args__ = (
        CheckConstraint("held_milli >= 0 AND held_milli <= 1000", name="held_at_most_all"),
    )
    id: str = Field(primary_key=True)
    node: str
    model: str
    held_milli: int = 0
    failures: int = 0
    """Starts in a row that failed on it."""
    quarantined_at: datetime | None = time_column(null=True)
    quarantine_reason: str = ""


class DrainRow(SQLModel, table=True):
    """A node that is taken out of service: nothing new is placed there, and it is empty by `by`.

    One of a rolling drain (`roll`) waits until `begun_at`: until no more than `most_out` thousandths
    of the site are out with it. It then has `span_s` to become empty.
    """

    __tablename__ = "drain"
    id: str = Field(primary_key=True)
    node: str = Field(index=True)
    reason: str = ""
    roll: str = ""
    most_out: int = 1000
    span_s: int = 0
    begun_at: datetime | None = time_column(null=True)
    created_by: str
    created_at: datetime = time_column()
    by: datetime = Field(sa_column=Column("due", UtcTime, nullable=False))
    empty_at: datetime | None = time_column(null=True)
    ended_at: datetime | None = time_column(null=True)


class ReservationRow(SQLModel, table=True):
    """Capacity held for a tenant: once, or weekly between two dates in its own time zone.

    `starts` is local time (``"09:00"``), `weekdays` are 0 (Monday) to 6, empty: `first_day` only.
    `count` places of the ask in `ask` (fields of `catalog.asks.Ask`) are held.
    """

    __tablename__ = "reservation"
    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenant.id", index=True)
    name: str
    count: int
    ask: dict[str, Any] = json_column()
    time_zone: str
    first_day: str
    last_day: str
    starts: str
    minutes: int
    weekdays: list[int] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    lend_margin_s: int
    no_show_s: int
    created_by: str
    created_at: datetime = time_column()
    cancelled_at: datetime | None = time_column(null=True)


class WindowRow(SQLModel, table=True):
    """What happened to one window of a reservation: people came, or it was released."""

    __tablename__ = "held_window"
    reservation_id: str = Field(primary_key=True, foreign_key="reservation.id")
    starts_at: datetime = Field(sa_column=Column(UtcTime, primary_key=True))
    ends_at: datetime = time_column()
    first_used_at: datetime | None = time_column(null=True)
    released_at: datetime | None = time_column(null=True)
    release_reason: str = ""


class RecentUseRow(SQLModel, table=True):
    """What a scope (``person:ID``, ``tenant:ID``) has lately used in one dimension, in base units ×
    seconds, decayed to `at`."""

    __tablename__ = "recent_use"
    scope_id: str = Field(primary_key=True)
    dimension: str = Field(primary_key=True)
    amount: float = 0.0
    at: datetime = time_column()


class OwnerRow(SQLModel, table=True):
    """Which installation works on this database; see `hub.store.owner`."""

    __tablename__ = "owner"
    id: str = Field(primary_key=True)
    mark: str = ""
    place: str = ""
    since: datetime = time_column()


class PriceRow(SQLModel, table=True):
    """What an offer costs an hour from `starts_at` on; before the first, the menu's price holds."""

    __tablename__ = "price"
    offer_id: str = Field(primary_key=True)
    starts_at: datetime = Field(sa_column=Column(UtcTime, primary_key=True))
    per_hour: int = big()
    created_by: str
    created_at: datetime = time_column()


class DayUseRow(SQLModel, table=True):
    """What ended attempts of a person used up on a day (ISO 8601) of the site's calendar: milli-GPU
    × seconds, micro-credits, tokens."""

    __tablename__ = "day_use"
    tenant_id: str = Field(primary_key=True)
    person_id: str = Field(primary_key=True)
    dimension: str = Field(primary_key=True)
    day: str = Field(primary_key=True)
    amount: int = big()


class AccountRow(SQLModel, table=True):
    """An account of the ledger: the database itself refuses an overdraft."""

    __tablename__ = "account"
    __table_args__ = (CheckConstraint("kind = 'mint' OR balance >= 0", name="no_overdraft"),)
    id: str = Field(primary_key=True)
    kind: str
    tenant_id: str
    person_id: str = Field(index=True)
    balance: int = big()


class PostingRow(SQLModel, table=True):
    """A posting; `key` makes it happen once however often it is tried."""

    __tablename__ = "posting"
    id: int | None = serial()
    key: str = Field(unique=True)
    kind: str
    at: datetime = time_column()
    actor: str
    tenant_id: str
    person_id: str = Field(index=True)
    workload_id: str = ""
    attempt_id: str = Field(default="", index=True)
    text: str = ""


class EntryRow(SQLModel, table=True):
    """One line of a posting."""

    __tablename__ = "entry"
    posting_id: int = Field(
        sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    )
    account_id: str = Field(primary_key=True, foreign_key="account.id", index=True)
    amount: int = big()


class EventRow(SQLModel, table=True):
    """A line of a workload's history."""

    __tablename__ = "event"
    id: int | None = serial()
    workload_id: str = Field(index=True)
    at: datetime = time_column()
    status: str
    text: str


class NoticeRow(SQLModel, table=True):
    """Something to tell a person, in the portal and by mail."""

    __tablename__ = "notice"
    __table_args__ = (
        Index(
            "notice_to_mail", "mail_due", sqlite_where=text("mail_due"),
            postgresql_where=text("mail_due"),
        ),
    )  # fmt: skip
    id: str = Field(primary_key=True)
    person_id: str = Field(index=True)
    tenant_id: str
    kind: str
    workload_id: str | None = None
    text: str
    at: datetime = time_column()
    read_at: datetime | None = time_column(null=True)
    mail_due: bool = False


class IdempotencyRow(SQLModel, table=True):
    """What a request with this key was answered."""

    __tablename__ = "idempotency"
    person_id: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    fingerprint: str
    workload_id: str
    at: datetime = time_column()


class AuditRow(SQLModel, table=True):
    """One line of the audit; `hash` covers the line and the hash before it."""

    __tablename__ = "audit"
    id: int | None = serial()
    at: datetime = time_column()
    actor: str = Field(index=True)
    action: str
    object: str = Field(index=True)
    tenant_id: str = Field(index=True)
    detail: dict[str, Any] = json_column()
    previous: str
    hash: str = Field(unique=True)


class AuditEndRow(SQLModel, table=True):
    """Where the audit ends: its one row tells when lines were cut off."""

    __tablename__ = "audit_end"
    id: int = Field(primary_key=True)
    lines: int = big()
    hash: str
