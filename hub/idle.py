"""Idle work gives its place back: what is activity is learnt here, the owner is asked, then it stops.

Each server tells by itself when it was last at work (kernels, terminals, a person in the page); what
runs beside it shows in the GPU and in processor time. `catalog.idleness` judges.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from catalog import idleness
from catalog.idleness import Act
from catalog.units import format_duration
from hub import attempts, history
from hub.activity import HEARD_WITHIN, act_of, active_at, known_of, note_active, rule_of
from hub.alone import alone
from hub.control_context import Control
from hub.lifecycle import EndReason, Status, Target
from hub.policy import Action, Actor
from hub.store.tables import AttemptRow, WorkloadRow
from hub.workloads import find
from spawners.engine import EngineError

LOOK_EVERY = timedelta(seconds=10)
WINDOW = timedelta(minutes=1)
"""Over which processor time is averaged: one burst is a page that loads."""
NOTE_EVERY = timedelta(minutes=1)
"""So often at most the store learns that something is still at work."""
MOST_IDLE_S = 90 * 86400


@dataclass(frozen=True, slots=True)
class _Sample:
    """Processor time that an attempt had used at a moment."""

    at: datetime
    used_s: float


class IdleKeeper:
    """Asks and stops; `keep` is for the control that leads, as often as it likes."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._samples: dict[str, _Sample] = {}
        self._looked_at: datetime | None = None

    def keep(self) -> None:
        """One look at all that runs under a rule, every ten seconds."""
        control, now = self._control, self._control.clock.now()
        away = self._looked_at is None or now - self._looked_at > HEARD_WITHIN
        if self._looked_at and timedelta() <= now - self._looked_at < LOOK_EVERY:
            return
        self._looked_at = now
        with control.store.read() as session:
            running = _running(session)
        ruled = [(a, row) for a, row in running if rule_of(control, row, a) or a.idle_stop_at]
        if away:
            _ask_again(control, [(a, row) for a, row in ruled if a.idle_stop_at], now)
        at_work = self._at_work([attempt.id for attempt, _ in ruled], now)
        known = {attempt.id: active_at(attempt) or now for attempt, _ in ruled}
        _note_work(control, {id_ for id_ in at_work if now - known[id_] >= NOTE_EVERY}, now)
        for attempt, row in ruled:
            if attempt.id not in at_work and act_of(control, row, attempt, now) is not Act.LEAVE:
                with alone(f"the idle time of {attempt.id}"):
                    _act(control, attempt.id, row.id)

    def _at_work(self, ids: list[str], now: datetime) -> set[str]:
        """Those whose GPU is in use, or whose processors were in the minute before."""
        if not ids:
            return set()
        engine = self._control.engine
        try:
            seen = engine.observe(ids)
            busy = self._busy_processors(ids, now)
        except EngineError:
            return set(ids)  # nothing is known, so nothing is asked
        on_gpu = {one.attempt_id for one in seen if idleness.gpu_works(one.gpu_percent)}
        return on_gpu | busy

    def _busy_processors(self, ids: list[str], now: datetime) -> set[str]:
        due = [
            name
            for name in ids
            if (then := self._samples.get(name)) is None or now - then.at >= WINDOW
        ]
        if not due:
            return set()
        used = self._control.engine.processor_s(due)
        fresh = {name: _Sample(now, seconds) for name, seconds in used.items()}
        busy = {
            name
            for name, sample in fresh.items()
            if (then := self._samples.get(name))
            and idleness.processors_work(sample.used_s - then.used_s, sample.at - then.at)
        }
        self._samples = {name: one for name, one in self._samples.items() if name in ids} | fresh
        return busy


def report(control: Control, actor: Actor, workload_id: str, idle_s: int) -> WorkloadRow:
    """Its own server says that it was last at work so many seconds ago, or its owner says that they
    work now (0). Takes a question back that this answers; of what does not run: nothing. Returns the
    workload as it is."""
    row = find(control, actor, workload_id, Action.REPORT_ACTIVE)
    now = control.clock.now()
    with control.store.write() as session:
        row = session.get_one(WorkloadRow, row.id)  # as it is now, while nobody else writes
        attempt = session.get(AttemptRow, row.attempt_id) if row.attempt_id else None
        if attempt is None or attempt.released_at is not None or attempt.ready_at is None:
            return row
        attempt.heard_at = now
        worked_at = now - timedelta(seconds=min(max(idle_s, 0), MOST_IDLE_S))
        answered = note_active(control, session, row, attempt, worked_at)
    if answered:
        history.hint(control.bus, row)
    return row


def _running(session: Session) -> list[tuple[AttemptRow, WorkloadRow]]:
    found = session.exec(
        select(AttemptRow, WorkloadRow)
        .where(AttemptRow.workload_id == WorkloadRow.id)
        .where(col(AttemptRow.released_at).is_(None), col(AttemptRow.ready_at).is_not(None))
        .where(WorkloadRow.status == Status.RUNNING, WorkloadRow.target == Target.RUNNING)
    )
    return [(attempt, row) for attempt, row in found]


def _note_work(control: Control, ids: set[str], now: datetime) -> None:
    if not ids:
        return
    answered: list[WorkloadRow] = []
    with control.store.write() as session:
        rows = session.exec(
            select(AttemptRow, WorkloadRow)
            .where(AttemptRow.workload_id == WorkloadRow.id)
            .where(col(AttemptRow.id).in_(ids), col(AttemptRow.released_at).is_(None))
        ).all()
        for attempt, row in rows:
            if note_active(control, session, row, attempt, now):
                answered.append(row)
    for row in answered:
        history.hint(control.bus, row)


def _ask_again(
    control: Control, asked: list[tuple[AttemptRow, WorkloadRow]], now: datetime
) -> None:
    """While control was away, did not lead or slept with its machine, nobody could answer: open
    questions get their whole time again."""
    if not asked:
        return
    again, later = now + control.settings.idle_ask_span, list[WorkloadRow]()
    with control.store.write() as session:
        for stale, row in asked:
            attempt = session.get_one(AttemptRow, stale.id)
            if attempt.idle_stop_at is not None and attempt.idle_stop_at < again:
                attempt.idle_stop_at = again
                session.add(attempt)
                later.append(row)
    for row in later:
        history.hint(control.bus, row)


def _act(control: Control, attempt_id: str, workload_id: str) -> None:
    """Judged anew, while nobody else writes."""
    now = control.clock.now()
    with control.store.write() as session:
        row = session.get_one(WorkloadRow, workload_id)
        attempt = session.get_one(AttemptRow, attempt_id)
        if row.attempt_id != attempt_id or row.status != Status.RUNNING:
            return
        match act_of(control, row, attempt, now):
            case Act.ASK:
                _ask(control, session, row, attempt, now)
            case Act.TAKE_BACK:
                attempt.idle_stop_at = None
                session.add(attempt)
            case Act.STOP:
                idle = format_duration(now - (active_at(attempt) or now))
                said = f"it was idle for {idle}; files in your home and open tabs stay"
                attempts.begin_stopping(control, row.id, EndReason.IDLE, said, session=session)
            case Act.LEAVE:
                return
    history.hint(control.bus, row)
    control.wake()


def _ask(
    control: Control, session: Session, row: WorkloadRow, attempt: AttemptRow, now: datetime
) -> None:
    rule, known = rule_of(control, row, attempt), known_of(attempt)
    if rule is None or known is None:
        return
    attempt.idle_stop_at = idleness.stop_at(rule, known, now)
    session.add(attempt)
    idle, when = format_duration(now - known.active_at), f"{attempt.idle_stop_at:%H:%M} UTC"
    history.tell_event(session, row, now, f"idle for {idle}: stops at {when} unless it is used")
    gives = " and gives its GPU to others" if attempt.gpu_milli else ""
    history.tell_notice(
        session, row, now, "idle",
        f"{row.name} has been idle for {idle}. It stops at {when}{gives}, unless you say that you"
        " still work. Files in your home and open tabs stay.", mail=True,
    )  # fmt: skip
