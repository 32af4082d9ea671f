"""What running work is told of itself: time left, share, memory, cost, messages, who asks to visit.

A server asks about its own workload with the token that it was started with, about every half
minute: a look reads few rows.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlmodel import Session, col, select

from catalog.units import format_duration
from hub import announcements, budgets, extending, leases, people, workloads
from hub.announcements import Shown
from hub.control_context import Control
from hub.courses import visits
from hub.extending import SPANS, Extension, extension_of
from hub.held_credits import used_cost
from hub.policy import Action, Actor, absent, require
from hub.store import money
from hub.store.course_tables import VisitRow
from hub.store.tables import AttemptRow, PersonRow, QuotaRow, ShareRow, WorkloadRow
from hub.tenant_paths import TenantPaths
from hub.workloads import object_of
from quotas.ledger import AccountKind, Owner
from quotas.limits import Dimension
from quotas.periods import span_at

MOST_MESSAGES = 20


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of credits or of another budget, in its base unit."""

    dimension: Dimension
    scope: str
    """``you`` or the name of a tenant."""
    left: int
    of: int | None
    period: str
    resets_at: datetime | None


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody of the staff asks to open this server, or may do so until `ends_at`."""

    id: str
    visitor: str
    reason: str
    asked_at: datetime
    ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class Inside:
    """One look. `attempt` None: it does not run, and nothing of it is held."""

    at: datetime
    row: WorkloadRow
    attempt: AttemptRow | None
    shares: tuple[ShareRow, ...]
    ends_at: datetime | None
    """When it ends if nobody does anything: the end of the lease, or earlier if it must go."""
    extension: Extension
    memory_used: int
    """Bytes; 0 when it is not measured."""
    cost: int
    left: tuple[Left, ...]
    messages: tuple[Shown, ...]
    visits: tuple[Visit, ...]


def look(control: Control, actor: Actor, workload_id: str) -> Inside:
    """What the owner of the workload is told inside of it. Raises NotFound, or Forbidden for staff:
    it holds what is the owner's alone."""
    now = control.clock.now()
    with control.store.read() as session:
        row = _own(session, actor, workload_id)
        attempt = _live_attempt(session, row)
        owner = people.actor_from(session, session.get_one(PersonRow, row.person_id))
        shares = _shares(session, attempt)
        found = Inside(
            now, row, attempt, shares,
            leases.deadline(attempt) if attempt else None,
            extension_of(control, session, row, attempt),
            0,
            row.cost + (used_cost(attempt, now) if attempt else 0),
            tuple(_left(control, session, row)),
            tuple(announcements.on_now(session, owner, now, MOST_MESSAGES)),
            tuple(_visits(session, row, now)),
        )  # fmt: skip
    return with_memory(control, found)


def with_memory(control: Control, found: Inside) -> Inside:
    """The same with the memory that is in use now. Opens no transaction."""
    if found.attempt is None:
        return found
    seen = control.engine.observe([found.attempt.id])
    used = seen[0].memory_bytes if seen else 0
    return replace(found, at=control.clock.now(), memory_used=used)


def extend(control: Control, actor: Actor, workload_id: str, by: str, key: str) -> Inside:
    """A longer lease, by as much as `look` offered unless `by` says how much. The same key extends
    once. Raises what `workloads.extend` raises."""
    if not by:
        row = workloads.find(control, actor, workload_id, Action.EXTEND)
        with control.store.read() as session:
            found = extension_of(control, session, row, _live_attempt(session, row))
        by = format_duration(found.by or SPANS[0])
    workloads.extend(control, actor, workload_id, by, key)
    extending.forget(control)
    return look(control, actor, workload_id)


def own(control: Control, actor: Actor, workload_id: str) -> None:
    """Raise unless the actor may look inside of it."""
    with control.store.read() as session:
        _own(session, actor, workload_id)


def visit_of(control: Control, actor: Actor, workload_id: str, visit_id: str) -> None:
    """Raise NotFound unless somebody asked to visit this very workload."""
    with control.store.read() as session:
        row = session.get(WorkloadRow, workload_id)
        visit = session.get(VisitRow, visit_id)
        if row is None or visit is None or visit.workload_id != row.id:
            raise absent(f"visit {visit_id[:40]!r}")
        require(actor, Action.ANSWER_VISIT, object_of(TenantPaths(session), row))


def _own(session: Session, actor: Actor, workload_id: str) -> WorkloadRow:
    row = session.get(WorkloadRow, workload_id)
    if row is None:
        raise absent(f"workload {workload_id[:40]!r}")
    require(actor, Action.READ_SELF, object_of(TenantPaths(session), row))
    return row


def _live_attempt(session: Session, row: WorkloadRow) -> AttemptRow | None:
    attempt = session.get(AttemptRow, row.attempt_id) if row.attempt_id else None
    return attempt if attempt is not None and attempt.released_at is None else None


def _shares(session: Session, attempt: AttemptRow | None) -> tuple[ShareRow, ...]:
    if attempt is None:
        return ()
    return tuple(session.exec(select(ShareRow).where(ShareRow.attempt_id == attempt.id)))


def _left(control: Control, session: Session, row: WorkloadRow) -> list[Left]:
    """Credits of the wallet that pays, then what budgets of GPU-hours and credits have left."""
    wallet = money.balance(session, Owner(row.payer, row.person_id), AccountKind.WALLET)
    found = [Left(Dimension.CREDITS, "you", wallet, None, "", None)]
    if not _has_budgets(session):
        return found
    now, zone = control.clock.now(), control.settings.zone
    for use in budgets.uses_of(control, session, Owner(row.tenant_id, row.person_id)):
        budget, span = use.budget, span_at(use.budget.period, now, zone)
        if not _told(budget.dimension, budget.period):
            continue
        left = max(0, budget.limit - use.in_span(span, zone))
        found.append(
            Left(budget.dimension, budget.label, left, budget.limit, budget.period, span.ends_at)
        )
    return found


def _has_budgets(session: Session) -> bool:
    """Whether anybody has a budget that is told: adding up what all have used is the dear part."""
    rows = session.exec(
        select(QuotaRow.dimension, QuotaRow.period)
        .where(col(QuotaRow.limit).is_not(None))
        .distinct()
    )
    return any(_told(dimension, period) for dimension, period in rows)


def _told(dimension: str, period: str) -> bool:
    """What a tenant may ever spend says nothing to one notebook."""
    return dimension == Dimension.GPU_HOURS or (dimension == Dimension.CREDITS and period != "")


def _visits(session: Session, row: WorkloadRow, now: datetime) -> list[Visit]:
    """Those that wait for an answer, and those that are open."""
    asked = (col(VisitRow.state) == visits.ASKED) & (col(VisitRow.asked_at) > now - visits.PATIENCE)
    still_open = (col(VisitRow.state) == visits.GRANTED) & (col(VisitRow.ends_at) > now)
    rows = session.exec(
        select(VisitRow, PersonRow.display_name)
        .join(PersonRow, col(PersonRow.id) == VisitRow.visitor_id)
        .where(VisitRow.workload_id == row.id, asked | still_open)
        .order_by(col(VisitRow.asked_at))
    )
    return [Visit(v.id, name, v.reason, v.asked_at, v.ends_at) for v, name in rows]
