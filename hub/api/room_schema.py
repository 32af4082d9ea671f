"""Shapes of a course's room: who is in, attendance, spending, visits."""

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, Field

from hub.api.schema import Body, ShareView


class SessionView(BaseModel):
    """A lab hour that has begun."""

    key: str
    name: str
    starts_at: datetime
    ends_at: datetime


class SeatView(BaseModel):
    """A member of the course and the lab of theirs that is furthest on."""

    login: str
    name: str
    role: str
    group: str
    group_name: str
    workload: str | None
    status: str
    """That of the workload, or ``away``."""
    reason: str
    position: int | None
    starts_at: datetime | None
    share: ShareView | None
    memory_mib: int
    """In use; 0 when it is not known."""
    memory_limit_mib: int
    gpu_use: int | None
    """Percent: what it lately used of the time of its devices, 100 for a whole one; null when it has none,
    and where nothing can tell (emulated devices)."""
    idle_s: int | None
    """Since anything was last at work in it, or its person; null when it does not run, and
    until its server has told."""
    lease_ends_at: datetime | None
    can_extend: bool
    credits: str
    attended: bool


class Counts(BaseModel):
    """How many students are where."""

    running: int
    starting: int
    waiting: int
    away: int


class ReadyPart(BaseModel):
    """The environment, the material or the places of a class."""

    name: Literal["environment", "material", "places"]
    state: Literal["ready", "soon", "slow", "wrong"]
    """``soon``: on its way by itself; ``slow``: each start takes some seconds; ``wrong``: somebody has
    to do something."""
    text: str


class ReadyView(BaseModel):
    """Whether all is ready for the lab hours that are on or come next."""

    name: str
    starts_at: datetime
    ends_at: datetime
    state: Literal["ready", "soon", "slow", "wrong"]
    """That of the part that is worst."""
    text: str
    parts: list[ReadyPart]


class RoomView(BaseModel):
    """A course at one moment, staff first."""

    course: str
    name: str
    at: datetime
    session: SessionView | None
    ready: ReadyView | None
    """Null where nothing is held for lab hours to come."""
    counts: Counts
    people: list[SeatView]


class RoomBody(Body):
    """Whom to act for: logins, or ``*`` for every student."""

    people: list[str] = Field(max_length=2000)


class RoomExtendBody(RoomBody):
    """Longer by this much, like ``"30m"``."""

    by: str = Field(default="30m", max_length=20)


class RoomCreditsBody(RoomBody):
    """Credits for each of them, from the course's wallet."""

    credits: str = Field(max_length=30)


class OutcomeView(BaseModel):
    """What came of it for one person."""

    login: str
    done: bool
    message: str


class AttendanceLine(BaseModel):
    """One student: minutes in each session, by its key; a session without a line was missed."""

    login: str
    name: str
    group: str
    minutes: dict[str, int]


class AttendanceView(BaseModel):
    """Sessions so far, the earliest first, and every student."""

    sessions: list[SessionView]
    people: list[AttendanceLine]


class SpentDay(BaseModel):
    """A day of the course's calendar."""

    day: date
    spent: str
    left: str


class SpendingView(BaseModel):
    """The course's credits: all that came in, what is spent, what is set aside for what runs."""

    budget: str
    spent: str
    held: str
    points: list[SpentDay]
    forecast_empty_on: date | None
    """If the coming days are like the last two weeks."""


class VisitBody(Body):
    """Ask a student to let you into their running lab."""

    login: str = Field(max_length=200)
    reason: str = Field(default="", max_length=200)


class AnswerBody(Body):
    """The student's word."""

    allow: bool


class VisitView(BaseModel):
    """Staff in a student's server. `url` opens it while the visit lasts."""

    id: str
    course: str
    course_name: str
    workload: str
    student: str
    visitor: str
    visitor_name: str
    reason: str
    state: Literal["asked", "granted", "denied", "ended", "lapsed"]
    asked_at: datetime
    ends_at: datetime | None
    url: str
    mine_to_answer: bool
