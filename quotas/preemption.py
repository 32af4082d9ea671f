"""Who has to go so that somebody else can start.

The rule. Real-time work may take the place of all best-effort work and of standard work that is
preemptible; standard work may take the place of best-effort work; best-effort work takes nobody's.
Besides, an ask that keeps its tenant within its guarantee may have back what others of the cohort
have borrowed, from work of its own class or a less urgent one, the last to borrow first.

What has begun lately is protected for a minimum run time, and so is work that has borrowed; only
best-effort work is never protected from real-time work, which waits for it no longer than the grace
period. Of all sets of victims that make enough room, the one goes that loses the least work.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count

from catalog.asks import Ask, Priority
from quotas.claims import Claim

CORES_A_GPU = 10
"""How many cores count as one GPU where lost work is compared."""
EXACT = 8
"""Among so many candidates the cheapest set is found exactly."""

Enough = Callable[[Collection[Claim]], bool]
"""Whether there is room once these are gone. More victims never make less room."""
Cost = tuple[int, int, int]
"""Work of standard and more urgent class that is lost, best-effort work that is lost, how many go."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A claim that may be told to go. `lends_back` is when it must go as a borrower: it began then."""

    claim: Claim
    cost: Cost
    lends_back: datetime | None = None


@dataclass(frozen=True, slots=True)
class Right:
    """What an ask may take from others: by its class, and what its tenants may have back."""

    ask: Ask

    def over(self, claim: Claim, now: datetime, *, owed: bool) -> Candidate | None:
        """The claim as a candidate, where it is `owed` to the tenant of this ask or not; None when
        it stays."""
        if claim.going or claim.ends_at <= now:
            return None
        by_class = outranks(self.ask, claim.ask)
        unprotected = (
            by_class
            and self.ask.priority is Priority.REAL_TIME
            and claim.ask.priority is Priority.BEST_EFFORT
        )
        if claim.protected_until is not None and claim.protected_until > now and not unprotected:
            return None
        if by_class:
            return Candidate(claim, cost_of_going(claim, now))
        if owed and self._may_have_back(claim.ask):
            return Candidate(claim, cost_of_going(claim, now), claim.since or now)
        return None

    def _may_have_back(self, held: Ask) -> bool:
        mine = self.ask.priority
        return mine is not Priority.BEST_EFFORT and mine.rank <= held.priority.rank


def outranks(ask: Ask, held: Ask) -> bool:
    """Whether `ask` may take the place of `held` by its class alone."""
    match ask.priority:
        case Priority.REAL_TIME:
            return held.priority is Priority.BEST_EFFORT or (
                held.priority is Priority.STANDARD and held.preemptible
            )
        case Priority.STANDARD:
            return held.priority is Priority.BEST_EFFORT
        case Priority.BEST_EFFORT:
            return False


def lost_work(claim: Claim, now: datetime) -> int:
    """What a claim has done since it was last saved, in milli-GPU × seconds."""
    begun = max((t for t in (claim.since, claim.saved_at) if t is not None), default=now)
    weight = claim.placement.gpu_milli + claim.ask.cpu_milli // CORES_A_GPU
    return weight * max(0, int((now - begun).total_seconds()))


def cost_of_going(claim: Claim, now: datetime) -> Cost:
    lost = lost_work(claim, now)
    if claim.ask.priority is Priority.BEST_EFFORT:
        return 0, lost, 1
    return lost + 1, 0, 1


def cost_of(victims: Collection[Candidate]) -> Cost:
    return (
        sum(v.cost[0] for v in victims),
        sum(v.cost[1] for v in victims),
        sum(v.cost[2] for v in victims),
    )


Hardship = tuple[timedelta, Cost]
"""How long ago the first of the borrowers began that have to give back, zero if none has to; what
is lost."""


def hardship(found: Collection[Candidate], now: datetime) -> Hardship:
    """Of several sets that are enough, the one with the smallest goes."""
    none = timedelta()
    ages = (now - c.lends_back + datetime.resolution for c in found if c.lends_back is not None)
    return max(ages, default=none), cost_of(found)


def victims(
    candidates: Sequence[Candidate], enough: Enough, below: Cost | None = None
) -> tuple[Candidate, ...] | None:
    """Those of `candidates` that go; None when not even all of them are enough. Nobody goes whose
    place is not needed. With `below`, None perhaps also when it would cost as much or more."""
    by_class = [c for c in candidates if c.lends_back is None]
    if by_class and enough(_claims(by_class)):
        by_class.sort(key=lambda c: (c.cost, c.claim.id))
        if len(by_class) <= EXACT:
            return _cheapest(by_class, enough, below)
        return _greedy(by_class, enough)
    if len(by_class) < len(candidates) and enough(_claims(candidates)):
        back = [c for c in candidates if c.lends_back is not None]
        back.sort(key=lambda c: (c.lends_back, c.claim.id), reverse=True)
        by_class.sort(key=lambda c: (c.cost, c.claim.id))
        return _greedy([*by_class, *back], enough)
    return None


def _cheapest(
    order: Sequence[Candidate], enough: Enough, below: Cost | None
) -> tuple[Candidate, ...] | None:
    """Sets in the order of what they cost, until one is enough."""
    ties = count()
    heap: list[tuple[Cost, int, tuple[int, ...]]] = []
    for index, candidate in enumerate(order):
        heappush(heap, (candidate.cost, next(ties), (index,)))
    while heap:
        cost, _, chosen = heappop(heap)
        if below is not None and cost >= below:
            return None
        found = tuple(order[i] for i in chosen)
        if enough(_claims(found)):
            return found
        for index in range(chosen[-1] + 1, len(order)):
            more = (*found, order[index])
            heappush(heap, (cost_of(more), next(ties), (*chosen, index)))
    return None


def _greedy(order: Sequence[Candidate], enough: Enough) -> tuple[Candidate, ...]:
    """One after the other until it is enough; then, backwards, those whose place is not needed
    stay. `order` as a whole is enough."""
    chosen: list[Candidate] = []
    for candidate in order:
        chosen.append(candidate)
        if enough(_claims(chosen)):
            break
    for candidate in chosen[-2::-1]:
        without = [c for c in chosen if c is not candidate]
        if enough(_claims(without)):
            chosen = without
    return tuple(chosen)


def _claims(candidates: Collection[Candidate]) -> list[Claim]:
    return [candidate.claim for candidate in candidates]
