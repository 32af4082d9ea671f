"""Budgets: what may be used up by a person or by a tenant, in all or in a period.

What a lease may come to use is set aside in every period that it touches, before it is granted or
extended; so no budget is overspent, whatever runs at once.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select

from catalog.asks import Ask
from catalog.errors import Refused
from catalog.fitting import milli_of
from catalog.inventory import Node
from catalog.offers import Answer, cost_of
from catalog.units import WHOLE
from hub.control_context import Control
from hub.lifecycle import Status
from hub.people import EACH_PERSON
from hub.store import day_use, money
from hub.store.tables import AttemptRow, DayUseRow, QuotaRow, TenantRow, WorkloadRow
from hub.tenant_paths import TenantPaths
from hub.world import ACCEPT_WITHIN, HELD_BACK, ask_of
from quotas.ledger import AccountKind, Owner
from quotas.limits import Dimension
from quotas.periods import (
    USED_UP,
    Budget,
    Lease,
    OverBudget,
    Period,
    Use,
    first_over,
    span_at,
)
from quotas.verdict import Code, Denied, Fits, Verdict, Waits


@dataclass(frozen=True, slots=True)
class _Scoped:
    """A budget, and whose use counts against it: one person's in these tenants, or everybody's."""

    budget: Budget
    person_id: str
    tenant_ids: frozenset[str]

    def counts(self, owner: Owner) -> bool:
        mine = not self.person_id or owner.person_id == self.person_id
        return mine and owner.tenant_id in self.tenant_ids


@dataclass(frozen=True, slots=True)
class _Open:
    """An attempt that is not counted by day yet: what it may use while it lives, or did use."""

    owner: Owner
    lease: Lease | None
    days: day_use.Days


class Books:
    """What the budgets of all people are added up from, each part read when it is first needed and
    then kept: many may look into the same books. Whoever grants enters each grant into them."""

    def __init__(
        self, session: Session, zone: ZoneInfo, *, paths: TenantPaths | None = None
    ) -> None:
        quotas = session.exec(
            select(QuotaRow).where(
                col(QuotaRow.dimension).in_([one.value for one in USED_UP]),
                col(QuotaRow.limit).is_not(None),
            )
        )
        self.limits = {
            (row.tenant_id, row.person_id, Dimension(row.dimension)): row for row in quotas
        }
        self._session, self._zone, self._paths = session, zone, paths

    def complete(self) -> "Books":
        """Read the rest now: the session is about to end."""
        if self.limits:
            _ = self.tenants, self.paths, self.uncounted, self.spent
        return self

    @cached_property
    def tenants(self) -> Sequence[tuple[str, str]]:
        """Ids and names."""
        return self._session.exec(select(TenantRow.id, TenantRow.name)).all()

    @cached_property
    def paths(self) -> TenantPaths:
        return self._paths or TenantPaths(self._session)

    @cached_property
    def uncounted(self) -> "list[_Open]":
        return _uncounted(self._zone, self._session)

    @cached_property
    def spent(self) -> dict[str, int]:
        """Micro-credits by tenant."""
        return money.used_by_tenant(self._session)

    def enter(self, attempt: AttemptRow, row: WorkloadRow) -> None:
        """A grant of the same transaction, with what it set aside: it counts for those after it. Call
        it for each, once its hold is in the ledger."""
        if not self.limits:
            return
        if "uncounted" in self.__dict__:
            owner = Owner(attempt.tenant_id, attempt.person_id)
            self.uncounted.append(_Open(owner, lease_of(attempt, row), {}))
        if "spent" in self.__dict__:
            self.spent[attempt.payer] = self.spent.get(attempt.payer, 0) + attempt.held


def uses_of(
    control: Control, session: Session, owner: Owner, *, books: Books | None = None
) -> tuple[Use, ...]:
    """The budgets that somebody's work counts against, the person's own first, with what is used of
    them, as of this transaction, or of the one that `books` were read in."""
    zone = control.settings.zone
    books = books or Books(session, zone)
    return tuple(_use(control, session, one, books, zone) for one in _scoped(books, owner))


def judge(
    control: Control,
    uses: tuple[Use, ...],
    asked: Iterable[Lease],
    answer: Answer,
    verdict: Verdict,
) -> Verdict:
    """The Verdict as it was found, or Denied when a start as planned could overspend a budget,
    together with what the same person has `asked` for already."""
    ask, now = answer.ask, control.clock.now()
    at = now if not isinstance(verdict, Waits) else verdict.starts_at or now
    milli = verdict.placement.gpu_milli if isinstance(verdict, Fits) else ask.gpu_milli
    lease = Lease(at, at + ask.duration, ask.duration, milli, answer.price_per_hour, answer.cost)
    asked = tuple(asked)
    uses = tuple(replace(use, leases=(*use.leases, *asked)) for use in uses)
    found = first_over(uses, lease, control.settings.zone)
    if found is None:
        return verdict
    code = Code.CREDITS if found.budget.dimension is Dimension.CREDITS else Code.QUOTA
    return Denied(code, found.text, found.next)


def start_matters(uses: Iterable[Use], ask: Ask) -> bool:
    """Whether `judge` must be told when and where a lease would begin: for a budget of a period, and
    for GPU-hours of what may take more of one device than of another."""
    return any(
        use.budget.period is not Period.NEVER
        or (use.budget.dimension is not Dimension.CREDITS and (ask.count or ask.whole_node))
        for use in uses
    )


def asked_by(
    control: Control, session: Session, owner: Owner, paths: TenantPaths
) -> dict[str, Lease]:
    """What somebody's workloads in the queue would use if they began now, by workload id: those
    that count together with the owner's."""
    rows = session.exec(
        select(WorkloadRow).where(
            WorkloadRow.person_id == owner.person_id, WorkloadRow.status == Status.QUEUED,
            col(WorkloadRow.reason_code).not_in(HELD_BACK),
        )
    )  # fmt: skip
    course = paths.course_of(owner.tenant_id)
    return {
        row.id: _lease_now(control, row) for row in rows if paths.course_of(row.tenant_id) == course
    }


def held_back_by(error: Refused) -> Code:
    """What a workload waits for that was refused at its grant."""
    return Code.CREDITS if error.detail_code == Code.CREDITS else Code.QUOTA


def let_back(control: Control, session: Session) -> None:
    """Plan again for what may be paid by now of what was held back."""
    rows = session.exec(
        select(WorkloadRow).where(
            WorkloadRow.status == Status.QUEUED, col(WorkloadRow.reason_code).in_(HELD_BACK)
        )
    ).all()
    for row in rows:
        owner, lease = Owner(row.tenant_id, row.person_id), _lease_now(control, row)
        wallet = Owner(row.payer, row.person_id)
        if money.balance(session, wallet, AccountKind.WALLET) < lease.most:
            continue
        if first_over(uses_of(control, session, owner), lease, control.settings.zone) is None:
            row.reason_code = row.next = ""
            row.reason = "it lost its place through no fault of its own" if row.again else ""
            session.add(row)
    session.flush()


def _lease_now(control: Control, row: WorkloadRow) -> Lease:
    """What it could use at the most if it began now, on whatever device."""
    now, span, ask = control.clock.now(), timedelta(seconds=row.duration_s), ask_of(row)
    wait = ACCEPT_WITHIN if row.notify else timedelta()
    most = max((_most_of(ask, node) for node in control.nodes), default=0)
    return Lease(
        now, now + wait + span, span, ask.gpu_milli or most, row.price_per_hour,
        cost_of(row.price_per_hour, span),
    )  # fmt: skip


def _most_of(ask: Ask, node: Node) -> int:
    """Milli-GPU that it would take of a node at the most."""
    if ask.whole_node:
        return WHOLE * len(node.devices)
    return ask.count * max((milli_of(ask, device) or 0 for device in node.devices), default=0)


def books_for_grants(control: Control, session: Session, paths: TenantPaths) -> Books:
    """Books for all that is granted in this transaction; what has ended is counted before."""
    day_use.count_ended(session, control.settings.zone)
    return Books(session, control.settings.zone, paths=paths)


def demand_grant(
    control: Control, session: Session, row: WorkloadRow, attempt: AttemptRow, books: Books
) -> None:
    """Raise Refused when a new attempt could overspend a budget. It is not in the session yet."""
    uses = uses_of(control, session, Owner(row.tenant_id, row.person_id), books=books)
    _demand(first_over(uses, lease_of(attempt, row), control.settings.zone))


def demand_extension(
    control: Control, session: Session, row: WorkloadRow, attempt: AttemptRow, by: timedelta
) -> None:
    """Raise Refused when a longer lease could overspend a budget."""
    ends_at, price = attempt.lease_ends_at, attempt.price_per_hour
    lease = Lease(ends_at, ends_at + by, by, attempt.gpu_milli, price, cost_of(price, by))
    uses = uses_of(control, session, Owner(row.tenant_id, row.person_id))
    _demand(first_over(uses, lease, control.settings.zone))


def use_tokens(control: Control, session: Session, owner: Owner, tokens: int) -> None:
    """Count tokens of an endpoint before they are served. Raises Refused when a budget has fewer
    left; nothing is counted then."""
    now, zone = control.clock.now(), control.settings.zone
    for use in uses_of(control, session, owner):
        if use.budget.dimension is Dimension.TOKENS:
            _demand(use.over(tokens, span_at(use.budget.period, now, zone), zone))
    day = now.astimezone(zone).date()
    day_use.add(session, owner.tenant_id, owner.person_id, Dimension.TOKENS, day, tokens)


def lease_of(attempt: AttemptRow, row: WorkloadRow) -> Lease:
    """What a live attempt may still come to use: from when it can be used, to the end of its lease;
    a turn that is held may be taken at the last moment."""
    span, starts_at = timedelta(seconds=row.duration_s), attempt.ready_at or attempt.created_at
    ends_at = attempt.lease_ends_at
    if row.notify and attempt.ready_at is None:
        ends_at = max(ends_at, attempt.created_at + ACCEPT_WITHIN + span)
    return Lease(
        starts_at, ends_at, max(span, attempt.lease_ends_at - starts_at), attempt.gpu_milli,
        attempt.price_per_hour, attempt.held,
    )  # fmt: skip


def _demand(found: OverBudget | None) -> None:
    if found is not None:
        credits_ = found.budget.dimension is Dimension.CREDITS
        raise Refused(found.text, next=found.next, code="credits" if credits_ else "quota")


def _scoped(books: Books, owner: Owner) -> Iterator[_Scoped]:
    """What is set for the person goes before what is set for each, the nearest tenant's word
    counts; then the tenants upward."""
    rows = books.limits
    if not rows:
        return
    tenants, paths = books.tenants, books.paths
    path, course = paths.of(owner.tenant_id), paths.course_of(owner.tenant_id)
    together = frozenset(id for id, _ in tenants if paths.course_of(id) == course)
    for dimension in USED_UP:
        own = (rows.get((t, p, dimension)) for p in (owner.person_id, EACH_PERSON) for t in path)
        if row := next((row for row in own if row is not None), None):
            yield _Scoped(_budget(row, "you"), owner.person_id, together)
    for tenant, name in sorted(tenants, key=lambda t: path.index(t[0]) if t[0] in path else -1):
        if tenant not in path:
            continue
        below = frozenset(id for id, _ in tenants if tenant in paths.of(id))
        for dimension in USED_UP:
            if row := rows.get((tenant, "", dimension)):
                yield _Scoped(_budget(row, name), "", below)


def _budget(row: QuotaRow, label: str) -> Budget:
    return Budget(label, Dimension(row.dimension), row.limit or 0, Period(row.period))


def _uncounted(zone: ZoneInfo, session: Session) -> list[_Open]:
    rows = session.exec(
        select(AttemptRow, WorkloadRow)
        .join(WorkloadRow, col(WorkloadRow.id) == AttemptRow.workload_id)
        .where(AttemptRow.counted == "")
    ).all()
    ended = [attempt.id for attempt, _ in rows if attempt.released_at is not None]
    paid = day_use.paid_by_attempt(session, ended) if ended else {}
    found: list[_Open] = []
    for attempt, row in rows:
        owner = Owner(attempt.tenant_id, attempt.person_id)
        if attempt.released_at is None:
            found.append(_Open(owner, lease_of(attempt, row), {}))
        else:
            days = day_use.days_of(attempt, paid.get(attempt.id, 0), zone)
            found.append(_Open(owner, None, days))
    return found


def _use(control: Control, session: Session, scoped: _Scoped, books: Books, zone: ZoneInfo) -> Use:
    budget = scoped.budget
    if budget.dimension is Dimension.CREDITS and budget.period is Period.NEVER:
        # The ledger knows it to the last millionth, and holds what the live leases may cost.
        used = sum(books.spent.get(tenant, 0) for tenant in scoped.tenant_ids)
        return Use(budget, used, {}, ())
    first, _ = span_at(budget.period, control.clock.now(), zone).days(zone)
    days = _counted(session, scoped, first)
    mine = [one for one in books.uncounted if scoped.counts(one.owner)]
    for one in mine:
        for day, amounts in one.days.items():
            day_ = day.isoformat()
            days[day_] = days.get(day_, 0) + amounts.get(budget.dimension, 0)
    leases = tuple(one.lease for one in mine if one.lease is not None)
    return Use(budget, 0, days, leases)


def _counted(session: Session, scoped: _Scoped, first: str) -> dict[str, int]:
    """By day, from the first day of the period on."""
    query = select(DayUseRow.tenant_id, DayUseRow.day, DayUseRow.amount).where(
        DayUseRow.dimension == scoped.budget.dimension.value, DayUseRow.day >= first
    )
    if scoped.person_id:
        query = query.where(DayUseRow.person_id == scoped.person_id)
    rows = session.exec(query).all()
    days: dict[str, int] = {}
    for tenant, day, amount in rows:
        if tenant in scoped.tenant_ids:
            days[day] = days.get(day, 0) + amount
    return days
