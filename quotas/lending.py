"""Held capacity that is lent until it is wanted, and who has to go when it is.

What a reservation keeps is lent to work that can be told to go. It is told when `lent_until` comes,
and its place is free one grace period later, before the window begins.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from catalog.inventory import NodeFree, Placement
from quotas.claims import Claim, World
from quotas.preemption import Candidate, cost_of_going, victims
from quotas.profile import can_be_lent, never_past
from quotas.reservations import Hold


@dataclass(frozen=True, slots=True)
class Recall:
    """A claim that has to go because its place is held for somebody else: told at `told_at`, gone at
    `gone_at`."""

    claim: str
    hold: Hold
    told_at: datetime
    gone_at: datetime


def recalls(world: World, now: datetime) -> dict[str, Recall]:
    """Those that run now and are in the way of a window, by claim id. What cannot be told to go
    stays, and the reservation has to find another place."""
    found: dict[str, Recall] = {}
    for hold in sorted(world.holds, key=lambda hold: (hold.starts_at, hold.reservation)):
        if hold.ends_at <= now:
            continue
        for node in dict.fromkeys(part.node for p in hold.placements for part in p.parts):
            free = world.capacity.nodes.get(node)
            if free is not None:
                _clear(world, hold, free, now, found)
    return found


def _clear(
    world: World, hold: Hold, empty: NodeFree, now: datetime, found: dict[str, Recall]
) -> None:
    """Add to `found` those that are in the way on one node when the window begins."""
    begins, node = max(hold.starts_at, now), empty.node.name
    kept = [
        part
        for other in world.holds
        if other.starts_at <= begins < other.ends_at
        for placement in other.placements
        for part in placement.parts
        if part.node == node
    ]
    there = [
        claim
        for claim in world.running
        if begins < never_past(claim.ends_at, now) and claim.id not in found
        if any(part.node == node for part in claim.placement.parts)
    ]

    def enough(gone: Collection[Claim]) -> bool:
        leave = {claim.id for claim in gone}
        stay = [claim.placement for claim in there if claim.id not in leave]
        return _go_together(empty, _parts(stay, node), kept)

    lent = [
        Candidate(claim, cost_of_going(claim, now))
        for claim in there
        if can_be_lent(claim.ask) and not claim.going
        if hold.scope_id not in claim.scope_ids
    ]
    if enough(()):
        return
    gone_at = max(now, hold.lent_until) + world.rules.grace
    # Where not all can be cleared, what can be is not taken in vain.
    for candidate in victims(lent, enough) or ():
        claim = candidate.claim
        found[claim.id] = Recall(claim.id, hold, max(now, hold.lent_until), gone_at)


def _parts(placements: Iterable[Placement], node: str) -> list[Placement]:
    return [part for placement in placements for part in placement.parts if part.node == node]


def _go_together(empty: NodeFree, staying: Iterable[Placement], kept: Iterable[Placement]) -> bool:
    """Whether each kept part has room on the node beside what stays, and beside each other."""
    free = empty
    for part in staying:
        free = free.moved(part, -1)
    for part in kept:
        if not free.has_room(part):
            return False
        free = free.moved(part, -1)
    return True


def in_time(holds: Iterable[Hold], grace: timedelta) -> tuple[Hold, ...]:
    """The holds, each lent only until those who go are gone when its window begins."""
    return tuple(
        replace(hold, lent_until=min(hold.lent_until, hold.starts_at - grace)) for hold in holds
    )


def sooner(claims: Iterable[Claim], gone: Mapping[str, datetime]) -> tuple[Claim, ...]:
    """The claims, with those in `gone` ending by then."""
    return tuple(
        replace(claim, ends_at=min(claim.ends_at, gone[claim.id])) if claim.id in gone else claim
        for claim in claims
    )
