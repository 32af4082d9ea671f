"""A course's list as a learning system has it: one line for each name that it uses for somebody."""

from sqlmodel import Session, col, select

from hub.control_context import Control
from hub.courses import enrolment
from hub.lti.platforms import Platform
from hub.lti.rosters import Member
from hub.store.course_tables import RosterRow
from hub.store.ids import new_id
from hub.store.tables import PersonRow


def lines_of(session: Session, platform: Platform, course_id: str) -> dict[str, RosterRow]:
    """What stands on a course's list by a platform's word, by its name for each."""
    rows = session.exec(
        select(RosterRow).where(
            RosterRow.tenant_id == course_id, RosterRow.source == platform.source,
            RosterRow.issuer == platform.identity_issuer,
        )
    ).all()  # fmt: skip
    return {row.key: row for row in rows}


def line_of(session: Session, platform: Platform, course_id: str, subject: str) -> RosterRow | None:
    """One of them."""
    return session.exec(
        select(RosterRow).where(
            RosterRow.tenant_id == course_id, RosterRow.source == platform.source,
            RosterRow.issuer == platform.identity_issuer, RosterRow.key == subject,
        )
    ).first()  # fmt: skip


def write_line(
    control: Control, session: Session, platform: Platform, course_id: str,
    line: RosterRow | None, member: Member, *, removed_by: str = "",
) -> RosterRow:  # fmt: skip
    """The line for a member, as the platform has them now; off the list still when the course's
    staff, here `removed_by`, took them off."""
    if line is None:
        line = RosterRow(
            id=new_id("e"), tenant_id=course_id, source=platform.source,
            issuer=platform.identity_issuer, key=member.subject, created_at=control.clock.now(),
        )  # fmt: skip
    line.name, line.email = member.name or line.name, member.email or line.email
    line.role, line.removed_by = member.role, removed_by
    line.removed_at = (line.removed_at or control.clock.now()) if removed_by else None
    session.add(line)
    return line


def removed_by(
    session: Session, course_id: str, line: RosterRow | None, person: PersonRow | None
) -> str:
    """Who of the course's staff took somebody off its list, by whatever line; empty for nobody."""
    if line is not None and line.removed_at is not None and line.removed_by:
        return line.removed_by
    return enrolment.removed_by(session, course_id, person.id) if person else ""


def strike(
    control: Control, session: Session, source: str, course_id: str, *, keep: frozenset[str]
) -> None:
    """All but these are no longer on a course's list by this source's word."""
    rows = session.exec(
        select(RosterRow).where(
            RosterRow.tenant_id == course_id, RosterRow.source == source,
            col(RosterRow.removed_at).is_(None),
        )
    ).all()  # fmt: skip
    for line in rows:
        if line.key not in keep:
            line.removed_at = control.clock.now()
            session.add(line)
    session.flush()
