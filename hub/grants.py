"""Who starts now: the queue is planned, and whoever's turn it is gets its place, all in one transaction."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func
from sqlmodel import Session, col, select

from catalog.errors import Conflict, Refused
from catalog.inventory import Placement
from catalog.offers import cost_of
from hub import budgets, held_credits, held_shares, history, holds, leaving
from hub.alone import alone
from hub.control_context import Control
from hub.lifecycle import Status
from hub.moves import move
from hub.store.ids import new_id
from hub.store.tables import AttemptRow, WorkloadRow
from hub.world import ACCEPT_WITHIN, Limits, read_world
from quotas import ledger
from quotas.admission import Planner, Slot


def give_what_fits(control: Control) -> list[WorkloadRow]:
    """Give their place to all whose turn is now, in one transaction, if it may be paid now."""
    granted: list[WorkloadRow] = []
    if control.draining or not _anything_to_plan(control):
        return []
    with control.store.write() as session:
        now = control.clock.now()  # as the writer: after every release that it is about to see
        budgets.let_back(control, session)
        limits = Limits(session)
        world = read_world(control, session, limits)
        if not world.queue and not world.holds:
            return []
        planner = Planner(world, control.placer, now)
        slots = control.promised = planner.slots
        told = leaving.tell_victims(session, slots, now)
        told += leaving.tell_recalled(session, planner.recalls.values(), now)
        starts = {
            id_: (slot, slot.placement)
            for id_, slot in slots.items()
            if slot.at == now and slot.placement is not None
        }
        if starts:
            batch = _Batch(control, session, now, limits, list(starts))
            for workload_id, (slot, placement) in starts.items():
                with alone(f"the grant of {workload_id}"):
                    row = batch.rows[workload_id]
                    if batch.grant(row, slot, placement):
                        granted.append(row)
                    else:
                        told.append(row)
    for row in [*granted, *told]:
        history.hint(control.bus, row)
    return granted


def _anything_to_plan(control: Control) -> bool:
    """Whether somebody waits or something is reserved: most looks find neither, and need not write."""
    with control.store.read() as session:
        waits = select(WorkloadRow.id).where(WorkloadRow.status == Status.QUEUED).limit(1)
        if session.exec(waits).first() is not None:
            return True
        return bool(holds.live_rows(session, control.clock.now()))


class _Batch:
    """What is granted in one transaction, with what all of it is judged by, read once."""

    def __init__(
        self, control: Control, session: Session, now: datetime, limits: Limits, ids: Sequence[str]
    ) -> None:
        self._control, self._session, self._now = control, session, now
        self._books = budgets.books_for_grants(control, session, limits.paths)
        found = session.exec(select(WorkloadRow).where(col(WorkloadRow.id).in_(ids)))
        self.rows = {row.id: row for row in found}
        counted = session.exec(
            select(AttemptRow.workload_id, func.count())
            .where(col(AttemptRow.workload_id).in_(ids))
            .group_by(AttemptRow.workload_id)
        )
        self._attempts = dict(counted.all())

    def grant(self, row: WorkloadRow, slot: Slot, placement: Placement) -> bool:
        """False when it may not be paid now: it waits on."""
        session, now = self._session, self._now
        attempt = self._attempt(row, placement, slot.reservation)
        try:
            with session.begin_nested():
                budgets.demand_grant(self._control, session, row, attempt, self._books)
                session.add(attempt)
                session.flush()
                held_credits.post(
                    session, row, attempt, ledger.hold(attempt.held), "hold", now, "set aside"
                )
                held_shares.hold(self._control, session, attempt, placement)
                _begin(session, row, attempt, now)
                leaving.tell_lent(session, row, slot, now)
        except Refused as error:
            # What was left when it was asked for has gone to another workload since.
            with session.begin_nested():
                _set_aside(session, row, error, now)
            return False
        self._books.enter(attempt, row)
        return True

    def _attempt(self, row: WorkloadRow, placement: Placement, reservation: str) -> AttemptRow:
        span = timedelta(seconds=row.duration_s)
        return AttemptRow(
            id=new_id("a"), workload_id=row.id, tenant_id=row.tenant_id, payer=row.payer,
            person_id=row.person_id, number=self._attempts.get(row.id, 0) + 1,
            node=placement.node, cpu_milli=row.cpu_milli, memory_bytes=row.memory_bytes,
            gpu_milli=placement.gpu_milli, price_per_hour=row.price_per_hour,
            held=cost_of(row.price_per_hour, span), created_at=self._now,
            lease_ends_at=self._now + span, reservation=reservation,
        )  # fmt: skip


def _begin(session: Session, row: WorkloadRow, attempt: AttemptRow, now: datetime) -> None:
    """It has its place: it starts, or its turn is held."""
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
