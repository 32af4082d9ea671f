"""The courses that somebody sees."""

from typing import Literal

from sqlmodel import Session, col, select

from catalog.errors import BadValue
from hub import people
from hub.control_context import Control
from hub.courses import access
from hub.policy import Actor
from hub.store.course_tables import CourseRow
from hub.store.tables import PersonRow

Wanted = Literal["current", "over", "all"]


def page(
    control: Control, session: Session, actor: Actor, state: Wanted, *, cursor: str, limit: int
) -> tuple[list[CourseRow], str]:
    """Those that end last first, and where the next page begins; empty at the end. Whether one is
    over is told by the day that it is at the site, a day too late at the most."""
    query = select(CourseRow).where(col(CourseRow.tenant_id).in_(access.seen_by(session, actor)))
    day = control.clock.now().date().isoformat()
    is_over = col(CourseRow.ended_at).is_not(None) | (col(CourseRow.last_day) < day)
    if state != "all":
        query = query.where(is_over if state == "over" else ~is_over)
    if cursor:
        last = session.get(CourseRow, cursor)
        if last is None:
            raise BadValue(
                "cursor: there is no such place in the list", next="start without a cursor"
            )
        query = query.where(
            (col(CourseRow.last_day) < last.last_day)
            | (
                (col(CourseRow.last_day) == last.last_day)
                & (col(CourseRow.tenant_id) > last.tenant_id)
            )
        )
    query = query.order_by(col(CourseRow.last_day).desc(), col(CourseRow.tenant_id))
    rows = list(session.exec(query.limit(limit + 1)).all())
    return rows[:limit], rows[limit - 1].tenant_id if len(rows) > limit else ""


def as_now(control: Control, actor: Actor) -> Actor:
    """The actor with the roles that they have by now: a role may just have been given."""
    with control.store.read() as session:
        person = session.get(PersonRow, actor.person_id)
        return people.actor_from(session, person) if person is not None else actor
