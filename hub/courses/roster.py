"""The roster of a course: taken in from a list, looked through, changed line by line."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, or_, select

from catalog.errors import BadValue
from hub import memberships
from hub.control_context import Control
from hub.courses import access, enrolment, roster_csv
from hub.courses.enrolment import ROSTER
from hub.courses.providers import issuer_of, provider_of
from hub.courses.roster_csv import By, Entry, Roster, Trouble
from hub.courses.wishes import People
from hub.csv_text import csv_text
from hub.policy import Action, Actor, absent
from hub.store import audit
from hub.store.course_tables import CourseRow, RosterRow
from hub.store.ids import new_id
from hub.store.tables import MembershipRow, PersonRow, TenantRow

CSV = "csv"
STATES = ("joined", "expected", "removed")
HEAD = ("id", "name", "email", "group", "role", "state", "login", "joined")


@dataclass(slots=True)
class Taken:
    """What came of a list: people who are new, were changed, were there already, are in at once."""

    roster: Roster
    troubles: list[Trouble]
    new: int = 0
    known: int = 0
    same: int = 0
    joined: int = 0

    @property
    def rows(self) -> int:
        return len(self.roster.entries)


@dataclass(frozen=True, slots=True)
class Line:
    """Somebody on the roster as they are now: with the login and the role of who is in."""

    row: RosterRow
    login: str
    role: str

    @property
    def state(self) -> str:
        if self.row.removed_at is not None:
            return "removed"
        return "expected" if self.row.person_id is None else "joined"


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a roster, where the next one begins (empty at the end), and how many match."""

    lines: list[Line]
    next: str
    total: int


# ---- taking in ---------------------------------------------------------------------------------


def take(
    control: Control, session: Session, actor: Actor, course: CourseRow, people: People
) -> Taken:
    """Put everybody of a list on the roster, in the caller's transaction; who is on it already is
    brought up to date, and whoever was removed is back. Nobody is taken off.

    Raises BadValue with the first trouble of a list that cannot be taken; see `look_at` for all.
    """
    taken = look_at(control, session, course, people)
    if fatal := taken.roster.fatal:
        raise _refused(fatal)
    issuer, groups = issuer_of(control, people.provider), _groups(session, course.tenant_id)
    rows = _known(session, course.tenant_id, issuer)
    for entry in taken.roster.entries:
        row, group = rows.get(entry.key), groups.get(entry.group.casefold(), "")
        if row is None:
            row = RosterRow(
                id=new_id("e"), tenant_id=course.tenant_id, source=CSV, issuer=issuer,
                key=entry.key, created_at=control.clock.now(),
            )  # fmt: skip
        elif _same(row, entry, group):
            continue
        row.name, row.email = entry.name or row.name, entry.email or row.email
        row.role, row.group_id, row.removed_at = entry.role, group or row.group_id, None
        row.removed_by = ""
        session.add(row)
        if row.person_id is not None:
            session.flush()
            _seat(control, session, actor, row)
    session.flush()
    audit.record(
        session, control.clock.now(), actor.person_id, "import-roster", course.tenant_id,
        course.tenant_id, {"rows": taken.rows, "new": taken.new, "changed": taken.known},
    )  # fmt: skip
    return taken


def look_at(control: Control, session: Session, course: CourseRow, people: People) -> Taken:
    """What `take` would do. Nothing is changed."""
    issuer = issuer_of(control, people.provider)
    roster = roster_csv.parse(people.raw, _by(control, people.provider))
    groups, rows = _groups(session, course.tenant_id), _known(session, course.tenant_id, issuer)
    taken = Taken(roster, list(roster.troubles))
    for entry in roster.entries:
        if entry.group and entry.group.casefold() not in groups:
            taken.troubles.append(
                Trouble(
                    entry.line, "group",
                    f"there is no group {entry.group[:40]!r} in the course: taken without one",
                    fatal=False,
                )
            )  # fmt: skip
        row = rows.get(entry.key)
        taken.joined += row is not None and row.person_id is not None
        if row is None:
            taken.new += 1
        elif _same(row, entry, groups.get(entry.group.casefold(), "")):
            taken.same += 1
        else:
            taken.known += 1
    taken.troubles.sort(key=lambda trouble: (not trouble.fatal, trouble.line))
    return taken


def _by(control: Control, provider: str) -> By:
    if not provider:
        return "any"
    return "email" if provider_of(control, provider).roster_claim == "email" else "id"


def _groups(session: Session, course_id: str) -> dict[str, str]:
    """Ids of the course's groups by how people call them."""
    rows = session.exec(
        select(TenantRow.id, TenantRow.name).where(TenantRow.parent_id == course_id)
    ).all()
    found = {name.casefold(): id_ for id_, name in rows}
    return found | {id_: id_ for id_, _ in rows}


def _known(session: Session, course_id: str, issuer: str) -> dict[str, RosterRow]:
    rows = session.exec(
        select(RosterRow).where(
            RosterRow.tenant_id == course_id, RosterRow.source == CSV, RosterRow.issuer == issuer
        )
    ).all()
    return {row.key: row for row in rows}


def _same(row: RosterRow, entry: Entry, group: str) -> bool:
    return row.removed_at is None and (
        (entry.name or row.name, entry.email or row.email, entry.role, group or row.group_id)
        == (row.name, row.email, row.role, row.group_id)
    )


def _refused(fatal: tuple[Trouble, ...]) -> BadValue:
    first, more = fatal[0], len(fatal) - 1
    place = f"line {first.line}: " if first.line else ""
    column = f"{first.column}: " if first.column else ""
    said = f"roster: {place}{column}{first.text}"
    if more:
        said += f" (and {more} more problem{'s' if more > 1 else ''})"
    return BadValue(said, next="correct the list and send it again; nothing of it was taken")


# ---- looking -----------------------------------------------------------------------------------


def page(
    control: Control, actor: Actor, course_id: str, *, search: str = "", group: str = "",
    state: str = "", cursor: str = "", limit: int = 50,
) -> Page:  # fmt: skip
    """By name; those who match `search` in name, e-mail, id or login."""
    with control.store.read() as session:
        access.find(session, actor, course_id, Action.READ_ROSTER)
        query = _lines().where(RosterRow.tenant_id == course_id)
        for condition in _conditions(search, group, state):
            query = query.where(condition)
        total = session.exec(select(func.count()).select_from(query.subquery())).one()
        name = func.lower(RosterRow.name)
        if cursor:
            last = session.get(RosterRow, cursor)
            if last is None or last.tenant_id != course_id:
                raise BadValue(
                    "cursor: there is no such place in the list", next="start without a cursor"
                )
            after = select(func.lower(RosterRow.name)).where(RosterRow.id == last.id)
            here = after.scalar_subquery()
            query = query.where((name > here) | ((name == here) & (col(RosterRow.id) > last.id)))
        rows = session.exec(query.order_by(name, col(RosterRow.id)).limit(limit + 1)).all()
    lines = [_line(*row) for row in rows[:limit]]
    return Page(lines, lines[-1].row.id if len(rows) > limit else "", total)


def file(control: Control, actor: Actor, course_id: str) -> str:
    """Everybody as CSV that can be taken in again; no cell of it is a formula."""
    with control.store.read() as session:
        access.find(session, actor, course_id, Action.READ_ROSTER)
        names = dict(
            session.exec(
                select(TenantRow.id, TenantRow.name).where(TenantRow.parent_id == course_id)
            ).all()
        )
        rows = session.exec(
            _lines()
            .where(RosterRow.tenant_id == course_id)
            .order_by(func.lower(RosterRow.name), col(RosterRow.id))
        ).all()
    return csv_text(HEAD, (_cells(_line(*row), names) for row in rows))


def _cells(line: Line, groups: dict[str, str]) -> Iterator[str]:
    row, joined = line.row, line.row.joined_at
    yield row.key
    yield row.name
    yield row.email
    yield groups.get(row.group_id, row.group_id)
    yield {"member": "student"}.get(line.role, line.role)
    yield line.state
    yield line.login
    yield joined.isoformat(timespec="seconds") if joined else ""


def _lines() -> Any:
    return (
        select(RosterRow, func.coalesce(PersonRow.login, ""), func.coalesce(MembershipRow.role, ""))
        .join(PersonRow, col(PersonRow.id) == RosterRow.person_id, isouter=True)
        .join(
            MembershipRow,
            (col(MembershipRow.person_id) == RosterRow.person_id)
            & (col(MembershipRow.tenant_id) == RosterRow.tenant_id),
            isouter=True,
        )
    )


def _conditions(search: str, group: str, state: str) -> Iterator[Any]:
    if state == "removed":
        yield col(RosterRow.removed_at).is_not(None)
    elif state:
        yield col(RosterRow.removed_at).is_(None)
        person = col(RosterRow.person_id)
        yield person.is_(None) if state == "expected" else person.is_not(None)
    if group:
        yield RosterRow.group_id == group
    if wanted := search.strip().lower():
        columns = (RosterRow.name, RosterRow.email, RosterRow.key, PersonRow.login)
        yield or_(*(func.lower(column).contains(wanted, autoescape=True) for column in columns))


def _line(row: RosterRow, login: str, role: str) -> Line:
    return Line(row, login, role or row.role)


# ---- changing one line -------------------------------------------------------------------------


def change(
    control: Control, actor: Actor, course_id: str, entry_id: str, *, group: str | None,
    role: str | None,
) -> Line:  # fmt: skip
    """Another group or role for somebody. Whom the staff removed is let in again with a role. Raises
    BadValue for a group that is not the course's."""
    with control.store.write() as session:
        access.find(session, actor, course_id, Action.MANAGE_COURSE)
        row = _entry(session, course_id, entry_id)
        if row.removed_at is not None and role is None:
            raise BadValue(
                "this person was removed from the course",
                next="name a role to let them in again",
            )
        row.removed_at, row.removed_by = None, ""
        if group is not None:
            if group and group not in enrolment.groups_of(session, course_id):
                raise BadValue(
                    f"group: there is no group {group[:40]!r} in the course",
                    next="see the course's groups",
                )
            row.group_id = group
        row.role = role if role is not None else row.role
        session.add(row)
        session.flush()
        if row.person_id is not None:
            _seat(control, session, actor, row, changed_role=role is not None)
        audit.record(
            session, control.clock.now(), actor.person_id, "change-roster", row.id, course_id,
            {"group": row.group_id, "role": row.role},
        )  # fmt: skip
        return _line(*session.exec(_lines().where(RosterRow.id == row.id)).one())


def remove(control: Control, actor: Actor, course_id: str, entry_id: str) -> Line:
    """Somebody is in the course no more: roles and credits go, running work ends soon. They do not
    come back by a rule or a link; putting them on the roster lets them in again. Repeatable."""
    with control.store.write() as session:
        access.find(session, actor, course_id, Action.MANAGE_COURSE)
        row = _entry(session, course_id, entry_id)
        if row.removed_at is None:
            _strike(control, session, actor, row)
        return _line(*session.exec(_lines().where(RosterRow.id == row.id)).one())


def _strike(control: Control, session: Session, actor: Actor, row: RosterRow) -> None:
    now = control.clock.now()
    rows = [row]
    if row.person_id is not None:
        rows = list(
            session.exec(
                select(RosterRow).where(
                    RosterRow.tenant_id == row.tenant_id, RosterRow.person_id == row.person_id
                )
            ).all()
        )
    for one in rows:
        one.removed_at, one.removed_by = now, actor.person_id
        session.add(one)
    session.flush()
    if row.person_id is not None:
        person = session.get_one(PersonRow, row.person_id)
        enrolment.leave_all(control, session, row.tenant_id, person, actor=actor.person_id)
    audit.record(
        session, now, actor.person_id, "remove-from-roster", row.id, row.tenant_id,
        {"person": row.person_id or ""},
    )  # fmt: skip


def _seat(
    control: Control, session: Session, actor: Actor, row: RosterRow, *, changed_role: bool = True
) -> None:
    """Who is in already gets what their line says, for each reason for which they are in."""
    person = session.get_one(PersonRow, row.person_id)
    for grant in enrolment.reasons(session, row.tenant_id, person.id):
        enrolment.enrol(
            control, session, row.tenant_id, person, role=grant.role, source=grant.source,
            group_id=row.group_id, actor=actor.person_id,
        )  # fmt: skip
    in_already = memberships.role_in(session, person.id, row.tenant_id)
    if not in_already or (changed_role and in_already != row.role):
        enrolment.enrol(
            control, session, row.tenant_id, person, role=row.role, source=ROSTER,
            group_id=row.group_id, actor=actor.person_id,
        )  # fmt: skip


def _entry(session: Session, course_id: str, entry_id: str) -> RosterRow:
    row = session.get(RosterRow, entry_id)
    if row is None or row.tenant_id != course_id:
        raise absent(f"entry {entry_id[:40]!r} on this roster")
    return row
