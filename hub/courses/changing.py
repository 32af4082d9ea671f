"""Changing a course: all that is named of it, or nothing."""

from sqlmodel import Session

from catalog.errors import Conflict
from catalog.units import format_credits
from hub import environments, guarantees
from hub.control_context import Control
from hub.courses import (
    access,
    groups,
    hours,
    limits,
    making,
    rules,
    student_credits,
    terms,
)  # fmt: skip
from hub.courses.findings import Findings
from hub.courses.making import LONGEST_TEXT
from hub.courses.wishes import Change, Lab
from hub.people import EACH_PERSON
from hub.policy import Action, Actor
from hub.reservations import tell_all
from hub.store import audit
from hub.store.course_tables import CourseRow
from hub.store.tables import TenantRow
from hub.tenants import demand_name


def change(control: Control, actor: Actor, course_id: str, wanted: Change) -> None:
    """Change a course. Raises the first thing that is wrong; nothing has changed then. Conflict for
    a `version` that is not the course's any more."""
    with control.store.write() as session:
        course = access.find(session, actor, course_id, Action.MANAGE_COURSE)
        if wanted.version is not None and wanted.version != course.version:
            raise Conflict(
                "somebody else changed this course meanwhile",
                next="look at it again, then change it",
            )
        if course.cleaned_at is not None:
            raise Conflict("this course was cleaned up", next="clone it for the next term")
        findings = Findings()
        _change(control, session, actor, course, wanted, findings)
        findings.demand_none()
        course.version += 1
        session.add(course)
        audit.record(
            session, control.clock.now(), actor.person_id, "change-course", course_id, course_id,
            {"fields": sorted(_named(wanted))},
        )  # fmt: skip
    tell_all(control)


def _change(
    control: Control, session: Session, actor: Actor, course: CourseRow, wanted: Change,
    findings: Findings,
) -> None:  # fmt: skip
    """Part by part; what is left out stays."""
    id_, now = course.tenant_id, control.clock.now()
    held_before, was_over = _holds(course), terms.is_over(course, now)
    there = hours.last_held(session, course) if wanted.hours is None else wanted.hours
    _change_words(control, session, course, wanted, findings)
    _change_term(control, session, course, wanted, findings)
    if wanted.lab is not None or wanted.offers is not None:
        lab = wanted.lab or Lab(course.lab_offer, course.lab_answers)
        course.lab_offer, course.lab_answers = lab.offer, dict(lab.set)
        if wanted.offers is not None:
            course.offers = list(dict.fromkeys(wanted.offers))
        making.settle_lab(control, session, actor, course, findings)
    if wanted.material is not None:
        with findings.at("material"):
            making.set_material(control, course, wanted.material)
    if wanted.limits is not None:
        with findings.at("limits"):
            amounts = limits.parse("limits", wanted.limits, person=False)
            limits.set_own(control, session, actor, id_, amounts)
    _change_student(control, session, actor, course, wanted, findings)
    if wanted.groups is not None:
        groups.replace_all(control, session, actor, id_, wanted.groups, findings)
    if wanted.rules is not None:
        with findings.at("rules"):
            rules.replace_all(control, session, actor, id_, wanted.rules)
    session.add(course)
    session.flush()
    over = terms.is_over(course, now)
    if over and wanted.hours:
        with findings.at("hours"):
            raise Conflict(
                "nothing is held for a course that is over", next="choose a later last day first"
            )
    changed = wanted.hours is not None or held_before != _holds(course) or was_over
    if not findings.found and not over and changed:
        hours.replace_all(control, session, actor, course, there, findings)
    with findings.at("limits"):
        guarantees.demand_sound(session)


def _change_words(
    control: Control, session: Session, course: CourseRow, wanted: Change, findings: Findings
) -> None:
    if wanted.name is not None:
        with findings.at("name"):
            tenant = session.get_one(TenantRow, course.tenant_id)
            tenant.name = demand_name(wanted.name)
            session.add(tenant)
    course.term = course.term if wanted.term is None else wanted.term[:LONGEST_TEXT]
    if wanted.environment is not None and wanted.environment != course.environment:
        with findings.at("environment"):
            environments.demand(control.settings, wanted.environment)
        course.environment = wanted.environment
    if wanted.clean_up_days is not None:
        course.clean_up_days = wanted.clean_up_days


def _change_term(
    control: Control, session: Session, course: CourseRow, wanted: Change, findings: Findings
) -> None:
    """A later last day opens a course again that was over and is not cleaned up."""
    if wanted.first_day is None and wanted.last_day is None and wanted.time_zone is None:
        return
    with findings.at(""):
        term = terms.parse_term(
            wanted.first_day or course.first_day, wanted.last_day or course.last_day,
            wanted.time_zone or course.time_zone,
        )  # fmt: skip
        if wanted.last_day is not None:
            making.demand_ahead(control, term)
            course.ended_at = None
        course.first_day, course.last_day = term.first.isoformat(), term.last.isoformat()
        course.time_zone = term.time_zone
        session.add(course)


def _change_student(
    control: Control, session: Session, actor: Actor, course: CourseRow, wanted: Change,
    findings: Findings,
) -> None:  # fmt: skip
    """What each has, and the credits of the course: whoever is owed some gets them then."""
    id_ = course.tenant_id
    if wanted.student_limits is not None or wanted.student_credits is not None:
        written = wanted.student_limits
        if written is None:
            written = limits.read(session, id_, EACH_PERSON)
        credits_ = wanted.student_credits
        if credits_ is None:
            credits_ = format_credits(course.student_credits)
        making.set_student(control, session, actor, course, written, credits_, findings)
    if wanted.credits is not None:
        with findings.at("credits"):
            making.move_credits(control, session, actor, id_, wanted.credits)
    if wanted.credits is not None or wanted.student_credits is not None:
        student_credits.pay(control, session, course, actor.person_id)


def _holds(course: CourseRow) -> tuple[object, ...]:
    """What lab hours depend on."""
    return (
        course.first_day, course.last_day, course.time_zone, course.lab_offer,
        dict(course.lab_answers),
    )  # fmt: skip


def _named(wanted: Change) -> list[str]:
    return [name for name in Change.__dataclass_fields__ if getattr(wanted, name) is not None]
