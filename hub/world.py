"""What the planner sees: rows of the store and the inventory as values of the core."""

from collections.abc import Iterable
from datetime import timedelta

from sqlmodel import Session, col, select

from catalog.asks import Ask, Priority
from catalog.inventory import Mode, Placement, Share
from hub import fair_share, holds
from hub.control_context import Control
from hub.lifecycle import Status, Target
from hub.people import EACH_PERSON
from hub.store.tables import AttemptRow, QuotaRow, ShareRow, TenantRow, WorkloadRow
from hub.tenant_paths import TenantPaths
from quotas.admission import Claim, Rules, Waiting, World
from quotas.limits import Dimension, Scope
from quotas.tree import Tenant, Tree
from quotas.verdict import Code

ACCEPT_WITHIN = timedelta(minutes=10)
"""How long a turn is held."""
HELD_BACK = frozenset({Code.CREDITS, Code.QUOTA})
"""Why something in the queue may not be paid now: nothing is planned for it until it may."""


def ask_of(row: WorkloadRow) -> Ask:
    """The ask that a workload was launched with, for as long as it may hold its place."""
    # A turn that will be announced may be held for a while before its lease begins.
    hold = ACCEPT_WITHIN if row.notify and row.status == Status.QUEUED else timedelta()
    return Ask(
        row.cpu_milli, row.memory_bytes, row.gpu_milli, timedelta(seconds=row.duration_s) + hold,
        tuple(row.models), Priority(row.priority), row.preemptible, row.gpu_count,
        row.gpu_memory_mib, tuple(row.vendors), row.whole_node, row.apart,
    )  # fmt: skip


def tenant_path(session: Session, tenant_id: str) -> tuple[str, ...]:
    """From the tenant up to the root. For several of them, read `TenantPaths` once."""
    return TenantPaths(session).of(tenant_id)


class Limits:
    """Quotas of everybody, read once for a transaction; or as they would be with other `quotas`."""

    def __init__(self, session: Session, quotas: Iterable[QuotaRow] | None = None) -> None:
        self._session = session
        self._names = dict(session.exec(select(TenantRow.id, TenantRow.name)).all())
        self._limits: dict[tuple[str, str], dict[Dimension, int]] = {}
        self._guaranteed: dict[str, dict[Dimension, int]] = {}
        for row in session.exec(select(QuotaRow)) if quotas is None else quotas:
            key = (row.tenant_id, row.person_id)
            if row.guaranteed and not row.person_id:
                own = self._guaranteed.setdefault(row.tenant_id, {})
                own[Dimension(row.dimension)] = row.guaranteed
            if row.limit is None:
                continue
            self._limits.setdefault(key, {})[Dimension(row.dimension)] = row.limit
        self._paths = TenantPaths(session)

    def path(self, tenant_id: str) -> tuple[str, ...]:
        return self._paths.of(tenant_id)

    def payer_of(self, tenant_id: str) -> str:
        """The tenant whose wallet a person pays from for work in `tenant_id`."""
        return self._paths.payer_of(tenant_id)

    def scopes(self, tenant_id: str, person_id: str) -> tuple[Scope, ...]:
        """The person first, then the tenants upward. What is set for the person goes before what
        is set for each person of the tenant; the nearest tenant's word counts."""
        own: dict[Dimension, int] = {}
        for tenant in reversed(self.path(tenant_id)):
            own |= self._limits.get((tenant, EACH_PERSON), {})
        for tenant in reversed(self.path(tenant_id)):
            own |= self._limits.get((tenant, person_id), {})
        tenants = [
            Scope(
                f"tenant:{t}", self._names.get(t, t), self._limits.get((t, ""), {}),
                self._guaranteed.get(t, {}),
            )
            for t in self.path(tenant_id)
        ]  # fmt: skip
        return (Scope(self._paths.person_scope(tenant_id, person_id), "you", own), *tenants)

    def tenant_scopes(self, tenant_id: str) -> tuple[Scope, ...]:
        """The tenant and those above it, without a person."""
        return self.scopes(tenant_id, "")[1:]

    def tree(self) -> Tree:
        """Who is guaranteed what."""
        rows = self._session.exec(select(TenantRow)).all()
        return Tree({tenant.id: tenant for tenant in self.tenants(rows)})

    def tenants(self, rows: Iterable[TenantRow]) -> list[Tenant]:
        """Tenants with what is set for them as a whole."""
        return [
            Tenant(
                f"tenant:{row.id}", f"tenant:{row.parent_id}" if row.parent_id else None, row.name,
                self._guaranteed.get(row.id, {}), self._limits.get((row.id, ""), {}),
            )
            for row in rows
        ]  # fmt: skip

    def scope_ids(self, tenant_id: str, person_id: str) -> tuple[str, ...]:
        person = self._paths.person_scope(tenant_id, person_id)
        return (person, *(f"tenant:{t}" for t in self.path(tenant_id)))


def read_world(control: Control, session: Session, limits: Limits) -> World:
    """Everything that holds a place or waits for one, as of this transaction."""
    queue = session.exec(
        select(WorkloadRow).where(
            WorkloadRow.status == Status.QUEUED, col(WorkloadRow.reason_code).not_in(HELD_BACK)
        )
    ).all()
    running = tuple(_claims(control, session, limits))
    settings = control.settings
    return World(
        capacity=control.capacity,
        running=running,
        queue=tuple(waiting_of(row, limits) for row in queue),
        promised=control.promised,
        holds=holds.read_holds(control, session, limits.tenant_scopes, running),
        tree=limits.tree(),
        recent=fair_share.shares(control, session),
        rules=Rules(grace=settings.preempt_grace_span, patience=settings.patience_span),
    )


def waiting_of(row: WorkloadRow, limits: Limits) -> Waiting:
    """A queued workload as the planner sees it."""
    scopes = limits.scopes(row.tenant_id, row.person_id)
    return Waiting(row.id, ask_of(row), scopes, row.queued_at, again=row.again)


def _claims(control: Control, session: Session, limits: Limits) -> Iterable[Claim]:
    rows = session.exec(
        select(AttemptRow, WorkloadRow)
        .join(WorkloadRow, col(WorkloadRow.id) == AttemptRow.workload_id)
        .where(col(AttemptRow.released_at).is_(None))
    ).all()
    placements = placements_of(session, [attempt for attempt, _ in rows])
    for attempt, row in rows:
        yield _claim(control, attempt, row, placements[attempt.id], limits)


def _claim(
    control: Control, attempt: AttemptRow, row: WorkloadRow, placement: Placement, limits: Limits
) -> Claim:
    # Accepted at the last moment, it ends that much later.
    wait = row.offered_until - attempt.created_at if row.offered_until else timedelta()
    ends_at = attempt.lease_ends_at + wait
    if attempt.go_at is not None:
        ends_at = min(ends_at, attempt.go_at)
    leaves = row.target == Target.STOPPED or row.status == Status.STOPPING
    if leaves:
        ends_at = min(ends_at, control.clock.now())  # as soon as its engine sees it gone
    ask = Ask(
        attempt.cpu_milli, attempt.memory_bytes, placement.gpu_milli,
        priority=Priority(row.priority), preemptible=row.preemptible,
        whole_node=placement.whole_node,
    )  # fmt: skip
    return Claim(
        attempt.id, placement, ask, limits.scope_ids(attempt.tenant_id, attempt.person_id),
        ends_at,
        since=attempt.created_at,
        saved_at=row.saved_at,
        protected_until=attempt.created_at + control.settings.protect_span,
        going=leaves or attempt.go_at is not None,
        reservation=attempt.reservation,
    )  # fmt: skip


def placements_of(session: Session, attempts: Iterable[AttemptRow]) -> dict[str, Placement]:
    """What each of these attempts holds now, by attempt id."""
    attempts = list(attempts)
    shares: dict[str, list[Share]] = {attempt.id: [] for attempt in attempts}
    rows = session.exec(
        select(ShareRow).where(
            col(ShareRow.attempt_id).in_(shares), col(ShareRow.released_at).is_(None)
        )
    )
    for row in rows:
        shares[row.attempt_id].append(share_of_row(row))
    manners = {
        id_: (apart, whole)
        for id_, apart, whole in session.exec(
            select(AttemptRow.id, WorkloadRow.apart, WorkloadRow.whole_node)
            .join(WorkloadRow, col(WorkloadRow.id) == AttemptRow.workload_id)
            .where(col(AttemptRow.id).in_(shares), col(AttemptRow.rescue).is_(False))
        )
    }
    found: dict[str, Placement] = {}
    for a in attempts:
        apart, whole = manners.get(a.id, ("", False))
        held = tuple(shares[a.id])
        found[a.id] = Placement(a.node, a.cpu_milli, a.memory_bytes, held, apart, whole_node=whole)
    return found


def share_of_row(row: ShareRow) -> Share:
    return Share(
        row.device_id,
        row.milli,
        row.memory_mib,
        Mode(row.mode),
        row.emulated,
        row.profile,
        row.start,
    )
