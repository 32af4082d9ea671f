"""Nodes taken out of service: nothing new is placed, work is told to go, and the node is empty in time.

What may be preempted goes as soon as there is room for it elsewhere; the rest may end by itself until
the drain is due. A rolling drain takes nodes out one after another, with no more than a given part of
the site out at any time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from catalog.asks import Ask, Priority
from catalog.errors import BadValue, Conflict
from catalog.inventory import Capacity, Health, Node, Placement
from catalog.placement import Placer
from catalog.units import WHOLE
from hub import history, leaving
from hub.control_context import Control
from hub.endings import SLACK, Away
from hub.lifecycle import EndReason
from hub.policy import ROOT_TENANT, Actor, absent
from hub.store import audit
from hub.store.ids import new_id
from hub.store.tables import AttemptRow, DrainRow, WorkloadRow
from hub.world import Limits, ask_of, read_world

STOPS_WITHIN = timedelta(seconds=30)
"""Work is stopped this long before the drain is due, so that the node is empty by then."""
LONGEST = timedelta(days=365)
TOO_LATE = SLACK + timedelta(seconds=1)
"""What goes so soon goes: its engine may not hear in time that it may stay."""
Here = Sequence[tuple[AttemptRow, WorkloadRow]]
"""Attempts that hold a place on a node, with their work."""
Weight = tuple[int, int, int]
"""Milli-GPU, milli-cores and bytes of memory."""


@dataclass(frozen=True, slots=True)
class Guest:
    """An attempt on a node that is drained. `movable`: it goes as soon as there is room elsewhere."""

    attempt_id: str
    ask: Ask
    movable: bool


def leave_times(
    guests: Iterable[Guest], free: Capacity, placer: Placer, soon: datetime, last: datetime
) -> tuple[dict[str, datetime], Capacity]:
    """When each guest must go: at `soon` if it is movable and there is room in `free` for it and
    those before it, else at `last`. And what is free after them. Pure."""
    times: dict[str, datetime] = {}
    for guest in guests:
        place = placer.place(guest.ask, free) if guest.movable else None
        if isinstance(place, Placement):
            free = free.take(place)
        times[guest.attempt_id] = min(soon, last) if isinstance(place, Placement) else last
    return times, free


def weight(node: Node) -> Weight:
    """How much a node is: GPU, cpu and memory."""
    return WHOLE * len(node.devices), node.cpu_milli, node.memory_bytes


def out_of_service(node: Node) -> Weight:
    """How much of it offers nothing now."""
    if node.closed:
        return weight(node)
    return WHOLE * sum(device.health is not Health.OK for device in node.devices), 0, 0


def part_of(some: Iterable[Weight], nodes: Iterable[Node]) -> int:
    """Thousandths of the site, of what is the scarcest of it; a part of one counts as one."""
    sums = zip(_sum(some), _sum(map(weight, nodes)), strict=True)
    return max((-(-one * WHOLE // whole) for one, whole in sums if whole), default=0)


def _sum(weights: Iterable[Weight]) -> Weight:
    gpu, cpu, memory = 0, 0, 0
    for one in weights:
        gpu, cpu, memory = gpu + one[0], cpu + one[1], memory + one[2]
    return gpu, cpu, memory


def closed(session: Session) -> Mapping[str, str]:
    """Why nothing new is placed, by node that is drained."""
    return {row.node: _words(row) for row in active(session)}


def active(session: Session) -> list[DrainRow]:
    """Drains that have begun and not ended, the oldest first."""
    return _rows(session, begun=True)


def waiting(session: Session) -> list[DrainRow]:
    """Nodes of a rolling drain whose turn has not come."""
    return _rows(session, begun=False)


def begin(control: Control, actor: Actor, node: str, by: datetime, reason: str) -> None:
    """Take a node out of service by then; repeated, the new time and reason hold."""
    now = control.clock.now()
    if not now <= by <= now + LONGEST:
        raise BadValue(
            f"by: {by:%Y-%m-%d %H:%M} UTC is not within a year from now", next="write it like 2h"
        )
    _known(control, node)
    with control.store.write() as session:
        row = _of(session, node)
        if row is None:
            row = DrainRow(
                id=new_id("d"), node=node, created_by=actor.person_id, created_at=now, by=by
            )
        row.by, row.reason, row.empty_at = by, reason, None
        row.begun_at = row.begun_at or now
        session.add(row)
        session.flush()
        _let_stay(session, node, now, "")  # told anew, by the new time
        facts = {"by": by.isoformat(), "reason": reason}
        audit.record(session, now, actor.person_id, "drain", node, ROOT_TENANT, facts)
    control.wake()


def roll(control: Control, actor: Actor, most_out: int, span: timedelta, reason: str) -> None:
    """Take all nodes out, one after another, each within `span` of its turn, while no more than
    `most_out` thousandths of the site are out. Raises BadValue when no node could ever begin."""
    now, nodes = control.clock.now(), sorted(control.sight.nodes, key=lambda node: node.name)
    _judge_roll(nodes, most_out, span)
    with control.store.write() as session:
        busy = {row.node for row in [*active(session), *waiting(session)]}
        if waiting(session):
            raise Conflict(
                "a rolling drain is under way", next="end it with `perijove node resume --all`"
            )
        id_ = new_id("r")
        for node in nodes:
            if node.name not in busy:
                session.add(
                    DrainRow(
                        id=new_id("d"), node=node.name, reason=reason, roll=id_, most_out=most_out,
                        span_s=int(span.total_seconds()), created_by=actor.person_id,
                        created_at=now, by=now + span,
                    )
                )  # fmt: skip
        facts = {"most_out": most_out, "span_s": int(span.total_seconds()), "reason": reason}
        audit.record(session, now, actor.person_id, "drain", "all nodes", ROOT_TENANT, facts)
    control.wake()


def resume(control: Control, actor: Actor, node: str = "") -> None:
    """The node (empty: every node) is in service again, and work that was told to go may stay. What
    is in service already stays so."""
    now = control.clock.now()
    if node:
        _known(control, node)
    with control.store.write() as session:
        for row in [*active(session), *waiting(session)]:
            if node in {"", row.node}:
                row.ended_at = now
                session.add(row)
                _let_stay(session, row.node, now, f"it may stay: node {row.node} stays in service")
                audit.record(session, now, actor.person_id, "resume", row.node, ROOT_TENANT)
    control.wake()


def keep(control: Control) -> None:
    """Tell work on drained nodes when it must go, note what is empty, begin the next of a rolling
    drain. Safe to repeat."""
    with control.store.read() as session:
        if not active(session) and not waiting(session):
            return
    with control.store.write() as session:
        now = control.clock.now()
        told: list[WorkloadRow] = []
        room: Room | None = None
        for row in active(session):
            here = _open_on(session, row.node)
            if not here:
                _note_empty(session, row, now)
            last, soon = max(now, row.by - STOPS_WITHIN), now + control.settings.preempt_grace_span
            news = [one for one in here if _may_be_told(*one, soon, last)]
            if news:
                room = room or Room(control, session, now)
                told += _tell(session, row, news, room, soon, last)
        _begin_next(control, session, now)
    for workload in told:
        history.hint(control.bus, workload)


def _note_empty(session: Session, row: DrainRow, now: datetime) -> None:
    if row.empty_at is None:
        row.empty_at = now
        session.add(row)
        history.tell_operators(
            session, now, "drained",
            f"Node {row.node} is empty. Run `perijove node resume {row.node}` when it may work"
            " again.",
        )  # fmt: skip


def _tell(
    session: Session, row: DrainRow, guests: Here, room: "Room", soon: datetime, last: datetime
) -> list[WorkloadRow]:
    asked = [Guest(attempt.id, ask_of(work), _movable(work)) for attempt, work in guests]
    times, room.free = leave_times(asked, room.free, room.placer, soon, last)
    told: list[WorkloadRow] = []
    for attempt, work in guests:
        away = Away(times[attempt.id], EndReason.DRAINED, _words(row))
        if leaving.tell_to_go(session, work, attempt, away, room.now):
            told.append(work)
    return told


class Room:
    """What is free for work that moves from all drained nodes together: nobody runs there, and
    nothing is held or planned for others there soon."""

    def __init__(self, control: Control, session: Session, now: datetime) -> None:
        self.placer, self.now = control.placer, now
        world = read_world(control, session, Limits(session))
        begin_by = now + control.settings.preempt_grace_span
        self.free = control.capacity
        for claim in world.running:
            self.free = self.free.take(claim.placement)
        for hold in world.holds:
            if hold.lent_until <= begin_by:
                self._keep(hold.placements)
        for waiting in world.queue:
            slot = world.promised.get(waiting.id)
            if slot is None or slot.placement is None or slot.at is None or slot.reservation:
                continue
            if slot.at <= begin_by:
                self._keep([slot.placement])
        for work in _on_the_move(session, now, begin_by):
            place = self.placer.place(ask_of(work), self.free)
            if isinstance(place, Placement):
                self.free = self.free.take(place)

    def _keep(self, placements: Iterable[Placement]) -> None:
        for placement in placements:
            if self.free.has_room(placement):
                self.free = self.free.take(placement)


def _on_the_move(session: Session, now: datetime, by: datetime) -> Sequence[WorkloadRow]:
    """Work that was told to leave a drained node soon, and looks for another place then."""
    return session.exec(
        select(WorkloadRow)
        .join(AttemptRow, col(AttemptRow.workload_id) == WorkloadRow.id)
        .where(col(AttemptRow.released_at).is_(None), AttemptRow.go_reason == EndReason.DRAINED)
        .where(col(AttemptRow.go_at) > now, col(AttemptRow.go_at) <= by)
        .order_by(col(AttemptRow.created_at))
    ).all()


def _may_be_told(attempt: AttemptRow, work: WorkloadRow, soon: datetime, last: datetime) -> bool:
    """Whether there is any earlier time to tell it than it knows, whatever is free."""
    first = min(soon, last) if _movable(work) else last
    if leaving.leaves(work, attempt) or attempt.lease_ends_at <= first:
        return False
    return attempt.go_at is None or (first < attempt.go_at and last <= attempt.go_at)


def _begin_next(control: Control, session: Session, now: datetime) -> None:
    """The next node of a rolling drain, as soon as no more than it allows would be out."""
    rows, nodes = waiting(session), {node.name: node for node in control.nodes}
    begun = {row.node for row in active(session)}
    out = {
        name: weight(node) if name in begun else out_of_service(node)
        for name, node in nodes.items()
    }
    for row in rows:
        node = nodes.get(row.node)
        if node is None:
            continue
        with_it = {**out, row.node: weight(node)}.values()
        if part_of(with_it, nodes.values()) > row.most_out:
            return
        row.begun_at, row.by = now, now + timedelta(seconds=row.span_s)
        out[row.node] = weight(node)
        session.add(row)


def _movable(work: WorkloadRow) -> bool:
    return work.preemptible or work.priority == Priority.BEST_EFFORT


def _let_stay(session: Session, node: str, now: datetime, text: str) -> None:
    """Take back what was said to work that is still there."""
    for attempt, work in _open_on(session, node):
        if attempt.go_reason != EndReason.DRAINED or attempt.go_at is None:
            continue
        if attempt.go_at <= now + TOO_LATE:
            continue
        attempt.go_at, attempt.go_reason, attempt.go_text, attempt.warned = None, "", "", 0
        session.add(attempt)
        if text:
            history.tell_event(session, work, now, text)
            history.tell_notice(session, work, now, "stays", f"{work.name}: {text}.")


def _open_on(session: Session, node: str) -> Here:
    return session.exec(
        select(AttemptRow, WorkloadRow)
        .where(AttemptRow.workload_id == WorkloadRow.id, AttemptRow.node == node)
        .where(col(AttemptRow.released_at).is_(None))
        .order_by(col(AttemptRow.created_at))
    ).all()


def _rows(session: Session, *, begun: bool) -> list[DrainRow]:
    began = col(DrainRow.begun_at)
    return list(
        session.exec(
            select(DrainRow)
            .where(col(DrainRow.ended_at).is_(None))
            .where(began.is_not(None) if begun else began.is_(None))
            .order_by(col(DrainRow.created_at), col(DrainRow.node))
        )
    )


def _of(session: Session, node: str) -> DrainRow | None:
    found = [row for row in [*active(session), *waiting(session)] if row.node == node]
    return found[0] if found else None


def _words(row: DrainRow) -> str:
    because = f": {row.reason}" if row.reason else ""
    return f"node {row.node} is taken out of service by {row.by:%d %b %H:%M} UTC{because}"


def _known(control: Control, node: str) -> None:
    if node not in {*(n.name for n in control.sight.nodes), *control.sight.missing}:
        raise absent(f"node {node[:60]!r}")


def _judge_roll(nodes: Sequence[Node], most_out: int, span: timedelta) -> None:
    if not timedelta(minutes=1) <= span <= LONGEST:
        raise BadValue("each: it must be between a minute and a year", next="write it like 4h")
    if not nodes:
        raise BadValue("there is no node here", next="wait until one is seen")
    parts = {node.name: part_of([weight(node)], nodes) for node in nodes}
    largest = max(nodes, key=lambda node: parts[node.name])
    least = parts[largest.name]
    if most_out < least:
        raise BadValue(
            f"at_most: node {largest.name} alone is {least / WHOLE:.3g} of the site",
            next=f"allow {least / WHOLE:.3g} at least",
        )
