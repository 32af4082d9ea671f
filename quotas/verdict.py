"""The Verdict: Fits, Waits or Denied. One answer in one set of words, wherever it is shown."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import assert_never

from catalog.inventory import Placement


class Code(StrEnum):
    """Stable reasons, for programs."""

    FITS = "fits"
    CAPACITY = "capacity"
    QUEUE = "queue"
    QUOTA = "quota"
    CREDITS = "credits"
    TOO_LARGE = "too-large"


@dataclass(frozen=True, slots=True)
class Fits:
    """It would start now, here."""

    placement: Placement
    code: Code = Code.FITS

    @property
    def reason(self) -> str:
        return "it can start now"


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
