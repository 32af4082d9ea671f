"""Everybody who is starting, in the order of their grants: how many are before one, and for how long.

A class that arrives at once starts as fast as the machines can. Nobody of it is turned away; who is
further behind sees how many are before them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func
from sqlmodel import Session, col, select

from hub.lifecycle import Status
from hub.store.tables import AttemptRow, WorkloadRow

LATELY = timedelta(seconds=10)
HANGS_AFTER = timedelta(minutes=1)
"""Whoever was launched longer ago is in nobody's way: all others come up beside it."""
LEAST_SEEN = 3
"""Fewer starts than these in the last while say nothing of how fast they are."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """What one start has before it. `seconds` is None where nothing tells how fast it goes."""

    starts: int
    seconds: int | None

    @property
    def text(self) -> str:
        """``"14 are before you, about 6 s"``; empty for the first."""
        if not self.starts:
            return ""
        who = "1 is before you" if self.starts == 1 else f"{self.starts} are before you"
        return who if self.seconds is None else f"{who}, about {self.seconds} s"


class StartLine:
    """The line as of a transaction; read when the first one asks."""

    def __init__(self, session: Session, now: datetime) -> None:
        self._session, self._now = session, now
        self._places: dict[str, int] | None = None
        self._lately = 0

    def ahead_of(self, attempt_id: str) -> Ahead | None:
        """None for what is not starting."""
        if self._places is None:
            self._places = self._places_now()
            self._lately = self._ready_lately() if len(self._places) > 1 else 0
        place = self._places.get(attempt_id)
        return None if place is None else Ahead(place, seconds_for(place + 1, self._lately))

    def _places_now(self) -> dict[str, int]:
        """How many are before each attempt."""
        places: dict[str, int] = {}
        before = 0
        for id_, launched_at in self._starting():
            places[id_] = before
            before += launched_at is None or self._now - launched_at <= HANGS_AFTER
        return places

    def _starting(self) -> Sequence[tuple[str, datetime | None]]:
        """Attempts and when they were launched, the first granted first; of one batch, those that
        were asked for first."""
        return self._session.exec(
            select(AttemptRow.id, AttemptRow.launched_at)
            .join(WorkloadRow, col(WorkloadRow.id) == AttemptRow.workload_id)
            .where(col(AttemptRow.released_at).is_(None), WorkloadRow.status == Status.STARTING)
            .order_by(
                col(AttemptRow.created_at), col(WorkloadRow.queued_at), col(AttemptRow.id)
            )
        ).all()  # fmt: skip

    def _ready_lately(self) -> int:
        """Of those that run still: the rest is not worth a longer search."""
        return self._session.exec(
            select(func.count()).select_from(AttemptRow).where(
                col(AttemptRow.released_at).is_(None),
                col(AttemptRow.ready_at) > self._now - LATELY,
            )
        ).one()  # fmt: skip


def seconds_for(starts: int, lately: int) -> int | None:
    """Until so many are up, if it goes on as it did in the time of `LATELY`, rounded up; None where
    too few came up to tell."""
    if lately < LEAST_SEEN:
        return None
    return -(-starts * int(LATELY.total_seconds()) // lately)
