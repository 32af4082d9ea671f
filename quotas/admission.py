"""Who starts now, who waits until when, and who never will: one pure plan for the whole queue.

Conservative backfill (Mu'alem & Feitelson, IEEE TPDS 2001): each waiting ask, in queue order, is
given the earliest start that delays nobody before it, for as long as its lease lasts. Later asks may
pass earlier ones only through gaps, so a large ask cannot be starved by small ones. Quotas are
dimensions like any other.

All bounds hold if nobody extends and nothing more urgent comes. That takes a memory: when something
ends early, an earlier ask may move to a place that was planned for a later one. So what was planned
before (`World.promised`) is kept for those of the same class, and each may only come earlier.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from itertools import groupby

from catalog.asks import Ask
from catalog.inventory import Capacity, NodeFree, Placement
from catalog.placement import NoRoom, Placer
from catalog.units import format_credits
from quotas.limits import Dimension, Scope, first_over, use_of
from quotas.reservations import Hold
from quotas.verdict import Code, Denied, Fits, Verdict, Waits


@dataclass(frozen=True, slots=True)
class Claim:
    """What holds a place until `ends_at`: a running attempt, or one that is planned.

    `since` is when it began to hold it, `saved_at` when its work was last saved (a checkpoint): what
    came after would be lost. It is not preempted before `protected_until`. `going` means that it was
    told to go and ends by `ends_at`. `reservation` is the one whose capacity it uses.
    """

    id: str
    placement: Placement
    ask: Ask
    scope_ids: tuple[str, ...]
    ends_at: datetime
    since: datetime | None = None
    saved_at: datetime | None = None
    protected_until: datetime | None = None
    going: bool = False
    reservation: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An ask in the queue. `scopes` are the person's and the tenants' above, inmost first.

    `shares` is what each of them has lately used, as a part of the site (0 and more), outmost
    first: who used less goes first. `again` marks what lost its place through no fault of its own
    and goes before all of its class.
    """

    id: str
    ask: Ask
    scopes: tuple[Scope, ...]
    since: datetime
    shares: tuple[float, ...] = ()
    again: bool = False


@dataclass(frozen=True, slots=True)
class Slot:
    """What the plan gives to a waiting ask. `at` None: never, while things are as they are.
    `victims` are claims that must go for it, told now; `at` is then when their grace ends."""

    at: datetime | None
    placement: Placement | None
    code: Code
    reason: str
    position: int
    victims: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class World:
    """All that a plan depends on. `capacity` is what exists, with nothing taken off for claims;
    `promised` are the slots of the plan before this one, by id; `holds` is capacity that
    reservations keep for somebody."""

    capacity: Capacity
    running: tuple[Claim, ...] = ()
    queue: tuple[Waiting, ...] = ()
    promised: Mapping[str, Slot] = field(default_factory=dict[str, Slot])
    holds: tuple[Hold, ...] = ()


def in_order(queue: Iterable[Waiting]) -> list[Waiting]:
    """Priority class, then age, then id."""
    return sorted(queue, key=lambda w: (w.ask.priority.rank, w.since, w.id))


def plan(world: World, placer: Placer, now: datetime) -> dict[str, Slot]:
    """When and where each waiting ask starts, by id. Those with ``at == now`` may start now."""
    return Planner(world, placer, now).slots


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
        self._world, self._placer, self._now = world, placer, now
        self._running = _Profile.of(world, now)

    @property
    def slots(self) -> dict[str, Slot]:
        """By id of the waiting ask."""
        return self._planned.slots

    @cached_property
    def _planned(self) -> "_Planned":
        planned = _Planned({}, [], self._running)
        queue = in_order(self._world.queue)
        for rank, group in groupby(queue, key=lambda waiting: waiting.ask.priority.rank):
            # A more urgent ask finds the profile before anything is kept for this class.
            planned.ahead.append(_Ahead((rank,), planned.after, len(planned.slots) + 1))
            self._plan_class(list(group), planned)
        return planned

    def _plan_class(self, queue: list[Waiting], planned: "_Planned") -> None:
        kept: dict[str, tuple[datetime, Placement]] = {}
        for waiting in queue:
            if found := self._still_free(waiting, planned.after):
                kept[waiting.id] = found
                planned.after = planned.after.reserve(*found, waiting)
        for waiting in queue:
            position = len(planned.slots) + 1
            # What a later ask of this rank would find: the profile before those behind it.
            planned.ahead.append(_Ahead(_rank(waiting), planned.after, position))
            if waiting.id in kept:
                planned.after = planned.after.give_back(*kept[waiting.id], waiting)
            slot = self._earliest(waiting, planned.after, position)
            planned.slots[waiting.id] = slot
            if slot.at is not None and slot.placement is not None:
                planned.after = planned.after.reserve(slot.at, slot.placement, waiting)

    def _still_free(
        self, waiting: Waiting, profile: "_Profile"
    ) -> tuple[datetime, Placement] | None:
        """The slot that was promised, if nothing has come between; an overdue one begins as soon
        as what is in its place can be gone."""
        slot = self._world.promised.get(waiting.id)
        if slot is None or slot.at is None or slot.placement is None:
            return None
        for at in (max(slot.at, self._now), _never_past(slot.at, self._now)):
            window = profile.window_at(at, waiting)
            if _holds(window.free, slot.placement) and self._within_quota(waiting, window):
                return at, slot.placement
        return None

    def check(self, waiting: Waiting, cost: int, balance: int) -> Verdict:
        """As the function `check`."""
        if denied := self._never(waiting, cost, balance):
            return denied
        planned = self._planned
        place = bisect_left(planned.ahead, _rank(waiting), key=lambda row: row.rank)
        if place < len(planned.ahead):
            behind = planned.ahead[place]
            slot = self._earliest(waiting, behind.profile, behind.position)
        else:
            slot = self._earliest(waiting, planned.after, len(planned.slots) + 1)
        if slot.at == self._now and slot.placement is not None:
            return Fits(slot.placement)
        return Waits(slot.code, slot.reason, slot.position, slot.at)

    def _never(self, waiting: Waiting, cost: int, balance: int) -> Denied | None:
        over = first_over(use_of(waiting.ask), waiting.scopes, {})
        if over is not None:
            return Denied(Code.QUOTA, over.text, "choose a smaller one, or ask for a larger quota")
        place = self._placer.place(waiting.ask, self._world.capacity)
        if isinstance(place, NoRoom):
            return Denied(
                Code.TOO_LARGE, f"nothing here is large enough: {place.text}", "choose less"
            )
        if cost > balance:
            return Denied(
                Code.CREDITS,
                f"it costs {format_credits(cost)} credits and {format_credits(balance)} are left",
                "choose a shorter time or a smaller share, or ask for more credits",
            )
        return None

    def _earliest(self, waiting: Waiting, profile: "_Profile", position: int) -> Slot:
        for index, step in enumerate(profile.steps):
            # Most beginnings are ruled out by their first moment alone.
            if self._fit(waiting, step) is None:
                continue
            place = self._fit(waiting, profile.window(index, waiting))
            if place is None:
                continue
            if step.at == self._now:
                return Slot(step.at, place, Code.FITS, "it can start now", position)
            return Slot(step.at, place, *self._why_not_now(waiting), position)
        return Slot(None, None, *self._why_not_now(waiting), position)

    def _fit(self, waiting: Waiting, step: "_Step") -> Placement | None:
        if not self._within_quota(waiting, step):
            return None
        place = self._placer.place(waiting.ask, step.free)
        return None if isinstance(place, NoRoom) else place

    @staticmethod
    def _within_quota(waiting: Waiting, step: "_Step") -> bool:
        return first_over(use_of(waiting.ask), waiting.scopes, step.used) is None

    def _why_not_now(self, waiting: Waiting) -> tuple[Code, str]:
        """What is short without the reservations of those ahead; if nothing is, they are why."""
        now = self._running.steps[0]
        over = first_over(use_of(waiting.ask), waiting.scopes, now.used)
        if over is not None:
            return Code.QUOTA, over.text
        place = self._placer.place(waiting.ask, now.free)
        if isinstance(place, NoRoom):
            return Code.CAPACITY, place.text
        return Code.QUEUE, "others are ahead in the queue and would be delayed"


_Rank = tuple[int] | tuple[int, datetime, str]
"""The shorter one goes before all of its class."""
_Used = Mapping[str, Mapping[Dimension, int]]


@dataclass(frozen=True, slots=True)
class _Ahead:
    """What an ask that comes right before `rank` finds, and its position."""

    rank: _Rank
    profile: "_Profile"
    position: int


@dataclass(slots=True)
class _Planned:
    """The queue's slots; the profiles between them; the profile after all of them."""

    slots: dict[str, Slot]
    ahead: list[_Ahead]
    after: "_Profile"


def _rank(waiting: Waiting) -> _Rank:
    return waiting.ask.priority.rank, waiting.since, waiting.id


@dataclass(frozen=True, slots=True)
class _Step:
    """What is free and what is used from `at` on, until the next step."""

    at: datetime
    free: Capacity
    used: _Used

    def with_claim(
        self, placement: Placement, ask: Ask, scope_ids: tuple[str, ...], sign: int = 1
    ) -> "_Step":
        """With `sign` -1: without it again."""
        return replace(
            self,
            free=self.free.take(placement) if sign > 0 else self.free.give(placement),
            used={**self.used, **{s: _plus(self.used.get(s, {}), ask, sign) for s in scope_ids}},
        )


@dataclass(frozen=True, slots=True)
class _Profile:
    """Free and used over time as steps; the last step lasts for ever. Immutable."""

    steps: tuple[_Step, ...] = field(default=())

    @classmethod
    def of(cls, world: World, now: datetime) -> "_Profile":
        """Running claims only. One that is past its end holds its place until its engine sees it
        gone: to count it as gone would grant its place twice."""
        ends: list[datetime] = []
        for claim in world.running:
            insort(ends, _never_past(claim.ends_at, now))
        times = sorted({now, *ends})
        steps: list[_Step] = []
        for at in times:
            step = _Step(at, world.capacity, {})
            for claim in world.running:
                if at < _never_past(claim.ends_at, now):
                    step = step.with_claim(claim.placement, claim.ask, claim.scope_ids)
            steps.append(step)
        return cls(tuple(steps))

    def reserve(self, at: datetime, placement: Placement, waiting: Waiting) -> "_Profile":
        """The profile with a planned claim in it."""
        return self._moved(at, placement, waiting, 1)

    def give_back(self, at: datetime, placement: Placement, waiting: Waiting) -> "_Profile":
        """The profile without a claim that was reserved in it."""
        return self._moved(at, placement, waiting, -1)

    def _moved(self, at: datetime, placement: Placement, waiting: Waiting, sign: int) -> "_Profile":
        end, ask = at + waiting.ask.duration, waiting.ask
        ids = tuple(scope.id for scope in waiting.scopes)
        return _Profile(
            tuple(
                step.with_claim(placement, ask, ids, sign) if at <= step.at < end else step
                for step in self.split(at).split(end).steps
            )
        )

    def window_at(self, at: datetime, waiting: Waiting) -> _Step:
        """As `window`, from any moment on."""
        split = self.split(at)
        return split.window(bisect_left(split.steps, at, key=lambda step: step.at), waiting)

    def window(self, index: int, waiting: Waiting) -> _Step:
        """From the beginning of a step on, for as long as `waiting` lasts: the least that is free
        and the most that its scopes use."""
        first = self.steps[index]
        end, free = first.at + waiting.ask.duration, first.free
        used = {s.id: dict(first.used.get(s.id, {})) for s in waiting.scopes}
        for step in self.steps[index + 1 :]:
            if step.at >= end:
                break
            free = _least(free, step.free)
            for scope_id, most in used.items():
                for dimension, amount in step.used.get(scope_id, {}).items():
                    most[dimension] = max(most.get(dimension, 0), amount)
        return _Step(first.at, free, used)

    def split(self, at: datetime) -> "_Profile":
        """The same, with a step that begins at `at`."""
        steps = self.steps
        place = bisect_left(steps, at, key=lambda step: step.at)
        if place < len(steps) and steps[place].at == at:
            return self
        return _Profile((*steps[:place], replace(steps[place - 1], at=at), *steps[place:]))


def _never_past(end: datetime, now: datetime) -> datetime:
    return max(end, now + datetime.resolution)


def _plus(amounts: Mapping[Dimension, int], ask: Ask, sign: int) -> dict[Dimension, int]:
    return {d: amounts.get(d, 0) + sign * more for d, more in use_of(ask).items()}


def _holds(free: Capacity, placement: Placement) -> bool:
    """Whether there is room for this very placement."""
    node = free.nodes.get(placement.node)
    return (
        node is not None
        and node.cpu_milli >= placement.cpu_milli
        and node.memory_bytes >= placement.memory_bytes
        and all(node.device_milli.get(s.device_id, 0) >= s.milli for s in placement.shares)
    )


def _least(one: Capacity, other: Capacity) -> Capacity:
    """The smaller amount of everything on each node."""
    nodes: dict[str, NodeFree] = {}
    for name, a in one.nodes.items():
        b = other.nodes[name]
        nodes[name] = a if a is b else replace(
            a,
            cpu_milli=min(a.cpu_milli, b.cpu_milli),
            memory_bytes=min(a.memory_bytes, b.memory_bytes),
            device_milli={d: min(m, b.device_milli[d]) for d, m in a.device_milli.items()},
        )  # fmt: skip
    return Capacity(nodes)
