"""Lab hours of a course: weekly reservations for its people, in its time zone, within its term."""

from dataclasses import replace
from datetime import datetime, time, timedelta

from sqlalchemy import func
from sqlmodel import Session, col, select

from catalog.errors import BadValue, PerijoveError
from catalog.units import format_duration, parse_duration
from hub import holds, reserving
from hub.control_context import Control
from hub.courses import terms
from hub.courses.findings import Findings
from hub.courses.wishes import Hours
from hub.policy import Actor
from hub.reserving import Answer, Wish
from hub.store import audit
from hub.store.course_tables import CourseHoursRow, CourseRow, RosterRow
from hub.store.tables import ReservationRow
from quotas.windows import Rule, Window

NOTICE = "course-hours"
"""The kind of notice that says that lab hours have too few places, or none."""
LEND_MARGIN = NO_SHOW = timedelta(minutes=15)


def students(session: Session, course_id: str) -> int:
    """How many students the course has or expects."""
    person = func.coalesce(RosterRow.person_id, RosterRow.id)
    return session.exec(
        select(func.count(func.distinct(person))).where(
            RosterRow.tenant_id == course_id, RosterRow.role == "member",
            col(RosterRow.removed_at).is_(None),
        )
    ).one()  # fmt: skip


def of_course(
    session: Session, course_id: str, given_up_at: datetime | None = None
) -> list[tuple[CourseHoursRow, ReservationRow]]:
    """What is held for its lab hours, in a fixed order; or what was given up at a moment."""
    rows = session.exec(
        select(CourseHoursRow, ReservationRow)
        .join(ReservationRow, col(ReservationRow.id) == CourseHoursRow.reservation_id)
        .where(
            CourseHoursRow.tenant_id == course_id, col(ReservationRow.cancelled_at) == given_up_at
        )
        .order_by(col(ReservationRow.starts), col(ReservationRow.id))
    ).all()  # fmt: skip
    return [(hours, row) for hours, row in rows]


def replace_all(
    control: Control, session: Session, actor: Actor, course: CourseRow,
    wanted: tuple[Hours, ...], findings: Findings,
) -> list[Answer]:  # fmt: skip
    """Make `wanted` all lab hours of the course; those that stay as they are keep what is held.

    What cannot be held is found (``hours[N]``); the answers say what would be, in the same order
    for those that can be asked about.
    """
    kept = {
        _sense(course, _as_wished(hours, row)): row
        for hours, row in of_course(session, course.tenant_id)
    }
    asked = [(number, one, _sense(course, one)) for number, one in enumerate(wanted)]
    stays = {
        sense
        for _, _, sense in asked
        if sense in kept and _same(control, actor, course, kept[sense])
    }
    for sense, row in kept.items():
        if sense not in stays:
            _cancel(control, session, actor, row)
    answers: list[Answer] = []
    for number, one, sense in asked:
        if sense in stays:
            continue
        with findings.at(f"hours[{number}]"):
            answer = reserving.answer_within(
                control, session, actor, wish_of(control, session, actor, course, one)
            )
            answers.append(answer)
            row = reserving.hold_within(control, session, actor, answer)
            session.add(
                CourseHoursRow(reservation_id=row.id, tenant_id=course.tenant_id, places=one.places)
            )
            session.flush()
    return answers


def wishes_of(
    session: Session, course_id: str, given_up_at: datetime | None = None
) -> tuple[Hours, ...]:
    """The lab hours of a course, or those that were given up at a moment, as they could be asked
    for again."""
    found = of_course(session, course_id, given_up_at)
    return tuple(_as_wished(hours, row) for hours, row in found)


def wish_of(
    control: Control, session: Session, actor: Actor, course: CourseRow, hours: Hours
) -> Wish:
    """Lab hours as a reservation. Raises BadValue naming the field."""
    length = _span(hours.length)
    offer = control.menu.get().get(course.lab_offer, {course.tenant_id, *actor.tenants})
    ask = replace(offer.answer(course.lab_answers).ask, duration=length)
    term = terms.term_of(course)
    rule = Rule(
        term.first, term.last, _time(hours.starts), length, holds.zone_of(course.time_zone),
        frozenset(hours.weekdays),
    )  # fmt: skip
    return Wish(
        tenant_id=course.tenant_id, name=hours.name or "Lab hours",
        count=hours.places or max(1, students(session, course.tenant_id)), ask=ask, rule=rule,
        time_zone=course.time_zone, lend_margin=LEND_MARGIN, no_show=NO_SHOW,
    )  # fmt: skip


def last_held(session: Session, course: CourseRow) -> tuple[Hours, ...]:
    """The lab hours of a course as they could be asked for again; of one that is over, those that
    it had until then."""
    if there := wishes_of(session, course.tenant_id):
        return there
    given_up = session.exec(
        select(ReservationRow.cancelled_at)
        .join(CourseHoursRow, col(CourseHoursRow.reservation_id) == ReservationRow.id)
        .where(
            CourseHoursRow.tenant_id == course.tenant_id,
            col(ReservationRow.cancelled_at) >= terms.over_since(course),
        )
        .order_by(col(ReservationRow.cancelled_at).desc())
    ).first()
    return wishes_of(session, course.tenant_id, given_up) if given_up else ()


def next_window(session: Session, course_id: str, now: datetime) -> Window | None:
    """The lab hours that are on, or come next."""
    ahead = [
        window
        for _, row in of_course(session, course_id)
        for window in holds.windows_of_row(row)
        if window.ends_at > now
    ]
    return min(ahead, default=None)


def cancel_all(session: Session, actor_id: str, course_id: str, at: datetime) -> None:
    """Nothing is held for the course any more. All of it is given up at one moment, by which it is
    found when the course is opened again."""
    for _, row in of_course(session, course_id):
        row.cancelled_at = at
        session.add(row)
        audit.record(session, at, actor_id, "cancel-reservation", row.id, row.tenant_id)
    session.flush()


def refit(control: Control, session: Session, actor: Actor, course: CourseRow) -> list[str]:
    """Let what follows the number of students follow it. What cannot be held stays as it was; why,
    in words. Nothing changes while people use it. Safe to repeat."""
    now, many = control.clock.now(), max(1, students(session, course.tenant_id))
    told: list[str] = []
    for hours, row in of_course(session, course.tenant_id):
        if hours.places or row.count == many or _is_on(row, now):
            continue
        try:
            _grow(control, session, actor, course, _as_wished(hours, row), row, many)
        except PerijoveError as error:
            told.append(f"{row.name}: {error.message}")
    return told


def _grow(
    control: Control, session: Session, actor: Actor, course: CourseRow, hours: Hours,
    row: ReservationRow, many: int,
) -> None:  # fmt: skip
    """Judged as if its own places were free; in the same transaction, so nobody takes them."""
    wish = replace(wish_of(control, session, actor, course, hours), count=many)
    row.cancelled_at = control.clock.now()
    session.add(row)
    session.flush()
    try:
        answer = reserving.answer_within(control, session, actor, wish)
        if answer.obstacles:
            raise BadValue(answer.obstacles[0].text, next="hold fewer places")
        row.count = many
    finally:
        row.cancelled_at = None
        session.add(row)
        session.flush()
    audit.record(
        session, control.clock.now(), actor.person_id, "reserve", row.id, row.tenant_id,
        {"count": many},
    )  # fmt: skip


def _is_on(row: ReservationRow, now: datetime) -> bool:
    margin = timedelta(seconds=row.lend_margin_s)
    return any(w.starts_at - margin <= now < w.ends_at for w in holds.windows_of_row(row))


def _cancel(control: Control, session: Session, actor: Actor, row: ReservationRow) -> None:
    now = control.clock.now()
    row.cancelled_at = now
    session.add(row)
    session.flush()
    audit.record(session, now, actor.person_id, "cancel-reservation", row.id, row.tenant_id)


def _same(control: Control, actor: Actor, course: CourseRow, row: ReservationRow) -> bool:
    """Whether what is held is still what the course says: its term, its zone, its lab."""
    try:
        offer = control.menu.get().get(course.lab_offer, {course.tenant_id, *actor.tenants})
        ask = offer.answer(course.lab_answers).ask
    except PerijoveError:
        return False
    held = (row.first_day, row.last_day, row.time_zone, row.ask)
    said = (course.first_day, course.last_day, course.time_zone, holds.ask_to_row(ask))
    return held == said


def _as_wished(hours: CourseHoursRow, row: ReservationRow) -> Hours:
    span = timedelta(minutes=row.minutes)
    length = format_duration(span)
    if parse_duration(length) != span:  # it shows two units, and this has three
        length = f"{row.minutes}m"
    return Hours(tuple(sorted(row.weekdays)), row.starts, length, hours.places, row.name)


def _sense(course: CourseRow, hours: Hours) -> tuple[object, ...]:
    """What two lab hours have in common that are the same however they are written."""
    try:
        length, starts = _span(hours.length), _time(hours.starts)
    except BadValue:
        return (hours,)
    name = hours.name or "Lab hours"
    return (
        course.tenant_id,
        tuple(sorted(set(hours.weekdays))),
        starts,
        length,
        hours.places,
        name,
    )


def _span(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except (BadValue, OverflowError) as error:
        raise BadValue(
            f"length: {text[:20]!r} is not a duration", next="write it like 2h or 90m"
        ) from error


def _time(text: str) -> time:
    try:
        at = time.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is not None or at.second or at.microsecond:
        raise BadValue(f"starts: {text[:20]!r} is not a time of day", next="write it like 09:00")
    return at
