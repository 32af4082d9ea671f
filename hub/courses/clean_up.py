"""Courses that are over, looked at now and then: what waits in them is cancelled, and some days
later their students' work is packed, roles end, and what is left of credits goes back up.

Every step may be repeated: a crash anywhere leaves the rest to the next look.
"""

from datetime import timedelta

from sqlmodel import Session, col, select

from catalog.errors import PerijoveError
from hub import people
from hub.alone import alone
from hub.control_context import Control
from hub.courses import ending, enrolment, exports, hours, material, student_credits, terms
from hub.courses.notices import tell_staff
from hub.policy import Actor
from hub.store import audit, money
from hub.store.course_tables import CourseRow
from hub.store.tables import AttemptRow, MembershipRow, PersonRow, TenantRow
from hub.tenant_paths import TenantPaths
from quotas import ledger
from quotas.ledger import AccountKind, Owner

EVERY = timedelta(minutes=1)
SYSTEM = "system"
CLEANED, NOT_CLEANED = "course-cleaned", "course-not-cleaned"
"""Kinds of notices to the staff."""


def keep(control: Control) -> list[str]:
    """See to all courses; the ids of those that are due to be cleaned up."""
    now, due = control.clock.now(), list[str]()
    with control.store.read() as session:
        courses = session.exec(select(CourseRow).where(col(CourseRow.cleaned_at).is_(None))).all()
    for course in courses:
        with alone(f"the course {course.tenant_id}"):
            if not terms.is_over(course, now):
                _tend(control, course.tenant_id)
                continue
            _close(control, course.tenant_id)
            if terms.today(course, now) >= terms.clean_up_day(course):
                due.append(course.tenant_id)
    return due


def clean_up(control: Control, course_id: str) -> bool:
    """Pack, let go, settle. True when all is done; False while something still runs, or when it
    could not be finished now: the next look goes on."""
    with control.store.read() as session:
        course = session.get_one(CourseRow, course_id)
        if course.cleaned_at is not None:
            return True
        students = _students(session, course_id)
    inside = material.folder_of(course) or course_id
    try:
        for person in students:
            packed = exports.pack(control, course_id, inside, person)
            with control.store.write() as session:
                enrolment.leave_all(control, session, course_id, person, actor=SYSTEM)
                audit.record(
                    session, control.clock.now(), SYSTEM, "export-course-work", person.id,
                    course_id, {"files": packed.files, "bytes": packed.size},
                )  # fmt: skip
    except (PerijoveError, OSError) as error:
        said = error.message if isinstance(error, PerijoveError) else str(error)
        with control.store.write() as session:
            tell_staff(control, session, course_id, NOT_CLEANED, f"clean-up waits: {said}")
        return False
    return _settle(control, course_id)


def _tend(control: Control, course_id: str) -> None:
    """While it goes on: credits of those who left come back, lab hours follow the students."""
    with control.store.read() as session:
        course = session.get_one(CourseRow, course_id)
        gone = student_credits.left_behind(session, course_id)
        maker = session.get(PersonRow, course.created_by)
        many = max(1, hours.students(session, course_id))
        grown = any(
            not held.places and row.count != many
            for held, row in hours.of_course(session, course_id)
        )
        actor = people.actor_from(session, maker) if maker else None
    if gone:
        with control.store.write() as session:
            for person_id in gone:
                student_credits.take_back(control, session, course_id, person_id, SYSTEM)
    if grown and actor is not None:
        _refit(control, course_id, actor)


def _refit(control: Control, course_id: str, actor: Actor) -> None:
    """On behalf of who made the course: their right to reserve bounds what is held."""
    with control.store.write() as session:
        course = session.get_one(CourseRow, course_id)
        for problem in hours.refit(control, session, actor, course):
            tell_staff(
                control, session, course_id, hours.NOTICE,
                f"there are too few places for all students: {problem}",
            )  # fmt: skip


def _close(control: Control, course_id: str) -> None:
    """After the last day nobody launches: what waits is cancelled, what runs ends soon."""
    with control.store.write() as session:
        course = session.get_one(CourseRow, course_id)
        if hours.of_course(session, course_id):
            hours.cancel_all(session, SYSTEM, course_id, control.clock.now())
        if ending.wind_down(control, session, course):
            control.wake()
        for person_id in student_credits.left_behind(session, course_id):
            student_credits.take_back(control, session, course_id, person_id, SYSTEM)


def _settle(control: Control, course_id: str) -> bool:
    """The last step, once nothing runs any more: credits go up, and the course is cleaned."""
    now = control.clock.now()
    with control.store.write() as session:
        busy = session.exec(
            select(AttemptRow.id).where(
                AttemptRow.payer == course_id, col(AttemptRow.released_at).is_(None)
            )
        ).first()
        if busy is not None:
            return False
        _credits_up(control, session, course_id)
        course = session.get_one(CourseRow, course_id)
        course.cleaned_at, course.version = now, course.version + 1
        session.add(course)
        name = session.get_one(TenantRow, course_id).name
        packed = len(exports.exported(control, course_id))
        tell_staff(
            control, session, course_id, CLEANED,
            f"{name} was cleaned up: the work of {packed} people is kept as archives",
        )  # fmt: skip
        audit.record(
            session, now, SYSTEM, "clean-up-course", course_id, course_id, {"exports": packed}
        )
    return True


def _credits_up(control: Control, session: Session, course_id: str) -> None:
    """Everybody's first, the staff's too, then the course's own to the tenant above."""
    for person_id in student_credits.with_credits(session, course_id):
        student_credits.take_back(control, session, course_id, person_id, SYSTEM)
    path, purse = TenantPaths(session).of(course_id), Owner(course_id)
    left = money.balance(session, purse, AccountKind.WALLET)
    if left and len(path) > 1:
        money.post(
            session, purse, ledger.transfer(left, purse, Owner(path[1])),
            money.Cause(
                f"clean-up:{course_id}", SYSTEM, control.clock.now(), "left of a course that is over"
            ),
        )  # fmt: skip


def _students(session: Session, course_id: str) -> list[PersonRow]:
    """Who is in it and no staff: the staff keeps its roles, to look at what is kept."""
    return list(
        session.exec(
            select(PersonRow)
            .join(MembershipRow, col(MembershipRow.person_id) == PersonRow.id)
            .where(MembershipRow.tenant_id == course_id, MembershipRow.role == "member")
            .order_by(PersonRow.login)
        ).all()
    )
