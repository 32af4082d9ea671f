"""What is told about a workload: its events, and notices to its owner."""

from datetime import datetime

from sqlmodel import Session, select

from hub.bus import Bus, Hint
from hub.policy import PLATFORM_ADMIN_ROLE, ROOT_TENANT
from hub.store.ids import new_id
from hub.store.tables import EventRow, MembershipRow, NoticeRow, WorkloadRow


def tell_event(session: Session, workload: WorkloadRow, at: datetime, text: str) -> None:
    """A line of the workload's history."""
    session.add(EventRow(workload_id=workload.id, at=at, status=workload.status, text=text))


def tell_notice(
    session: Session, workload: WorkloadRow, at: datetime, kind: str, text: str, *,
    mail: bool = False,
) -> None:  # fmt: skip
    """Something the owner should know; with `mail`, by e-mail too where that is configured."""
    session.add(
        NoticeRow(
            id=new_id("n"), person_id=workload.person_id, tenant_id=workload.tenant_id, kind=kind,
            workload_id=workload.id, text=text, at=at, mail_due=mail,
        )
    )  # fmt: skip


def tell_operators(session: Session, at: datetime, kind: str, text: str) -> None:
    """Something that each platform administrator should know, by e-mail too."""
    administrators = session.exec(
        select(MembershipRow.person_id).where(
            MembershipRow.tenant_id == ROOT_TENANT, MembershipRow.role == PLATFORM_ADMIN_ROLE
        )
    )
    for person_id in administrators:
        session.add(
            NoticeRow(
                id=new_id("n"), person_id=person_id, tenant_id=ROOT_TENANT, kind=kind, text=text,
                at=at, mail_due=True,
            )
        )  # fmt: skip


def hint(bus: Bus, workload: WorkloadRow) -> None:
    """Tell open pages, after the transaction: this workload changed, and with it what is free and
    perhaps what its owner should read."""
    bus.tell(Hint("workloads", workload.person_id, workload.id))
    bus.tell(Hint("notices", workload.person_id))
    bus.tell(Hint("offers"))
