"""One look at the whole site, for all who look at the same moment: who holds what, who waits for
what, what of budgets is used.

Reading it takes longer the more people are at work, and when a class arrives everybody looks. A
picture only shows: whoever decides reads for themselves, in the transaction that decides. Who was
told that something of theirs changed sees at least that.
"""

import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from catalog.inventory import Node
from hub.budgets import Books
from hub.control_context import Control
from hub.policy import Actor
from hub.world import Limits, Outlook

KEPT = timedelta(seconds=1)
"""No picture is shown for longer: time itself changes what it says."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """A moment: by the clock; by what was written and told before it."""

    at: datetime
    monotonic_s: float
    version: int
    hints: int
    nodes: tuple[Node, ...]

    @classmethod
    def of(cls, control: Control) -> "Stamp":
        return cls(
            control.clock.now(), time.monotonic(), control.store.version, control.bus.told,
            tuple(control.nodes),
        )  # fmt: skip


class Picture:
    """Each part is read once, by whoever first needs it, in their transaction: all of them begin
    after `stamp`, so a part may be newer than that and never older."""

    def __init__(self, control: Control) -> None:
        self.stamp = Stamp.of(control)
        self._control = control
        self._reading = threading.Lock()
        self._limits: Limits | None = None
        self._books: Books | None = None
        self._outlook: Outlook | None = None

    def limits(self, session: Session) -> Limits:
        with self._reading:
            if self._limits is None:
                self._limits = Limits(session)
            return self._limits

    def books(self, session: Session) -> Books:
        with self._reading:
            if self._books is None:
                self._books = Books(session, self._control.settings.zone).complete()
            return self._books

    def outlook(self, session: Session) -> Outlook:
        limits = self.limits(session)
        with self._reading:
            if self._outlook is None:
                self._outlook = Outlook(self._control, session, limits).read()
            return self._outlook


def look(control: Control, actor: Actor) -> Picture:
    """The picture for `actor` to look at; ask before the transaction in which it is used. Where the
    site lets it be older than the last write (`Control.look_apart`), it is never older than what the
    actor was told."""
    told = control.bus.last_told(actor.person_id)
    return control.picture.get(
        lambda kept: _good(control, kept.stamp, told), lambda: Picture(control)
    )


def _good(control: Control, stamp: Stamp, told: int) -> bool:
    if not timedelta() <= control.clock.now() - stamp.at < KEPT:
        return False
    if stamp.hints < told or stamp.nodes != tuple(control.nodes):
        return False
    age_s = time.monotonic() - stamp.monotonic_s
    # Another control writes to the same PostgreSQL, and its writes are not counted here.
    same = control.store.is_sqlite and stamp.version == control.store.version
    return same or age_s < control.look_apart.total_seconds()
