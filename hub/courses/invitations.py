"""One-time links for those on a roster for whom no provider answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from hub import people
from hub.control_context import Control
from hub.courses import access, enrolment
from hub.csv_text import csv_text
from hub.memberships import MANUAL
from hub.policy import Action, Actor
from hub.store import audit
from hub.store.course_tables import CourseRow, RosterRow
from hub.store.tables import LinkRow, PersonRow
from hub.tenant_paths import TenantPaths

HEAD = ("id", "name", "email", "link", "expires")


@dataclass(frozen=True, slots=True)
class Invited:
    """Somebody, and the link that is theirs; it is stored nowhere."""

    row: RosterRow
    url: str
    expires_at: datetime


def make(control: Control, actor: Actor, course_id: str) -> list[Invited]:
    """A fresh link for each who is expected without a provider; links of theirs that were made
    before work no more. By name."""
    with control.store.write() as session:
        access.find(session, actor, course_id, Action.MANAGE_COURSE)
        rows = session.exec(
            select(RosterRow)
            .where(
                RosterRow.tenant_id == course_id, RosterRow.issuer == "",
                RosterRow.source == "csv", col(RosterRow.person_id).is_(None),
                col(RosterRow.removed_at).is_(None),
            )
            .order_by(RosterRow.name, RosterRow.id)
        ).all()  # fmt: skip
        _void(session, rows)
        made = [_one(control, session, actor, row) for row in rows]
        audit.record(
            session, control.clock.now(), actor.person_id, "invite-roster", course_id, course_id,
            {"links": len(made)},
        )  # fmt: skip
    return made


def file(invited: list[Invited]) -> str:
    """As CSV, to be sent to each."""
    return csv_text(
        HEAD,
        (
            (one.row.key, one.row.name, one.row.email, one.url, one.expires_at.isoformat())
            for one in invited
        ),
    )


def arrived(control: Control) -> Callable[[Session, PersonRow, LinkRow], None]:
    """What happens when somebody has made an account with a link: in a course they are enrolled,
    on the line of the roster for which the link was made."""

    def enrol(session: Session, person: PersonRow, link: LinkRow) -> None:
        course_id = TenantPaths(session).course_of(link.tenant_id)
        if session.get(CourseRow, course_id) is None:
            return
        line = session.exec(select(RosterRow).where(RosterRow.link_id == link.id)).first()
        group = link.tenant_id if link.tenant_id != course_id else ""
        if line is not None:
            line.person_id = person.id
            session.add(line)
            session.flush()
            group = line.group_id
        enrolment.enrol(
            control, session, course_id, person, role=line.role if line else link.role,
            source=MANUAL, group_id=group, actor=link.created_by,
        )  # fmt: skip

    return enrol


def _one(control: Control, session: Session, actor: Actor, row: RosterRow) -> Invited:
    link, url = people.invite_within(control, session, actor, row.tenant_id, row.role, row.email)
    row.link_id = link.id
    session.add(row)
    return Invited(row, url, link.expires_at)


def _void(session: Session, rows: Sequence[RosterRow]) -> None:
    """Links that were made for these lines before and not used."""
    ids = [row.link_id for row in rows if row.link_id]
    for first in range(0, len(ids), 500):
        old = session.exec(
            select(LinkRow).where(
                col(LinkRow.id).in_(ids[first : first + 500]), col(LinkRow.used_at).is_(None)
            )
        )
        for link in old.all():
            session.delete(link)
    session.flush()
