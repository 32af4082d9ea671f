"""What a change of limits would bring about, found by planning the queue as it would be then."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sqlmodel import Session, col, select

from catalog.errors import PerijoveError
from hub import guarantees, quota_desk
from hub.control_context import Control
from hub.policy import Action, Actor, Object, allowed
from hub.quota_desk import Cell, Change, Wish
from hub.quota_tree import HELD, Uses
from hub.store.tables import AttemptRow, PersonRow, QuotaRow, TenantRow, WorkloadRow
from hub.world import Limits, read_world
from quotas.admission import Planner
from quotas.claims import World
from quotas.holdings import borrowers
from quotas.limits import Amounts, Dimension, Scope, add_to, first_over, use_of
from quotas.periods import Period
from quotas.tree import problems

NAMED = 20
"""The most consequences of one kind that are told one by one."""


@dataclass(frozen=True, slots=True)
class Consequence:
    """One thing that would be so. `kind` is ``over``, ``starts``, ``waits``, ``never``, ``lent`` or
    ``more``; `workload` is what it is about, where it is about one."""

    kind: str
    text: str
    workload: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """The changes in words, why they would be refused, and what they would bring about."""

    changes: list[Change]
    names: list[str]
    problems: list[PerijoveError]
    consequences: list[Consequence]


def preview(control: Control, actor: Actor, wishes: Sequence[Wish]) -> Preview:
    """Nothing is changed by it. Raises as `quota_desk.apply` does for what cannot be asked for."""
    with control.store.read() as session:
        changes = quota_desk.planned(session, actor, wishes)
        names = [quota_desk.name_of(session, one.cell) for one in changes]
        now, then = Limits(session), Limits(session, _quotas_then(session, changes))
        wrong = _problems(control, session, then, changes)
        if wrong:
            return Preview(changes, names, wrong, [])
        look = _Look(control, session, actor, changes, now, then)
        found = [*look.over(), *look.queue(), *look.lent()]
    return Preview(changes, names, [], found)


def _quotas_then(session: Session, changes: Iterable[Change]) -> list[QuotaRow]:
    rows = {
        Cell(row.tenant_id, row.person_id, Dimension(row.dimension)): row
        for row in session.exec(select(QuotaRow))
    }
    for one in changes:
        cell, state = one.cell, one.after
        rows[cell] = QuotaRow(
            tenant_id=cell.tenant_id, person_id=cell.person_id, dimension=cell.dimension.value,
            limit=state.limit, guaranteed=state.guaranteed, period=state.period,
        )  # fmt: skip
    return list(rows.values())


def _problems(
    control: Control, session: Session, then: Limits, changes: Iterable[Change]
) -> list[PerijoveError]:
    """Why it would be refused: guarantees that could not be kept."""
    tenants = then.tenants(session.exec(select(TenantRow)).all())
    found: list[PerijoveError] = list(problems(tenants))
    more = {c.cell.dimension for c in changes if c.after.guaranteed > c.before.guaranteed}
    for dimension in sorted(more):
        problem = guarantees.more_than_there_is(control, tenants, dimension)
        found += [problem] if problem else []
    return found[:NAMED]


class _Look:
    """The site as it is, beside the site as it would be."""

    def __init__(
        self, control: Control, session: Session, actor: Actor, changes: list[Change],
        now: Limits, then: Limits,
    ) -> None:  # fmt: skip
        self._control, self._session, self._changes = control, session, changes
        self._actor = actor
        self._then = then
        self._world = read_world(control, session, now)
        waiting = [one.id for one in self._world.queue]
        self._queued = {
            row.id: row
            for row in session.exec(select(WorkloadRow).where(col(WorkloadRow.id).in_(waiting)))
        }
        self._later = self._world_then()
        self._logins = dict(session.exec(select(PersonRow.id, PersonRow.login)).all())

    def _world_then(self) -> World:
        def judged_anew(id_: str) -> tuple[Scope, ...]:
            row = self._queued[id_]
            return self._then.scopes(row.tenant_id, row.person_id)

        queue = tuple(replace(one, scopes=judged_anew(one.id)) for one in self._world.queue)
        return replace(self._world, queue=queue, tree=self._then.tree())

    def over(self) -> Iterator[Consequence]:
        """Who holds, or has used up, more than they may then."""
        lower = [one for one in self._changes if _is_lower(one)]
        held = {one.cell.dimension for one in lower} & set(HELD)
        if held:
            yield from _few(list(self._holders(held)), "hold more than they may then")
        for one in lower:
            if one.cell.dimension not in HELD and not one.cell.person_id:
                yield from self._used_up(one)

    def _holders(self, dimensions: set[Dimension]) -> Iterator[Consequence]:
        used = _held_by_scope(self._world)
        owners = self._session.exec(
            select(AttemptRow.tenant_id, AttemptRow.person_id)
            .where(col(AttemptRow.released_at).is_(None))
            .distinct()
        ).all()
        told: set[str] = set()
        for tenant, person in owners:
            for scope in self._then.scopes(tenant, person):
                if scope.id in told:
                    continue
                told.add(scope.id)
                name = self._logins.get(person, "somebody") if scope.label == "you" else scope.label
                for d in sorted(dimensions):
                    held, most = used.get(scope.id, {}).get(d, 0), scope.limits.get(d)
                    if most is not None and held > most and self._touches(scope, tenant, person, d):
                        yield Consequence(
                            "over",
                            f"{name} holds {d.show(held)} and may then hold {d.show(most)}."
                            " Nothing is stopped: the next launch waits until enough has ended",
                        )  # fmt: skip

    def _touches(self, scope: Scope, tenant: str, person: str, dimension: Dimension) -> bool:
        """Whether one of the changes is about this limit."""
        whom = {person, "*"} if scope.label == "you" else {""}
        where = set(self._then.path(tenant))
        if scope.label != "you":
            where = {scope.id.removeprefix("tenant:")}
        return any(
            c.cell.dimension is dimension and c.cell.person_id in whom and c.cell.tenant_id in where
            for c in self._changes
        )

    def _used_up(self, change: Change) -> Iterator[Consequence]:
        cell, most = change.cell, change.after.limit or 0
        uses = Uses(self._control, self._session, [cell.tenant_id])
        used = uses.of(cell.tenant_id, cell.dimension, Period(change.after.period))
        if used is not None and used > most:
            show, each = cell.dimension.show, Period(change.after.period)
            until = f" until the next {each.value} begins" if each else ""
            yield Consequence(
                "over",
                f"{quota_desk.name_of(self._session, cell)}: {show(used)} are used and"
                f" {show(most)}{each.each} would be allowed. What runs goes on to the end of its"
                f" lease; nothing new starts{until}",
            )

    def queue(self) -> Iterator[Consequence]:
        """What would start now that waits, would wait that would start, or would never start."""
        if not self._queued:
            return
        now = self._control.clock.now()
        before = Planner(self._world, self._control.placer, now).slots
        after = Planner(self._later, self._control.placer, now).slots
        found: dict[str, list[Consequence]] = {"starts": [], "waits": [], "never": []}
        was = {one.id: one for one in self._world.queue}
        for one in self._later.queue:
            row = self._queued[one.id]
            id_, what = self._told(row)
            never = first_over(one.wanted, one.scopes, {})
            if never and first_over(was[one.id].wanted, was[one.id].scopes, {}) is None:
                found["never"].append(Consequence(
                    "never", f"{what} waits and would never start: {never.text}", id_))  # fmt: skip
            elif after[one.id].at == now != before[one.id].at:
                found["starts"].append(Consequence("starts", f"{what} would start now", id_))
            elif before[one.id].at == now != after[one.id].at:
                found["waits"].append(Consequence("waits", f"{what} would wait longer", id_))
        yield from _few(found["never"], "would never start")
        yield from _few(found["waits"], "would wait longer")
        yield from _few(found["starts"], "would start now")

    def _told(self, row: WorkloadRow) -> tuple[str, str]:
        """The id and the name of a workload, as far as the actor may know of it."""
        about = Object(row.person_id, self._then.path(row.tenant_id), "workload")
        if not allowed(self._actor, Action.READ_WORKLOAD, about):
            return "", "a workload of another tenant"
        return row.id, f"{row.name} of {self._logins.get(row.person_id, 'somebody')}"

    def lent(self) -> Iterator[Consequence]:
        """What would then run on borrowed capacity, and may have to go."""
        ids = borrowers(replace(self._world, tree=self._later.tree)) - borrowers(self._world)
        rows = self._session.exec(
            select(AttemptRow, WorkloadRow)
            .join(WorkloadRow, col(WorkloadRow.id) == AttemptRow.workload_id)
            .where(col(AttemptRow.id).in_(ids))
            .order_by(col(AttemptRow.created_at), col(AttemptRow.id))
        ).all()
        yield from _few(
            [
                Consequence(
                    "lent",
                    f"{self._told(row)[1]} would run on what"
                    " others are guaranteed: it may be told to go when they need it",
                    self._told(row)[0],
                )
                for _, row in rows
            ],
            "would run on what others are guaranteed",
        )  # fmt: skip


def _is_lower(change: Change) -> bool:
    before, after = change.before.limit, change.after.limit
    return after is not None and (before is None or after < before)


def _held_by_scope(world: World) -> dict[str, Amounts]:
    used: dict[str, dict[Dimension, int]] = {}
    for claim in world.running:
        for scope in claim.scope_ids:
            add_to(used.setdefault(scope, {}), use_of(claim.ask, claim.placement))
    return dict(used)


def _few(found: list[Consequence], said: str) -> Iterator[Consequence]:
    """Some by name, the rest as a number."""
    yield from found[:NAMED]
    if len(found) > NAMED:
        yield Consequence("more", f"{len(found) - NAMED} more {said}")
