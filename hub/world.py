"""What the planner sees: rows of the store and the inventory as values of the core."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import func
from sqlalchemy import select as columns
from sqlmodel import Session, col, select

from catalog.asks import Ask, Priority
from catalog.inventory import Capacity, Mode, Placement, Share
from catalog.placement import count_that_fit
from hub import fair_share, holds
from hub.control_context import Control
from hub.lifecycle import Status, Target
from hub.people import EACH_PERSON
from hub.store.tables import AttemptRow, QuotaRow, ShareRow, TenantRow, WorkloadRow
from hub.tenant_paths import TenantPaths
from quotas.admission import Claim, Planner, Rules, Waiting, World
from quotas.holdings import borrowers
from quotas.limits import Dimension, Scope
from quotas.profile import Profile, Visitor, can_be_lent
from quotas.tree import Tenant, Tree
from quotas.verdict import Code

ACCEPT_WITHIN = timedelta(minutes=10)
"""How long a turn is held."""
HELD = (Dimension.GPU, Dimension.CPU, Dimension.MEMORY)
"""What is added up of what runs."""
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
        self._rows = session.exec(select(TenantRow.id, TenantRow.parent_id, TenantRow.name)).all()
        self._names = {id_: name for id_, _, name in self._rows}
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
        self.paths = TenantPaths(session)

    @property
    def guarantees(self) -> bool:
        """Whether anybody is guaranteed anything."""
        return bool(self._guaranteed)

    def path(self, tenant_id: str) -> tuple[str, ...]:
        return self.paths.of(tenant_id)

    def payer_of(self, tenant_id: str) -> str:
        """The tenant whose wallet a person pays from for work in `tenant_id`."""
        return self.paths.payer_of(tenant_id)

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
        return (Scope(self.paths.person_scope(tenant_id, person_id), "you", own), *tenants)

    def tenant_scopes(self, tenant_id: str) -> tuple[Scope, ...]:
        """The tenant and those above it, without a person."""
        return self.scopes(tenant_id, "")[1:]

    def tree(self) -> Tree:
        """Who is guaranteed what."""
        found = (self._tenant(*row) for row in self._rows)
        return Tree({tenant.id: tenant for tenant in found})

    def tenants(self, rows: Iterable[TenantRow]) -> list[Tenant]:
        """Tenants with what is set for them as a whole."""
        return [self._tenant(row.id, row.parent_id, row.name) for row in rows]

    def _tenant(self, id_: str, parent_id: str | None, name: str) -> Tenant:
        return Tenant(
            f"tenant:{id_}", f"tenant:{parent_id}" if parent_id else None, name,
            self._guaranteed.get(id_, {}), self._limits.get((id_, ""), {}),
        )  # fmt: skip

    def scope_ids(self, tenant_id: str, person_id: str) -> tuple[str, ...]:
        person = self.paths.person_scope(tenant_id, person_id)
        return (person, *(f"tenant:{t}" for t in self.path(tenant_id)))


class Outlook:
    """The world as of a transaction and the plan of its queue, each worked out when it is first asked
    for: at the start of a class most who look need neither."""

    def __init__(self, control: Control, session: Session, limits: Limits) -> None:
        self._control, self._session, self._limits = control, session, limits
        self._now = control.clock.now()
        self._copies: dict[object, tuple[int, int]] = {}

    @cached_property
    def world(self) -> World:
        """Read while its transaction is open, or never."""
        return read_world(self._control, self._session, self._limits)

    def read(self) -> "Outlook":
        """Read it now: its transaction is about to end."""
        _ = self.world
        return self

    @cached_property
    def planner(self) -> Planner:
        return Planner(self.world, self._control.placer, self._now)

    @cached_property
    def borrowers(self) -> frozenset[str]:
        """Attempts that use what another tenant is guaranteed. What nobody is guaranteed, nobody
        borrows: then the world need not be read for it."""
        return borrowers(self.world) if self._limits.guarantees else frozenset()

    @cached_property
    def used(self) -> dict[str, dict[Dimension, int]]:
        """What runs holds in each scope, by its id."""
        found: dict[str, dict[Dimension, int]] = {}
        for claim in self.world.running:
            place = claim.placement
            held = (place.gpu_milli, place.cpu_milli, place.memory_bytes)
            for scope_id in claim.scope_ids:
                amounts = found.setdefault(scope_id, dict.fromkeys(HELD, 0))
                for dimension, more in zip(HELD, held, strict=True):
                    amounts[dimension] += more
        return found

    def copies(self, ask: Ask, scopes: tuple[Scope, ...]) -> tuple[int, int]:
        """How many of it have room now beside what runs and what is held for others, of how many if
        nothing ran."""
        borrower = can_be_lent(ask)
        # Of who asks, only this counts: whose reservations are open to them.
        mine = frozenset(scope.id for scope in scopes) & self._reserved
        key = (ask, borrower, mine)
        if key not in self._copies:
            visitor = Visitor.of(Waiting("~new", ask, scopes, self._now), borrower=borrower)
            self._copies[key] = self._count(ask, visitor)
        return self._copies[key]

    def _count(self, ask: Ask, visitor: Visitor) -> tuple[int, int]:
        placer, profile, span = (
            self._control.placer,
            self._profile,
            (self._now, self._now + ask.duration),
        )
        free = Capacity({name: profile.free(name, span, visitor) for name in profile.nodes})
        total = count_that_fit(ask, self.world.capacity, placer)
        return count_that_fit(ask, free, placer), total

    @cached_property
    def _profile(self) -> Profile:
        return Profile.of(self.world.capacity, self.world.running, self.world.holds, self._now)

    @cached_property
    def _reserved(self) -> frozenset[str]:
        return frozenset(hold.scope_id for hold in self.world.holds)

    def without(self, workload_id: str) -> "Outlook":
        """The same, as if this workload were not in the queue."""
        other = Outlook(self._control, self._session, self._limits)
        queue = tuple(waiting for waiting in self.world.queue if waiting.id != workload_id)
        other.world = replace(self.world, queue=queue)
        return other


def queued_by(session: Session, person_id: str) -> int:
    """How many workloads of a person wait and are planned for."""
    return session.exec(
        select(func.count())
        .select_from(WorkloadRow)
        .where(
            WorkloadRow.person_id == person_id, WorkloadRow.status == Status.QUEUED,
            col(WorkloadRow.reason_code).not_in(HELD_BACK),
        )
    ).one()  # fmt: skip


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
    """Values, not rows: this is read again and again, and making rows of them takes much longer."""
    shares: dict[str, list[Share]] = {}
    for share in session.exec(select(ShareRow).where(col(ShareRow.released_at).is_(None))):
        shares.setdefault(share.attempt_id, []).append(share_of_row(share))
    for found in session.execute(_HELD):
        # A rescue page holds none of what its workload asked for.
        apart, whole = ("", False) if found.rescue else (found.apart, found.whole_node)
        held = tuple(shares.get(found.id, ()))
        place = Placement(
            found.node, found.cpu_milli, found.memory_bytes, held, apart, whole_node=whole
        )
        yield _claim(control, found, place, limits)


_HELD = (
    columns(
        *(
            col(getattr(AttemptRow, name))
            for name in (
                "id", "node", "cpu_milli", "memory_bytes", "tenant_id", "person_id", "rescue",
                "lease_ends_at", "go_at", "created_at", "reservation",
            )
        ),
        *(
            col(getattr(WorkloadRow, name))
            for name in (
                "offered_until", "target", "status", "priority", "preemptible", "saved_at",
                "apart", "whole_node",
            )
        ),
    )
    .join(WorkloadRow, col(WorkloadRow.id) == AttemptRow.workload_id)
    .where(col(AttemptRow.released_at).is_(None))
)  # fmt: skip
"""What every place that is held needs to become a Claim."""


def _claim(control: Control, held: Any, placement: Placement, limits: Limits) -> Claim:
    # Accepted at the last moment, it ends that much later.
    wait = held.offered_until - held.created_at if held.offered_until else timedelta()
    ends_at = held.lease_ends_at + wait
    if held.go_at is not None:
        ends_at = min(ends_at, held.go_at)
    leaves = held.target == Target.STOPPED or held.status == Status.STOPPING
    if leaves:
        ends_at = min(ends_at, control.clock.now())  # as soon as its engine sees it gone
    ask = Ask(
        held.cpu_milli, held.memory_bytes, placement.gpu_milli,
        priority=Priority(held.priority), preemptible=held.preemptible,
        whole_node=placement.whole_node,
    )  # fmt: skip
    return Claim(
        held.id, placement, ask, limits.scope_ids(held.tenant_id, held.person_id), ends_at,
        since=held.created_at,
        saved_at=held.saved_at,
        protected_until=held.created_at + control.settings.protect_span,
        going=leaves or held.go_at is not None,
        reservation=held.reservation,
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
