"""Periods after which a limit begins anew, and what a lease uses up in each of them.

A period is a day, a week (from Monday) or a month of the site's calendar. What lies in two periods
counts in each for the part that lies in it, so no period is ever overspent, however leases cross
its end. What a lease may use at the most is set aside in every period that it touches, for as long
as it lives; afterwards what it did use counts, by day.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from typing import assert_never

from catalog.errors import BadValue
from catalog.offers import cost_of
from quotas.limits import Dimension

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
USED_UP = (Dimension.GPU_HOURS, Dimension.TOKENS, Dimension.CREDITS)
"""Dimensions in which something is used up, rather than held for a while."""


class Period(StrEnum):
    """When a limit begins anew."""

    NEVER = ""
    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    @property
    def each(self) -> str:
        """``" a month"``; nothing for a limit that never begins anew."""
        return f" a {self}" if self is not Period.NEVER else ""


def demand_period(dimension: Dimension, period: Period, *, person: bool) -> None:
    """Raise BadValue for a limit that means nothing: a period of what is only held for a while, and
    a person's credits in all, which are the person's balance."""
    if period is not Period.NEVER and dimension not in USED_UP:
        raise BadValue(
            f"period: {dimension.label} is held and given back, so it has no period",
            next=f"leave the period out, or limit {', '.join(USED_UP)}",
        )
    if dimension is Dimension.CREDITS and person and period is Period.NEVER:
        raise BadValue(
            "dimension: credits are limited for a tenant; a person has what was granted",
            next="add a period, leave the person out, or grant credits to the person",
        )


@dataclass(frozen=True, slots=True)
class Span:
    """One period: from `starts_at` until before `ends_at`. None has no end on that side."""

    starts_at: datetime | None
    ends_at: datetime | None

    def cut(self, starts_at: datetime, ends_at: datetime) -> tuple[datetime, datetime]:
        """The part of a time that lies in it; the end is before the start when there is none."""
        low = starts_at if self.starts_at is None else max(starts_at, self.starts_at)
        return low, ends_at if self.ends_at is None else min(ends_at, self.ends_at)

    def days(self, zone: tzinfo) -> tuple[str, str]:
        """The first day of the calendar in it, and the first that is not, as ISO 8601."""
        first, last = (
            at.astimezone(zone).date().isoformat() if at is not None else ""
            for at in (self.starts_at, self.ends_at)
        )  # fmt: skip
        return first, last or "9999-12-31"


def span_at(period: Period, at: datetime, zone: tzinfo) -> Span:
    """The period of its kind that `at` lies in."""
    day = at.astimezone(zone).date()
    match period:
        case Period.NEVER:
            return Span(None, None)
        case Period.DAY:
            first, last = day, day + DAY
        case Period.WEEK:
            first = day - timedelta(days=day.weekday())
            last = first + 7 * DAY
        case Period.MONTH:
            first = day.replace(day=1)
            last = (first + 31 * DAY).replace(day=1)
        case _:
            assert_never(period)
    return Span(midnight(first, zone), midnight(last, zone))


def spans(
    period: Period, starts_at: datetime, ends_at: datetime, zone: tzinfo
) -> Iterator[Span]:  # fmt: skip
    """Every period that a time touches, at least the one it begins in."""
    while True:
        span = span_at(period, starts_at, zone)
        yield span
        if span.ends_at is None or span.ends_at >= ends_at:
            return
        starts_at = span.ends_at


def midnight(day: date, zone: tzinfo) -> datetime:
    """When a day begins there, in UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def show_moment(at: datetime, zone: tzinfo) -> str:
    """``"1 December 00:00 UTC"``, by the calendar of the site."""
    local = at.astimezone(zone)
    return f"{local.day} {local:%B %H:%M} {local.tzname()}"


def parse_moment(text: str, zone: tzinfo, name: str) -> datetime:
    """A date (its midnight), or RFC 3339; without a zone it is the site's. Raises BadValue that
    begins with `name`."""
    try:
        found = datetime.fromisoformat(text.strip())
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadValue(
            f"{name}: {text.strip()[:40]!r} is not a time",
            next="write it like 2026-12-01 or 2026-12-01T09:00+01:00",
        ) from error


@dataclass(frozen=True, slots=True)
class Lease:
    """What may be used up: from `starts_at` to `ends_at`, for `longest` of it at the most, and for
    `most` micro-credits at the most."""

    starts_at: datetime
    ends_at: datetime
    longest: timedelta
    gpu_milli: int
    price_per_hour: int
    most: int

    def in_span(self, span: Span) -> dict[Dimension, int]:
        """What has to be set aside in a period: never less than what can come to be used in it.

        GPU time in milli-GPU × whole seconds of the clock.
        """
        begins, ends = span.cut(self.starts_at, self.ends_at)
        if ends <= begins:
            return {}
        seconds = min(_whole_seconds(begins, ends), -(-self.longest // SECOND))
        # The ledger rounds each time up to a second, so a part of one may be a second more.
        cost = cost_of(self.price_per_hour, (seconds + 1) * SECOND)
        return {
            Dimension.GPU_HOURS: self.gpu_milli * seconds,
            Dimension.CREDITS: min(self.most, cost),
        }


def used_by_day(
    ready_at: datetime, ended_at: datetime, gpu_milli: int, price_per_hour: int, paid: int,
    zone: tzinfo,
) -> dict[date, dict[Dimension, int]]:  # fmt: skip
    """What was used up on each day of the calendar: GPU time in milli-GPU × seconds, and what was
    paid, filled from the beginning, so that a refund takes from the end. All days add up exactly.
    """
    found: dict[date, dict[Dimension, int]] = {}
    told = 0
    for span in spans(Period.DAY, ready_at, ended_at, zone):
        begins, ends = span.cut(ready_at, ended_at)
        last = span.ends_at is None or span.ends_at >= ended_at
        so_far = paid if last else min(paid, cost_of(price_per_hour, ends - ready_at))
        amounts = {
            Dimension.GPU_HOURS: gpu_milli * max(0, _whole_seconds(begins, ends)),
            Dimension.CREDITS: so_far - told,
        }
        told = so_far
        day = (span.starts_at or begins).astimezone(zone).date()
        found[day] = {dimension: amount for dimension, amount in amounts.items() if amount}
    return {day: amounts for day, amounts in found.items() if amounts}


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit on what is used up, as somebody set it. `label` is how the person is told: ``you``."""

    label: str
    dimension: Dimension
    limit: int
    period: Period


@dataclass(frozen=True, slots=True)
class OverBudget:
    """A budget that a lease would overspend in a period. `resets_at` None: it never does."""

    budget: Budget
    wanted: int
    used: int
    resets_at: datetime | None
    zone: tzinfo

    @property
    def ever(self) -> bool:
        """Whether it would fit into a period in which nothing else is used."""
        return self.wanted <= self.budget.limit

    @property
    def text(self) -> str:
        budget = self.budget
        show, whose = budget.dimension.show, "your own" if budget.label == "you" else (
            f"{budget.label}'s"
        )  # fmt: skip
        limit = f"{show(budget.limit)}{budget.period.each}"
        if not self.ever:
            return f"{show(self.wanted)} is wanted and {whose} limit is {limit}"
        said = f"{whose} limit is {limit}, in use now: {show(self.used)}"
        if self.resets_at is None:
            return said
        return f"{said}; it resets on {show_moment(self.resets_at, self.zone)}"

    @property
    def next(self) -> str:
        """What helps."""
        who = "an administrator" if self.budget.label == "you" else "an administrator of the tenant"
        more = f"ask {who} for a larger budget"
        if not self.ever or self.resets_at is None:
            return f"choose a shorter time, or {more}"
        again = show_moment(self.resets_at, self.zone)
        return f"choose a shorter time, ask again after {again}, or {more}"


@dataclass(frozen=True, slots=True)
class Use:
    """What is used up of a budget: `ever` before the days that are told apart, then by day (ISO
    8601), and `leases` that may still use it."""

    budget: Budget
    ever: int
    days: Mapping[str, int]
    leases: tuple[Lease, ...]

    def in_span(self, span: Span, zone: tzinfo) -> int:
        """Used up and set aside in a period that is now or later."""
        first, last = span.days(zone)
        before = self.ever if span.starts_at is None else 0
        counted = sum(amount for day, amount in self.days.items() if first <= day < last)
        aside = sum(lease.in_span(span).get(self.budget.dimension, 0) for lease in self.leases)
        return before + counted + aside

    def over(self, more: int, span: Span, zone: tzinfo) -> OverBudget | None:
        """What is wrong with using up `more` in a period; None if nothing is."""
        used = self.in_span(span, zone)
        if more <= 0 or used + more <= self.budget.limit:
            return None
        return OverBudget(self.budget, more, used, span.ends_at, zone)


def first_over(uses: Iterable[Use], lease: Lease, zone: tzinfo) -> OverBudget | None:
    """The first budget that one more lease could overspend, in any period that it touches."""
    for use in uses:
        for span in spans(use.budget.period, lease.starts_at, lease.ends_at, zone):
            more = lease.in_span(span).get(use.budget.dimension, 0)
            if found := use.over(more, span, zone):
                return found
    return None


def _whole_seconds(begins: datetime, ends: datetime) -> int:
    """Seconds of the clock that began between the two: parts of a time add up to the whole, and no
    time has more than a longer one around it."""
    return (ends.replace(microsecond=0) - begins.replace(microsecond=0)) // SECOND
