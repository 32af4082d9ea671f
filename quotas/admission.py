"""Who starts now, who waits until when, and who never will: one pure plan for the whole queue.

Conservative backfill (Mu'alem & Feitelson, IEEE TPDS 2001): each waiting ask, in queue order, is
given the earliest start that delays nobody before it, for as long as its lease lasts. Later asks may
pass earlier ones only through gaps, so a large ask cannot be starved by small ones. All bounds
hold if nobody extends. Quotas are dimensions like any other.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from catalog.asks import Ask
from catalog.inventory import Capacity, NodeFree, Placement
from catalog.placement import NoRoom, Placer
from catalog.units import format_credits
from quotas.limits import Dimension, Scope, first_over, use_of
from quotas.verdict import Code, Denied, Fits, Verdict, Waits


@dataclass(frozen=True, slots=True)
class Claim:
    """What holds a place until `ends_at`: a running attempt, or one that is planned."""

    id: str
    placement: Placement
    ask: Ask
    scope_ids: tuple[str, ...]
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """An ask in the queue. `scopes` are the person's and the tenants' above, inmost first."""

    id: str
    ask: Ask
    scopes: tuple[Scope, ...]
    since: datetime


@dataclass(frozen=True, slots=True)
class World:
    """All that a plan depends on. `capacity` is what exists, with nothing taken off for claims."""

    capacity: Capacity
    running: tuple[Claim, ...] = ()
    queue: tuple[Waiting, ...] = ()


@dataclass(frozen=True, slots=True)
class Slot:
    """What the plan gives to a waiting ask. `at` None: never, while things are as they are."""

    at: datetime | None
    placement: Placement | None
    code: Code
    reason: str
    position: int


def in_order(queue: Iterable[Waiting]) -> list[Waiting]:
    """Priority class, then age, then id."""
    return sorted(queue, key=lambda w: (w.ask.priority.rank, w.since, w.id))


def plan(world: World, placer: Placer, now: datetime) -> dict[str, Slot]:
    """When and where each waiting ask starts, by id. Those with ``at == now`` may start now."""
    timeline = _Timeline(world.capacity, world.running, now)
    slots: dict[str, Slot] = {}
    for position, waiting in enumerate(in_order(world.queue), start=1):
        slot = _earliest(waiting, timeline, placer, now, position)
        slots[waiting.id] = slot
        if slot.at is not None and slot.placement is not None:
            timeline.reserve(slot.at, slot.placement, waiting)
    return slots


def check(
    waiting: Waiting, cost: int, balance: int, world: World, placer: Placer, now: datetime
) -> Verdict:
    """The Verdict for one more ask at its place in the queue.

    `cost` and `balance` in micro-credits: the hold for the whole lease, and what can be spent.
    """
    if denied := _never(waiting, cost, balance, world, placer):
        return denied
    slot = plan(replace(world, queue=(*world.queue, waiting)), placer, now)[waiting.id]
    if slot.at == now and slot.placement is not None:
        return Fits(slot.placement)
    return Waits(slot.code, slot.reason, slot.position, slot.at)


def _never(
    waiting: Waiting, cost: int, balance: int, world: World, placer: Placer
) -> Denied | None:
    over = first_over(use_of(waiting.ask), waiting.scopes, {})
    if over is not None:
        return Denied(Code.QUOTA, over.text, "choose a smaller one, or ask for a larger quota")
    place = placer.place(waiting.ask, world.capacity)
    if isinstance(place, NoRoom):
        return Denied(Code.TOO_LARGE, f"nothing here is large enough: {place.text}", "choose less")
    if cost > balance:
        return Denied(
            Code.CREDITS,
            f"it costs {format_credits(cost)} credits and {format_credits(balance)} are left",
            "choose a shorter time or a smaller share, or ask for more credits",
        )
    return None


def _earliest(
    waiting: Waiting, timeline: "_Timeline", placer: Placer, now: datetime, position: int
) -> Slot:
    why = (Code.QUEUE, "others are ahead in the queue")
    for at in timeline.moments():
        capacity, used = timeline.worst(at, at + waiting.ask.duration)
        over = first_over(use_of(waiting.ask), waiting.scopes, used)
        place = placer.place(waiting.ask, capacity) if over is None else None
        if isinstance(place, Placement):
            if at == now:
                return Slot(at, place, Code.FITS, "it can start now", position)
            return Slot(at, place, why[0], why[1], position)
        if at == now:
            why = _why_not_now(waiting, timeline, placer, now)
    return Slot(None, None, why[0], why[1], position)


def _why_not_now(
    waiting: Waiting, timeline: "_Timeline", placer: Placer, now: datetime
) -> tuple[Code, str]:
    """The reason without the reservations of those ahead; if there is none, they are the reason."""
    capacity, used = timeline.running_only(now)
    over = first_over(use_of(waiting.ask), waiting.scopes, used)
    if over is not None:
        return Code.QUOTA, over.text
    place = placer.place(waiting.ask, capacity)
    if isinstance(place, NoRoom):
        return Code.CAPACITY, place.text
    return Code.QUEUE, "others are ahead in the queue and would be delayed"


class _Timeline:
    """What is held when: running claims and reservations as intervals."""

    def __init__(self, capacity: Capacity, running: Sequence[Claim], now: datetime) -> None:
        self._capacity = capacity
        self._now = now
        # A claim past its end is still there until its engine sees it gone: treat it as ending now
        # would grant its place twice, so it holds its place and ends "next".
        self._running = [(now, _never_past(claim.ends_at, now), claim) for claim in running]
        self._planned: list[tuple[datetime, datetime, Claim]] = []

    def moments(self) -> list[datetime]:
        """When something might begin: now, and whenever something ends."""
        ends = {end for _, end, _ in (*self._running, *self._planned)}
        return [self._now, *sorted(end for end in ends if end > self._now)]

    def reserve(self, at: datetime, placement: Placement, waiting: Waiting) -> None:
        end = at + waiting.ask.duration
        claim = Claim(waiting.id, placement, waiting.ask, tuple(s.id for s in waiting.scopes), end)
        self._planned.append((at, end, claim))

    def running_only(self, at: datetime) -> tuple[Capacity, Mapping[str, dict[Dimension, int]]]:
        held = [claim for start, end, claim in self._running if start <= at < end]
        return _less(self._capacity, held), _used(held)

    def worst(
        self, start: datetime, end: datetime
    ) -> tuple[Capacity, Mapping[str, dict[Dimension, int]]]:
        """The least that is free, and the most that is used, at any time in [start, end)."""
        intervals = [*self._running, *self._planned]
        moments = {start} | {begin for begin, _, _ in self._planned if start < begin < end}
        capacity: Capacity | None = None
        used: dict[str, dict[Dimension, int]] = {}
        for moment in moments:
            held = [claim for begin, until, claim in intervals if begin <= moment < until]
            free = _less(self._capacity, held)
            capacity = free if capacity is None else _least(capacity, free)
            for scope, amounts in _used(held).items():
                most = used.setdefault(scope, {})
                for dimension, amount in amounts.items():
                    most[dimension] = max(most.get(dimension, 0), amount)
        return capacity or self._capacity, used


def _never_past(end: datetime, now: datetime) -> datetime:
    return max(end, now + _A_MOMENT)


_A_MOMENT = datetime.resolution


def _less(capacity: Capacity, claims: Iterable[Claim]) -> Capacity:
    for claim in claims:
        capacity = capacity.take(claim.placement)
    return capacity


def _least(one: Capacity, other: Capacity) -> Capacity:
    nodes: dict[str, NodeFree] = {}
    for name, a in one.nodes.items():
        b = other.nodes[name]
        nodes[name] = replace(
            a,
            cpu_milli=min(a.cpu_milli, b.cpu_milli),
            memory_bytes=min(a.memory_bytes, b.memory_bytes),
            device_milli={d: min(m, b.device_milli[d]) for d, m in a.device_milli.items()},
        )
    return Capacity(nodes)


def _used(claims: Iterable[Claim]) -> dict[str, dict[Dimension, int]]:
    used: dict[str, dict[Dimension, int]] = {}
    for claim in claims:
        amounts = use_of(claim.ask)
        for scope_id in claim.scope_ids:
            scope = used.setdefault(scope_id, {})
            for dimension, amount in amounts.items():
                scope[dimension] = scope.get(dimension, 0) + amount
    return used
