"""Tables of courses: their terms, rosters, ways in, and visits to students' servers."""
# SQLModel types `__tablename__` as something that only its metaclass can satisfy.
# pyright: reportAssignmentType=false

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, UniqueConstraint
from sqlmodel import Field, SQLModel

from hub.store.tables import big, json_column, time_column


class CourseRow(SQLModel, table=True):
    """What a tenant of kind ``course`` has besides. Days are ISO 8601, in the course's time zone.

    `lab_offer` with `lab_answers` is what "Open lab" launches; empty `offers` allow the whole menu.
    `student_credits` (micro-credits) are moved to each student from the course's wallet.
    Groups of a course are tenants of kind ``group`` below it.
    """

    __tablename__ = "course"
    tenant_id: str = Field(primary_key=True, foreign_key="tenant.id")
    term: str = ""
    first_day: str
    last_day: str
    time_zone: str
    lab_offer: str
    lab_answers: dict[str, Any] = json_column()
    offers: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    environment: str = ""
    material_url: str = ""
    material_branch: str = ""
    material_folder: str = ""
    material_commit: str = ""
    material_error: str = ""
    material_at: datetime | None = time_column(null=True)
    """When the material was last looked for."""
    student_credits: int = big()
    clean_up_days: int = 14
    """After the last day, until homes are exported and work in the course ends for good."""
    cloned_from: str = ""
    created_by: str
    created_at: datetime = time_column()
    ended_at: datetime | None = time_column(null=True)
    cleaned_at: datetime | None = time_column(null=True)
    version: int = 1


class RosterRow(SQLModel, table=True):
    """Somebody who should be in a course, before or after they came.

    `key` is who they are for `source`: for ``csv`` what the provider's roster claim says, for
    ``lti:PLATFORM`` the subject there. `issuer` is the provider whose word counts, so that nobody
    takes another's place by choosing a name elsewhere. `group_id` is a tenant below the course.
    """

    __tablename__ = "roster"
    __table_args__ = (UniqueConstraint("tenant_id", "source", "issuer", "key"),)
    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenant.id", index=True)
    source: str
    issuer: str = ""
    key: str = Field(index=True)
    name: str = ""
    email: str = ""
    role: str = "member"
    group_id: str = ""
    person_id: str | None = Field(default=None, foreign_key="person.id", index=True)
    link_id: str = Field(default="", index=True)
    """The invitation (`LinkRow`) with which they come in, where no provider says who they are."""
    created_at: datetime = time_column()
    joined_at: datetime | None = time_column(null=True)
    removed_at: datetime | None = time_column(null=True)
    removed_by: str = ""
    """Who of the staff took them off; empty where the source itself did. What the staff removed, no
    source brings back."""


class CourseHoursRow(SQLModel, table=True):
    """Lab hours of a course: which reservation holds them. `places` 0 follows the number of
    students."""

    __tablename__ = "course_hours"
    reservation_id: str = Field(primary_key=True, foreign_key="reservation.id")
    tenant_id: str = Field(foreign_key="tenant.id", index=True)
    places: int = 0


class CourseRuleRow(SQLModel, table=True):
    """Everybody of whom a provider says this belongs to the course."""

    __tablename__ = "course_rule"
    tenant_id: str = Field(primary_key=True, foreign_key="tenant.id")
    issuer: str = Field(primary_key=True)
    claim: str = Field(primary_key=True)
    value: str = Field(primary_key=True)
    role: str = "member"


class CourseLinkRow(SQLModel, table=True):
    """A link by which many may join a course, until it ends or is withdrawn."""

    __tablename__ = "course_link"
    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenant.id", index=True)
    secret_hash: str = Field(unique=True)
    group_id: str = ""
    most: int
    used: int = 0
    created_by: str
    created_at: datetime = time_column()
    expires_at: datetime = time_column()
    withdrawn_at: datetime | None = time_column(null=True)


class VisitRow(SQLModel, table=True):
    """Staff of a course ask a student to open their server; it opens when the student agrees."""

    __tablename__ = "visit"
    id: str = Field(primary_key=True)
    workload_id: str = Field(foreign_key="workload.id", index=True)
    tenant_id: str
    student_id: str = Field(foreign_key="person.id", index=True)
    visitor_id: str = Field(foreign_key="person.id")
    reason: str = ""
    state: str = "asked"
    """``asked``, ``granted``, ``denied``, ``ended``."""
    shared: bool = False
    """The Hub lets the visitor in."""
    asked_at: datetime = time_column()
    answered_at: datetime | None = time_column(null=True)
    ends_at: datetime | None = time_column(null=True)
    ended_at: datetime | None = time_column(null=True)
