"""The course for the next term, made of this one."""

from dataclasses import replace
from datetime import date

from sqlmodel import Session, select

from catalog.units import format_credits
from hub.control_context import Control
from hub.courses import (
    access,
    groups,
    hours,
    limits,
    making,
    rules,
    terms,
)  # fmt: skip
from hub.courses.wishes import Group, Lab, Material, NewCourse
from hub.people import EACH_PERSON
from hub.policy import Action, Actor
from hub.reservations import tell_all
from hub.store.course_tables import CourseRow
from hub.store.tables import TenantRow
from hub.tenant_paths import TenantPaths


def clone(
    control: Control, actor: Actor, course_id: str, wanted: NewCourse
) -> str:  # fmt: skip
    """The course for the next term: settings, groups, limits, rules, material and lab hours of this
    one, without its people and their credits. Of `wanted` count id, name, term, days, and credits;
    an empty `last_day` makes it as long."""
    with control.store.write() as session:
        before = access.find(session, actor, course_id, Action.MANAGE_COURSE)
        paths = TenantPaths(session)
        tenant = session.get_one(TenantRow, course_id)
        copy = replace(
            _as_wished(control, session, before), id=wanted.id,
            parent=paths.of(course_id)[1], name=wanted.name or tenant.name, term=wanted.term,
            first_day=wanted.first_day, credits=wanted.credits,
            last_day=wanted.last_day or _as_long(before, wanted.first_day),
        )  # fmt: skip
        copy = replace(copy, groups=_groups_of(session, before, copy.id))
        carried = _follows(session, before, copy.first_day)
        made = making.make_within(
            control, session, actor, copy, cloned_from=course_id, carried=carried
        )
        made.findings.demand_none()
    tell_all(control)
    return wanted.id


def _as_wished(control: Control, session: Session, course: CourseRow) -> NewCourse:
    """The course as it could be asked for again, without people, groups and credits."""
    id_ = course.tenant_id
    return NewCourse(
        id=id_, name="", first_day=course.first_day, last_day=course.last_day,
        lab=Lab(course.lab_offer, course.lab_answers), time_zone=course.time_zone,
        offers=tuple(course.offers), environment=course.environment,
        material=Material(course.material_url, course.material_branch, course.material_folder),
        student_limits=limits.read(session, id_, EACH_PERSON),
        student_credits=format_credits(course.student_credits), limits=limits.read(session, id_),
        hours=hours.last_held(session, course),
        rules=tuple(rules.of_course(control, session, id_)), clean_up_days=course.clean_up_days,
    )  # fmt: skip


def _groups_of(session: Session, before: CourseRow, new_id: str) -> tuple[Group, ...]:
    return tuple(
        Group(group.name, groups.id_for(new_id, group.name), group.limits)
        for group in groups.of_course(session, before.tenant_id)
    )


def _follows(session: Session, before: CourseRow, first_day: str) -> bool:
    """Whether a clone takes the place of its course: it begins when that is over, and it is the
    first. Only then it has its limits without a word of an administrator: else whoever may clone
    could make much of one limit."""
    clones = session.exec(
        select(CourseRow.tenant_id).where(CourseRow.cloned_from == before.tenant_id)
    ).first()
    return clones is None and before.last_day < first_day


def _as_long(before: CourseRow, first_day: str) -> str:
    """The last day of a course that is as long as this one; what is no day is told later."""
    try:
        first = date.fromisoformat(first_day)
    except ValueError:
        return first_day
    return (first + terms.term_of(before).span).isoformat()
