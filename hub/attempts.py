"""What happens to a granted attempt, each step one transaction that is safe to repeat.

A share is free only when the engine has seen the attempt gone (`finish`): until then it is held,
whatever anybody wishes.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlmodel import Session, col, select, update

from catalog.errors import Conflict, Refused
from catalog.inventory import Placement
from catalog.offers import cost_of
from catalog.units import WHOLE, format_credits, format_duration
from hub import budgets, faults, history, leaving, quarantine
from hub.alone import alone
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
from hub.lifecycle import EndReason, Status, Target, require_move
from hub.store import money
from hub.store.ids import new_id
from hub.store.tables import AttemptRow, DeviceRow, ShareRow, WorkloadRow
from hub.world import ACCEPT_WITHIN, Limits, read_world
from quotas import ledger
from quotas.admission import Planner
from quotas.ledger import Posting
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


def grant_what_fits(control: Control) -> list[WorkloadRow]:
    """Give their place to all whose turn is now, in one transaction, if it may be paid now."""
    granted: list[WorkloadRow] = []
    if control.draining:
        return []
    with control.store.write() as session:
        now = control.clock.now()  # as the writer: after every release that it is about to see
        budgets.let_back(control, session)
        limits = Limits(session)
        world = read_world(control, session, limits)
        if not world.queue and not world.holds:
            return []
        planner = Planner(world, control.placer, now, words=False)
        slots = control.promised = planner.slots
        told = leaving.tell_victims(session, slots, now)
        told += leaving.tell_recalled(session, planner.recalls.values(), now)
        for workload_id, slot in slots.items():
            if slot.at == now and slot.placement is not None:
                row = session.get_one(WorkloadRow, workload_id)
                with alone(f"the grant of {workload_id}"), session.begin_nested():
                    if _grant(control, session, row, slot.placement, now, slot.reservation):
                        leaving.tell_lent(session, row, slot, now)
                        granted.append(row)
                    else:
                        told.append(row)
    for row in [*granted, *told]:
        history.hint(control.bus, row)
    return granted


def _grant(
    control: Control, session: Session, row: WorkloadRow, placement: Placement, now: datetime,
    reservation: str,
) -> bool:  # fmt: skip
    """False when it may not be paid now: it waits on."""
    number = len(session.exec(select(AttemptRow.id).where(AttemptRow.workload_id == row.id)).all())
    span = timedelta(seconds=row.duration_s)
    attempt = AttemptRow(
        id=new_id("a"), workload_id=row.id, tenant_id=row.tenant_id, payer=row.payer,
        person_id=row.person_id, number=number + 1, node=placement.node, cpu_milli=row.cpu_milli,
        memory_bytes=row.memory_bytes, gpu_milli=placement.gpu_milli,
        price_per_hour=row.price_per_hour, held=cost_of(row.price_per_hour, span),
        created_at=now, lease_ends_at=now + span, reservation=reservation,
    )  # fmt: skip
    try:
        with session.begin_nested():
            session.add(attempt)
            session.flush()
            budgets.demand_grant(control, session, row, attempt)
            _post(session, row, attempt, ledger.hold(attempt.held), "hold", now, "set aside")
            hold_shares(session, attempt, placement, control)
    except Refused as error:
        # What was left when it was asked for has gone to another workload since.
        _set_aside(session, row, error, now)
        return False
    row.attempt_id = attempt.id
    row.again, row.reason_code, row.reason, row.next = False, "", "", ""
    if row.notify:
        move(row, Status.OFFERED)
        row.offered_until = now + ACCEPT_WITHIN
        history.tell_event(session, row, now, "it is your turn: held for ten minutes")
        history.tell_notice(
            session, row, now, "your-turn",
            f"{row.name}: it is your turn. Start it within ten minutes.", mail=True,
        )  # fmt: skip
    else:
        move(row, Status.STARTING)
        history.tell_event(session, row, now, "granted")
    session.add(row)
    session.flush()
    return True


def _set_aside(session: Session, row: WorkloadRow, error: Refused, now: datetime) -> None:
    """It keeps its place in the queue, and nothing is planned for it until it may be paid."""
    row.reason_code = budgets.held_back_by(error)
    row.reason, row.next = error.message, error.next
    row.version += 1
    session.add(row)
    session.flush()
    history.tell_event(session, row, now, f"waits: {error.message}")
    text = f"{row.name} waits until it may be paid: {error.message}. Or {error.next}."
    history.tell_notice(session, row, now, "waits", text, mail=True)


def hold_shares(
    session: Session, attempt: AttemptRow, placement: Placement, control: Control
) -> None:
    """Take the shares; the database refuses what would exceed a device."""
    models = {d.id: d for node in control.nodes for d in node.devices}
    for share in placement.shares:
        device = models[share.device_id]
        if session.get(DeviceRow, share.device_id) is None:
            session.add(DeviceRow(id=device.id, node=placement.node, model=device.model))
            session.flush()
        changed = session.exec(
            update(DeviceRow)
            .where(col(DeviceRow.id) == share.device_id)
            .where(col(DeviceRow.held_milli) + share.milli <= WHOLE)
            .values(held_milli=col(DeviceRow.held_milli) + share.milli)
        )
        if changed.rowcount != 1:
            raise Conflict(f"{share.device_id} has no {share.milli} milli-GPU free", next="wait")
        session.add(
            ShareRow(
                attempt_id=attempt.id, device_id=share.device_id, milli=share.milli,
                memory_mib=share.memory_mib, mode=share.mode, emulated=share.emulated,
                model=device.model, profile=share.profile, start=share.start,
            )
        )  # fmt: skip
    session.flush()


def accept(control: Control, row_id: str) -> None:
    """The person takes the turn that was held: it starts, with its whole lease before it. Raises
    Conflict when the turn is over."""
    now = control.clock.now()
    with control.store.write() as session:
        row = session.get_one(WorkloadRow, row_id)
        if row.offered_until is None or row.offered_until <= now:
            raise Conflict("the ten minutes for which it was held are over", next="launch it again")
        attempt = session.get_one(AttemptRow, row.attempt_id)
        move(row, Status.STARTING)
        row.offered_until = None
        attempt.lease_ends_at = now + timedelta(seconds=row.duration_s)
        history.tell_event(session, row, now, "accepted")
        session.add_all([row, attempt])
    history.hint(control.bus, row)
    control.wake()


def mark_step(control: Control, attempt_id: str, step: str) -> bool:
    """Remember before proceeding. False when the attempt has ended meanwhile."""
    with control.store.write() as session:
        attempt = session.get_one(AttemptRow, attempt_id)
        if attempt.released_at is not None:
            return False
        if attempt.step != Step.READY:
            attempt.step = step
        if step == Step.LAUNCHED and attempt.launched_at is None:
            attempt.launched_at = control.clock.now()
        session.add(attempt)
        return True


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
        _free_shares(session, attempt, now)
        _close_hold(session, row, attempt, 0, now)
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
    used = used_cost(attempt, used_until(attempt, exit_))
    lost = used - used_cost(attempt, paid_until(row, attempt, exit_))
    left = time_left(row, attempt, exit_)
    release(session, row, attempt, now, used=used, ended_at=exit_.ended_at)
    if lost > 0:
        cause = money.Cause(
            _posting_key(attempt, "lost"), "system", now, "lost by a fault, not by you", row.id,
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
    _free_shares(session, attempt, now)
    paid = min(used, attempt.held)
    _close_hold(session, row, attempt, used, now)
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


def used_cost(attempt: AttemptRow, until: datetime) -> int:
    """What the attempt has used by `until`: from when it could be used, never past its lease."""
    if attempt.ready_at is None:
        return 0
    until = min(until, attempt.lease_ends_at)
    return min(attempt.held, cost_of(attempt.price_per_hour, until - attempt.ready_at))


def was_extended(session: Session, attempt: AttemptRow, key: str) -> bool:
    """Whether the extension of this key was made already."""
    return money.was_posted(session, _posting_key(attempt, _extend_key(key)))


def extend_lease(
    control: Control, session: Session, row: WorkloadRow, by: timedelta, key: str, actor: str
) -> None:
    """A longer lease, held for in the ledger, once for each key; the engine is told by the
    reconciler. The caller has seen in the same transaction that the attempt is live."""
    now = control.clock.now()
    attempt = session.get_one(AttemptRow, row.attempt_id)
    more = cost_of(attempt.price_per_hour, by)
    posting = ledger.hold(more)
    budgets.demand_extension(control, session, row, attempt, by)
    if not _post(session, row, attempt, posting, _extend_key(key), now, "set aside", actor):
        return
    attempt.held += more
    attempt.lease_ends_at += by
    attempt.warned = 0
    row.duration_s += int(by.total_seconds())
    history.tell_event(session, row, now, "extended")
    session.add_all([row, attempt])


def _extend_key(key: str) -> str:
    return f"extend:{key}"


def end(
    session: Session, row: WorkloadRow, status: Status, reason: EndReason, text: str,
    at: datetime, *, next: str = "",
) -> None:  # fmt: skip
    """The last move of a workload."""
    move(row, status)
    row.reason_code, row.reason, row.next, row.ended_at = reason, text, next, at
    row.target, row.offered_until = Target.STOPPED, None
    history.tell_event(session, row, at, text)
    session.add(row)
    session.flush()


def move(row: WorkloadRow, status: Status) -> None:
    """One legal move; raises Conflict for any other."""
    require_move(Status(row.status), status)
    row.status = status
    row.version += 1


def _free_shares(session: Session, attempt: AttemptRow, now: datetime) -> None:
    shares = session.exec(
        select(ShareRow).where(
            ShareRow.attempt_id == attempt.id, col(ShareRow.released_at).is_(None)
        )
    ).all()
    for share in shares:
        share.released_at = now
        session.add(share)
        session.exec(
            update(DeviceRow)
            .where(col(DeviceRow.id) == share.device_id)
            .values(held_milli=col(DeviceRow.held_milli) - share.milli)
        )


def _close_hold(
    session: Session, row: WorkloadRow, attempt: AttemptRow, used: int, now: datetime
) -> None:
    never_ran = attempt.ready_at is None
    postings = ledger.refund(attempt.held) if never_ran else ledger.close(attempt.held, used)
    for posting in postings:
        text = {"settle": "used", "release": "not used", "refund": "never ran"}[posting.kind]
        _post(session, row, attempt, posting, posting.kind, now, text)
    attempt.held = 0
    session.add(attempt)


def _post(
    session: Session, row: WorkloadRow, attempt: AttemptRow, posting: Posting, key: str,
    at: datetime, text: str, actor: str = "system",
) -> bool:  # fmt: skip
    """False when it was posted before; nothing changes then."""
    cause = money.Cause(_posting_key(attempt, key), actor, at, text, row.id, attempt.id)
    return money.post(session, money.Owner(row.payer, row.person_id), posting, cause)


def _posting_key(attempt: AttemptRow, key: str) -> str:
    return f"{attempt.id}:{key}"
