"""Who is in a course: coming in, for whatever reason, and leaving."""

from sqlmodel import Session, col, select

from hub import attempts, departures, memberships
from hub.control_context import Control
from hub.courses import student_credits
from hub.lifecycle import EndReason
from hub.store import audit
from hub.store.access_tables import RoleGrantRow
from hub.store.course_tables import CourseRow, RosterRow
from hub.store.ids import new_id
from hub.store.tables import PersonRow, TenantRow, WorkloadRow
from hub.tenant_paths import TenantPaths
from hub.workloads import LIVE

ROSTER, INVITATION = "roster", "invitation"
BY_THEMSELVES = ("rule:", "scim:", "lti:", INVITATION)
"""Reasons by which people come in unasked: whom the staff has removed does not come back by them."""


def enrol(
    control: Control, session: Session, tenant_id: str, person: PersonRow, *, role: str,
    source: str, group_id: str = "", actor: str = "system",
) -> bool:  # fmt: skip
    """Let a person into a course, and into one of its groups, for a reason (`RoleGrantRow.source`).

    A student's credits move once from the course's wallet to theirs; where it has too few, they are
    in all the same and the staff is told. Their line of the roster is joined, or made. Set
    `RosterRow.person_id` before, where there is a line already; its group holds where none is named.
    False when nothing changed: repeat it as you like. Nobody comes into a course that was cleaned
    up, nor back by themselves after the staff removed them. In a tenant that is no course only the
    role is given.
    """
    now = control.clock.now()
    course = session.get(CourseRow, tenant_id)
    if course is None:
        return memberships.give(session, person.id, tenant_id, source, role, now)
    if course.cleaned_at is not None or _struck_off(session, tenant_id, person.id, source):
        return False
    group_id = group_id or _group_on_list(session, tenant_id, person.id)
    group_id = group_id if group_id in groups_of(session, tenant_id) else ""
    before = _standing(session, tenant_id, person.id, source)
    memberships.give(session, person.id, tenant_id, source, role, now)
    for group in groups_of(session, tenant_id):
        if group == group_id:
            memberships.give(session, person.id, group, source, role, now)
        else:
            memberships.withdraw(session, person.id, group, source)
    _join(control, session, tenant_id, person, role, source, group_id)
    if course.ended_at is None and role == "member":
        student_credits.pay(control, session, course, actor, [person.id])
    if before == _standing(session, tenant_id, person.id, source):
        return False
    audit.record(
        session, now, actor, "enrol", person.id, tenant_id,
        {"role": role, "source": source, "group": group_id},
    )  # fmt: skip
    return True


def leave(
    control: Control, session: Session, tenant_id: str, person: PersonRow, *, source: str,
    actor: str = "system", end_now: bool = True,
) -> bool:  # fmt: skip
    """A reason is gone for which a person was in a course. With the last one, what they wait for
    there is cancelled and what runs there ends soon (unless the caller sees to it: `end_now`), and
    their credits go back to the course's wallet. False when nothing changed: repeat it as you like.
    """
    changed = False
    for tenant in (tenant_id, *groups_of(session, tenant_id)):
        had = session.get(RoleGrantRow, (person.id, tenant, source)) is not None
        memberships.withdraw(session, person.id, tenant, source)
        changed = changed or had
    _forget_line(session, tenant_id, person.id, source)
    if not changed:
        return False
    if not memberships.role_in(session, person.id, tenant_id):
        if end_now:
            departures.leave(control, session, person)
        student_credits.take_back(control, session, tenant_id, person.id, actor)
    audit.record(
        session, control.clock.now(), actor, "leave-course", person.id, tenant_id,
        {"source": source},
    )  # fmt: skip
    return True


def leave_all(
    control: Control, session: Session, tenant_id: str, person: PersonRow, *, actor: str
) -> None:
    """As `leave`, for every reason there is."""
    sources = session.exec(
        select(RoleGrantRow.source)
        .where(
            RoleGrantRow.person_id == person.id,
            col(RoleGrantRow.tenant_id).in_([tenant_id, *groups_of(session, tenant_id)]),
        )
        .distinct()
    ).all()
    for source in sources:
        leave(control, session, tenant_id, person, source=source, actor=actor)


def reasons(session: Session, course_id: str, person_id: str) -> list[RoleGrantRow]:
    """Why somebody is in a course, the reasons in a fixed order."""
    query = select(RoleGrantRow).where(
        RoleGrantRow.person_id == person_id, RoleGrantRow.tenant_id == course_id
    )
    return list(session.exec(query.order_by(RoleGrantRow.source)).all())


def groups_of(session: Session, course_id: str) -> list[str]:
    """The tenants right below a course, by id."""
    return list(
        session.exec(
            select(TenantRow.id).where(TenantRow.parent_id == course_id).order_by(TenantRow.id)
        ).all()
    )


def end_work(
    control: Control, session: Session, course_id: str, person_id: str, why: str
) -> list[WorkloadRow]:
    """What somebody has in a course ends now; what was ended."""
    paths = TenantPaths(session)
    rows = session.exec(
        select(WorkloadRow).where(
            WorkloadRow.person_id == person_id, col(WorkloadRow.status).in_(LIVE)
        )
    ).all()
    ended = [row for row in rows if paths.course_of(row.tenant_id) == course_id]
    for row in ended:
        attempts.begin_stopping(control, row.id, EndReason.DEACTIVATED, why, session=session)
    return ended


def _struck_off(session: Session, course_id: str, person_id: str, source: str) -> bool:
    if not source.startswith(BY_THEMSELVES):
        return False
    return bool(removed_by(session, course_id, person_id))


def removed_by(session: Session, course_id: str, person_id: str) -> str:
    """Who of the staff took somebody off the course's list, with no line of theirs left since;
    empty for everybody else."""
    lines = session.exec(
        select(RosterRow.removed_at, RosterRow.removed_by).where(
            RosterRow.tenant_id == course_id, RosterRow.person_id == person_id
        )
    ).all()
    if any(at is None for at, _ in lines):
        return ""
    return next((by for _, by in lines if by), "")


def _group_on_list(session: Session, course_id: str, person_id: str) -> str:
    found = session.exec(
        select(RosterRow.group_id).where(
            RosterRow.tenant_id == course_id, RosterRow.person_id == person_id,
            RosterRow.group_id != "",
        )
    ).first()  # fmt: skip
    return found or ""


def _standing(
    session: Session, course_id: str, person_id: str, source: str
) -> list[tuple[str, str]]:
    """What this reason gives in the course and its groups."""
    rows = session.exec(
        select(RoleGrantRow.tenant_id, RoleGrantRow.role).where(
            RoleGrantRow.person_id == person_id, RoleGrantRow.source == source,
            col(RoleGrantRow.tenant_id).in_([course_id, *groups_of(session, course_id)]),
        )
    ).all()  # fmt: skip
    return sorted((tenant, role) for tenant, role in rows)


def _join(
    control: Control, session: Session, course_id: str, person: PersonRow, role: str, source: str,
    group_id: str,
) -> None:  # fmt: skip
    """Their lines of the roster are joined; whoever has none gets one of their own."""
    now = control.clock.now()
    lines = session.exec(
        select(RosterRow).where(RosterRow.tenant_id == course_id, RosterRow.person_id == person.id)
    ).all()
    if not lines:
        lines = [
            RosterRow(
                id=new_id("e"), tenant_id=course_id, source=source, key=person.id,
                person_id=person.id, created_at=now, role=role, group_id=group_id,
            )
        ]  # fmt: skip
    for line in lines:
        if line.removed_at is not None and len(lines) > 1:
            continue
        line.joined_at, line.removed_at, line.removed_by = line.joined_at or now, None, ""
        line.name, line.email = line.name or person.display_name, line.email or person.email
        line.group_id = group_id
        session.add(line)
    session.flush()


def _forget_line(session: Session, course_id: str, person_id: str, source: str) -> None:
    """The line that `_join` made goes with its reason; one that was written down stays."""
    lines = session.exec(
        select(RosterRow).where(
            RosterRow.tenant_id == course_id, RosterRow.person_id == person_id,
            RosterRow.source == source, RosterRow.key == person_id,
            col(RosterRow.removed_at).is_(None),
        )
    ).all()  # fmt: skip
    for line in lines:
        session.delete(line)
    session.flush()
