"""Tables of an administrator's desk: announcements, changes of limits, and requests for more."""
# SQLModel types `__tablename__` as something that only its metaclass can satisfy.
# pyright: reportAssignmentType=false

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column
from sqlmodel import Field, SQLModel

from hub.store.tables import big, json_column, serial, time_column


class AnnouncementRow(SQLModel, table=True):
    """A message to everybody of a tenant and below, in the portal and in notebooks.

    Of the root it is the site's; of a course it is what its staff tell the room.
    """

    __tablename__ = "announcement"
    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenant.id", index=True)
    text: str
    level: str = "info"
    """``info``, ``warning``"""
    created_by: str
    created_at: datetime = time_column()
    starts_at: datetime = time_column()
    ends_at: datetime = time_column(index=True)
    withdrawn_at: datetime | None = time_column(null=True)


class AnnouncementSeenRow(SQLModel, table=True):
    """Who has put a message away."""

    __tablename__ = "announcement_seen"
    announcement_id: str = Field(primary_key=True, foreign_key="announcement.id")
    person_id: str = Field(primary_key=True, foreign_key="person.id")
    at: datetime = time_column()


class QuotaChangeRow(SQLModel, table=True):
    """One change of one limit, with what it was before: enough to take it back.

    `before` and `after` have the fields ``limit``, ``guaranteed``, ``period`` of `QuotaRow`, or are
    empty where there was none.
    """

    __tablename__ = "quota_change"
    id: int | None = serial()
    tenant_id: str = Field(foreign_key="tenant.id", index=True)
    person_id: str = ""
    dimension: str
    before: dict[str, Any] = json_column()
    after: dict[str, Any] = json_column()
    changed_by: str
    at: datetime = time_column(index=True)
    undoes: int | None = None
    """The id of the change that it takes back."""
    undone_by: int | None = None
    """The id of the change that took it back."""


class QuotaRequestRow(SQLModel, table=True):
    """Somebody asks for more of a dimension in a tenant."""

    __tablename__ = "quota_request"
    id: str = Field(primary_key=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    tenant_id: str = Field(foreign_key="tenant.id", index=True)
    dimension: str
    amount: int = big()
    period: str = ""
    reason: str = ""
    state: str = Field(default="open", index=True)
    """``open``, ``approved``, ``denied``, ``withdrawn``"""
    asked_at: datetime = time_column()
    decided_at: datetime | None = time_column(null=True)
    decided_by: str = ""
    granted: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    """What was approved: it may be another amount."""
    answer: str = ""
