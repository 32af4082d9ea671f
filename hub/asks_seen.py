"""What people here ask for: the placer learns it from the store, so that it expects more of the same."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from catalog.mix import History, Mix
from hub.control_context import Control
from hub.store.tables import WorkloadRow
from hub.world import ask_of

LEARN_EVERY = timedelta(minutes=30)
MOST_ASKS = 8000
"""The last ones; older ones would count for next to nothing."""


class AsksSeen:
    """Teaches the placer the mix of asks, at the first call and then every half hour."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._learned_at: datetime | None = None

    def keep(self) -> None:
        """Repeatable; does nothing in between. Takes a few tenths of a second when it learns."""
        now = self._control.clock.now()
        if self._learned_at is not None and now - self._learned_at < LEARN_EVERY:
            return
        with self._control.store.read() as session:
            mix = learned(last_asks(session))
        self._control.learn(mix)
        self._learned_at = now


def last_asks(session: Session) -> list[WorkloadRow]:
    """The workloads asked for last, the oldest of them first."""
    newest = select(WorkloadRow).order_by(col(WorkloadRow.created_at).desc(), col(WorkloadRow.id))
    return list(reversed(session.exec(newest.limit(MOST_ASKS)).all()))


def learned(rows: Iterable[WorkloadRow]) -> Mix:
    """The mix after these asks; without any, what is expected before (`Mix.prior`)."""
    history = History()
    for row in rows:
        history.saw(ask_of(row))
    return history.mix()
