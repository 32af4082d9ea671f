"""Capacity held for somebody during a window of time."""

from dataclasses import dataclass
from datetime import datetime

from catalog.inventory import Placement


@dataclass(frozen=True, slots=True)
class Hold:
    """What one reservation still keeps for one window: places that nobody has taken yet.

    Only asks with `scope_id` among their scopes may use them. Others may, until `lent_until`, if
    they are preemptible (they are told to go in time), or if they end before `starts_at`.
    """

    reservation: str
    scope_id: str
    placements: tuple[Placement, ...]
    starts_at: datetime
    ends_at: datetime
    lent_until: datetime
