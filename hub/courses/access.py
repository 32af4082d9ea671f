"""A course as the policy sees it, and those that somebody may see."""

from sqlmodel import Session, col, select

from hub.policy import Action, Actor, Object, absent, allowed, require
from hub.store.course_tables import CourseRow
from hub.tenant_paths import TenantPaths


def course_object(paths: TenantPaths, actor: Actor, course_id: str) -> Object:
    """It is theirs who have a role in it or in one of its groups."""
    theirs = any(paths.course_of(tenant) == course_id for tenant in actor.roles)
    own = actor.person_id if theirs else ""
    return Object(own, paths.of(course_id), f"course {course_id[:60]!r}")


def find(session: Session, actor: Actor, course_id: str, action: Action) -> CourseRow:
    """A course that the actor may do `action` to. Raises NotFound in the same words for one that
    there is not and one that is none of theirs, Forbidden for its people whose role is not enough.
    """
    row = session.get(CourseRow, course_id)
    if row is None:
        raise absent(f"course {course_id[:60]!r}")
    target = course_object(TenantPaths(session), actor, course_id)
    if not allowed(actor, Action.READ_COURSE, target):
        raise absent(target.name)
    if action is not Action.READ_COURSE:
        # Being in it is not enough to change it.
        target = Object(None, target.tenant_path, target.name)
    require(actor, action, target)
    return row


def may(session: Session, actor: Actor, course_id: str, action: Action) -> bool:
    """Whether the actor may do something to a course that is there."""
    return allowed(actor, action, Object(None, TenantPaths(session).of(course_id), course_id))


def seen_by(session: Session, actor: Actor) -> list[str]:
    """The ids of all courses that the actor may see."""
    paths = TenantPaths(session)
    ids = session.exec(select(CourseRow.tenant_id).order_by(col(CourseRow.tenant_id))).all()
    return [
        course for course in ids
        if allowed(actor, Action.READ_COURSE, course_object(paths, actor, course))
    ]  # fmt: skip
