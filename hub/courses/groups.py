"""Groups of a course: parts of it with limits of their own, like a quiz without GPUs."""

import re
import unicodedata
from dataclasses import dataclass

from sqlalchemy import func
from sqlmodel import Session, col, select

from catalog.errors import BadValue, Conflict
from hub import guarantees, memberships
from hub.control_context import Control
from hub.courses import access, enrolment, limits
from hub.courses.findings import Findings
from hub.courses.wishes import Group
from hub.people import EACH_PERSON
from hub.policy import Action, Actor, absent
from hub.store import audit
from hub.store.access_tables import LtiContextRow, RoleGrantRow, ServiceKeyRow
from hub.store.course_tables import CourseLinkRow, RosterRow
from hub.store.desk_tables import AnnouncementRow, QuotaChangeRow, QuotaRequestRow
from hub.store.tables import (
    LinkRow,
    MembershipRow,
    PersonRow,
    QuotaRow,
    ReservationRow,
    TenantRow,
    WorkloadRow,
)
from hub.tenants import demand_id, demand_name

KIND = "group"
_REMEMBERED = (
    ("workloads", col(WorkloadRow.tenant_id)),
    ("reservations", col(ReservationRow.tenant_id)),
    ("messages", col(AnnouncementRow.tenant_id)),
    ("requests for more", col(QuotaRequestRow.tenant_id)),
    ("invitations", col(LinkRow.tenant_id)),
    ("people who belong to it", col(PersonRow.tenant_id)),
    ("a link to a learning system", col(LtiContextRow.tenant_id)),
    ("keys of services", col(ServiceKeyRow.tenant_id)),
)
"""What may stand in a group and must keep its place."""


@dataclass(frozen=True, slots=True)
class Found:
    """A group as it is."""

    id: str
    name: str
    limits: dict[str, str]
    members: int


def of_course(session: Session, course_id: str) -> list[Found]:
    """By name."""
    rows = session.exec(
        select(TenantRow).where(TenantRow.parent_id == course_id).order_by(TenantRow.name)
    ).all()
    counts = dict(
        session.exec(
            select(MembershipRow.tenant_id, func.count())
            .where(col(MembershipRow.tenant_id).in_([row.id for row in rows]))
            .group_by(MembershipRow.tenant_id)
        ).all()
    )
    return [
        Found(row.id, row.name, limits.read(session, row.id, EACH_PERSON), counts.get(row.id, 0))
        for row in rows
    ]


def add(control: Control, actor: Actor, course_id: str, wanted: Group) -> Found:
    """A group without people. Raises Conflict for an id or a name that is taken."""
    with control.store.write() as session:
        access.find(session, actor, course_id, Action.MANAGE_COURSE)
        made = add_within(control, session, actor, course_id, wanted)
        guarantees.demand_sound(session)
        return _one(session, course_id, made)


def add_within(
    control: Control, session: Session, actor: Actor, course_id: str, wanted: Group
) -> str:
    """As `add`, as a part of a transaction; the id."""
    amounts = limits.parse("student_limits", wanted.limits, person=True)
    name, id_ = demand_name(wanted.name), wanted.id or id_for(course_id, wanted.name)
    demand_id(id_)
    _demand_free(session, course_id, name)
    if session.get(TenantRow, id_) is not None:
        raise Conflict(f"there is a tenant {id_!r} already", next="choose another id for the group")
    now = control.clock.now()
    session.add(TenantRow(id=id_, parent_id=course_id, name=name, kind=KIND, created_at=now))
    session.flush()
    limits.set_each(control, session, actor, id_, amounts, "student_limits")
    audit.record(session, now, actor.person_id, "add-group", id_, course_id, {"name": name})
    return id_


def change(control: Control, actor: Actor, course_id: str, group_id: str, wanted: Group) -> Found:
    """Another name, other limits. Its id stays."""
    with control.store.write() as session:
        access.find(session, actor, course_id, Action.MANAGE_COURSE)
        change_within(control, session, actor, course_id, group_id, wanted)
        guarantees.demand_sound(session)
        return _one(session, course_id, group_id)


def change_within(
    control: Control, session: Session, actor: Actor, course_id: str, group_id: str, wanted: Group
) -> None:  # fmt: skip
    """As `change`, as a part of a transaction."""
    row = _row(session, course_id, group_id)
    if wanted.name != row.name:
        _demand_free(session, course_id, wanted.name)
        row.name = demand_name(wanted.name)
        session.add(row)
        session.flush()
        audit.record(
            session, control.clock.now(), actor.person_id, "change-group", group_id, course_id,
            {"name": row.name},
        )  # fmt: skip
    amounts = limits.parse("student_limits", wanted.limits, person=True)
    limits.set_each(control, session, actor, group_id, amounts, "student_limits")


def remove(control: Control, actor: Actor, course_id: str, group_id: str) -> Found:
    """A group that nobody needs. Its people stay in the course. Raises Conflict while something
    was ever launched in it: what it cost must keep its name."""
    with control.store.write() as session:
        access.find(session, actor, course_id, Action.MANAGE_COURSE)
        gone = _one(session, course_id, group_id)
        remove_within(control, session, actor, course_id, group_id)
    return gone


def remove_within(
    control: Control, session: Session, actor: Actor, course_id: str, group_id: str
) -> None:
    """As `remove`, as a part of a transaction."""
    row = _row(session, course_id, group_id)
    if used := _used(session, group_id):
        raise Conflict(
            f"{row.name} has {used}, which must keep their place",
            next="rename it, or move its people to another group and leave it",
        )
    for grant in session.exec(select(RoleGrantRow).where(RoleGrantRow.tenant_id == group_id)).all():
        memberships.withdraw(session, grant.person_id, group_id, grant.source)
    for line in session.exec(select(RosterRow).where(RosterRow.group_id == group_id)).all():
        line.group_id = ""
        session.add(line)
    for link in session.exec(select(CourseLinkRow).where(CourseLinkRow.group_id == group_id)).all():
        link.withdrawn_at = link.withdrawn_at or control.clock.now()
        link.group_id = ""
        session.add(link)
    for table in (QuotaRow, QuotaChangeRow):  # what was changed when stays in the audit
        for row_of in session.exec(select(table).where(table.tenant_id == group_id)).all():
            session.delete(row_of)
    session.flush()
    session.delete(row)
    session.flush()
    audit.record(
        session, control.clock.now(), actor.person_id, "remove-group", group_id, course_id,
        {"name": row.name},
    )  # fmt: skip


def replace_all(
    control: Control, session: Session, actor: Actor, course_id: str, wanted: tuple[Group, ...],
    findings: Findings,
) -> None:  # fmt: skip
    """Make `wanted` all groups of a course: known by id, or by name where none is given."""
    there = {row.id: row.name for row in of_course(session, course_id)}
    by_name = {name.casefold(): id_ for id_, name in there.items()}
    named = [
        (one.id if one.id in there else by_name.get(one.name.casefold(), "")) for one in wanted
    ]
    for id_ in set(there) - set(named):
        with findings.at("groups"):
            remove_within(control, session, actor, course_id, id_)
    for number, (id_, one) in enumerate(zip(named, wanted, strict=True)):
        with findings.at(f"groups[{number}]"):
            if id_:
                change_within(control, session, actor, course_id, id_, one)
            else:
                add_within(control, session, actor, course_id, one)


def id_for(course_id: str, name: str) -> str:
    """``"physics"``, ``"Quiz A"`` → ``"physics-quiz-a"``."""
    bare = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    part = re.sub(r"[^a-z0-9]+", "-", bare).strip("-")
    return f"{course_id}-{part or 'group'}"[:40].rstrip("-")


def _demand_free(session: Session, course_id: str, name: str) -> None:
    for row in of_course(session, course_id):
        if row.name.casefold() == name.casefold():
            raise Conflict(f"there is a group {row.name!r} already", next="choose another name")


def _used(session: Session, group_id: str) -> str:
    """What keeps a group from going, in words; empty when nothing does."""
    for what, column in _REMEMBERED:
        if session.exec(select(column).where(column == group_id).limit(1)).first() is not None:
            return what
    return ""


def _row(session: Session, course_id: str, group_id: str) -> TenantRow:
    row = session.get(TenantRow, group_id)
    if row is None or row.parent_id != course_id:
        raise absent(f"group {group_id[:40]!r} in this course")
    return row


def _one(session: Session, course_id: str, group_id: str) -> Found:
    _row(session, course_id, group_id)
    return next(group for group in of_course(session, course_id) if group.id == group_id)


def demand_group(session: Session, course_id: str, group_id: str) -> str:
    """The id of a group of the course; empty stays empty. Raises BadValue."""
    if group_id and group_id not in enrolment.groups_of(session, course_id):
        raise BadValue(
            f"group: there is no group {group_id[:40]!r} in the course",
            next="see the course's groups",
        )
    return group_id
