"""Time passing: turns that were missed, leases that end, who must go, and warnings 15 and 5
minutes before."""

from datetime import datetime, timedelta

from sqlmodel import Session, col, or_, select

from catalog.units import format_duration
from hub import attempts, history
from hub.alone import alone
from hub.bus import Hint
from hub.control_context import Control
from hub.endings import starts_anew
from hub.leaving import WARN_BEFORE
from hub.lifecycle import EndReason, Status, Target
from hub.open_attempts import OpenAttempt
from hub.store.tables import AttemptRow, WorkloadRow

LATE = timedelta(seconds=5)
"""The shim ends an attempt at its deadline by itself; control asks too when that did not show."""


def deadline(attempt: AttemptRow | OpenAttempt) -> datetime:
    """When the engine ends it if nobody else does: its lease, or earlier if it was told to go."""
    if attempt.go_at is None:
        return attempt.lease_ends_at
    return min(attempt.lease_ends_at, attempt.go_at)


def keep(control: Control) -> None:
    """One look at the clock; safe to repeat at any time."""
    now = control.clock.now()
    with control.store.read() as session:
        missed = session.exec(
            select(WorkloadRow.id).where(
                WorkloadRow.status == Status.OFFERED, col(WorkloadRow.offered_until) <= now
            )
        ).all()
        ended = session.exec(_leased().where(col(AttemptRow.lease_ends_at) <= now - LATE)).all()
        going = session.exec(
            select(AttemptRow.id).where(
                col(AttemptRow.released_at).is_(None), col(AttemptRow.go_at) <= now - LATE
            )
        ).all()
        ending = session.exec(
            _leased().where(
                or_(
                    col(AttemptRow.lease_ends_at).between(now, now + WARN_BEFORE[0]),
                    col(AttemptRow.go_at).between(now, now + WARN_BEFORE[0]),
                ),
                AttemptRow.warned < len(WARN_BEFORE),
                WorkloadRow.status == Status.RUNNING,
            )
        ).all()
    for workload_id in missed:
        with alone(f"the missed turn of {workload_id}"):
            _give_turn_on(control, workload_id, now)
    for attempt, row in ended:
        with alone(f"the end of the lease of {attempt.id}"):
            _end_lease(control, attempt.id, row.id, now)
    for attempt_id in going:
        with alone(f"sending {attempt_id} away"):
            attempts.send_away(control, attempt_id)
    for attempt, row in ending:
        with alone(f"warning {attempt.id}"):
            _warn(control, attempt, row, now)


def _give_turn_on(control: Control, workload_id: str, now: datetime) -> None:
    with control.store.write() as session:
        row = session.get_one(WorkloadRow, workload_id)
        if row.status != Status.OFFERED or row.offered_until is None or row.offered_until > now:
            return  # accepted since it was looked at
        said = "your turn was held for ten minutes and has gone to the next"
        attempts.begin_stopping(control, row.id, EndReason.TURN_MISSED, said, session=session)
        history.tell_notice(session, row, now, "ended", f"{row.name}: {said}.", mail=True)
    control.wake()


def _end_lease(control: Control, attempt_id: str, workload_id: str, now: datetime) -> None:
    with control.store.write() as session:
        if session.get_one(AttemptRow, attempt_id).lease_ends_at > now - LATE:
            return  # extended since it was looked at
        attempts.begin_stopping(
            control, workload_id, EndReason.LEASE_ENDED, "its time was up", session=session
        )
    control.wake()


def _leased():  # noqa: ANN202 (SQLModel's Select)
    return (
        select(AttemptRow, WorkloadRow)
        .where(AttemptRow.workload_id == WorkloadRow.id)
        .where(col(AttemptRow.released_at).is_(None))
        .where(WorkloadRow.target == Target.RUNNING, WorkloadRow.status != Status.OFFERED)
    )


def _warn(control: Control, attempt: AttemptRow, row: WorkloadRow, now: datetime) -> None:
    left = deadline(attempt) - now
    # A lease that was short from the beginning is not announced as if it were news.
    whole = attempt.lease_ends_at - attempt.created_at
    due = sum(left <= before for before in WARN_BEFORE if before < whole)
    if due <= attempt.warned or left <= timedelta():
        return
    with control.store.write() as session:
        _note(session, attempt.id, row, due, now)
    control.bus.tell(Hint("notices", row.person_id, row.id))


def _note(session: Session, attempt_id: str, row: WorkloadRow, due: int, now: datetime) -> None:
    attempt = session.get_one(AttemptRow, attempt_id)
    attempt.warned = due
    session.add(attempt)
    span = format_duration(deadline(attempt) - now)
    text = f"{row.name} ends in {span}. Extend it, or save your work."
    if deadline(attempt) == attempt.go_at:
        text = (
            f"{row.name} goes in {span}: {attempt.go_text}. Save your work. It waits again by"
            f" itself; {starts_anew(row.kind)}."
        )
    history.tell_notice(session, row, now, "ending", text, mail=True)
