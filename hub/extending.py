"""Whether a lease could be longer, and by how much: told to many who ask often.

At the end of a lab hour everybody asks. Reading the world costs much more than looking at it, so one
reading serves all for a few seconds. Who really extends is judged by the world as it is then.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from weakref import WeakKeyDictionary

from sqlmodel import Session

from catalog.errors import Refused
from catalog.offers import Quantity, cost_of
from catalog.units import format_duration
from hub import budgets, leases
from hub.control_context import Control
from hub.lifecycle import Status
from hub.store import money
from hub.store.store import Store
from hub.store.tables import AttemptRow, WorkloadRow
from hub.workloads import MAX_LEASE, why_not_extend
from hub.world import Limits, read_world
from quotas.admission import Planner, World
from quotas.ledger import AccountKind, Owner

SPANS = (timedelta(hours=1), timedelta(minutes=30), timedelta(minutes=15))
"""By how much a lease may be extended with one click: the longest that is possible."""
LEAST_SPAN = timedelta(minutes=5)
NEAR = timedelta(minutes=20)
"""So long before the end, whether it may be extended is worth a look at the world."""
FRESH = timedelta(seconds=10)
"""How long a reading of the world serves those who merely ask."""


@dataclass(frozen=True, slots=True)
class Extension:
    """Whether a lease may be longer by `by`. `possible` None: only asking for it tells."""

    possible: bool | None
    by: timedelta = timedelta()
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class _Reading:
    """The world at a moment, with its plan."""

    at: datetime
    world: World
    planner: Planner


_READINGS: "WeakKeyDictionary[Store, _Reading]" = WeakKeyDictionary()


def extension_of(
    control: Control, session: Session, row: WorkloadRow, attempt: AttemptRow | None
) -> Extension:
    """The longest of `SPANS` by which the lease could be extended now, or why it could not."""
    if attempt is None or row.status != Status.RUNNING:
        return Extension(possible=False, why_not=f"it is {row.status}")
    now = control.clock.now()
    longest = _longest(control, row)
    room = min(
        attempt.created_at + MAX_LEASE - attempt.lease_ends_at,
        now + longest - attempt.lease_ends_at,
    )
    if attempt.go_at is None and room < LEAST_SPAN:
        return Extension(
            possible=False, why_not=f"this offer gives at most {format_duration(longest)} at a time"
        )
    first = min(SPANS[0], timedelta(minutes=room // timedelta(minutes=1)))
    if attempt.go_at is None and leases.deadline(attempt) - now > NEAR:
        return Extension(possible=None, by=first)
    said = ""
    for span in (first, *(span for span in SPANS[1:] if span < first)):
        refusal = _refusal(control, session, row, attempt, span)
        if not refusal:
            return Extension(possible=True, by=span)
        said = said or refusal
    return Extension(possible=False, why_not=said)


def forget(control: Control) -> None:
    """The world has changed by a longer lease."""
    _READINGS.pop(control.store, None)


def _refusal(
    control: Control, session: Session, row: WorkloadRow, attempt: AttemptRow, by: timedelta
) -> str:
    """Why it cannot be extended by so much now; empty when it can."""
    if attempt.go_at is None:
        more = cost_of(attempt.price_per_hour, by)
        if money.balance(session, Owner(row.payer, row.person_id), AccountKind.WALLET) < more:
            return "your credits do not reach for it"
    read = _reading(control, session)
    planned = read.planner.slots if read.world.queue else {}
    if refusal := why_not_extend(control, read.world, row, attempt, by, planned):
        return refusal
    try:
        budgets.demand_extension(control, session, row, attempt, by)
    except Refused as error:
        return error.message
    return ""


def _reading(control: Control, session: Session) -> _Reading:
    now, read = control.clock.now(), _READINGS.get(control.store)
    if read is None or not read.at <= now < read.at + FRESH:
        world = read_world(control, session, Limits(session))
        read = _Reading(now, world, Planner(world, control.placer, now))
        _READINGS[control.store] = read
    return read


def _longest(control: Control, row: WorkloadRow) -> timedelta:
    """How far ahead a lease of its offer may reach; of one that left the menu, as far as any."""
    offer = control.menu.get().offers.get(row.offer_id)
    if offer is None:
        return MAX_LEASE
    return timedelta(seconds=offer.fields[Quantity.DURATION].most)
