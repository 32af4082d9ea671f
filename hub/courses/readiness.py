"""Whether a course is ready for its next lab hours: its environment, its material, its places.

Read anew each time and kept nowhere: what is told is what a start would find now.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from sqlmodel import Session, col, select

from hub import environments, holds, templates
from hub.control_context import Control
from hub.courses import terms
from hub.store.course_tables import CourseRow
from hub.store.tables import ReservationRow
from hub.tenant_paths import TenantPaths
from hub.world import Limits
from quotas.claims import Claim
from quotas.reservations import Booking
from quotas.windows import Window


class State(StrEnum):
    """How one thing stands."""

    READY = "ready"
    SOON = "soon"
    """It is on its way, by itself."""
    SLOW = "slow"
    """Labs start, each with a wait of some seconds."""
    WRONG = "wrong"
    """Somebody has to do something."""


MADE_WITHIN = timedelta(minutes=2)
"""An environment that takes longer to be ready may never be; its labs start without that."""
_WORST = (State.WRONG, State.SLOW, State.SOON, State.READY)


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that a class needs, in words for its teachers."""

    name: Literal["environment", "material", "places"]
    state: State
    text: str


@dataclass(frozen=True, slots=True)
class Class:
    """Lab hours of a course that are on, or come next."""

    course: CourseRow
    name: str
    booking: Booking

    @property
    def window(self) -> Window:
        return self.booking.window


@dataclass(frozen=True, slots=True)
class Readiness:
    """What was found for one class, in a fixed order."""

    lesson: Class
    parts: tuple[Part, ...]

    @property
    def state(self) -> State:
        """That of the part that is worst."""
        return min((part.state for part in self.parts), key=_WORST.index)

    @property
    def text(self) -> str:
        """``"Ready for Tue 20 Jan 2026 09:00-11:00 CET: environment ready, 120 places held"``"""
        when = self.lesson.window.shown(holds.zone_of(self.lesson.course.time_zone))
        head = "Not ready" if self.state is State.WRONG else "Ready"
        if self.state in {State.SOON, State.SLOW}:
            head = "Getting ready" if self.state is State.SOON else "Ready, but not at once,"
        return f"{head} for {when}: {', '.join(part.text for part in self.parts)}"


def any_window(session: Session, now: datetime, until: datetime) -> bool:
    """Whether any reservation has a window between these moments: without one there is no class, and
    nothing else has to be read to know that."""
    span, rows = Window(now, until), holds.live_rows(session, now)
    return any(window.overlaps(span) for row in rows for window in holds.windows_of_row(row))


def classes(
    control: Control, session: Session, claims: Iterable[Claim], until: datetime
) -> list[Class]:
    """All lab hours that are on or begin before a moment and are still held, the earliest first; of
    those that begin together, the largest."""
    now, limits, paths = control.clock.now(), Limits(session), TenantPaths(session)
    bookings = holds.read_bookings(session, limits.tenant_scopes, claims, now, until)
    ids = {booking.key.partition("@")[0] for booking in bookings}
    rows = session.exec(select(ReservationRow).where(col(ReservationRow.id).in_(ids)))
    by_id = {row.id: row for row in rows}
    found: list[Class] = []
    for booking in bookings:
        row = by_id[booking.key.partition("@")[0]]
        course = session.get(CourseRow, paths.course_of(row.tenant_id))
        if course is not None and not terms.is_over(course, now):
            found.append(Class(course, row.name, booking))
    return sorted(found, key=lambda one: (one.window.starts_at, -one.booking.count))


def next_class(
    control: Control, session: Session, course_id: str, claims: Iterable[Claim]
) -> Class | None:
    """The lab hours of one course that are on or come next, as far ahead as places are planned."""
    until = control.clock.now() + holds.ahead(control, session)
    found = classes(control, session, claims, until)
    return next((one for one in found if one.course.tenant_id == course_id), None)


def look(control: Control, lesson: Class) -> Readiness:
    """What of it is ready now. Reads files and asks the engine; starts nothing."""
    parts = (environment(control, lesson), material(control, lesson), places(control, lesson))
    return Readiness(lesson, tuple(part for part in parts if part is not None))


def environment(control: Control, lesson: Class) -> Part:
    """Whether labs can be forked from a process that has the course's environment imported."""
    name = lesson.course.environment
    shown = f"environment {name}" if name else "environment"
    if environments.find(control.settings, name) is None:
        return Part(
            "environment", State.WRONG,
            f"the {shown} is not on this site any more: choose another one in the settings",
        )  # fmt: skip
    template = templates.named(control.settings, name)
    if template is None:
        text = f"the {shown} is there, and each lab takes some seconds to start"
        return Part("environment", State.SLOW, text)
    begins = lesson.window.starts_at - control.settings.warm_ahead_span
    why_not, now = control.engine.why_not_prepared(template), control.clock.now()
    if not why_not:
        return Part("environment", State.READY, f"{shown} ready")
    if now < begins:
        at = _clock(lesson, begins)
        return Part("environment", State.SOON, f"the {shown} is made ready from {at} on")
    if now < begins + MADE_WITHIN:
        return Part("environment", State.SOON, f"the {shown} is being made ready")
    text = f"each lab takes some seconds to start, the {shown} is not ready ({why_not})"
    return Part("environment", State.SLOW, text)


def material(control: Control, lesson: Class) -> Part | None:
    """Whether what students get is there and new; None for a course without material."""
    course = lesson.course
    if not course.material_url:
        return None
    if course.material_error:
        rest = "; students get what was fetched before" if course.material_commit else ""
        text = f"the material could not be fetched: {course.material_error}{rest}"
        return Part("material", State.WRONG, text)
    if course.material_at is None or course.tenant_id in control.fetching:
        return Part("material", State.SOON, "the material is being fetched")
    if not course.material_commit:
        return Part("material", State.SOON, "the material is not fetched yet")
    return Part(
        "material", State.READY, f"material fetched at {_clock(lesson, course.material_at)}"
    )


def places(control: Control, lesson: Class) -> Part:
    """Whether all places are held that are not in use. They are found at each beat for all windows
    in sight, and a start in the window takes one of them: this is its placement, ahead of time."""
    booking, held = lesson.booking, control.held.get(lesson.booking.key)
    if held is None and booking.wanted:
        return Part("places", State.SOON, f"{_count(booking.count)} are being looked for")
    there = min(len(held or ()), booking.wanted)
    used = f", {booking.taken} in use" if booking.taken else ""
    if there < booking.wanted:
        text = f"{there} of {_count(booking.wanted)} can be held{used}: the rest waits in the queue"
        return Part("places", State.WRONG, text)
    return Part("places", State.READY, f"{_count(there)} held{used}")


def _count(places: int) -> str:
    return f"{places} place{'' if places == 1 else 's'}"


def _clock(lesson: Class, at: datetime) -> str:
    """``"08:51"`` by the clocks of the course, with the day if it is not that of the class."""
    zone = holds.zone_of(lesson.course.time_zone)
    local, day = at.astimezone(zone), lesson.window.starts_at.astimezone(zone).date()
    near = abs(local.date() - day) < timedelta(days=1)
    return f"{local:%H:%M}" if near else f"{local:%H:%M} on {local.day} {local:%b}"
