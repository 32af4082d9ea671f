"""Fair share: what each tenant and person has lately used, and what that means for the queue.

Use counts in every dimension of capacity; the largest part counts (dominant resources: Ghodsi et
al., NSDI 2011), so that somebody who fills the memory is not ahead of somebody who fills the GPUs.
Use fades with a half-life, so that nobody pays for ever for a busy week.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import exp2, log

from quotas.claims import Waiting
from quotas.limits import Amounts, Dimension

COUNTED = (Dimension.GPU, Dimension.CPU, Dimension.MEMORY)
"""Dimensions of capacity."""
_USED_LESS = "that used less lately"


def faded(amount: float, age: timedelta, half_life: timedelta) -> float:
    """What is left of `amount` after `age`. A clock that went back adds nothing."""
    return amount * exp2(-max(age, timedelta()) / half_life)


def used_by_now(
    rate: float, begun: datetime, ended: datetime, now: datetime, half_life: timedelta
) -> float:
    """Rate × seconds between `begun` and `ended`, each second faded until `now`:
    ∫ rate · 2^(-(now - t) / half_life) dt, in closed form."""
    if ended <= begun:
        return 0.0
    scale = half_life.total_seconds() / log(2)
    return rate * scale * (
        faded(1.0, now - ended, half_life) - faded(1.0, now - begun, half_life)
    )  # fmt: skip


def share(used: Mapping[Dimension, float], capacity: Amounts, half_life: timedelta) -> float:
    """The part of the site that was used lately, in the dimension in which it is the largest: 1.0
    is all of it all the time. Rounded to a thousandth, so that nobody passes for a trifle."""
    scale = half_life.total_seconds() / log(2)
    parts = (used.get(d, 0.0) / (capacity[d] * scale) for d in COUNTED if capacity.get(d, 0) > 0)
    return round(max(parts, default=0.0), 3)


@dataclass(frozen=True, slots=True)
class Share:
    """What one scope has used lately. `label` is how the person is told: ``you``."""

    scope_id: str
    label: str
    share: float

    @property
    def text(self) -> str:
        """``"you used 3.2 % of the site lately"``"""
        return f"{self.label} used {self.share:.1%} of the site lately".replace("%", " %")


def describe(shares: Sequence[Share]) -> str:
    """The person and the groups above, inmost first, in one sentence."""
    said = [f"{one.label} {one.share:.1%}".replace("%", " %") for one in shares]
    return "used lately: " + ", ".join(said) if said else "nothing was used lately"


def ahead_text(waiting: Waiting, before: Sequence[Waiting]) -> str:
    """Who is ahead and why, by kinds: nobody is named."""
    kinds = Counter(_why_ahead(waiting, other) for other in before)
    said = [f"{count} {kind}" for kind, count in kinds.most_common()]
    if not said:
        return "others are ahead in the queue and would be delayed"
    text = f"others are ahead in the queue and would be delayed: {', '.join(said)}"
    if not any(kind.endswith(_USED_LESS) for kind in kinds):
        return text
    labels = (scope.label for scope in reversed(waiting.scopes))
    shares = [Share("", label, part) for label, part in zip(labels, waiting.shares, strict=False)]
    return f"{text} ({describe(shares[::-1])})"


def _why_ahead(waiting: Waiting, other: Waiting) -> str:
    if other.ask.priority.rank < waiting.ask.priority.rank:
        return "more urgent"
    if other.again and not waiting.again:
        return "that lost their place before"
    if other.owner == waiting.owner:
        return "of your own"
    if other.shares < waiting.shares:
        same = {s.id for s in other.scopes[1:2]} & {s.id for s in waiting.scopes[1:2]}
        where = "of your group" if same else "from other groups"
        return f"{where} {_USED_LESS}"
    if other.since <= waiting.since:
        return "that asked earlier"
    return "inside what their group is guaranteed"
