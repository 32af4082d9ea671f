"""What the staff of a course should know."""

from sqlmodel import Session, col, select

from hub.control_context import Control
from hub.store.ids import new_id
from hub.store.tables import MembershipRow, NoticeRow, TenantRow


def tell_staff(control: Control, session: Session, course_id: str, kind: str, text: str) -> None:
    """A notice to each instructor of the course, which it names; one of the same kind that nobody has
    read yet is brought up to date instead."""
    text = worded(session, course_id, text)
    staff = session.exec(
        select(MembershipRow.person_id).where(
            MembershipRow.tenant_id == course_id,
            col(MembershipRow.role).in_(["instructor", "admin"]),
        )
    ).all()
    now = control.clock.now()
    for person_id in staff:
        row = session.exec(
            select(NoticeRow).where(
                NoticeRow.person_id == person_id, NoticeRow.tenant_id == course_id,
                NoticeRow.kind == kind, col(NoticeRow.read_at).is_(None),
            )
        ).first()  # fmt: skip
        row = row or NoticeRow(
            id=new_id("n"), person_id=person_id, tenant_id=course_id, kind=kind, text=text, at=now,
            mail_due=True,
        )  # fmt: skip
        row.text, row.at = text, now
        session.add(row)
    session.flush()


def worded(session: Session, course_id: str, text: str) -> str:
    """As the notice says it: who teaches several courses must see which one is meant."""
    name = session.get_one(TenantRow, course_id).name
    return text if name in text else f"{name}: {text}"
