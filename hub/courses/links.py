"""Links by which people join a course by themselves, and the joining."""

from datetime import timedelta

from sqlmodel import Session, col, select

from catalog.errors import BadValue, Conflict, NotFound
from catalog.units import parse_duration
from hub import memberships
from hub.control_context import Control
from hub.courses import access, enrolment, groups, terms
from hub.courses.enrolment import INVITATION
from hub.policy import ANYBODY, Action, Actor, absent, require
from hub.settings import PORTAL_PREFIX
from hub.store import audit
from hub.store.course_tables import CourseLinkRow, CourseRow
from hub.store.ids import hash_secret, new_id, new_secret
from hub.store.tables import PersonRow

MOST_PEOPLE = 5000
MOST_LINKS = 50
LONGEST = timedelta(days=366)
_AGAIN = "ask the instructor of the course for a new one"


def of_course(control: Control, actor: Actor, course_id: str) -> list[CourseLinkRow]:
    """The newest first; what they lead to is never shown again."""
    with control.store.read() as session:
        access.find(session, actor, course_id, Action.MANAGE_COURSE)
        return list(
            session.exec(
                select(CourseLinkRow)
                .where(CourseLinkRow.tenant_id == course_id)
                .order_by(col(CourseLinkRow.created_at).desc(), CourseLinkRow.id)
            ).all()
        )


def make(
    control: Control, actor: Actor, course_id: str, *, most: int, expires: str, group_id: str
) -> tuple[CourseLinkRow, str]:
    """A link, and its address, which is stored nowhere. Raises BadValue, Conflict."""
    now, span = control.clock.now(), _span(expires)
    if not 1 <= most <= MOST_PEOPLE:
        raise BadValue(
            f"most: {most} is not between 1 and {MOST_PEOPLE}", next="say how many may join"
        )
    with control.store.write() as session:
        course = access.find(session, actor, course_id, Action.MANAGE_COURSE)
        if terms.is_over(course, now):
            raise Conflict("this course is over", next="open it again first")
        live = session.exec(
            select(CourseLinkRow.id).where(
                CourseLinkRow.tenant_id == course_id, col(CourseLinkRow.withdrawn_at).is_(None),
                col(CourseLinkRow.expires_at) > now,
            )
        ).all()  # fmt: skip
        if len(live) >= MOST_LINKS:
            raise Conflict(f"the course has {len(live)} links already", next="withdraw some")
        secret = new_secret()
        row = CourseLinkRow(
            id=new_id("j"), tenant_id=course_id,
            secret_hash=hash_secret(secret, control.pepper),
            group_id=groups.demand_group(session, course_id, group_id), most=most,
            created_by=actor.person_id, created_at=now, expires_at=now + span,
        )  # fmt: skip
        session.add(row)
        audit.record(
            session, now, actor.person_id, "add-join-link", row.id, course_id,
            {"most": most, "expires_at": row.expires_at.isoformat()},
        )  # fmt: skip
    return row, f"{control.settings.url}{PORTAL_PREFIX}/join?token={secret}"


def withdraw(control: Control, actor: Actor, course_id: str, link_id: str) -> CourseLinkRow:
    """Nobody joins by it any more; who did stays. Repeat it as you like."""
    with control.store.write() as session:
        access.find(session, actor, course_id, Action.MANAGE_COURSE)
        row = session.get(CourseLinkRow, link_id)
        if row is None or row.tenant_id != course_id:
            raise absent(f"link {link_id[:40]!r} of this course")
        if row.withdrawn_at is None:
            row.withdrawn_at = control.clock.now()
            session.add(row)
            audit.record(
                session, row.withdrawn_at, actor.person_id, "withdraw-join-link", row.id, course_id
            )
        return row


def join(control: Control, actor: Actor, secret: str) -> str:
    """Join the course of a link, once however often it is followed; the course's id.

    Raises NotFound in the same words for a link that there is not, Conflict when it is full.
    """
    require(actor, Action.JOIN_COURSE, ANYBODY)
    with control.store.write() as session:
        link = _valid(control, session, secret)
        person = session.get_one(PersonRow, actor.person_id)
        if memberships.role_in(session, person.id, link.tenant_id):
            return link.tenant_id
        if link.used >= link.most:
            raise Conflict("as many people as may have joined by this link", next=_AGAIN)
        let_in = enrolment.enrol(
            control, session, link.tenant_id, person, role="member", source=INVITATION,
            group_id=link.group_id, actor=actor.person_id,
        )  # fmt: skip
        if not let_in:
            raise Conflict(
                "the staff of this course removed you from it", next="ask its instructor"
            )
        link.used += 1
        session.add(link)
    control.wake()
    return link.tenant_id


def _valid(control: Control, session: Session, secret: str) -> CourseLinkRow:
    row = session.exec(
        select(CourseLinkRow).where(
            CourseLinkRow.secret_hash == hash_secret(secret, control.pepper)
        )
    ).first()
    if row is None:
        raise NotFound("this link is not known", next=_AGAIN)
    if row.withdrawn_at is not None:
        raise NotFound("this link was withdrawn", next=_AGAIN)
    if row.expires_at <= control.clock.now():
        raise NotFound("this link has expired", next=_AGAIN)
    if terms.is_over(session.get_one(CourseRow, row.tenant_id), control.clock.now()):
        raise NotFound("the course of this link is over", next="ask for this term's course")
    return row


def _span(text: str) -> timedelta:
    try:
        span = parse_duration(text)
    except OverflowError as error:
        raise BadValue("expires: that is absurd", next="write it like 14d") from error
    if not timedelta(minutes=1) <= span <= LONGEST:
        raise BadValue(
            f"expires: {text[:20]} is not a time", next="write it like 14d, at most 366d"
        )
    return span
