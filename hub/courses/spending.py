"""How a course's credits burn down: what was spent on each day, what is left, when it is empty."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import func
from sqlmodel import Session, col, select

from hub import holds
from hub.control_context import Control
from hub.courses.people import Place, place_of
from hub.policy import Action, Actor
from hub.store.tables import AccountRow, EntryRow, PostingRow
from quotas.ledger import AccountKind

LOOK_BACK = 14
"""Days by which the coming ones are guessed."""


@dataclass(frozen=True, slots=True)
class Day:
    """Micro-credits spent on a day of the course's calendar, and left at its end."""

    day: date
    spent: int
    left: int


@dataclass(frozen=True, slots=True)
class Spending:
    """`budget` is all that came into the course, its people's wallets there included; `held` is set
    aside for what runs. `empty_on` is a guess from the last two weeks, None when nothing was spent."""

    budget: int
    spent: int
    held: int
    days: tuple[Day, ...]
    empty_on: date | None


def read(control: Control, actor: Actor, course_id: str) -> Spending:
    """Raises NotFound, Forbidden."""
    with control.store.read() as session:
        place = place_of(session, actor, course_id, Action.READ_ROOM)
        zone = holds.zone_of(place.course.time_zone)
        today = control.clock.now().astimezone(zone).date()
        sums = _sums(session, place)
        spent_on: dict[date, int] = {}
        for at, amount in _spent(session, place):
            day = at.astimezone(zone).date()
            spent_on[day] = spent_on.get(day, 0) + amount
    wallet, held, spent = (
        sums.get(kind, 0) for kind in (AccountKind.WALLET, AccountKind.HELD, AccountKind.SPENT)
    )
    budget = wallet + held + spent
    days = burn_down(budget, spent_on, today)
    return Spending(budget, spent, held, days, empty_on(days, today))


def burn_down(budget: int, spent_on: Mapping[date, int], today: date) -> tuple[Day, ...]:
    """A day for each from the first on which something was spent until today, without gaps."""
    first, left, found = min(spent_on, default=today), budget, list[Day]()
    for offset in range((max(today, first) - first).days + 1):
        day = first + timedelta(days=offset)
        left -= spent_on.get(day, 0)
        found.append(Day(day, spent_on.get(day, 0), left))
    return tuple(found)


def empty_on(days: tuple[Day, ...], today: date) -> date | None:
    """When nothing is left if the coming days are like the last `LOOK_BACK`. Today counts, for it
    has begun; a course that is already empty is so today."""
    if not days:
        return None
    if days[-1].left <= 0:
        return today
    recent = days[-LOOK_BACK:]
    spent = sum(day.spent for day in recent)
    if spent <= 0:
        return None
    # Rounded up: on that day the last of it goes.
    more = -(-days[-1].left * len(recent) // spent)
    try:
        return today + timedelta(days=more)
    except OverflowError:
        return None


def _sums(session: Session, place: Place) -> dict[str, int]:
    rows = session.exec(
        select(AccountRow.kind, func.sum(AccountRow.balance))
        .where(col(AccountRow.tenant_id).in_(place.tenants))
        .group_by(col(AccountRow.kind))
    ).all()
    return {kind: int(amount or 0) for kind, amount in rows}


def _spent(session: Session, place: Place) -> Iterable[tuple[datetime, int]]:
    return session.exec(
        select(PostingRow.at, EntryRow.amount)
        .join(EntryRow, col(EntryRow.posting_id) == PostingRow.id)
        .join(AccountRow, col(AccountRow.id) == EntryRow.account_id)
        .where(
            col(AccountRow.tenant_id).in_(place.tenants),
            AccountRow.kind == AccountKind.SPENT.value,
        )
    ).all()
