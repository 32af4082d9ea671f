"""Why an ask waits, in words that name no person and no tenant but its own."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from catalog.asks import Ask, Priority
from catalog.inventory import Capacity
from catalog.placement import NoRoom, Placer
from quotas.claims import Claim, Waiting
from quotas.explain import who_holds, why
from quotas.fairness import ahead_text
from quotas.limits import first_over
from quotas.profile import Profile, Visitor
from quotas.verdict import Code


class Reasons:
    """Reasons of one plan; what is the same for many asks is worked out once."""

    def __init__(
        self, running: Profile, placer: Placer, now: datetime, claims: Sequence[Claim] = ()
    ) -> None:
        self._running, self._placer, self._now = running, placer, now
        self._claims = claims
        self._short: dict[Ask, str] = {}

    def why_not_now(self, waiting: Waiting, before: Sequence[Waiting]) -> tuple[Code, str]:
        """What is short without those ahead; then what is held; if nothing is, they are why."""
        moment = (self._now, self._now + datetime.resolution)
        used = self._running.most_used(waiting.scope_ids, moment)
        over = first_over(waiting.wanted, waiting.scopes, used)
        if over is not None:
            return Code.QUOTA, over.text
        if short := self._shortage(waiting.ask):
            return Code.CAPACITY, short
        if held := self._held(waiting):
            return Code.RESERVED, held
        return Code.QUEUE, ahead_text(waiting, before)

    def preempts(self, victims: Collection[Claim]) -> str:
        """Why it starts only when others have gone."""
        kinds = Counter(_kind(claim.ask.priority) for claim in victims)
        said = " and ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        return f"{said} {'makes' if len(victims) == 1 else 'make'} room for it"

    def _shortage(self, ask: Ask) -> str:
        """What is short while only what runs is there; empty when nothing is."""
        shape = replace(ask, duration=timedelta(hours=1), priority=Priority.STANDARD)
        if shape not in self._short:
            lines = self._running.nodes.items()
            free = Capacity({name: line.over(self._now, self._now)[0] for name, line in lines})
            place = self._placer.place(shape, free)
            self._short[shape] = why(place, self._claims) if isinstance(place, NoRoom) else ""
        return self._short[shape]

    def _held(self, waiting: Waiting) -> str:
        """What reservations keep it from, without naming whose."""
        if not self._running.units:
            return ""
        span, visitor = (self._now, self._now + waiting.ask.duration), Visitor.of(waiting)
        nodes = self._running.nodes
        free = Capacity({name: self._running.free(name, span, visitor) for name in nodes})
        place = self._placer.place(waiting.ask, free)
        if not isinstance(place, NoRoom):
            return ""
        theirs = [u for u in self._running.units if visitor.minds(u.hold, self._now)]
        inside = [u for u in theirs if u.hold.starts_at < span[1] and self._now < u.hold.ends_at]
        if not inside:
            return ""
        begins = min(unit.hold.starts_at for unit in inside)
        ends = max(unit.hold.ends_at for unit in inside)
        told = who_holds(place, self._claims, [unit.placement for unit in inside])
        whose = f" ({told})" if told else ""
        if begins <= self._now:
            return f"what is free is held for a reservation until {_clock(ends)}{whose}"
        return (
            f"what is free is held for a reservation from {_clock(begins)} until {_clock(ends)};"
            f" it would not end before{whose}"
        )


def _kind(priority: Priority) -> str:
    return f"{priority.value} workload"


def _clock(at: datetime) -> str:
    return f"{at:%H:%M on} {at.day} {at:%B} UTC"
