"""What the planner sees: rows of the store and the inventory as values of the core."""

from collections.abc import Iterable
from datetime import timedelta

from sqlmodel import Session, col, select

from catalog.asks import Ask, Priority
from catalog.inventory import Mode, Placement, Share
from hub.control_context import Control
from hub.lifecycle import Status
from hub.people import EACH_PERSON
from hub.store import money
from hub.store.tables import AttemptRow, QuotaRow, ShareRow, TenantRow, WorkloadRow
from quotas.admission import Claim, Waiting, World
from quotas.limits import Dimension, Over, Scope, first_over

ACCEPT_WITHIN = timedelta(minutes=10)
"""How long a turn is held."""


def ask_of(row: WorkloadRow) -> Ask:
    """The ask that a workload was launched with, for as long as it may hold its place."""
    # A turn that will be announced may be held for a while before its lease begins.
    hold = ACCEPT_WITHIN if row.notify and row.status == Status.QUEUED else timedelta()
    return Ask(
        row.cpu_milli, row.memory_bytes, row.gpu_milli, timedelta(seconds=row.duration_s) + hold,
        tuple(row.models), Priority(row.priority), row.preemptible,
    )  # fmt: skip


def tenant_path(session: Session, tenant_id: str) -> tuple[str, ...]:
    """From the tenant up to the root."""
    parents = dict(session.exec(select(TenantRow.id, TenantRow.parent_id)).all())
    path: list[str] = []
    current: str | None = tenant_id
    while current is not None and current not in path:
        path.append(current)
        current = parents.get(current)
    return tuple(path)


class Limits:
    """Quotas of everybody, read once for a transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._names = dict(session.exec(select(TenantRow.id, TenantRow.name)).all())
        self._limits: dict[tuple[str, str], dict[Dimension, int]] = {}
        for row in session.exec(select(QuotaRow)):
            if row.limit is None:
                continue
            key = (row.tenant_id, row.person_id)
            self._limits.setdefault(key, {})[Dimension(row.dimension)] = row.limit
        self._paths: dict[str, tuple[str, ...]] = {}
        self._used_credits = money.used_by_tenant(session)
        for tenant_id in self._used_credits:
            self.path(tenant_id)

    def path(self, tenant_id: str) -> tuple[str, ...]:
        if tenant_id not in self._paths:
            self._paths[tenant_id] = tenant_path(self._session, tenant_id)
        return self._paths[tenant_id]

    def scopes(self, tenant_id: str, person_id: str) -> tuple[Scope, ...]:
        """The person first, then the tenants upward. What is set for the person goes before what
        is set for each person of the tenant; the nearest tenant's word counts."""
        own: dict[Dimension, int] = {}
        for tenant in reversed(self.path(tenant_id)):
            own |= self._limits.get((tenant, EACH_PERSON), {})
        for tenant in reversed(self.path(tenant_id)):
            own |= self._limits.get((tenant, person_id), {})
        tenants = [
            Scope(f"tenant:{t}", self._names.get(t, t), self._limits.get((t, ""), {}))
            for t in self.path(tenant_id)
        ]
        return (Scope(f"person:{person_id}", "you", own), *tenants)

    def over_credits(self, tenant_id: str, cost: int) -> Over | None:
        """The first tenant above whose people would hold and have spent more than it may, all of
        its tenants below included; `cost` in micro-credits."""
        used = {
            f"tenant:{tenant}": {
                Dimension.CREDITS: sum(
                    amount
                    for below, amount in self._used_credits.items()
                    if tenant in self.path(below)
                )
            }
            for tenant in self.path(tenant_id)
        }
        _, *tenants = self.scopes(tenant_id, "")
        return first_over({Dimension.CREDITS: cost}, tuple(tenants), used)

    def scope_ids(self, tenant_id: str, person_id: str) -> tuple[str, ...]:
        return (f"person:{person_id}", *(f"tenant:{t}" for t in self.path(tenant_id)))


def read_world(control: Control, session: Session, limits: Limits) -> World:
    """Everything that holds a place or waits for one, as of this transaction."""
    queue = session.exec(select(WorkloadRow).where(WorkloadRow.status == Status.QUEUED)).all()
    return World(
        capacity=control.capacity,
        running=tuple(_claims(session, limits)),
        queue=tuple(waiting_of(row, limits) for row in queue),
        promised=control.promised,
    )


def waiting_of(row: WorkloadRow, limits: Limits) -> Waiting:
    """A queued workload as the planner sees it."""
    scopes = limits.scopes(row.tenant_id, row.person_id)
    return Waiting(row.id, ask_of(row), scopes, row.queued_at)


def _claims(session: Session, limits: Limits) -> Iterable[Claim]:
    rows = session.exec(
        select(AttemptRow, WorkloadRow.offered_until)
        .join(WorkloadRow, col(WorkloadRow.id) == AttemptRow.workload_id)
        .where(col(AttemptRow.released_at).is_(None))
    ).all()
    placements = placements_of(session, [attempt for attempt, _ in rows])
    for attempt, offered_until in rows:
        # Accepted at the last moment, it ends that much later.
        wait = offered_until - attempt.created_at if offered_until else timedelta()
        placement = placements[attempt.id]
        ask = Ask(attempt.cpu_milli, attempt.memory_bytes, placement.gpu_milli)
        yield Claim(
            attempt.id, placement, ask, limits.scope_ids(attempt.tenant_id, attempt.person_id),
            attempt.lease_ends_at + wait,
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
    return {
        a.id: Placement(a.node, a.cpu_milli, a.memory_bytes, tuple(shares[a.id])) for a in attempts
    }


def share_of_row(row: ShareRow) -> Share:
    return Share(row.device_id, row.milli, row.memory_mib, Mode(row.mode), row.emulated)
