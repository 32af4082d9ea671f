"""Windows of time that come back: lab hours by the calendar of a place, as moments in UTC.

A window begins at a local time and lasts for so many minutes of real time. Where the clocks are put
forward over its beginning, it begins that much later by the clock (02:30 becomes 03:30); where a
local time comes twice, it begins at the first. Both are as RFC 5545 (iCalendar), 3.3.5, has it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import pairwise

from catalog.errors import BadValue
from catalog.units import format_duration

SHORTEST, LONGEST = timedelta(minutes=5), timedelta(days=14)
LONGEST_TERM = timedelta(days=366)
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """From a moment until another, which is not in it; both in UTC."""

    starts_at: datetime
    ends_at: datetime

    def overlaps(self, other: "Window") -> bool:
        return self.starts_at < other.ends_at and other.starts_at < self.ends_at

    def shown(self, zone: tzinfo) -> str:
        """``"Mon 2 Feb 2026 09:00-11:00 CET"``, by the clocks of a place."""
        start, end = self.starts_at.astimezone(zone), self.ends_at.astimezone(zone)
        until = (
            f"{end:%H:%M}" if start.date() == end.date() else f"{end:%a} {end.day} {end:%b %H:%M}"
        )
        return f"{start:%a} {start.day} {start:%b %Y %H:%M}-{until} {end:%Z}"


@dataclass(frozen=True, slots=True)
class Rule:
    """When: at `starts` by the clocks of `zone`, for `length`, on `first_day`; with `weekdays` (0 is
    Monday) on each of these from `first_day` to `last_day`, both included."""

    first_day: date
    last_day: date
    starts: time
    length: timedelta
    zone: tzinfo
    weekdays: frozenset[int] = frozenset()

    def days(self) -> Iterable[date]:
        """In their order."""
        if not self.weekdays:
            yield self.first_day
            return
        for number in range((self.last_day - self.first_day).days + 1):
            day = self.first_day + timedelta(days=number)
            if day.weekday() in self.weekdays:
                yield day


def windows_of(rule: Rule) -> tuple[Window, ...]:
    """All windows of a rule in their order, each once: on a day that a place left out when it
    changed its zone, a window would be that of the next day."""
    starts = {datetime.combine(day, rule.starts, rule.zone).astimezone(UTC) for day in rule.days()}
    return tuple(Window(at, at + rule.length) for at in sorted(starts))


def demand_sound(rule: Rule) -> None:
    """Raise BadValue for a rule that is absurd, is empty or overlaps itself."""
    if not SHORTEST <= rule.length <= LONGEST:
        shortest, longest = format_duration(SHORTEST), format_duration(LONGEST)
        raise BadValue(
            f"length: {format_duration(rule.length)} is not between {shortest} and {longest}",
            next="write it like 2h or 90m; for longer, make several reservations",
        )
    if rule.last_day < rule.first_day:
        raise BadValue(
            f"last_day: {rule.last_day} is before the first day, {rule.first_day}",
            next="exchange them",
        )
    if rule.last_day - rule.first_day > LONGEST_TERM:
        raise BadValue(
            f"last_day: {rule.last_day} is more than a year after {rule.first_day}",
            next="reserve for a term at a time",
        )
    if not rule.weekdays and rule.last_day != rule.first_day:
        raise BadValue(
            "weekdays: between two days, the days of the week must be named",
            next=f"name them ({', '.join(WEEKDAYS)}), or leave the last day out",
        )
    try:
        windows = windows_of(rule)
    except (OverflowError, ValueError) as error:
        raise BadValue(f"first_day: {rule.first_day} is absurd", next="use a near date") from error
    if not windows:
        raise BadValue(
            f"weekdays: none of them comes between {rule.first_day} and {rule.last_day}",
            next="choose a later last day, or other days of the week",
        )
    for one, following in pairwise(windows):
        if one.overlaps(following):
            raise BadValue(
                f"it overlaps itself: {one.shown(rule.zone)} is not over when"
                f" {following.shown(rule.zone)} begins",
                next="choose a shorter length, or fewer days of the week",
            )
