"""A person's lab in a course: found if it is there, launched if it is not."""

from sqlmodel import Session, col, select

from catalog.errors import Conflict
from hub import history, launching
from hub.control_context import Control
from hub.courses import access, student_credits
from hub.courses.enrolment import groups_of
from hub.lifecycle import Target
from hub.policy import ANYBODY, Action, Actor, require
from hub.store.course_tables import CourseRow
from hub.store.tables import TenantRow, WorkloadRow
from hub.workloads import LIVE


def open_lab(control: Control, actor: Actor, course_id: str) -> WorkloadRow:
    """The actor's live lab of the course, or a new one in their group. However often it is asked
    for at the same time, there is one. Raises LaunchRefused with the Verdict when it is Denied."""
    require(actor, Action.LAUNCH, ANYBODY)
    with control.store.write() as session:
        course = access.find(session, actor, course_id, Action.READ_COURSE)
        if found := live_lab(session, course, actor.person_id):
            return found
        tenant = place_of(session, actor, course)
        if not tenant:
            raise Conflict(
                "you see this course, but you are not in it",
                next="put yourself on its roster first",
            )
        # Staff have no credits of the course until they first need them.
        student_credits.pay(control, session, course, actor.person_id, [actor.person_id])
        name = session.get_one(TenantRow, course_id).name
        wish = launching.Wish(course.lab_offer, course.lab_answers, name[:60], tenant=tenant)
        row = launching.launch_within(control, session, actor, wish)
    history.hint(control.bus, row)
    control.wake()
    return row


def live_lab(session: Session, course: CourseRow, person_id: str) -> WorkloadRow | None:
    """What somebody runs or waits for of the course's lab; what is being stopped does not count.
    Where there are several, the oldest."""
    tenants = [course.tenant_id, *groups_of(session, course.tenant_id)]
    return session.exec(
        select(WorkloadRow)
        .where(
            WorkloadRow.person_id == person_id, col(WorkloadRow.tenant_id).in_(tenants),
            WorkloadRow.offer_id == course.lab_offer, col(WorkloadRow.status).in_(LIVE),
            WorkloadRow.target == Target.RUNNING,
        )
        .order_by(col(WorkloadRow.created_at), WorkloadRow.id)
    ).first()  # fmt: skip


def place_of(session: Session, actor: Actor, course: CourseRow) -> str:
    """The tenant in which somebody's lab counts: their group where they are in exactly one, else
    the course; empty for who has no role in it."""
    mine = [group for group in groups_of(session, course.tenant_id) if group in actor.roles]
    if len(mine) == 1:
        return mine[0]
    return course.tenant_id if course.tenant_id in actor.roles else ""
