"""Limits as administrators change them: several at once or none, each change kept with what was
before, so that it can be taken back exactly.

A limit of a tenant as a whole is set from above it; limits of people in it, by its own staff and
within what the tenant has itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from catalog.errors import BadValue, Conflict
from hub import guarantees, tenants_seen
from hub.control_context import Control
from hub.people import EACH_PERSON
from hub.policy import Action, Actor, absent, allowed, require, tenant_object
from hub.store import audit
from hub.store.desk_tables import QuotaChangeRow
from hub.store.tables import MembershipRow, PersonRow, QuotaRow, TenantRow
from hub.tenant_paths import TenantPaths
from quotas.amounts import parse_amount
from quotas.fairness import COUNTED
from quotas.limits import Dimension
from quotas.periods import Period, demand_period

AT_ONCE = 100
"""The most changes in one request."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One limit: of a tenant, of each person in it (``*``), or of one person there (their id)."""

    tenant_id: str
    person_id: str
    dimension: Dimension


@dataclass(frozen=True, slots=True)
class State:
    """What a cell says, in base units. `limit` None is no limit; all empty, nothing is set."""

    limit: int | None = None
    guaranteed: int = 0
    period: str = ""

    @property
    def version(self) -> str:
        """Whoever saw this version has seen all that a cell says."""
        limit = "-" if self.limit is None else self.limit
        return f"{limit}.{self.guaranteed}.{self.period}"

    def kept(self) -> dict[str, Any]:
        """As a change keeps it."""
        if self == State():
            return {}
        return {"limit": self.limit, "guaranteed": self.guaranteed, "period": self.period}

    def text(self, dimension: Dimension) -> str:
        """``"4 GPUs, 2 GPUs guaranteed"``, ``"10 GPU-hours a week"``, ``"no limit"``."""
        show = dimension.show
        sure = f", {show(self.guaranteed)} guaranteed" if self.guaranteed else ""
        if self.limit is None:
            return f"no limit{sure}"
        return f"{show(self.limit)}{Period(self.period).each}{sure}"


@dataclass(frozen=True, slots=True)
class Wish:
    """A change as it is asked for. `person` is a login, ``*`` or empty; None keeps what there is;
    `limit` ``none`` removes it. With `version`, it is made only to what was seen."""

    tenant: str
    dimension: str
    person: str = ""
    limit: str | None = None
    guaranteed: str | None = None
    period: str = ""
    version: str | None = None


NO_LIMIT = "none"


@dataclass(frozen=True, slots=True)
class Change:
    """What a cell says, and what it would say."""

    cell: Cell
    before: State
    after: State


def apply(control: Control, actor: Actor, wishes: Sequence[Wish]) -> list[QuotaChangeRow]:
    """Make all of these changes, or none; what changes nothing is left out. What runs goes on.

    Raises Conflict when a cell is not as it was seen, BadValue when the tree or the site cannot
    keep it.
    """
    with control.store.write() as session:
        rows = make(control, session, actor, wishes)
    control.wake()
    return rows


def make(
    control: Control, session: Session, actor: Actor, wishes: Sequence[Wish]
) -> list[QuotaChangeRow]:
    """As `apply`, within a transaction of the caller's; who wakes control after it."""
    changes = [one for one in planned(session, actor, wishes) if one.before != one.after]
    rows = [put(control, session, actor, one) for one in changes]
    demand_kept(control, session, changes)
    return rows


def planned(session: Session, actor: Actor, wishes: Sequence[Wish]) -> list[Change]:
    """The changes that are wished for, judged; nothing is changed yet."""
    if not 0 < len(wishes) <= AT_ONCE:
        raise BadValue(f"changes: send 1 to {AT_ONCE} at once", next="split them")
    paths = TenantPaths(session)
    changes = [_change(session, actor, paths, wish) for wish in wishes]
    if len({one.cell for one in changes}) < len(changes):
        raise BadValue("changes: one limit is changed twice", next="leave one of them out")
    for one in changes:
        demand_within(session, actor, paths, one, changes)
    return changes


def undo(control: Control, actor: Actor, ids: Iterable[int]) -> list[QuotaChangeRow]:
    """Take changes back, the newest first: all of them or none; each limit is again what it was.

    Raises Conflict when something else has changed one of them since, in words.
    """
    with control.store.write() as session:
        paths, done = TenantPaths(session), []
        made: list[Change] = []
        for id_ in sorted(set(ids), reverse=True):
            row, cell = _known(session, actor, paths, id_)
            _demand_newest(session, row)
            before, after = state_of(session, cell), State(**row.before)
            if before != State(**row.after):
                raise Conflict(
                    f"{name_of(session, cell)} was changed since: it is {before.text(cell.dimension)}"
                    " now",
                    next="look at it again, and set what you want",
                )
            change = Change(cell, before, after)
            demand_within(session, actor, paths, change, [change])
            back = put(control, session, actor, change, undoes=row)
            row.undone_by = back.id
            session.add(row)
            made.append(change)
            done.append(back)
        demand_kept(control, session, made)
    control.wake()
    return done


def demand_kept(control: Control, session: Session, changes: Iterable[Change]) -> None:
    """Raise BadValue when the tree of tenants as it is now, or the site, cannot keep its word."""
    session.flush()
    guarantees.demand_sound(session)
    for dimension in dict.fromkeys(
        one.cell.dimension for one in changes if one.after.guaranteed > one.before.guaranteed
    ):
        guarantees.demand_there(control, session, dimension)


def state_of(session: Session, cell: Cell) -> State:
    """What is set now."""
    row = session.get(QuotaRow, (cell.tenant_id, cell.person_id, cell.dimension.value))
    return State(row.limit, row.guaranteed, row.period) if row else State()


def name_of(session: Session, cell: Cell) -> str:
    """``"GPU of Physics"``, ``"GPU of each person of Physics"``, ``"GPU of mia in Physics"``."""
    row = session.get(TenantRow, cell.tenant_id)
    tenant = row.name if row else cell.tenant_id
    if cell.person_id == EACH_PERSON:
        return f"{cell.dimension.label} of each person of {tenant}"
    if not cell.person_id:
        return f"{cell.dimension.label} of {tenant}"
    person = session.get(PersonRow, cell.person_id)
    return f"{cell.dimension.label} of {person.login if person else 'somebody'} in {tenant}"


def act_of(cell: Cell) -> Action:
    """What changing it is called."""
    return Action.SET_PERSON_QUOTA if cell.person_id else Action.SET_QUOTA


def _change(session: Session, actor: Actor, paths: TenantPaths, wish: Wish) -> Change:
    dimension = Dimension(wish.dimension)
    path = paths.of(wish.tenant)
    about = tenant_object(path)
    require(actor, Action.SET_PERSON_QUOTA if wish.person else Action.SET_QUOTA, about)
    if session.get(TenantRow, wish.tenant) is None:
        raise absent(f"tenant {wish.tenant[:40]!r}")
    cell = Cell(wish.tenant, person_id_of(session, actor, paths, wish), dimension)
    before = state_of(session, cell)
    if wish.version is not None and wish.version != before.version:
        raise Conflict(
            f"{name_of(session, cell)} is {before.text(dimension)} by now",
            next="somebody changed it meanwhile: look at it again, and set what you want",
        )
    return Change(cell, before, _after(wish, cell, before))


def _after(wish: Wish, cell: Cell, before: State) -> State:
    after = before
    if wish.limit is not None:
        removed = wish.limit == NO_LIMIT
        limit = None if removed else parse_amount(cell.dimension, wish.limit)
        after = replace(after, limit=limit, period="" if removed else wish.period)
        if limit is not None:
            demand_period(cell.dimension, Period(wish.period), person=bool(cell.person_id))
    if wish.guaranteed is not None:
        if cell.dimension not in COUNTED:
            raise BadValue(
                f"dimension: {cell.dimension} cannot be guaranteed",
                next=f"guarantee {', '.join(COUNTED[:-1])} or {COUNTED[-1]}",
            )
        if cell.person_id:
            raise BadValue("guaranteed: tenants are guaranteed something, people are not",
                           next="leave it out, or guarantee it to the tenant")  # fmt: skip
        after = replace(after, guaranteed=parse_amount(cell.dimension, wish.guaranteed))
    return after


def person_id_of(session: Session, actor: Actor, paths: TenantPaths, wish: Wish) -> str:
    """Whom a wish is about. Who is not in the tenant or below it is nobody to its staff."""
    if wish.person in {"", EACH_PERSON}:
        return wish.person
    found = session.exec(select(PersonRow.id).where(PersonRow.login == wish.person)).first()
    if found is None or not (actor.platform_admin or _belongs(session, paths, found, wish.tenant)):
        raise absent(f"person {wish.person[:40]!r}")
    return found


def _belongs(session: Session, paths: TenantPaths, person_id: str, tenant_id: str) -> bool:
    tenants = session.exec(
        select(MembershipRow.tenant_id).where(MembershipRow.person_id == person_id)
    )
    return any(tenant_id in paths.of(tenant) for tenant in tenants)


def demand_within(
    session: Session, actor: Actor, paths: TenantPaths, change: Change, together: Sequence[Change]
) -> None:
    """Raise BadValue when the tenant's own staff would give its people more than it has itself:
    more than its limit, or than those above it; without any, more than is set for people above."""
    cell, path, after = change.cell, paths.of(change.cell.tenant_id), change.after
    if not cell.person_id or allowed(actor, Action.SET_QUOTA, tenant_object(path)):
        return
    before = change.before
    lower = after.period == before.period and (after.limit or 0) <= (before.limit or 0)
    if after.limit is None or lower:
        return
    coming = {one.cell: one.after for one in together}
    most = _most_within(session, path, paths.course_of(path[0]), change, coming)
    if most is None:
        return
    show, each = cell.dimension.show, Period(most.period).each
    if most.period != after.period:
        raise BadValue(
            f"period: above this tenant people may have {show(most.limit or 0)}{each}",
            next="use the same period, or ask an administrator above it for a limit of the tenant",
        )
    if after.limit > (most.limit or 0):
        raise BadValue(
            f"{show(after.limit)} would be more than this tenant may have:"
            f" {show(most.limit or 0)}{each}",
            next="give less, or ask an administrator above it for more",
        )


def _most_within(
    session: Session, path: Sequence[str], course: str, change: Change,
    coming: Mapping[Cell, State],
) -> State | None:  # fmt: skip
    """The lowest ceiling of the tenant and those above it that counts over the same period; else
    what is set above for the person, or for each; None where nothing is.

    A course for which nobody has set a ceiling has no more for each than everybody above it.
    """

    def of(tenant: str, person: str) -> State:
        cell = Cell(tenant, person, change.cell.dimension)
        return coming.get(cell) or state_of(session, cell)

    ceilings = [state for t in path if (state := of(t, "")).period == change.after.period]
    own = [state for state in ceilings if state.limit is not None]
    if course:
        inside = path[: path.index(course) + 1]
        each = (of(t, EACH_PERSON) for t in path[len(inside) :])
        everybody = next((state for state in each if state.limit is not None), None)
        if everybody and all(of(t, "").limit is None for t in inside):
            own = [*own, everybody] if everybody.period == change.after.period else [everybody]
    if own:
        return min(own, key=lambda state: state.limit or 0)
    whom = dict.fromkeys((change.cell.person_id, EACH_PERSON))
    above = (of(t, person) for person in whom for t in path[1:])
    return next((state for state in above if state.limit is not None), None)


def put(
    control: Control, session: Session, actor: Actor, change: Change, *,
    undoes: QuotaChangeRow | None = None,
) -> QuotaChangeRow:  # fmt: skip
    """Write one change that was judged already, and keep it with what was before."""
    cell, now = change.cell, control.clock.now()
    _write(session, cell, change.after)
    row = QuotaChangeRow(
        tenant_id=cell.tenant_id, person_id=cell.person_id, dimension=cell.dimension.value,
        before=change.before.kept(), after=change.after.kept(), changed_by=actor.person_id, at=now,
        undoes=undoes.id if undoes else None,
    )  # fmt: skip
    session.add(row)
    session.flush()
    _record(session, actor, change, row, now)
    return row


def _write(session: Session, cell: Cell, state: State) -> None:
    row = session.get(QuotaRow, (cell.tenant_id, cell.person_id, cell.dimension.value))
    if state == State():
        if row is not None:
            session.delete(row)
        session.flush()
        return
    row = row or QuotaRow(
        tenant_id=cell.tenant_id, person_id=cell.person_id, dimension=cell.dimension.value
    )
    row.limit, row.guaranteed, row.period = state.limit, state.guaranteed, state.period
    session.add(row)
    session.flush()


def _record(
    session: Session, actor: Actor, change: Change, row: QuotaChangeRow, at: datetime
) -> None:
    cell, after = change.cell, change.after
    action = "undo-quota" if row.undoes else "set-quota"
    if action == "set-quota" and after.guaranteed != change.before.guaranteed:
        action = "guarantee"
    audit.record(
        session, at, actor.person_id, action, cell.person_id or cell.tenant_id, cell.tenant_id,
        {"dimension": cell.dimension.value, "change": row.id, "before": row.before, **after.kept()}
        | ({"undoes": row.undoes} if row.undoes else {}),
    )  # fmt: skip


def _known(
    session: Session, actor: Actor, paths: TenantPaths, change_id: int
) -> tuple[QuotaChangeRow, Cell]:
    """A change that the actor may take back; nobody else is told that there is one."""
    row = session.get(QuotaChangeRow, change_id) if 0 < change_id < 2**62 else None
    if row is None:
        raise absent(f"change {change_id}")
    cell, about = cell_of(row), tenant_object(paths.of(row.tenant_id))
    if not allowed(actor, Action.READ_QUOTA, about):
        raise absent(f"change {change_id}")
    require(actor, act_of(cell), about)
    if row.undone_by is not None:
        raise Conflict(f"change {change_id} was taken back already", next="look at the limit again")
    return row, cell


def cell_of(row: QuotaChangeRow) -> Cell:
    """What a change was made to."""
    return Cell(row.tenant_id, row.person_id, Dimension(row.dimension))


def _demand_newest(session: Session, row: QuotaChangeRow) -> None:
    """Raise Conflict when a later change of the same limit stands."""
    later = session.exec(
        select(QuotaChangeRow).where(
            QuotaChangeRow.tenant_id == row.tenant_id, QuotaChangeRow.person_id == row.person_id,
            QuotaChangeRow.dimension == row.dimension, col(QuotaChangeRow.id) > row.id,
            col(QuotaChangeRow.undone_by).is_(None), col(QuotaChangeRow.undoes).is_(None),
        ).order_by(col(QuotaChangeRow.id))
    ).first()  # fmt: skip
    if later is None:
        return
    cell = cell_of(row)
    by = session.get(PersonRow, later.changed_by)
    raise Conflict(
        f"{name_of(session, cell)} was changed since, by {by.login if by else 'somebody'}:"
        f" it is {state_of(session, cell).text(cell.dimension)} now",
        next="take that change back first, or set what you want",
    )


def changes(
    control: Control, actor: Actor, *, tenant: str = "", cursor: int = 0, limit: int = 50
) -> list[QuotaChangeRow]:
    """What was changed in the tenants whose limits the actor may read, the newest first: one more
    than `limit` where there is more. `cursor` is the id before which to go on."""
    tenants_seen.demand_somewhere(actor, Action.READ_QUOTA)
    mine = tenants_seen.seen(actor, Action.READ_QUOTA)
    query = select(QuotaChangeRow).where(col(QuotaChangeRow.tenant_id).in_(select(mine.c.id)))
    if tenant:
        query = query.where(QuotaChangeRow.tenant_id == tenant)
    if cursor:
        query = query.where(col(QuotaChangeRow.id) < cursor)
    with control.store.read() as session:
        newest = query.order_by(col(QuotaChangeRow.id).desc()).limit(limit + 1)
        return list(session.exec(newest).all())
