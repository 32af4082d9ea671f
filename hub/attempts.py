"""What happens to a granted attempt, each step one transaction that is safe to repeat.

A share is free only when the engine has seen the attempt gone (`finish`): until then it is held,
whatever anybody wishes.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlmodel import Session, col, select, update

from catalog.units import format_credits, format_duration
from hub import faults, held_credits, held_shares, history, leaving, quarantine
from hub.control_context import Control
from hub.endings import (
    FAULTS,
    Again,
    Away,
    Ended,
    ending_of,
    paid_until,
    starts_anew,
    time_left,
    used_until,
)
from hub.lifecycle import EndReason, Status, Target
from hub.moves import end, move
from hub.store import money
from hub.store.tables import AttemptRow, WorkloadRow
from spawners.engine import EndCause, Exit

SEEN_EVERY = timedelta(minutes=1)
RESCUE_CPU_MILLI, RESCUE_BYTES = 500, 512 * 2**20


class Step:
    """How far an attempt has come, for recovery after a crash."""

    GRANTED = "granted"
    ASKED = "asked"
    """The Hub was asked to start it."""
    LAUNCHED = "launched"
    READY = "ready"


def mark_step(control: Control, attempt_ids: Collection[str], step: str) -> set[str]:
    """Remember before proceeding, of all of them in one transaction. Returns those that have not
    ended meanwhile."""
    with control.store.write() as session:
        live = session.exec(
            select(AttemptRow).where(
                col(AttemptRow.id).in_(attempt_ids), col(AttemptRow.released_at).is_(None)
            )
        ).all()
        for attempt in live:
            if attempt.step != Step.READY:
                attempt.step = step
            if step == Step.LAUNCHED and attempt.launched_at is None:
                attempt.launched_at = control.clock.now()
        session.add_all(live)
        return {attempt.id for attempt in live}


def mark_ready(control: Control, attempt_id: str, notes: Sequence[str] = ()) -> None:
    """It can be used: from now it is paid for. `notes` say what its engine does not enforce."""
    now = control.clock.now()
    with control.store.write() as session:
        attempt = session.get_one(AttemptRow, attempt_id)
        row = session.get_one(WorkloadRow, attempt.workload_id)
        if attempt.released_at is not None or row.status != Status.STARTING:
            return
        attempt.step, attempt.ready_at = Step.READY, now
        attempt.notes = list(dict.fromkeys([*attempt.notes, *notes]))
        move(row, Status.RUNNING)
        row.started_at = now
        quarantine.start_came_up(session, attempt)
        history.tell_event(
            session, row, now, "the rescue page is open" if attempt.rescue else "running"
        )
        session.add_all([attempt, row])
    history.hint(control.bus, row)


def begin_stopping(
    control: Control, row_id: str, reason: EndReason, text: str, *, session: Session | None = None
) -> None:
    """Set the target; what has no place yet ends at once, the rest when its engine saw it gone."""
    if session is None:
        with control.store.write() as own:
            begin_stopping(control, row_id, reason, text, session=own)
            row = own.get_one(WorkloadRow, row_id)
        history.hint(control.bus, row)
        control.wake()
        return
    now = control.clock.now()
    row = session.get_one(WorkloadRow, row_id)
    if not Status(row.status).live or row.target == Target.STOPPED:
        return
    row.target = Target.STOPPED
    row.reason_code, row.reason = reason, text
    if row.status == Status.QUEUED:
        end(session, row, Status.STOPPED, reason, text, now)
    elif row.status == Status.OFFERED:
        attempt = session.get_one(AttemptRow, row.attempt_id)
        release(session, row, attempt, now, used=0)
        end(session, row, Status.STOPPED, reason, text, now)
    else:
        if row.status != Status.STOPPING:
            move(row, Status.STOPPING)
        history.tell_event(session, row, now, text)
    session.add(row)


def send_away(control: Control, attempt_id: str, fault: Away | None = None) -> None:
    """Its time to go has come, or now because of `fault`: it is stopped, and waits again as soon as
    its engine has seen it gone."""
    now = control.clock.now()
    with control.store.write() as session:
        attempt = session.get_one(AttemptRow, attempt_id)
        row = session.get_one(WorkloadRow, attempt.workload_id)
        if leaving.leaves(row, attempt):
            return
        if fault is not None:
            attempt.go_at, attempt.go_reason, attempt.go_text = fault.at, fault.reason, fault.text
        elif attempt.go_at is None or attempt.go_at > now:
            return  # it may stay since it was looked at
        again = Again(EndReason(attempt.go_reason), attempt.go_text)
        if row.status == Status.OFFERED:
            left = timedelta(seconds=row.duration_s)
            release(session, row, attempt, now, used=0)
            _put_back(session, row, again, left, now)
        else:
            move(row, Status.STOPPING)
            row.reason_code, row.reason = again.reason, again.text
            history.tell_event(session, row, now, again.text)
        session.add_all([row, attempt])
    history.hint(control.bus, row)
    control.wake()


def turn_to_rescue(control: Control, attempt_id: str, note: str) -> None:
    """A full home: the attempt becomes a small free rescue page; its shares go back at once,
    because nothing that could use them is started."""
    now = control.clock.now()
    with control.store.write() as session:
        attempt = session.get_one(AttemptRow, attempt_id)
        if attempt.rescue:
            return
        row = session.get_one(WorkloadRow, attempt.workload_id)
        held_shares.free(session, attempt, now)
        held_credits.close(session, row, attempt, 0, now)
        attempt.rescue, attempt.price_per_hour, attempt.gpu_milli = True, 0, 0
        attempt.cpu_milli, attempt.memory_bytes = RESCUE_CPU_MILLI, RESCUE_BYTES
        attempt.notes = [*attempt.notes, note]
        history.tell_event(session, row, now, note)
        session.add(attempt)


def finish(
    control: Control, attempt_id: str, exit_: Exit, *, unless_launching: bool = False
) -> None:
    """The engine saw it gone: shares are free, the hold is settled or refunded, the reason told.

    `unless_launching` leaves alone what the engine has not seen because it is just being launched.
    """
    with control.store.write() as session:
        attempt = session.get_one(AttemptRow, attempt_id)
        if attempt.released_at is not None:
            return
        if unless_launching and attempt.workload_id in control.launching:
            return
        row = session.get_one(WorkloadRow, attempt.workload_id)
        exit_ = faults.as_seen_below(control, session, attempt, _as_seen(attempt, exit_))
        _close(session, row, attempt, exit_, control.clock.now())
    history.hint(control.bus, row)
    control.bus.tell(history.Hint("me", row.person_id))
    control.wake()


def _close(
    session: Session, row: WorkloadRow, attempt: AttemptRow, exit_: Exit, now: datetime
) -> None:
    attempt.end_cause, attempt.exit_code = exit_.cause, exit_.exit_code
    row.memory_peak = max(row.memory_peak, exit_.memory_peak_bytes)
    ending = ending_of(row, attempt, exit_, faults.before(session, attempt))
    if ending.reason in FAULTS and exit_.cause is not EndCause.LOST:
        attempt.go_reason = ending.reason
    used = held_credits.used_cost(attempt, used_until(attempt, exit_))
    lost = used - held_credits.used_cost(attempt, paid_until(row, attempt, exit_))
    left = time_left(row, attempt, exit_)
    release(session, row, attempt, now, used=used, ended_at=exit_.ended_at)
    if lost > 0:
        cause = money.Cause(
            held_credits.posting_key(attempt, "lost"), "system", now, "lost by a fault, not by you", row.id,
            attempt.id,
        )  # fmt: skip
        money.refund_lost(session, attempt, lost, cause)
    match ending:
        case Again():
            _put_back(session, row, ending, left, now)
        case Ended():
            if ending.reason is EndReason.START_FAILED and attempt.launched_at is not None:
                quarantine.start_failed(session, attempt, now)
            _tell_end(session, row, ending, exit_.ended_at, now)
    session.add_all([row, attempt])


def _tell_end(
    session: Session, row: WorkloadRow, ended: Ended, at: datetime, now: datetime
) -> None:
    end(session, row, ended.status, ended.reason, ended.text, at, next=ended.next)
    if ended.reason not in {EndReason.ASKED, EndReason.CANCELLED}:
        paid = f" It cost {format_credits(row.cost)} credits." if row.cost else ""
        text = f"{row.name}: {ended.text}.{paid}"
        history.tell_notice(session, row, now, "ended", text, mail=ended.status == Status.FAILED)


def _put_back(
    session: Session, row: WorkloadRow, again: Again, left: timedelta, now: datetime
) -> None:
    """It lost its place through no fault of its own: it waits again, before what is new of its class."""
    # Whoever took their turn is not asked again: they may be away when the next one comes.
    row.notify = row.notify and row.status == Status.OFFERED
    move(row, Status.QUEUED)
    row.again, row.duration_s = True, int(left.total_seconds())
    row.reason_code, row.reason, row.next = again.reason, again.text, ""
    row.started_at, row.offered_until = None, None
    history.tell_event(session, row, now, f"waits again: {again.text}")
    history.tell_notice(
        session, row, now, "again",
        f"{row.name} waits again: {again.text}. It comes before what is new of its class, for"
        f" {format_duration(left)}; {starts_anew(row.kind)}.", mail=True,
    )  # fmt: skip
    session.add(row)
    session.flush()


def release(
    session: Session, row: WorkloadRow, attempt: AttemptRow, now: datetime, *, used: int,
    ended_at: datetime | None = None,
) -> None:  # fmt: skip
    """Free the shares and end the hold: `used` micro-credits are paid, the rest goes back."""
    held_shares.free(session, attempt, now)
    paid = min(used, attempt.held)
    held_credits.close(session, row, attempt, used, now)
    row.cost += paid
    attempt.ended_at, attempt.released_at = ended_at or now, now
    session.add(attempt)


def note_seen(control: Control, attempt_ids: Collection[str]) -> None:
    """These ran just now: what is lost later is charged until it was last seen, and not longer."""
    with control.store.write() as session:
        session.exec(
            update(AttemptRow)
            .where(col(AttemptRow.id).in_(attempt_ids), col(AttemptRow.released_at).is_(None))
            .values(seen_at=control.clock.now())
        )


def _as_seen(attempt: AttemptRow, exit_: Exit) -> Exit:
    """An end that nobody saw (a power cut, a restored backup) came soon after the last sight."""
    if exit_.cause is not EndCause.LOST or attempt.ready_at is None:
        return exit_
    last = max(attempt.seen_at or attempt.ready_at, attempt.ready_at) + SEEN_EVERY
    return replace(exit_, ended_at=min(exit_.ended_at, last))
