"""Who belongs to a course, as its console needs it: read once for a transaction."""

from dataclasses import dataclass

from sqlmodel import Session, col, select

from catalog.errors import BadValue
from hub.control_context import Control
from hub.courses import access
from hub.policy import Action, Actor, absent
from hub.store.course_tables import CourseRow
from hub.store.tables import MembershipRow, PersonRow, TenantRow

EVERYBODY = "*"
"""In a list of people: all students of the course."""
STUDENT = "member"


@dataclass(frozen=True, slots=True)
class Place:
    """A course with its groups, by id."""

    course: CourseRow
    name: str
    groups: dict[str, str]

    @property
    def tenants(self) -> tuple[str, ...]:
        """The course and its groups: where work in it counts."""
        return (self.course.tenant_id, *self.groups)


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody with a role in the course; `group` is the id of one group of theirs, or empty."""

    person: PersonRow
    role: str
    group: str

    @property
    def student(self) -> bool:
        return self.role == STUDENT


def place_of(session: Session, actor: Actor, course_id: str, action: Action) -> Place:
    """The course, when the actor may do `action` there. Raises NotFound for whom it is not,
    Forbidden for its people whose role is not enough."""
    return place(session, access.find(session, actor, course_id, action))


def place(session: Session, row: CourseRow) -> Place:
    """A course with its name and groups."""
    groups = session.exec(
        select(TenantRow.id, TenantRow.name)
        .where(TenantRow.parent_id == row.tenant_id)
        .order_by(TenantRow.name)
    ).all()
    return Place(row, session.get_one(TenantRow, row.tenant_id).name, dict(groups))


def members(session: Session, place: Place) -> list[Member]:
    """Everybody with a role in the course itself, staff first, then by name."""
    in_groups = session.exec(
        select(MembershipRow.person_id, MembershipRow.tenant_id)
        .where(col(MembershipRow.tenant_id).in_(place.groups))
        .order_by(col(MembershipRow.tenant_id).desc())
    ).all()
    group_of = dict(in_groups)
    found = session.exec(
        select(PersonRow, MembershipRow.role)
        .join(MembershipRow, col(MembershipRow.person_id) == PersonRow.id)
        .where(MembershipRow.tenant_id == place.course.tenant_id, col(PersonRow.active))
    ).all()
    everybody = [Member(person, role, group_of.get(person.id, "")) for person, role in found]
    return sorted(everybody, key=lambda m: (m.student, m.person.display_name, m.person.login))


def chosen(session: Session, place: Place, logins: list[str]) -> list[Member]:
    """The members of these logins; ``*`` is every student. Raises NotFound for anybody else, so
    that staff of a course learn nothing of who else has an account."""
    by_login = {member.person.login: member for member in members(session, place)}
    if not logins:
        raise BadValue("people: nobody is named", next="name logins, or * for every student")
    if EVERYBODY in logins:
        return [member for member in by_login.values() if member.student]
    for login in logins:
        if login not in by_login:
            raise absent(f"person {login[:40]!r} in this course")
    return [by_login[login] for login in dict.fromkeys(logins)]


def read_place(control: Control, actor: Actor, course_id: str, action: Action) -> Place:
    """`place_of` in a transaction of its own."""
    with control.store.read() as session:
        return place_of(session, actor, course_id, action)
