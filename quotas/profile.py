"""What is free and what is used over time, if everything ends when it says. Immutable.

One line for each node and each scope, so that a plan looks only at what changes there. What a
reservation holds is kept apart: whether it is in the way depends on who asks.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce
from operator import add
from typing import Generic, TypeVar

from catalog.asks import Ask, Priority
from catalog.inventory import Capacity, NodeFree, Placement
from quotas.claims import Claim, Waiting
from quotas.limits import Amounts, Dimension, Over, Scope, use_of
from quotas.reservations import Hold, same_kind

T = TypeVar("T")
COUNTED = (Dimension.GPU, Dimension.CPU, Dimension.MEMORY, Dimension.WORKLOADS)
"""What is counted while somebody holds a place."""
Counts = tuple[int, ...]
"""Amounts in the order of `COUNTED`: a plan adds them up a million times."""
Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Line(Generic[T]):
    """A value over time: `values[i]` from `times[i]` on, the last for ever."""

    times: tuple[datetime, ...]
    values: tuple[T, ...]

    def over(self, start: datetime, end: datetime) -> tuple[T, ...]:
        """Each value that it has between `start` and `end`, in their order."""
        first = bisect_right(self.times, start) - 1
        return self.values[max(0, first) : max(first + 1, bisect_left(self.times, end))]

    def changed(self, start: datetime, end: datetime, change: Callable[[T], T]) -> "Line[T]":
        """The line with other values from `start` until `end`."""
        line = self.cut(start).cut(end)
        first, last = bisect_left(line.times, start), bisect_left(line.times, end)
        changed = tuple(change(value) for value in line.values[first:last])
        return Line(line.times, (*line.values[:first], *changed, *line.values[last:]))

    def next_change(self, after: datetime) -> datetime | None:
        place = bisect_right(self.times, after)
        return self.times[place] if place < len(self.times) else None

    def cut(self, at: datetime) -> "Line[T]":
        """The same, with a value that begins at `at`."""
        place = bisect_left(self.times, at)
        if not place or (place < len(self.times) and self.times[place] == at):
            return self
        value = self.values[place - 1]
        return Line(
            (*self.times[:place], at, *self.times[place:]),
            (*self.values[:place], value, *self.values[place:]),
        )


@dataclass(frozen=True, slots=True)
class Unit:
    """One place that a reservation keeps, but for the times at which somebody of its own is in it."""

    hold: Hold
    placement: Placement
    nodes: frozenset[str]
    span: Span
    taken: tuple[Span, ...] = ()

    @property
    def kept(self) -> tuple[Span, ...]:
        """When it is kept."""
        if not self.taken:
            return (self.span,)
        spans: list[Span] = []
        begins, ends = self.span
        for start, end in sorted(self.taken):
            if begins < min(start, ends):
                spans.append((begins, min(start, ends)))
            begins = max(begins, end)
        return (*spans, (begins, ends)) if begins < ends else tuple(spans)

    def on(self, node: str) -> bool:
        return node in self.nodes


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks: whose reservations are open to them, and whether places are lent to them."""

    scope_ids: frozenset[str]
    borrower: bool
    ask: Ask | None = None

    @classmethod
    def of(cls, waiting: Waiting, *, borrower: bool = False) -> "Visitor":
        return cls(frozenset(waiting.scope_ids), borrower, waiting.ask)

    def minds(self, hold: Hold, at: datetime) -> bool:
        """Whether what is held there is closed to somebody who begins at `at`."""
        if hold.scope_id in self.scope_ids:
            return not self.may_enter(hold)
        return not (self.borrower and at < hold.lent_until)

    def may_enter(self, hold: Hold) -> bool:
        """Whether it is kept for them: for their people, and for asks like theirs."""
        if hold.scope_id not in self.scope_ids:
            return False
        return self.ask is None or hold.ask is None or same_kind(self.ask, hold.ask)


def can_be_lent(ask: Ask) -> bool:
    """What may have held places until they are wanted: it can be told to go."""
    return ask.preemptible or ask.priority is Priority.BEST_EFFORT


@dataclass(frozen=True, slots=True)
class Profile:
    """Free and used from `now` on. `times` are all moments at which anything changes; `begins` has
    the beginning and the number of each unit, in the order of time."""

    now: datetime
    times: tuple[datetime, ...]
    nodes: Mapping[str, Line[NodeFree]]
    used: Mapping[str, Line[Counts]]
    units: tuple[Unit, ...] = ()
    begins: tuple[tuple[datetime, int], ...] = ()

    @classmethod
    def of(
        cls, capacity: Capacity, claims: Iterable[Claim], holds: Iterable[Hold], now: datetime
    ) -> "Profile":
        """One that is past its end holds its place until its engine sees it gone: to count it as
        gone would grant its place twice."""
        nodes = {name: [(now, free)] for name, free in capacity.nodes.items()}
        used: dict[str, list[tuple[datetime, Counts]]] = {}
        # Backwards: what ends last is there all the time.
        for claim in sorted(claims, key=lambda claim: claim.ends_at, reverse=True):
            end = never_past(claim.ends_at, now)
            for part in claim.placement.parts:
                if part.node in nodes:
                    _extend_back(nodes[part.node], end, lambda free, p=part: free.moved(p, -1))
            counts = _counts(use_of(claim.ask, claim.placement), 1)
            for scope in claim.scope_ids:
                line = used.setdefault(scope, [(now, _NONE)])
                _extend_back(line, end, lambda was, more=counts: _plus(was, more))
        units = tuple(
            Unit(
                hold,
                placement,
                frozenset(part.node for part in placement.parts),
                (max(now, hold.starts_at), hold.ends_at),
            )
            for hold in holds
            if hold.ends_at > now
            for placement in hold.placements
        )
        node_lines = {name: _line(steps) for name, steps in nodes.items()}
        used_lines = {scope: _line(steps) for scope, steps in used.items()}
        times = {now, *(t for line in node_lines.values() for t in line.times)}
        times |= {t for line in used_lines.values() for t in line.times}
        times |= {t for unit in units for t in unit.span}
        begins = tuple(sorted((unit.span[0], number) for number, unit in enumerate(units)))
        return cls(now, tuple(sorted(times)), node_lines, used_lines, units, begins)

    def taken(
        self, placement: Placement, amounts: Amounts, scope_ids: Iterable[str], span: Span,
        sign: int = 1,
    ) -> "Profile":  # fmt: skip
        """With one more claim in it for a while; with `sign` -1, with one less."""
        start, end = span
        nodes, used, counts = dict(self.nodes), dict(self.used), _counts(amounts, sign)
        for part in placement.parts:
            if part.node in nodes:
                nodes[part.node] = nodes[part.node].changed(
                    start, end, lambda free, p=part: free.moved(p, -sign)
                )
        for scope in scope_ids:
            line = used.get(scope) or Line((self.now,), (_NONE,))
            used[scope] = line.changed(start, end, lambda was: _plus(was, counts))
        times = self.times
        for moment in span:
            place = bisect_left(times, moment)
            if place == len(times) or times[place] != moment:
                times = (*times[:place], moment, *times[place:])
        return replace(self, times=times, nodes=nodes, used=used)

    def seated(self, unit: int, span: Span, sign: int = 1) -> "Profile":
        """With somebody of its own in a unit for a while; with `sign` -1, gone again."""
        was = self.units[unit]
        taken = [*was.taken, span] if sign > 0 else [other for other in was.taken if other != span]
        changed = replace(was, taken=tuple(taken))
        return replace(self, units=(*self.units[:unit], changed, *self.units[unit + 1 :]))

    def free(self, node: str, span: Span, visitor: Visitor) -> NodeFree:
        """The least that is free on a node between two moments, for this visitor."""
        start, end = span
        line = self.nodes[node]
        minded = self.units_of(lambda hold: visitor.minds(hold, start), end)
        spans = [
            (u, s) for _, u in minded if u.on(node) for s in u.kept if s[0] < end and start < s[1]
        ]
        if not spans:
            return reduce(NodeFree.least, line.over(start, end))
        edges = {*line.times, *(moment for _, kept in spans for moment in kept)}
        moments = [start, *sorted(moment for moment in edges if start < moment < end)]
        return reduce(
            NodeFree.least, (_less_kept(line.over(at, at)[0], node, at, spans) for at in moments)
        )

    def units_of(self, chosen: Callable[[Hold], bool], until: datetime) -> list[tuple[int, Unit]]:
        """The units, with their numbers, of the holds that are `chosen` and begin before a moment:
        a term of lab hours lies ahead, and only the next of them is ever near."""
        near = sorted(number for _, number in self.begins[: bisect_left(self.begins, (until, -1))])
        known: dict[int, bool] = {}  # a hold has as many units as a class has people
        found: list[tuple[int, Unit]] = []
        for number in near:
            unit = self.units[number]
            key = id(unit.hold)
            if key not in known:
                known[key] = chosen(unit.hold)
            if known[key]:
                found.append((number, unit))
        return found

    def freed(self, claims: Iterable[Claim], at: datetime) -> "Profile":
        """As if these claims ended at `at`."""
        profile = self
        for claim in claims:
            end = never_past(claim.ends_at, self.now)
            if at < end and (self.used or any(p.node in self.nodes for p in claim.placement.parts)):
                amounts = use_of(claim.ask, claim.placement)
                scopes = [scope for scope in claim.scope_ids if scope in self.used]
                profile = profile.taken(claim.placement, amounts, scopes, (at, end), -1)
        return profile

    def only(self, nodes: Iterable[str], scope_ids: Iterable[str]) -> "Profile":
        """A part of it, for a closer look."""
        return replace(
            self,
            nodes={name: self.nodes[name] for name in nodes},
            used={scope: self.used[scope] for scope in scope_ids if scope in self.used},
        )

    def most_used(self, scope_ids: Iterable[str], span: Span) -> dict[str, dict[Dimension, int]]:
        """The most that each scope uses between two moments."""
        found: dict[str, dict[Dimension, int]] = {}
        for scope in scope_ids:
            values = self.used[scope].over(*span) if scope in self.used else (_NONE,)
            most = (max(amounts) for amounts in zip(*values, strict=True))
            found[scope] = dict(zip(COUNTED, most, strict=True))
        return found

    def over(self, wanted: Amounts, scopes: Iterable[Scope], span: Span) -> Over | None:
        """The first limit that `wanted` more would pass at any time between two moments."""
        for scope in scopes:
            line = self.used.get(scope.id) if scope.limits else None
            values = line.over(*span) if line else ()
            for dimension, limit in scope.limits.items():
                more = wanted.get(dimension, 0)
                if not more:
                    continue
                place = COUNTED.index(dimension)
                most = max((counts[place] for counts in values), default=0)
                if most + more > limit:
                    return Over(scope, dimension, more, most, limit)
        return None

    def next_change(self, node: str, after: datetime) -> datetime | None:
        """When more may be free on a node than from `after` on."""
        mine = self.nodes[node].next_change(after)
        edges = (
            t
            for unit in self.units
            if unit.on(node)
            for span in unit.kept
            for t in span
            if t > after
        )
        return min((t for t in (mine, *edges) if t is not None), default=None)


def never_past(end: datetime, now: datetime) -> datetime:
    return max(end, now + datetime.resolution)


def _extend_back(steps: list[tuple[datetime, T]], end: datetime, change: Callable[[T], T]) -> None:
    """A claim that lasts until `end`, after all that last longer: `steps` begin at now and are kept
    with the last change first."""
    at, value = steps[0]
    steps[0] = (at, change(value))
    if len(steps) > 1 and steps[1][0] == end:
        return
    steps.insert(1, (end, value))


def _line(steps: list[tuple[datetime, T]]) -> Line[T]:
    return Line(tuple(at for at, _ in steps), tuple(value for _, value in steps))


_NONE: Counts = (0,) * len(COUNTED)


def _counts(amounts: Amounts, sign: int) -> Counts:
    return tuple(sign * amounts.get(dimension, 0) for dimension in COUNTED)


def _plus(was: Counts, more: Counts) -> Counts:
    return tuple(map(add, was, more))


def _less_kept(
    free: NodeFree, node: str, at: datetime, spans: Iterable[tuple[Unit, Span]]
) -> NodeFree:
    for unit, (start, end) in spans:
        if start <= at < end:
            for part in unit.placement.parts:
                free = free.moved(part, -1) if part.node == node else free
    return free
