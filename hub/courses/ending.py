"""The end of a course: nobody launches any more, and what runs ends soon."""

from sqlmodel import Session, col, select

from catalog.errors import Conflict
from hub import departures
from hub.control_context import Control
from hub.courses import access, enrolment, hours, terms
from hub.courses.findings import Findings
from hub.courses.notices import tell_staff
from hub.lifecycle import Target
from hub.policy import Action, Actor
from hub.reservations import tell_all
from hub.store import audit
from hub.store.course_tables import CourseRow
from hub.store.tables import TenantRow, WorkloadRow
from hub.workloads import LIVE


def end(control: Control, actor: Actor, course_id: str) -> None:
    """End a course now. Lab hours are given up, what waits is cancelled, what runs ends within the
    grace period. Repeating it changes nothing."""
    now = control.clock.now()
    with control.store.write() as session:
        course = access.find(session, actor, course_id, Action.MANAGE_COURSE)
        if terms.is_over(course, now):
            return
        course.ended_at, course.version = now, course.version + 1
        session.add(course)
        hours.cancel_all(session, actor.person_id, course_id, now)
        wind_down(control, session, course)
        audit.record(session, now, actor.person_id, "end-course", course_id, course_id)
    tell_all(control)


def reopen(control: Control, actor: Actor, course_id: str) -> None:
    """Let a course that was ended go on until its last day, with its lab hours as far as they can
    still be held; the staff is told of those that cannot. Raises Conflict after its last day, or
    when it was cleaned up."""
    now = control.clock.now()
    with control.store.write() as session:
        course = access.find(session, actor, course_id, Action.MANAGE_COURSE)
        if course.cleaned_at is not None:
            raise Conflict("this course was cleaned up", next="clone it for the next term")
        if terms.today(course, now) > terms.term_of(course).last:
            raise Conflict(
                f"its last day was {course.last_day}", next="change its last day to a later one"
            )
        if course.ended_at is None:
            return
        before = hours.last_held(session, course)
        course.ended_at, course.version = None, course.version + 1
        session.add(course)
        session.flush()
        findings = Findings()
        hours.replace_all(control, session, actor, course, before, findings)
        for problem in findings.found:
            tell_staff(control, session, course_id, hours.NOTICE, problem.error.message)
        audit.record(session, now, actor.person_id, "reopen-course", course_id, course_id)
    tell_all(control)


def wind_down(control: Control, session: Session, course: CourseRow) -> list[WorkloadRow]:
    """What is wanted in a course that is over: what waits is cancelled, what runs may go on for
    the grace period. What was changed; safe to repeat."""
    tenants = [course.tenant_id, *enrolment.groups_of(session, course.tenant_id)]
    rows = session.exec(
        select(WorkloadRow).where(
            col(WorkloadRow.tenant_id).in_(tenants), col(WorkloadRow.status).in_(LIVE),
            WorkloadRow.target == Target.RUNNING,
        )
    ).all()  # fmt: skip
    name = session.get_one(TenantRow, course.tenant_id).name
    now, why = control.clock.now(), f"the course {name} has ended"
    return [row for row in rows if departures.see_off(control, session, row, why, now)]
