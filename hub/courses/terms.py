"""The term of a course: when it begins and ends, and what that means for launching in it."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from sqlmodel import Session

from catalog.errors import BadValue
from hub.holds import zone_of
from hub.store.course_tables import CourseRow
from hub.tenant_paths import TenantPaths
from quotas.verdict import Code, Denied
from quotas.windows import LONGEST_TERM

State = Literal["upcoming", "active", "ended", "cleaned"]


@dataclass(frozen=True, slots=True)
class Term:
    """The days of a course, both included, by the clocks of its place."""

    first: date
    last: date
    time_zone: str

    @property
    def span(self) -> timedelta:
        return self.last - self.first


def parse_term(first_day: str, last_day: str, time_zone: str) -> Term:
    """Raises BadValue naming the field, also for a course that ends before it begins."""
    zone_of(time_zone)
    term = Term(_day("first_day", first_day), _day("last_day", last_day), time_zone)
    if term.last < term.first:
        raise BadValue(
            f"last_day: the course would end on {term.last}, before it begins on {term.first}",
            next="exchange the two days, or choose a later last day",
        )
    if term.span > LONGEST_TERM:
        raise BadValue(
            f"last_day: {term.last} is more than a year after {term.first}",
            next="make a course for each term; the next is a clone of this one",
        )
    return term


def term_of(course: CourseRow) -> Term:
    """As it is stored."""
    first, last = date.fromisoformat(course.first_day), date.fromisoformat(course.last_day)
    return Term(first, last, course.time_zone)


def today(course: CourseRow, now: datetime) -> date:
    """The day that it is where the course is."""
    return now.astimezone(zone_of(course.time_zone)).date()


def state_of(course: CourseRow, now: datetime) -> State:
    """Where the course is in its life."""
    if course.cleaned_at is not None:
        return "cleaned"
    day, term = today(course, now), term_of(course)
    if course.ended_at is not None or day > term.last:
        return "ended"
    return "upcoming" if day < term.first else "active"


def is_over(course: CourseRow, now: datetime) -> bool:
    """Whether nobody may launch in it any more."""
    return state_of(course, now) in {"ended", "cleaned"}


def over_since(course: CourseRow) -> datetime:
    """From when on nobody launches in it: it was ended, or its last day is over."""
    if course.ended_at is not None:
        return course.ended_at
    after = term_of(course).last + timedelta(days=1)
    return datetime.combine(after, time(), zone_of(course.time_zone)).astimezone(UTC)


def last_day(course: CourseRow) -> date:
    """The last day on which people may launch: an earlier end counts."""
    last = date.fromisoformat(course.last_day)
    return last if course.ended_at is None else min(last, today(course, course.ended_at))


def clean_up_day(course: CourseRow) -> date:
    """The first day on which the course may be cleaned up."""
    return last_day(course) + timedelta(days=course.clean_up_days + 1)


def refusal(session: Session, tenant_id: str, now: datetime) -> Denied | None:
    """Why nobody may launch in a tenant: it is a course, or a part of one, that is over."""
    course = session.get(CourseRow, TenantPaths(session).course_of(tenant_id))
    if course is None or not is_over(course, now):
        return None
    return Denied(
        Code.ENDED,
        f"this course ended on {last_day(course)}",
        "ask its instructor to open it again, or launch outside of the course",
    )


def _day(field: str, text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise BadValue(
            f"{field}: {text[:20]!r} is not a day", next="write it like 2026-10-12"
        ) from error
    if not 2000 <= day.year <= 2200:
        raise BadValue(f"{field}: {day} is absurd", next="use a near date")
    return day
