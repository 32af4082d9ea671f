"""Courses of learning systems, and which of our courses each is linked to."""

from dataclasses import dataclass

from sqlmodel import Session, col, select

from catalog.errors import Conflict
from hub.control_context import Control
from hub.courses import enrolment
from hub.courses.people import place_of
from hub.lti import lists
from hub.lti.messages import Launch
from hub.policy import Action, Actor, absent, allowed, tenant_object
from hub.store import audit
from hub.store.access_tables import LtiContextRow, LtiTeacherRow, RoleGrantRow
from hub.store.course_tables import CourseRow
from hub.store.ids import new_id
from hub.store.tables import PersonRow, TenantRow
from hub.tenant_paths import TenantPaths


@dataclass(frozen=True, slots=True)
class Choice:
    """One of our courses, to link a course of a learning system to."""

    id: str
    name: str


def remember(control: Control, session: Session, launch: Launch) -> LtiContextRow | None:
    """The course that a verified launch comes from, with what it says of it now; None when it comes
    from no course."""
    if launch.context is None:
        return None
    row = find(session, launch)
    if row is None:
        row = LtiContextRow(
            id=new_id("lc"), platform=launch.platform, deployment_id=launch.deployment,
            context_id=launch.context.id, created_at=control.clock.now(),
        )  # fmt: skip
    said, row.title = launch.services, launch.context.title
    row.roster_url = said.roster or row.roster_url
    row.line_items_url = said.line_items or row.line_items_url
    row.line_item_url = said.line_item or row.line_item_url
    row.scopes = " ".join(said.scopes) or row.scopes
    session.add(row)
    session.flush()
    return row


def find(session: Session, launch: Launch) -> LtiContextRow | None:
    """The course that a launch comes from, if it was seen before."""
    if launch.context is None:
        return None
    key = (launch.platform, launch.deployment, launch.context.id)
    return session.get(LtiContextRow, key)


def note_teacher(control: Control, session: Session, row: LtiContextRow, person_id: str) -> None:
    """This person came from that course as its instructor: they may say what it is linked to."""
    seen = session.get(LtiTeacherRow, (row.id, person_id))
    seen = seen or LtiTeacherRow(lti_context_id=row.id, person_id=person_id)
    seen.at = control.clock.now()
    session.add(seen)
    session.flush()


def course_of(session: Session, row: LtiContextRow | None) -> CourseRow | None:
    """The course that it is linked to."""
    if row is None or row.tenant_id is None:
        return None
    return session.get(CourseRow, row.tenant_id)


def by_id(session: Session, actor: Actor, context_id: str) -> LtiContextRow:
    """To those who may link it: who came from there as its instructor, and platform administrators.
    Raises NotFound for everybody else."""
    row = session.exec(select(LtiContextRow).where(LtiContextRow.id == context_id)).first()
    known = row and session.get(LtiTeacherRow, (row.id, actor.person_id))
    if row is None or not (known or actor.platform_admin):
        raise absent(f"course {context_id[:40]!r} of a learning system")
    return row


def visible(session: Session, actor: Actor, after: str, limit: int) -> list[LtiContextRow]:
    """Those that are linked to nothing and that the actor may link, by id, from `after` on."""
    query = select(LtiContextRow).where(
        col(LtiContextRow.tenant_id).is_(None), LtiContextRow.id > after
    )
    if not actor.platform_admin:
        query = query.join(
            LtiTeacherRow, col(LtiTeacherRow.lti_context_id) == LtiContextRow.id
        ).where(LtiTeacherRow.person_id == actor.person_id)
    return list(session.exec(query.order_by(LtiContextRow.id).limit(limit)))


def linked_to(session: Session, course_id: str) -> list[LtiContextRow]:
    """The courses of learning systems that lead into one of ours."""
    query = select(LtiContextRow).where(LtiContextRow.tenant_id == course_id)
    return list(session.exec(query.order_by(LtiContextRow.id)))


def choices(session: Session, actor: Actor) -> list[Choice]:
    """The courses that the actor manages and that are not over, by name."""
    paths = TenantPaths(session)
    rows = session.exec(
        select(CourseRow.tenant_id, TenantRow.name)
        .join(TenantRow, col(TenantRow.id) == CourseRow.tenant_id)
        .where(col(CourseRow.ended_at).is_(None))
        .order_by(TenantRow.name, TenantRow.id)
    ).all()
    return [
        Choice(id_, name)
        for id_, name in rows
        if allowed(actor, Action.MANAGE_COURSE, tenant_object(paths.of(id_)))
    ]


def link(control: Control, actor: Actor, context_id: str, course_id: str) -> LtiContextRow:
    """From now on whoever comes from there comes into this course. Again is fine.

    Raises NotFound, Forbidden; Conflict when it is linked to another course.
    """
    with control.store.write() as session:
        row = by_id(session, actor, context_id)
        place_of(session, actor, course_id, Action.MANAGE_COURSE)
        if row.tenant_id == course_id:
            return row
        if row.tenant_id is not None:
            raise Conflict(
                f"{row.title!r} is linked to another course already",
                next="end that link first, on that course's page",
            )
        row.tenant_id, row.linked_by = course_id, actor.person_id
        row.synced_at, row.tried_at, row.sync_error = None, None, ""
        session.add(row)
        _record(control, session, actor, "lti-link", row, course_id)
    return row


def unlink(control: Control, actor: Actor, context_id: str, course_id: str) -> None:
    """Nobody comes from there into this course any more. Whom that learning system alone had
    brought leaves it, unless another course of it is still linked: its roster tells then."""
    with control.store.write() as session:
        place_of(session, actor, course_id, Action.MANAGE_COURSE)
        rows = linked_to(session, course_id)
        row = next((row for row in rows if row.id == context_id), None)
        if row is None:
            raise absent(f"link {context_id[:40]!r} of this course")
        row.tenant_id = None
        session.add(row)
        session.flush()
        if not any(other.platform == row.platform for other in rows if other is not row):
            _empty(control, session, f"lti:{row.platform}", course_id, actor.person_id)
        _record(control, session, actor, "lti-unlink", row, course_id)


def _empty(control: Control, session: Session, source: str, course_id: str, actor: str) -> None:
    lists.strike(control, session, source, course_id, keep=frozenset())
    brought = session.exec(
        select(PersonRow)
        .join(RoleGrantRow, col(RoleGrantRow.person_id) == PersonRow.id)
        .where(RoleGrantRow.tenant_id == course_id, RoleGrantRow.source == source)
    ).all()
    for person in brought:
        enrolment.leave(control, session, course_id, person, source=source, actor=actor)


def _record(
    control: Control, session: Session, actor: Actor, action: str, row: LtiContextRow, course: str
) -> None:
    audit.record(
        session, control.clock.now(), actor.person_id, action, row.id, course,
        {"platform": row.platform, "title": row.title},
    )  # fmt: skip
