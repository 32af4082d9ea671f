"""Who starts now, who waits until when, and who never will: one pure plan for the whole queue.

Conservative backfill (Mu'alem & Feitelson, IEEE TPDS 2001): each waiting ask, in the order of
`quotas.order`, is given the earliest start that delays nobody before it, for as long as its lease
lasts. Later asks may pass earlier ones only through gaps, so a large ask cannot be starved by small
ones. Quotas are dimensions like any other, and so is what reservations hold.

What is planned is a bound if nobody extends and nothing more urgent comes. That takes a memory: when
something ends early, an earlier ask may move to a place that was planned for a later one. So what
was planned before (`World.promised`) is kept, in two strengths. Somebody who used less lately may
come later and go ahead: that is what fair share means. But once the first ask that a person waits
for has waited for `Rules.patience`, its start is firm: within its class nothing moves it later.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from itertools import groupby

from catalog.inventory import Capacity
from catalog.placement import NoRoom, Placer
from catalog.units import format_credits
from quotas.claims import Claim, Rules, Slot, Waiting, World
from quotas.lending import Recall, in_time, recalls, sooner
from quotas.limits import LeastUse, first_over, use_of
from quotas.making_room import RoomMaker
from quotas.order import Order, Rank, in_order, uses_now
from quotas.profile import Profile, can_be_lent, never_past
from quotas.reasons import Reasons
from quotas.seats import Seat, Seats
from quotas.verdict import Code, Denied, Fits, Verdict, Waits

__all__ = [
    "Claim",
    "Planner",
    "Recall",
    "Rules",
    "Slot",
    "Waiting",
    "World",
    "check",
    "in_order",
    "plan",
    "refusal",
]


def plan(world: World, placer: Placer, now: datetime, *, words: bool = True) -> dict[str, Slot]:
    """When and where each waiting ask starts, by id. Those with ``at == now`` may start now.
    Without `words`, nothing says why the others wait: that takes longer than the plan."""
    planner = Planner(world, placer, now)
    if not words:
        return planner.slots
    return {id_: planner.told(id_) for id_ in planner.slots}


def refusal(
    waiting: Waiting, cost: int, balance: int, capacity: Capacity, placer: Placer
) -> Denied | None:
    """Why one more ask would never start, whoever else waits or runs; None when it may, if later.
    Needs no plan: as cheap for the last of a class as for the first."""
    known = replace(waiting, least_milli=LeastUse(capacity).of(waiting.ask))
    return _never(known, cost, balance, capacity, placer)


def check(
    waiting: Waiting, cost: int, balance: int, world: World, placer: Placer, now: datetime
) -> Verdict:
    """The Verdict for one more ask at its place in the queue.

    `cost` and `balance` in micro-credits: the hold for the whole lease, and what can be spent.
    """
    return Planner(world, placer, now).check(waiting, cost, balance)


class Planner:
    """One plan, from which any number of further asks are judged without planning anew."""

    def __init__(self, world: World, placer: Placer, now: datetime) -> None:
        self._now, self._placer = now, placer
        world = replace(world, holds=in_time(world.holds, world.rules.grace))
        self._least, self._world = LeastUse(world.capacity), world
        self.recalls = recalls(world, now)
        """Claims on lent places that have to go, by id: those with ``told_at == now`` are told."""
        gone = {recall.claim: recall.gone_at for recall in self.recalls.values()}
        queue = tuple(map(self._known, world.queue))
        self._world = world = replace(world, running=sooner(world.running, gone), queue=queue)
        self._running = Profile.of(world.capacity, world.running, world.holds, now)
        self._seats = Seats(world, placer, now)
        self._room = RoomMaker(world, self._seats, now)
        self._reasons = Reasons(self._running, placer, now, world.running)

    @property
    def slots(self) -> dict[str, Slot]:
        """By id of the waiting ask. Why one waits, only `told` says: that takes longer than its plan."""
        return self._planned.slots

    def told(self, id_: str) -> Slot:
        """The slot of a waiting ask, with why it waits. Raises KeyError for one that does not."""
        slot = self._planned.slots[id_]
        return slot if slot.reason else self._with_reason(slot, self._planned.order)

    def check(self, waiting: Waiting, cost: int, balance: int) -> Verdict:
        """As the function `check`."""
        waiting = self._known(waiting)
        if denied := _never(waiting, cost, balance, self._world.capacity, self._placer):
            return denied
        order = self._order_with(waiting)
        planned, rank = self._planned, order.rank(waiting)
        place = bisect_left(planned.ahead, rank, key=lambda row: row.rank)
        if place < len(planned.ahead):
            behind = planned.ahead[place]
            state, position = behind.state, behind.position
        else:
            state, position = planned.state, len(planned.slots) + 1
        slot, _ = self._slot(waiting, state, position)
        if slot.at == self._now and slot.placement is not None:
            borrowed = self._seats.would_borrow(waiting, self._running)
            return Fits(
                slot.placement, reservation=slot.reservation, until=slot.until,
                notice=self._world.rules.grace if borrowed or can_be_lent(waiting.ask) else None,
                borrowed=borrowed,
            )  # fmt: skip
        if not slot.reason:
            slot = self._with_reason(slot, [*planned.order[: position - 1], waiting])
        return Waits(slot.code, slot.reason, slot.position, slot.at)

    def _known(self, waiting: Waiting) -> Waiting:
        return replace(self._world.known(waiting), least_milli=self._least.of(waiting.ask))

    @cached_property
    def _order(self) -> Order:
        return Order.of(self._world.queue, self._world.tree, self._used)

    def _order_with(self, waiting: Waiting) -> Order:
        if not self._world.tree.tenants:
            return self._order
        return Order.of((*self._world.queue, waiting), self._world.tree, self._used)

    @cached_property
    def _used(self):  # noqa: ANN202 (amounts by scope)
        return uses_now(
            (claim.scope_ids, use_of(claim.ask, claim.placement))
            for claim in self._world.running
            if not claim.going
        )

    @cached_property
    def _planned(self) -> "_Planned":
        queue = sorted(self._world.queue, key=self._order.rank)
        planned = _Planned({}, [], queue, _State(self._running))
        for rank, members in groupby(queue, key=lambda waiting: waiting.ask.priority.rank):
            # A more urgent ask finds the profile before anything is kept for this class.
            planned.mark((rank,))
            self._plan_class(rank, list(members), planned)
        return planned

    def _plan_class(self, rank: int, queue: list[Waiting], planned: "_Planned") -> None:
        firm = self._firm(queue)
        kept: dict[str, Seat] = {}
        self._keep([w for w in queue if w.id in firm], kept, planned)
        for standing, group in groupby(queue, key=self._order.standing):
            # Who used less finds the profile before what is kept for those who used more.
            planned.mark((rank, standing))
            members = list(group)
            self._keep([w for w in members if w.id not in kept], kept, planned)
            for waiting in members:
                # What a later ask of this rank would find: the profile before those behind it.
                planned.mark(self._order.rank(waiting))
                if waiting.id in kept:
                    planned.state = planned.state.left(kept[waiting.id])
                slot, planned.state = self._slot(waiting, planned.state, len(planned.slots) + 1)
                certain = bool(slot.victims) or (waiting.id in firm and slot.at is not None)
                planned.slots[waiting.id] = replace(slot, firm=certain)

    def _firm(self, queue: Sequence[Waiting]) -> set[str]:
        """Those of a class whose start nothing in it moves later: of each person the first, once it
        has waited long enough, and what was firm before."""
        heads: dict[str, str] = {}
        for waiting in queue:
            heads.setdefault(waiting.owner, waiting.id)
        return {
            waiting.id
            for waiting in queue
            if (promised := self._world.promised.get(waiting.id)) is not None
            and (
                promised.firm
                or (
                    heads[waiting.owner] == waiting.id
                    and self._now - waiting.since >= self._world.rules.patience
                )
            )
        }

    def _keep(self, queue: Iterable[Waiting], kept: dict[str, Seat], planned: "_Planned") -> None:
        for waiting in queue:
            if seat := self._still_free(waiting, planned.state):
                kept[waiting.id] = seat
                planned.state = planned.state.seated(seat)

    def _still_free(self, waiting: Waiting, state: "_State") -> Seat | None:
        """The slot that was promised, if nothing has come between; an overdue one begins as soon
        as what is in its place can be gone."""
        slot = self._world.promised.get(waiting.id)
        if slot is None or slot.at is None or slot.placement is None:
            return None
        for at in (max(slot.at, self._now), never_past(slot.at, self._now)):
            if seat := self._seats.again(waiting, slot.placement, at, state.profile):
                return seat
        return None

    def _slot(self, waiting: Waiting, state: "_State", position: int) -> tuple[Slot, "_State"]:
        """The slot of an ask, and the state with it in it; why it waits is not said yet."""
        seat = self._seats.earliest(waiting, state.profile)
        soon = self._now + self._world.rules.grace
        if seat is None or seat.at > soon:
            taken = self._room.make(waiting, state.profile, state.told)
            if taken is not None:
                victims, seat = taken
                profile = state.profile.freed(victims, soon)
                state = _State(profile, state.told | {claim.id for claim in victims})
                slot = self._said(seat, Code.PREEMPTION, self._reasons.preempts(victims), position)
                slot = replace(slot, victims=tuple(claim.id for claim in victims))
                return slot, state.seated(seat)
        if seat is not None and seat.at == self._now:
            return self._said(seat, Code.FITS, "it can start now", position), state.seated(seat)
        if seat is None:
            return Slot(None, None, Code.QUEUE, "", position), state
        return self._said(seat, Code.QUEUE, "", position), state.seated(seat)

    def _with_reason(self, slot: Slot, order: Sequence[Waiting]) -> Slot:
        """`order` is the queue at least as far as the one that the slot is for."""
        before, waiting = order[: slot.position - 1], order[slot.position - 1]
        code, reason = self._reasons.why_not_now(waiting, before)
        return replace(slot, code=code, reason=reason)

    def _said(self, seat: Seat, code: Code, reason: str, position: int) -> Slot:
        return Slot(
            seat.at, seat.placement, code, reason, position, until=seat.until,
            reservation=seat.reservation,
        )  # fmt: skip


def _never(
    waiting: Waiting, cost: int, balance: int, capacity: Capacity, placer: Placer
) -> Denied | None:
    over = first_over(waiting.wanted, waiting.scopes, {})
    if over is not None:
        return Denied(Code.QUOTA, over.text, "choose a smaller one, or ask for a larger quota")
    place = placer.place(waiting.ask, capacity)
    if isinstance(place, NoRoom) and not place.ever:
        return Denied(Code.TOO_LARGE, f"nothing here is large enough: {place.text}", "choose less")
    if cost > balance:
        return Denied(
            Code.CREDITS,
            f"it costs {format_credits(cost)} credits and {format_credits(balance)} are left",
            "choose a shorter time or a smaller share, or ask for more credits",
        )
    return None


@dataclass(frozen=True, slots=True)
class _State:
    """The profile, and the claims that were told to go by this plan."""

    profile: Profile
    told: frozenset[str] = frozenset()

    def seated(self, seat: Seat) -> "_State":
        return replace(self, profile=seat.enter(self.profile))

    def left(self, seat: Seat) -> "_State":
        return replace(self, profile=seat.leave(self.profile))


@dataclass(frozen=True, slots=True)
class _Ahead:
    """What an ask that comes right before `rank` finds, and its position."""

    rank: Rank
    state: _State
    position: int


@dataclass(slots=True)
class _Planned:
    """The queue's slots; its order; the states between them; the state after all of them."""

    slots: dict[str, Slot]
    ahead: list[_Ahead]
    order: list[Waiting]
    state: _State

    def mark(self, rank: Rank) -> None:
        self.ahead.append(_Ahead(rank, self.state, len(self.slots) + 1))
