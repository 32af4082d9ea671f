"""Which claims go so that one ask can start: the rule of `quotas.preemption`, on a profile."""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime

from catalog.asks import Ask
from quotas.claims import Claim, Waiting, World
from quotas.limits import Dimension, Over, use_of
from quotas.preemption import Candidate, Cost, Hardship, Right, hardship, victims
from quotas.profile import Profile, Span, Visitor
from quotas.seats import Seat, Seats
from quotas.tree import Borrowed, Use

Found = tuple[Hardship, tuple[str, ...], tuple[Candidate, ...]]
"""How hard it is, the nodes on which there is room then, and who goes."""


Allowed = Callable[[Collection[Claim]], bool]
"""Whether the limits of an ask allow it once these are gone."""


class RoomMaker:
    """Finds victims for one plan."""

    def __init__(self, world: World, seats: Seats, now: datetime) -> None:
        self._world, self._seats, self._now = world, seats, now

    def make(
        self, waiting: Waiting, profile: Profile, told: Collection[str]
    ) -> tuple[tuple[Claim, ...], Seat] | None:
        """Who has to go so that it can start when their grace ends, at the least that is lost; None
        when nobody may be told to, or when it would not help."""
        at = self._now + self._world.rules.grace
        span = (at, at + waiting.ask.duration)
        candidates = self._candidates(waiting, span, profile, told)
        if not candidates:
            return None
        allowed, over = self._limits(waiting, span, profile)
        if not allowed([candidate.claim for candidate in candidates]):
            return None
        best: Found | None = None
        for nodes, local in _groups(waiting.ask, profile, candidates, over):
            below = None if best is None else best[0]
            if below is not None and below < hardship(local[:1], self._now):
                break  # whoever goes there, it is harder
            found = self._on(nodes, local, (waiting, span, profile.only(nodes, ())), allowed, below)
            if found is not None and (best is None or found[:2] < best[:2]):
                best = found
        if best is None:
            return None
        claims = tuple(candidate.claim for candidate in best[2])
        seat = self._seats.after(waiting, at, best[1], profile.freed(claims, at))
        return None if seat is None else (claims, seat)

    def _on(
        self, nodes: tuple[str, ...], local: Sequence[Candidate],
        case: tuple[Waiting, Span, Profile], allowed: Allowed, below: Hardship | None,
    ) -> Found | None:  # fmt: skip
        """Who of `local` goes for a place on these nodes; None perhaps also when it is harder than
        `below`."""
        waiting, span, part = case
        short = _shortage(waiting, span, part)

        def enough(gone: Collection[Claim]) -> bool:
            if not _could_do(gone, short, part):
                return False
            freed = part.freed(gone, span[0])
            return self._seats.fits(waiting, span, freed) and allowed(gone)

        # What gives back what it borrowed is compared by more than what is lost.
        cheapest = below[1] if below and not below[0] else None
        found = victims(local, enough, cheapest)
        return None if found is None else (hardship(found, self._now), nodes, found)

    def _limits(
        self, waiting: Waiting, span: Span, profile: Profile
    ) -> tuple[Allowed, Over | None]:
        """What its limits allow, and the one that it would pass if nobody went."""
        wanted = waiting.wanted
        over = profile.over(wanted, waiting.scopes, span)
        limited = frozenset(scope.id for scope in waiting.scopes if scope.limits)
        used = profile.only((), limited)
        known: dict[frozenset[str], bool] = {}

        def allowed(gone: Collection[Claim]) -> bool:
            if over is None:
                return True
            mine = [claim for claim in gone if not limited.isdisjoint(claim.scope_ids)]
            key = frozenset(claim.id for claim in mine)
            if key not in known:
                freed = used.freed(mine, span[0])
                known[key] = freed.over(wanted, waiting.scopes, span) is None
            return known[key]

        return allowed, over

    def _candidates(
        self, waiting: Waiting, span: Span, profile: Profile, told: Collection[str]
    ) -> list[Candidate]:
        used = profile.most_used(waiting.scope_ids, span)
        tree, wanted = self._world.tree, waiting.wanted
        reclaims = tree.may_reclaim(waiting.scope_ids, wanted, used)
        borrowed = self._borrowed(told) if reclaims else {}
        right, nothing = Right(waiting.ask), frozenset[tuple[str, Dimension]]()
        closed = self._closed(waiting, span)
        found = (
            right.over(claim, self._now, owed=tree.owes(borrowed.get(claim.id, nothing), reclaims))
            for claim in self._world.running
            if claim.id not in told and claim.ends_at > span[0]
            if not claim.reservation or claim.reservation not in closed
        )
        return [candidate for candidate in found if candidate is not None]

    def _closed(self, waiting: Waiting, span: Span) -> set[str]:
        """Windows that are not open to this ask. Who is in a place of one would go in vain: it would
        be held again."""
        visitor = Visitor.of(waiting)
        return {
            hold.reservation
            for hold in self._world.holds
            if hold.starts_at < span[1] and span[0] < hold.ends_at
            if visitor.minds(hold, span[0])
        }

    def _borrowed(self, told: Collection[str]) -> dict[str, Borrowed]:
        staying = [c for c in self._world.running if not c.going and c.id not in told]
        staying.sort(key=lambda claim: (claim.since or self._now, claim.id))
        return self._world.tree.borrowed(
            Use(c.id, c.scope_ids, use_of(c.ask, c.placement)) for c in staying
        )


def _shortage(waiting: Waiting, span: Span, part: Profile) -> tuple[int, int, int]:
    """Milli-GPU, cpu and memory that are not free on these nodes, taken together."""
    visitor, ask = Visitor.of(waiting), waiting.ask
    frees = [part.free(name, span, visitor) for name in part.nodes]
    return (
        ask.gpu_milli - sum(sum(free.device_milli.values()) for free in frees),
        ask.cpu_milli - sum(free.cpu_milli for free in frees),
        ask.memory_bytes - sum(free.memory_bytes for free in frees),
    )


def _could_do(gone: Collection[Claim], short: tuple[int, int, int], part: Profile) -> bool:
    """Whether what these hold is as much as what is short: a glance that spares a closer look."""
    parts = [p for claim in gone for p in claim.placement.parts if p.node in part.nodes]
    return (
        sum(share.milli for p in parts for share in p.shares) >= short[0]
        and sum(p.cpu_milli for p in parts) >= short[1]
        and sum(p.memory_bytes for p in parts) >= short[2]
    )


def _groups(
    ask: Ask, profile: Profile, candidates: Iterable[Candidate], over: Over | None
) -> list[tuple[tuple[str, ...], list[Candidate]]]:
    """Nodes that are looked at together, with those who could go there, the least hard first: one by
    one, unless the ask may lie on several. Who fills a limit of the ask may go anywhere."""
    together = ask.split and ask.count > 1
    local: dict[tuple[str, ...], list[Candidate]] = (
        {tuple(sorted(profile.nodes)): []} if together else {(n,): [] for n in profile.nodes}
    )
    for candidate in sorted(candidates, key=_ease):
        claim = candidate.claim
        everywhere = together or (over is not None and over.scope.id in claim.scope_ids)
        here = {(part.node,) for part in claim.placement.parts}
        for nodes in local if everywhere else here & local.keys():
            local[nodes].append(candidate)
    found = [(nodes, several) for nodes, several in local.items() if several]
    return sorted(found, key=lambda group: (_ease(group[1][0]), group[0]))


def _ease(candidate: Candidate) -> tuple[bool, float, Cost, str]:
    """Those that go by class first, by what they lose; then the last to have borrowed."""
    began = candidate.lends_back
    back = began is not None
    return back, -began.timestamp() if began else 0.0, candidate.cost, candidate.claim.id
