"""Somebody has no role in a tenant any more: what they run there is warned and then ends, and what
waits there is cancelled."""

from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from catalog.errors import Conflict
from catalog.units import format_duration
from hub import attempts, history
from hub.control_context import Control
from hub.leaving import WARN_BEFORE
from hub.lifecycle import EndReason, Status, Target
from hub.store.tables import AttemptRow, MembershipRow, PersonRow, TenantRow, WorkloadRow

_LIVE = [status.value for status in Status if status.live]


def leave(control: Control, session: Session, person: PersonRow) -> list[WorkloadRow]:
    """See to all work of a person in tenants where they have no role; the workloads that changed.

    Running work may go on for the site's ``PERIJOVE_LEAVE_GRACE`` at most. Safe to repeat: nobody
    is told twice. Part of the caller's transaction.
    """
    now = control.clock.now()
    live = session.exec(
        select(WorkloadRow).where(
            WorkloadRow.person_id == person.id, col(WorkloadRow.status).in_(_LIVE),
            WorkloadRow.target == Target.RUNNING,
        )
    ).all()  # fmt: skip
    homeless = [row for row in live if not has_place(session, row)]
    return [
        row
        for row in homeless
        if see_off(
            control, session, row,
            f"you have no role in {_name(session, row.tenant_id)} any more", now,
        )
    ]  # fmt: skip


def has_place(session: Session, row: WorkloadRow) -> bool:
    """Whether the owner of a workload has a role in the tenant that it counts in."""
    return session.get(MembershipRow, (row.person_id, row.tenant_id)) is not None


def demand_place(session: Session, row: WorkloadRow) -> None:
    """Raise Conflict when the owner has left the tenant: what they run there is not prolonged."""
    if not has_place(session, row):
        raise Conflict(
            f"its owner has no role in {_name(session, row.tenant_id)} any more",
            next="save the work; it ends when its time is up",
        )


def see_off(control: Control, session: Session, row: WorkloadRow, why: str, now: datetime) -> bool:
    """What waits is cancelled, what runs may go on for the grace period at most. False when it ends
    by then anyhow: repeating it tells nobody twice. Part of the caller's transaction."""
    if row.status in {Status.QUEUED, Status.OFFERED}:
        attempts.begin_stopping(control, row.id, EndReason.CANCELLED, why, session=session)
        history.tell_notice(session, row, now, "ended", f"{row.name}: {why}.", mail=True)
        return True
    attempt = session.get_one(AttemptRow, row.attempt_id)
    grace = control.settings.leave_grace_span
    if attempt.lease_ends_at <= now + grace:
        return False
    shorter = int((attempt.lease_ends_at - (now + grace)).total_seconds())
    attempt.lease_ends_at -= timedelta(seconds=shorter)
    # What was set aside for the rest of its time comes back when it ends, as always.
    row.duration_s -= shorter
    attempt.warned = sum(grace <= before for before in WARN_BEFORE)  # by this very word
    session.add_all([row, attempt])
    history.tell_event(session, row, now, f"ends at {attempt.lease_ends_at:%H:%M} UTC: {why}")
    history.tell_notice(
        session, row, now, "ending",
        f"{row.name} ends in {format_duration(grace)}, at {attempt.lease_ends_at:%H:%M} UTC: {why}."
        " Save your work; it cannot be extended.", mail=True,
    )  # fmt: skip
    control.wake()
    return True


def _name(session: Session, tenant_id: str) -> str:
    row = session.get(TenantRow, tenant_id)
    return row.name if row else tenant_id
