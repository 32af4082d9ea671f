"""Telling work that it must go: when, why, and that it waits again."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from sqlmodel import Session

from catalog.units import format_duration
from hub import history
from hub.endings import Away, starts_anew, why_preempted
from hub.lifecycle import EndReason, Status, Target
from hub.store.tables import AttemptRow, WorkloadRow
from quotas.admission import Recall, Slot

WARN_BEFORE = (timedelta(minutes=15), timedelta(minutes=5))
"""People are warned so long before their work ends or goes."""


def tell_to_go(
    session: Session, row: WorkloadRow, attempt: AttemptRow, away: Away, now: datetime
) -> bool:
    """Say that it must go: it is stopped at `away.at` and waits again. False when it ends by then
    anyhow, or was told an earlier time before."""
    if leaves(row, attempt) or attempt.lease_ends_at <= away.at:
        return False
    if attempt.go_at is not None and attempt.go_at <= away.at:
        return False
    attempt.go_at, attempt.go_reason, attempt.go_text = away.at, away.reason, away.text
    attempt.warned = sum(away.at - now <= before for before in WARN_BEFORE)  # by this very word
    session.add(attempt)
    when = f"{away.at:%H:%M} UTC"
    history.tell_event(session, row, now, f"goes at {when}: {away.text}")
    history.tell_notice(
        session, row, now, "going",
        f"{row.name} goes in {format_duration(away.at - now)}, at {when}: {away.text}. Save your"
        f" work. It waits again by itself; {starts_anew(row.kind)}.", mail=True,
    )  # fmt: skip
    return True


def leaves(row: WorkloadRow, attempt: AttemptRow) -> bool:
    """Whether it is on its way out already."""
    return (
        attempt.released_at is not None
        or row.target == Target.STOPPED
        or row.status == Status.STOPPING
    )


def tell_victims(session: Session, slots: Mapping[str, Slot], now: datetime) -> list[WorkloadRow]:
    """Whoever must go for a planned place; returns who was told now."""
    told: list[WorkloadRow] = []
    for workload_id, slot in slots.items():
        if slot.at is None:
            continue
        for attempt_id in slot.victims:
            attempt = session.get_one(AttemptRow, attempt_id)
            row = session.get_one(WorkloadRow, attempt.workload_id)
            why = why_preempted(session.get_one(WorkloadRow, workload_id), row)
            if tell_to_go(session, row, attempt, Away(slot.at, EndReason.PREEMPTED, why), now):
                told.append(row)
    return told


def tell_recalled(session: Session, recalls: Iterable[Recall], now: datetime) -> list[WorkloadRow]:
    """Whoever must go because its lent place is reserved; returns who was told now."""
    told: list[WorkloadRow] = []
    for recall in recalls:
        if recall.told_at > now:
            continue
        attempt = session.get_one(AttemptRow, recall.claim)
        row = session.get_one(WorkloadRow, attempt.workload_id)
        why = f"its place was lent and is reserved from {recall.hold.starts_at:%H:%M} UTC on"
        if tell_to_go(session, row, attempt, Away(recall.gone_at, EndReason.PREEMPTED, why), now):
            told.append(row)
    return told


def tell_lent(session: Session, row: WorkloadRow, slot: Slot, now: datetime) -> None:
    """What gets a lent place knows from the beginning until when."""
    if slot.until is None or row.attempt_id is None:
        return
    note = f"its place is lent: it has to go by {slot.until:%d %b %H:%M} UTC and waits again then"
    attempt = session.get_one(AttemptRow, row.attempt_id)
    attempt.notes = [*attempt.notes, note]
    history.tell_event(session, row, now, note)
    session.add(attempt)
