"""The Verdict: Fits, Waits or Denied. One answer in one set of words, wherever it is shown."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from catalog.inventory import Placement
from catalog.units import format_duration


class Code(StrEnum):
    """Stable reasons, for programs."""

    FITS = "fits"
    CAPACITY = "capacity"
    QUEUE = "queue"
    QUOTA = "quota"
    RESERVED = "reserved"
    """A reservation holds what would be free."""
    PREEMPTION = "preemption"
    """Others were told to go, and it starts when they have."""
    CREDITS = "credits"
    TOO_LARGE = "too-large"
    ENGINE = "engine"
    """The engine of this site could not run it, or not keep it apart from others."""
    ENDED = "ended"
    """The course in which it would be launched is over."""
    ROLE = "role"
    """They have no role where it would count."""


@dataclass(frozen=True, slots=True)
class Fits:
    """It would start now, here.

    `reservation` is the one whose place it takes. It has to go at `until`, when its place is wanted
    for a reservation; and with `notice` before whenever somebody with more right to the place comes:
    because it can be preempted, or because what it uses is `borrowed`.
    """

    placement: Placement
    code: Code = Code.FITS
    reservation: str = ""
    until: datetime | None = None
    notice: timedelta | None = None
    borrowed: bool = False

    @property
    def reason(self) -> str:
        said = "it can start now"
        if self.reservation:
            said += ", in what is reserved for your group"
        if self.until is not None:
            at = self.until
            said += (
                f"; it has to go by {at:%H:%M on} {at.day} {at:%B} UTC, when its place is reserved"
            )
        if self.notice is not None:
            why = " as it is borrowed" if self.borrowed else ""
            said += f"; it may have to go{why}, with {format_duration(self.notice)} notice"
        return said


@dataclass(frozen=True, slots=True)
class Waits:
    """It would start later. `position` counts from 1; `starts_at` holds if nobody extends."""

    code: Code
    reason: str
    position: int
    starts_at: datetime | None


@dataclass(frozen=True, slots=True)
class Denied:
    """It would never start as it is. `next` says how to get it."""

    code: Code
    reason: str
    next: str


Verdict = Fits | Waits | Denied


def word(verdict: Verdict) -> str:
    """``fits``, ``waits`` or ``denied``."""
    match verdict:
        case Fits():
            return "fits"
        case Waits():
            return "waits"
        case Denied():
            return "denied"
        case _:
            assert_never(verdict)
