"""Who was in a lab session: whose server in the course was up during the hours held for it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from hub import holds
from hub.control_context import Control
from hub.courses.people import Member, Place, members, place_of
from hub.policy import Action, Actor
from hub.store.tables import AttemptRow, ReservationRow
from quotas.windows import Window

MOST_SESSIONS = 200
"""Shown at once: a lab twice a week for two years."""


@dataclass(frozen=True, slots=True)
class LabSession:
    """One lab hour that has begun, or the one that is on now."""

    name: str
    reservation: str
    window: Window

    @property
    def key(self) -> str:
        """``"r-7k2m9q4t1x@20260202T0800Z"``"""
        return holds.key_of(self.reservation, self.window.starts_at)


@dataclass(frozen=True, slots=True)
class Attendance:
    """Sessions, the earliest first, and for each student how long they were there in each."""

    sessions: tuple[LabSession, ...]
    students: tuple[Member, ...]
    present: dict[str, dict[str, timedelta]]
    """By session key, by person id; who was not there is absent."""


def read(control: Control, actor: Actor, course_id: str, window: str = "") -> Attendance:
    """Of all sessions so far, or of one by its key. Raises NotFound, Forbidden."""
    with control.store.read() as session:
        place = place_of(session, actor, course_id, Action.READ_ROOM)
        now = control.clock.now()
        begun = sessions_of(session, place, now)
        if window:
            begun = [one for one in begun if one.key == window]
        begun = begun[-MOST_SESSIONS:]
        students = tuple(m for m in members(session, place) if m.student)
        return Attendance(tuple(begun), students, present_in(session, place, begun, now))


def sessions_of(session: Session, place: Place, now: datetime) -> list[LabSession]:
    """The lab hours of a course that have begun, the earliest first; those given up do not count."""
    rows = session.exec(
        select(ReservationRow).where(col(ReservationRow.tenant_id).in_(place.tenants))
    ).all()
    due = [(row, [w for w in holds.windows_of_row(row) if w.starts_at <= now]) for row in rows]
    marks = holds.read_marks(session, due, now)
    found = [
        LabSession(row.name, row.id, window)
        for row, windows in due
        for window in windows
        if row.cancelled_at is None or window.starts_at < row.cancelled_at
        if not (mark := marks.get(holds.key_of(row.id, window.starts_at))) or not mark.given_up
    ]
    return sorted(found, key=lambda one: (one.window.starts_at, one.name))


def current(session: Session, place: Place, now: datetime) -> LabSession | None:
    """The lab hour that is on now."""
    on = [one for one in sessions_of(session, place, now) if one.window.ends_at > now]
    return on[-1] if on else None


def present_in(
    session: Session, place: Place, sessions: Iterable[LabSession], now: datetime
) -> dict[str, dict[str, timedelta]]:
    """By session key, by person id: for how long a server of theirs in the course was up."""
    sessions = list(sessions)
    if not sessions:
        return {}
    first = min(one.window.starts_at for one in sessions)
    rows = session.exec(
        select(AttemptRow.person_id, AttemptRow.ready_at, AttemptRow.ended_at).where(
            col(AttemptRow.tenant_id).in_(place.tenants),
            col(AttemptRow.ready_at).is_not(None),
            col(AttemptRow.ended_at).is_(None) | (col(AttemptRow.ended_at) > first),
        )
    ).all()
    found: dict[str, dict[str, timedelta]] = {one.key: {} for one in sessions}
    for one in sessions:
        there = found[one.key]
        for person_id, ready_at, ended_at in rows:
            begun = max(ready_at or now, one.window.starts_at)
            gone = min(ended_at or now, one.window.ends_at, now)
            if gone > begun:
                there[person_id] = there.get(person_id, timedelta()) + (gone - begun)
    return found
