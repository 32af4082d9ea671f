"""The tree of tenants with what each is guaranteed, may hold, holds and has borrowed: a page at a
time, found, sorted and summed by the database in a fixed number of statements."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import CTE, case, func
from sqlmodel import Session, col, or_, select

from catalog.errors import BadValue
from hub import tenants_seen
from hub.control_context import Control
from hub.policy import Action, Actor, absent, require, tenant_object
from hub.quota_desk import State
from hub.store.tables import (
    AccountRow,
    AttemptRow,
    DayUseRow,
    QuotaRow,
    ShareRow,
    TenantRow,
)
from hub.tenant_paths import TenantPaths
from quotas.fairness import COUNTED
from quotas.ledger import AccountKind
from quotas.limits import Dimension
from quotas.periods import Period, span_at

HELD = (*COUNTED, Dimension.WORKLOADS)
"""Dimensions of what is held for a while: the tree can be sorted by their use."""
SORTS = ("name", "used", "guaranteed", "limit", "borrowed")
_SHOWN_PERIOD = {Dimension.GPU_HOURS: Period.MONTH, Dimension.TOKENS: Period.MONTH}
"""Over which use is shown while no limit says so."""


@dataclass(frozen=True, slots=True)
class Look:
    """Which tenants are wanted: those below `parent` (empty: the topmost that may be seen), or all
    that match `search`. `sort` is one of `SORTS`, with a dash in front for the largest first."""

    parent: str = ""
    search: str = ""
    sort: str = "name"
    dimension: Dimension = Dimension.GPU
    offset: int = 0
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Amounts:
    """One dimension of one tenant, in its base unit. `used` None is not measured; of what is used
    up it is that of `period`. `borrowed` may have to go back."""

    state: State
    used: int | None
    borrowed: int
    period: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A tenant of the tree; `path` are the names of those above it, the root first."""

    id: str
    name: str
    kind: str
    parent: str
    path: tuple[str, ...]
    children: int
    amounts: dict[Dimension, Amounts] = field(default_factory=dict[Dimension, Amounts])


def page(control: Control, actor: Actor, look: Look) -> tuple[list[Line], int | None]:
    """The tenants of a page, and where the next one begins; None at the end."""
    tenants_seen.demand_somewhere(actor, Action.READ_QUOTA)
    with control.store.read() as session:
        paths = TenantPaths(session)
        if look.parent:
            require(actor, Action.READ_QUOTA, tenant_object(paths.of(look.parent)))
        rows = session.exec(_wanted(actor, look)).all()
        if look.parent and not rows and session.get(TenantRow, look.parent) is None:
            raise absent(f"tenant {look.parent[:40]!r}")
        shown = rows[: look.limit]
        lines = _lines(control, session, shown, paths)
    return lines, look.offset + look.limit if len(rows) > look.limit else None


def _wanted(actor: Actor, look: Look) -> Any:
    """The statement that finds one more tenant than the page shows."""
    mine = tenants_seen.seen(actor, Action.READ_QUOTA)
    visible = select(mine.c.id)
    query = select(TenantRow).where(col(TenantRow.id).in_(visible))
    if look.search:
        like = look.search.strip()
        query = query.where(
            col(TenantRow.name).icontains(like, autoescape=True)
            | col(TenantRow.id).icontains(like, autoescape=True)
        )
    elif look.parent:
        query = query.where(TenantRow.parent_id == look.parent)
    else:
        above = col(TenantRow.parent_id)
        query = query.where(or_(above.is_(None), above.not_in(visible)))
    query, key = _sorted(query, look)
    order = key.desc() if look.sort.startswith("-") else key.asc()
    return query.order_by(order, col(TenantRow.id)).offset(look.offset).limit(look.limit + 1)


def _sorted(query: Any, look: Look) -> tuple[Any, Any]:
    """The query with what it is sorted by joined in, and that."""
    by, d = look.sort.removeprefix("-"), look.dimension
    if by not in SORTS or (by in {"used", "borrowed"} and d not in HELD):
        raise BadValue(
            f"sort: tenants cannot be sorted by {by[:20]} of {d}",
            next=f"use {', '.join(SORTS)}; used and borrowed of {', '.join(HELD)}",
        )
    if by == "name":
        return query, func.lower(col(TenantRow.name))
    own = (
        select(col(QuotaRow.tenant_id), col(QuotaRow.limit).label("most"), col(QuotaRow.guaranteed))
        .where(QuotaRow.person_id == "", QuotaRow.dimension == d.value)
        .subquery()
    )
    query = query.join(own, own.c.tenant_id == TenantRow.id, isouter=True)
    sure = func.coalesce(own.c.guaranteed, 0)
    if by == "guaranteed":
        return query, sure
    if by == "limit":
        return query, func.coalesce(own.c.most, 2**62)
    use = _held(tenants_seen.below(None), d).subquery()
    query = query.join(use, use.c.top == TenantRow.id, isouter=True)
    used = func.coalesce(use.c.used, 0)
    if by == "used":
        return query, used
    cohort = _cohorts(d).subquery()
    query = query.join(cohort, cohort.c.parent_id == TenantRow.parent_id, isouter=True)
    others = func.coalesce(cohort.c.guaranteed, 0) - sure
    return query, case(((others > 0) & (used > sure), used - sure), else_=0)


def _held(tree: CTE, dimension: Dimension) -> Any:
    """What is held now below each `top`, in one dimension."""
    if dimension is Dimension.GPU:
        total, extra = func.sum(ShareRow.milli), True
    else:
        total, extra = _SUMS[dimension](), False
    query = (
        select(tree.c.top, total.label("used"))
        .join(AttemptRow, col(AttemptRow.tenant_id) == tree.c.id)
        .where(col(AttemptRow.released_at).is_(None))
        .group_by(tree.c.top)
    )
    return query.join(ShareRow, _open_share()) if extra else query


_SUMS = {
    Dimension.CPU: lambda: func.sum(AttemptRow.cpu_milli),
    Dimension.MEMORY: lambda: func.sum(AttemptRow.memory_bytes),
    Dimension.WORKLOADS: lambda: func.count(col(AttemptRow.id)),
}


def _open_share() -> Any:
    return (col(ShareRow.attempt_id) == AttemptRow.id) & col(ShareRow.released_at).is_(None)


def _cohorts(dimension: Dimension | None = None) -> Any:
    """What the tenants below each parent are guaranteed together."""
    query = (
        select(TenantRow.parent_id, QuotaRow.dimension, func.sum(QuotaRow.guaranteed).label("guaranteed"))
        .join(QuotaRow, (col(QuotaRow.tenant_id) == TenantRow.id) & (QuotaRow.person_id == ""))
        .group_by(col(TenantRow.parent_id), col(QuotaRow.dimension))
    )  # fmt: skip
    return query if dimension is None else query.where(QuotaRow.dimension == dimension.value)


def _lines(
    control: Control, session: Session, rows: Sequence[TenantRow], paths: TenantPaths
) -> list[Line]:
    ids = [row.id for row in rows]
    above = {tenant for id_ in ids for tenant in paths.of(id_)[1:]}
    names = dict(
        session.exec(select(TenantRow.id, TenantRow.name).where(col(TenantRow.id).in_(above))).all()
    )
    children = dict(
        session.exec(
            select(TenantRow.parent_id, func.count())
            .where(col(TenantRow.parent_id).in_(ids))
            .group_by(col(TenantRow.parent_id))
        ).all()
    )
    states, cohorts = _states(session, ids), _guaranteed_in_cohorts(session)
    use = Uses(control, session, ids)
    return [
        Line(
            row.id, row.name, row.kind, row.parent_id or "",
            tuple(names.get(t, t) for t in reversed(paths.of(row.id)[1:])),
            children.get(row.id, 0),
            {
                d: _amounts(d, states.get((row.id, d), State()), use, row,
                            cohorts.get((row.parent_id, d), 0))
                for d in Dimension
            },
        )
        for row in rows
    ]  # fmt: skip


def _amounts(d: Dimension, state: State, use: "Uses", row: TenantRow, cohort: int) -> Amounts:
    period = state.period or ("" if state.limit is not None else _SHOWN_PERIOD.get(d, ""))
    used = use.of(row.id, d, Period(period))
    lent = row.parent_id is not None and cohort - state.guaranteed > 0 and d in COUNTED
    return Amounts(state, used, max(0, (used or 0) - state.guaranteed) if lent else 0, period)


def _states(session: Session, ids: list[str]) -> dict[tuple[str, Dimension], State]:
    rows = session.exec(
        select(QuotaRow).where(col(QuotaRow.tenant_id).in_(ids), QuotaRow.person_id == "")
    )
    return {
        (row.tenant_id, Dimension(row.dimension)): State(row.limit, row.guaranteed, row.period)
        for row in rows
    }


def _guaranteed_in_cohorts(session: Session) -> dict[tuple[str | None, Dimension], int]:
    return {
        (parent, Dimension(dimension)): int(amount or 0)
        for parent, dimension, amount in session.exec(_cohorts())
    }


class Uses:
    """What the people of some tenants and of all below them hold and have used up, read at once."""

    def __init__(self, control: Control, session: Session, ids: list[str]) -> None:
        self._zone, self._now = control.settings.zone, control.clock.now()
        tree = tenants_seen.below(ids)
        self._held: dict[tuple[str, Dimension], int] = {}
        self._used: dict[tuple[str, Dimension, Period], int] = defaultdict(int)
        self._read_held(session, tree)
        self._read_days(session, tree)
        self._read_live(session, tree)
        self._read_credits(session, tree)

    def of(self, tenant_id: str, dimension: Dimension, period: Period) -> int | None:
        """In the base unit; None where nothing measures it."""
        if dimension is Dimension.STORAGE:
            return None
        if dimension in HELD:
            return self._held.get((tenant_id, dimension), 0)
        return self._used.get((tenant_id, dimension, period), 0)

    def _read_held(self, session: Session, tree: CTE) -> None:
        rows = session.execute(
            select(tree.c.top, *(_SUMS[d]() for d in _SUMS))
            .join(AttemptRow, col(AttemptRow.tenant_id) == tree.c.id)
            .where(col(AttemptRow.released_at).is_(None))
            .group_by(tree.c.top)
        )
        for top, *sums in rows:
            for dimension, amount in zip(_SUMS, sums, strict=True):
                self._held[top, dimension] = int(amount or 0)
        for top, amount in session.execute(_held(tree, Dimension.GPU)):
            self._held[top, Dimension.GPU] = int(amount or 0)

    def _first_day(self, period: Period) -> str:
        return span_at(period, self._now, self._zone).days(self._zone)[0]

    def _read_days(self, session: Session, tree: CTE) -> None:
        sums = [
            func.sum(case((col(DayUseRow.day) >= self._first_day(p), DayUseRow.amount), else_=0))
            for p in Period
        ]
        rows = session.execute(
            select(tree.c.top, DayUseRow.dimension, *sums)
            .join(DayUseRow, col(DayUseRow.tenant_id) == tree.c.id)
            .group_by(tree.c.top, col(DayUseRow.dimension))
        )
        for top, dimension, *amounts in rows:
            for period, amount in zip(Period, amounts, strict=True):
                self._used[top, Dimension(dimension), period] += int(amount or 0)

    def _read_live(self, session: Session, tree: CTE) -> None:
        """GPU time of what is not counted by day yet: it runs, or has only just ended."""
        rows = session.execute(
            select(tree.c.top, AttemptRow)
            .join(AttemptRow, col(AttemptRow.tenant_id) == tree.c.id)
            .where(AttemptRow.counted == "", col(AttemptRow.ready_at).is_not(None))
        )
        for top, attempt in rows:
            begins = attempt.ready_at or self._now
            until = min(attempt.ended_at or self._now, attempt.lease_ends_at, self._now)
            for period in Period:
                seconds = self._seconds(begins, until, period)
                self._used[top, Dimension.GPU_HOURS, period] += attempt.gpu_milli * seconds

    def _seconds(self, begins: datetime, ends: datetime, period: Period) -> int:
        low, high = span_at(period, self._now, self._zone).cut(begins, ends)
        return max(0, int((high - low).total_seconds()))

    def _read_credits(self, session: Session, tree: CTE) -> None:
        """In all it is what the ledger says, with what is held for live leases."""
        rows = session.execute(
            select(tree.c.top, func.sum(AccountRow.balance))
            .join(AccountRow, col(AccountRow.tenant_id) == tree.c.id)
            .where(col(AccountRow.kind).in_([AccountKind.HELD.value, AccountKind.SPENT.value]))
            .group_by(tree.c.top)
        )
        for top, amount in rows:
            self._used[top, Dimension.CREDITS, Period.NEVER] = int(amount or 0)
