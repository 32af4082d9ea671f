"""Credits of the people of a course: from the course's wallet to each, once, and what is left back.

What somebody was given by this way and gave back is in the ledger, under keys that begin with
``enrol:`` and ``leave:``. What is still owed is the course's amount less that, so that coming back
gives what was taken back, a higher amount gives the difference, and repeating gives nothing.
"""

from collections.abc import Iterable

from sqlalchemy import func
from sqlmodel import Session, col, select

from catalog.units import format_credits
from hub.control_context import Control
from hub.courses.notices import tell_staff
from hub.store import money
from hub.store.course_tables import CourseRow
from hub.store.tables import AccountRow, AttemptRow, EntryRow, MembershipRow, PostingRow
from quotas import ledger
from quotas.ledger import AccountKind, Owner

SHORT = "course-credits"
"""The kind of notice that says that a course has too few credits for its people."""


def owed(session: Session, course: CourseRow, person_ids: Iterable[str] = ()) -> dict[str, int]:
    """What each of its students is still to be given, in micro-credits, by id; those who are owed
    nothing are left out. Without `person_ids`: of all who are in it now."""
    person_ids = list(person_ids)
    wanted = person_ids or session.exec(
        select(MembershipRow.person_id)
        .where(MembershipRow.tenant_id == course.tenant_id, MembershipRow.role == "member")
        .order_by(MembershipRow.person_id)
    ).all()  # fmt: skip
    if not wanted or not course.student_credits:
        return {}
    given = _given(session, course.tenant_id, person_ids)
    due = {person: course.student_credits - given.get(person, 0) for person in wanted}
    return {person: amount for person, amount in due.items() if amount > 0}


def pay(
    control: Control, session: Session, course: CourseRow, actor: str,
    person_ids: Iterable[str] = (),
) -> list[str]:  # fmt: skip
    """Give what is owed. Who could not be given theirs, because the course has too few left; its
    staff is told then. Safe to repeat."""
    now, unpaid = control.clock.now(), list[str]()
    purse = Owner(course.tenant_id)
    left = money.balance(session, purse, AccountKind.WALLET)
    for person, amount in owed(session, course, person_ids).items():
        if amount > left:
            unpaid.append(person)
            continue
        student = Owner(course.tenant_id, person)
        money.post(
            session, student, ledger.transfer(amount, purse, student),
            money.Cause(_key(session, "enrol", student), actor, now, "for the course"),
        )  # fmt: skip
        left -= amount
    if unpaid:
        tell_staff(
            control, session, course.tenant_id, SHORT,
            f"the course has {format_credits(left)} credits left, which is too little for"
            f" {len(unpaid)} of its people: move credits to it, and they get theirs",
        )  # fmt: skip
    return unpaid


def take_back(
    control: Control, session: Session, course_id: str, person_id: str, actor: str
) -> int:
    """What is left of somebody's credits goes back to the course; what running work may cost stays
    until it has ended. How much came back, in micro-credits. Safe to repeat."""
    student = Owner(course_id, person_id)
    left = money.balance(session, student, AccountKind.WALLET)
    if left <= 0:
        return 0
    money.post(
        session, student, ledger.transfer(left, student, Owner(course_id)),
        money.Cause(_key(session, "leave", student), actor, control.clock.now(), "left the course"),
    )  # fmt: skip
    return left


def left_behind(session: Session, course_id: str) -> list[str]:
    """People without a role in the course whose wallet there has credits, and who run nothing."""
    members = select(MembershipRow.person_id).where(MembershipRow.tenant_id == course_id)
    busy = select(AttemptRow.person_id).where(
        AttemptRow.payer == course_id, col(AttemptRow.released_at).is_(None)
    )
    query = select(AccountRow.person_id).where(
        AccountRow.tenant_id == course_id, AccountRow.kind == AccountKind.WALLET.value,
        AccountRow.person_id != "", AccountRow.balance > 0,
        col(AccountRow.person_id).not_in(members), col(AccountRow.person_id).not_in(busy),
    )  # fmt: skip
    return list(session.exec(query).all())


def with_credits(session: Session, course_id: str) -> list[str]:
    """Everybody whose wallet in the course is not empty."""
    query = select(AccountRow.person_id).where(
        AccountRow.tenant_id == course_id, AccountRow.kind == AccountKind.WALLET.value,
        AccountRow.person_id != "", AccountRow.balance > 0,
    )  # fmt: skip
    return list(session.exec(query.order_by(AccountRow.person_id)).all())


def _given(session: Session, course_id: str, person_ids: list[str]) -> dict[str, int]:
    """By person: what came to them by enrolment, less what went back. Nobody named: of all."""
    query = (
        select(AccountRow.person_id, func.sum(EntryRow.amount))
        .join(EntryRow, col(EntryRow.account_id) == AccountRow.id)
        .join(PostingRow, col(PostingRow.id) == EntryRow.posting_id)
        .where(
            AccountRow.tenant_id == course_id,
            AccountRow.person_id != "",
            AccountRow.kind == AccountKind.WALLET.value,
            col(PostingRow.key).startswith(f"enrol:{course_id}:", autoescape=True)
            | col(PostingRow.key).startswith(f"leave:{course_id}:", autoescape=True),
        )
        .group_by(AccountRow.person_id)
    )
    if person_ids:
        query = query.where(col(AccountRow.person_id).in_(person_ids))
    rows = session.exec(query).all()
    return {person: int(amount or 0) for person, amount in rows}


def _key(session: Session, act: str, student: Owner) -> str:
    begins = f"{act}:{student.tenant_id}:{student.person_id}:"
    before = session.exec(
        select(func.count())
        .select_from(PostingRow)
        .where(
            PostingRow.person_id == student.person_id,
            col(PostingRow.key).startswith(begins, autoescape=True),
        )
    ).one()
    return f"{begins}{before + 1}"
