"""What people do to their workloads: find, stop, extend, accept, be told, relaunch."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, select

from catalog.errors import BadValue, Conflict
from catalog.offers import Quantity
from catalog.units import format_duration, parse_duration
from hub import activity, attempts, departures, grants, held_credits, history, holds, launching
from hub.control_context import Control
from hub.lifecycle import EndReason, Status
from hub.policy import Action, Actor, Object, absent, allowed, require
from hub.store import audit
from hub.store.tables import AttemptRow, WorkloadRow
from hub.tenant_paths import TenantPaths, below
from hub.world import Limits, read_world
from quotas.admission import Slot, World, plan
from quotas.windows import Window

MAX_LEASE = timedelta(days=90)
LIVE = [status.value for status in Status if status.live]


@dataclass(frozen=True, slots=True)
class Page:
    """Rows and where the next page begins; None at the end."""

    rows: list[WorkloadRow]
    next: str | None


def find(control: Control, actor: Actor, workload_id: str, action: Action) -> WorkloadRow:
    """A workload that `actor` may do `action` to. Raises NotFound or Forbidden."""
    with control.store.read() as session:
        row = session.get(WorkloadRow, workload_id)
        if row is None:
            raise absent(f"workload {workload_id[:40]!r}")
        require(actor, action, object_of(TenantPaths(session), row))
    return row


def object_of(paths: TenantPaths, row: WorkloadRow) -> Object:
    """A workload as the policy sees it."""
    return Object(row.person_id, paths.of(row.tenant_id), f"workload {row.id!r}")


def page(
    control: Control, actor: Actor, state: str, *, everybody: bool, cursor: str, limit: int
) -> Page:
    """The newest first, in a `state` of ``queued`` (its turn counts), ``active``, ``ended`` or
    ``all``. `everybody` adds those of others that the actor may read."""
    with control.store.read() as session:
        query = select(WorkloadRow).order_by(
            col(WorkloadRow.created_at).desc(), col(WorkloadRow.id).desc()
        )
        if state == "queued":
            query = query.where(col(WorkloadRow.status).in_([Status.QUEUED, Status.OFFERED]))
        elif state == "active":
            query = query.where(col(WorkloadRow.status).in_(LIVE))
        elif state == "ended":
            query = query.where(col(WorkloadRow.status).not_in(LIVE))
        if not everybody:
            query = query.where(WorkloadRow.person_id == actor.person_id)
        elif not actor.platform_admin:
            own = col(WorkloadRow.person_id) == actor.person_id
            query = query.where(own | below(WorkloadRow.tenant_id, _read_in(actor)))
        if cursor:
            query = _after(session, query, cursor)
        rows = list(session.exec(query.limit(limit + 1)))
    return Page(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)


def _read_in(actor: Actor) -> list[str]:
    """The tenants in which the actor may read what is not their own."""
    return [
        tenant
        for tenant in actor.roles
        if allowed(actor, Action.READ_WORKLOAD, Object("", (tenant,), "workloads"))
    ]


def _after(session: Session, query: Any, cursor: str) -> Any:
    last = session.get(WorkloadRow, cursor)
    if last is None:
        raise BadValue("cursor: there is no such place in the list", next="start without a cursor")
    return query.where(
        (col(WorkloadRow.created_at) < last.created_at)
        | ((col(WorkloadRow.created_at) == last.created_at) & (col(WorkloadRow.id) < last.id))
    )


def stop(control: Control, actor: Actor, workload_id: str) -> WorkloadRow:
    """Ask for the end; stopping what has ended changes nothing."""
    row = find(control, actor, workload_id, Action.STOP)
    if Status(row.status).live:
        own = row.person_id == actor.person_id
        waits = row.status in {Status.QUEUED, Status.OFFERED}
        reason = EndReason.CANCELLED if waits else EndReason.ASKED
        who = "you" if own else f"{actor.login}"
        text = f"{who} {'cancelled' if waits else 'stopped'} it"
        with control.store.write() as session:
            attempts.begin_stopping(control, row.id, reason, text, session=session)
            audit.record(
                session, control.clock.now(), actor.person_id, "stop", row.id, row.tenant_id
            )
        history.hint(control.bus, row)
        control.wake()
    return find(control, actor, workload_id, Action.STOP)


def extend(control: Control, actor: Actor, workload_id: str, by: str, key: str) -> WorkloadRow:
    """A longer lease. Raises Conflict when it does not run or when others would wait longer,
    Refused when the credits do not reach."""
    row = find(control, actor, workload_id, Action.EXTEND)
    span = parse_duration(by)
    if not timedelta(minutes=1) <= span <= MAX_LEASE:
        raise BadValue(f"by: {by} is not a time to extend by", next="write it like 30m or 1h")
    with control.store.write() as session:
        row = session.get_one(WorkloadRow, row.id)  # as it is now, while nobody else writes
        attempt = session.get(AttemptRow, row.attempt_id) if row.attempt_id else None
        if attempt is None or not held_credits.was_extended(session, attempt, key):
            departures.demand_place(session, row)
            world = read_world(control, session, Limits(session))
            if refusal := why_not_extend(control, world, row, attempt, span):
                again = "save your work; relaunch it when your turn comes again"
                raise Conflict(refusal, next=again)
            held_credits.extend(control, session, row, span, key, actor.person_id)
            if attempt is not None:  # whoever wants more time is there
                activity.note_active(control, session, row, attempt, control.clock.now())
            audit.record(
                session, control.clock.now(), actor.person_id, "extend", row.id, row.tenant_id,
                {"seconds": int(span.total_seconds())},
            )  # fmt: skip
    history.hint(control.bus, row)
    control.wake()
    return find(control, actor, workload_id, Action.EXTEND)


def surely_extends(
    control: Control, world: World, row: WorkloadRow, attempt: AttemptRow, by: timedelta
) -> bool:
    """Whether it is clear without a plan that a longer lease delays nobody: nobody waits, and
    nothing is held for that time."""
    extra = Window(attempt.lease_ends_at, attempt.lease_ends_at + by)
    if world.queue or any(Window(h.starts_at, h.ends_at).overlaps(extra) for h in world.holds):
        return False
    return why_not_extend(control, world, row, attempt, by) is None


def why_not_extend(
    control: Control,
    world: World,
    row: WorkloadRow,
    attempt: AttemptRow | None,
    by: timedelta,
    planned: Mapping[str, Slot] | None = None,
) -> str | None:
    """None when a longer lease delays nobody; else why not, in words. `planned` is the plan of this
    world, where there is one already."""
    if row.status not in {Status.RUNNING, Status.STARTING} or attempt is None:
        return f"it is {row.status}, so there is no lease to extend"
    if attempt.go_at is not None:
        return f"it goes at {attempt.go_at:%H:%M} UTC: {attempt.go_text}"
    if attempt.lease_ends_at + by - attempt.created_at > MAX_LEASE:
        return f"a lease lasts at most {format_duration(MAX_LEASE)}"
    longest = _longest(control, row)
    if attempt.lease_ends_at + by - control.clock.now() > longest:
        return f"this offer gives at most {format_duration(longest)} at a time"
    now = control.clock.now()
    running = tuple(
        replace(claim, ends_at=claim.ends_at + by) if claim.id == attempt.id else claim
        for claim in world.running
    )
    extra = Window(attempt.lease_ends_at, attempt.lease_ends_at + by)
    if held := holds.in_the_way(control, world.holds, running, extra, now):
        return f"its place is held for a reservation from {held.starts_at:%H:%M} UTC"
    if not world.queue:
        return None
    before = planned or plan(world, control.placer, now, words=False)
    after = plan(replace(world, running=running), control.placer, now, words=False)
    delayed = [i for i, slot in before.items() if _later(after[i].at, slot.at)]
    return f"{len(delayed)} in the queue would have to wait longer" if delayed else None


def _longest(control: Control, row: WorkloadRow) -> timedelta:
    """How far ahead a lease of its offer may reach; of an offer that left the menu, as asked."""
    offer = control.menu.get().offers.get(row.offer_id)
    if offer is None:
        return MAX_LEASE
    return timedelta(seconds=offer.fields[Quantity.DURATION].most)


def _later(after: datetime | None, before: datetime | None) -> bool:
    return before is not None and (after is None or after > before)


def saved(control: Control, actor: Actor, workload_id: str) -> WorkloadRow:
    """Note that its work is saved as of now. Raises Conflict when it does not run."""
    find(control, actor, workload_id, Action.REPORT_SAVED)
    with control.store.write() as session:
        row = session.get_one(WorkloadRow, workload_id)
        if row.status != Status.RUNNING:
            raise Conflict(f"it is {row.status} and has nothing to save", next="look at it again")
        row.saved_at = control.clock.now()
        session.add(row)
    return row


def accept(control: Control, actor: Actor, workload_id: str) -> WorkloadRow:
    """Take a turn that is held. Raises Conflict when there is none."""
    row = find(control, actor, workload_id, Action.LAUNCH)
    if row.status != Status.OFFERED:
        raise Conflict(f"it is {row.status}, so no turn is held for it", next="look at it again")
    grants.accept(control, row.id)
    return find(control, actor, workload_id, Action.LAUNCH)


def set_notify(control: Control, actor: Actor, workload_id: str, *, on: bool) -> WorkloadRow:
    """Whether my turn is announced and held, or starts at once."""
    find(control, actor, workload_id, Action.LAUNCH)
    with control.store.write() as session:
        row = session.get_one(WorkloadRow, workload_id)
        if row.status != Status.QUEUED:
            raise Conflict(f"it is {row.status} and no longer waits", next="look at it again")
        row.notify = on
        session.add(row)
    return row


def relaunch(
    control: Control, actor: Actor, workload_id: str, changes: Mapping[str, Any], key: str
) -> WorkloadRow:
    """The same again with changed answers, as a new workload."""
    row = find(control, actor, workload_id, Action.LAUNCH)
    if Status(row.status).live:
        raise Conflict(f"it is still {row.status}", next="stop it first")
    wish = launching.Wish(
        row.offer_id, {**row.answers, **changes}, row.name, idempotency_key=key,
        tenant=row.tenant_id if row.person_id == actor.person_id else "",
    )  # fmt: skip
    return launching.launch(control, actor, wish)
