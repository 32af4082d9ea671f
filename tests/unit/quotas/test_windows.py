"""Windows by the calendar, against a calendar that is read minute by minute."""

import zoneinfo
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import BadValue
from quotas.windows import Rule, Window, demand_sound, windows_of
from tests.examples import examples

MINUTE = timedelta(minutes=1)
ZONES = (
    "UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe",
    "Pacific/Apia", "Africa/Casablanca", "America/St_Johns",
)  # fmt: skip


def rule(  # what differs from a plain Monday
    day: str = "2026-02-02", last: str = "", at: str = "09:00", minutes: int = 120,
    zone: str = "Europe/Berlin", weekdays: tuple[int, ...] = (),
) -> Rule:  # fmt: skip
    first = date.fromisoformat(day)
    return Rule(
        first, date.fromisoformat(last) if last else first, time.fromisoformat(at),
        timedelta(minutes=minutes), ZoneInfo(zone), frozenset(weekdays),
    )  # fmt: skip


def brute_force(given: Rule) -> list[datetime]:
    """Every beginning, found by looking at the clock of the place at each minute: when it first
    shows the wanted time of a wanted day; where it never does, the clock jumped over it: as long
    after the jump as the wanted time is after what the clock last showed."""
    found: set[datetime] = set()
    for number in range((given.last_day - given.first_day).days + 1):
        day = given.first_day + timedelta(days=number)
        if given.weekdays and day.weekday() not in given.weekdays:
            continue
        if not given.weekdays and number:
            break
        wanted = datetime.combine(day, given.starts)
        at = datetime.combine(day, time(), UTC) - timedelta(hours=16)
        end, before = at + timedelta(hours=48), datetime(1, 1, 1)  # noqa: DTZ001
        while at < end:
            shown = at.astimezone(given.zone).replace(tzinfo=None)
            if shown == wanted:
                found.add(at)
                break
            if before < wanted < shown:
                # `before` was shown a minute ago, and the clocks jumped over what is wanted.
                found.add(at - MINUTE + (wanted - before))
                break
            at, before = at + MINUTE, shown
    return sorted(found)


days = st.one_of(
    st.dates(date(2026, 1, 1), date(2026, 12, 31)),
    st.sampled_from(
        [date(2026, 3, 29), date(2026, 10, 25), date(2026, 3, 8), date(2026, 11, 1),
         date(2026, 10, 4), date(2026, 4, 5), date(2011, 12, 29), date(2011, 12, 30)]
    ),
)  # fmt: skip
times = st.one_of(
    st.times().map(lambda t: t.replace(second=0, microsecond=0, fold=0)),
    st.sampled_from(
        [time(0), time(1, 30), time(2), time(2, 15), time(2, 30), time(3), time(23, 59)]
    ),
)


@settings(max_examples=examples(60))
@given(days, st.integers(0, 9), times, st.sampled_from(ZONES), st.frozensets(st.integers(0, 6)))
def test_windows_begin_when_the_clock_of_the_place_shows_it(
    day: date, more: int, at: time, zone: str, weekdays: frozenset[int]
) -> None:
    given = Rule(day, day + timedelta(days=more), at, 30 * MINUTE, ZoneInfo(zone), weekdays)
    found = windows_of(given)
    assert [window.starts_at for window in found] == brute_force(given)
    assert all(window.ends_at - window.starts_at == 30 * MINUTE for window in found)


def test_a_local_time_that_does_not_exist_begins_after_the_jump() -> None:
    (window,) = windows_of(rule("2026-03-29", at="02:30"))
    assert window == Window(
        datetime(2026, 3, 29, 1, 30, tzinfo=UTC), datetime(2026, 3, 29, 3, 30, tzinfo=UTC)
    )
    assert window.shown(ZoneInfo("Europe/Berlin")) == "Sun 29 Mar 2026 03:30-05:30 CEST"


def test_a_local_time_that_comes_twice_is_the_first() -> None:
    (window,) = windows_of(rule("2026-10-25", at="02:30"))
    assert window.starts_at == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_the_length_is_real_time_where_the_clocks_change_in_between() -> None:
    (window,) = windows_of(rule("2026-03-29", at="00:30", minutes=180))
    assert window.ends_at - window.starts_at == timedelta(hours=3)
    assert window.shown(ZoneInfo("Europe/Berlin")) == "Sun 29 Mar 2026 00:30-04:30 CEST"


def test_a_window_keeps_its_local_time_in_summer_and_winter() -> None:
    found = windows_of(rule("2026-03-23", "2026-03-30", weekdays=(0,)))
    assert [window.starts_at.hour for window in found] == [8, 7]


def test_a_window_over_midnight_names_both_days() -> None:
    (window,) = windows_of(rule(at="23:00"))
    assert window.shown(ZoneInfo("Europe/Berlin")) == "Mon 2 Feb 2026 23:00-Tue 3 Feb 01:00 CET"


def test_a_day_that_a_place_left_out_is_the_next_days_window_once() -> None:
    found = windows_of(rule("2011-12-29", "2011-12-31", zone="Pacific/Apia", weekdays=(3, 4, 5)))
    assert len(found) == 2


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (rule(minutes=4), "length: 4m is not between 5m and 14d"),
        (rule(minutes=0), "length: 0s is not"),
        (rule(minutes=15 * 24 * 60), "length: 15d is not"),
        (rule("2026-02-02", "2026-02-01", weekdays=(0,)), "before the first day"),
        (rule("2026-02-02", "2027-02-04", weekdays=(0,)), "more than a year"),
        (rule("2026-02-02", "2026-02-09"), "the days of the week must be named"),
        (rule("2026-02-03", "2026-02-08", weekdays=(0,)), "none of them comes between"),
        (rule("2026-02-02", "2026-02-08", minutes=25 * 60, weekdays=(0, 1)), "it overlaps itself"),
        (rule("9999-12-31", at="23:59", zone="America/New_York"), "absurd"),
        (rule("0001-01-01", at="00:00", zone="Asia/Kathmandu"), "absurd"),
    ],
)  # fmt: skip
def test_an_absurd_rule_is_named(wrong: Rule, said: str) -> None:
    with pytest.raises(BadValue, match=said) as caught:
        demand_sound(wrong)
    assert caught.value.next


def test_whole_days_overlap_where_one_has_23_hours() -> None:
    demand_sound(
        rule("2026-03-01", "2026-03-07", minutes=24 * 60, weekdays=tuple(range(7)), at="00:00")
    )
    spring = rule("2026-03-28", "2026-03-30", minutes=24 * 60, weekdays=tuple(range(7)), at="00:00")
    with pytest.raises(BadValue, match="Sun 29 Mar 2026 00:00-Mon 30 Mar 01:00 CEST is not over"):
        demand_sound(spring)


def test_zones_are_known_where_the_machine_has_none() -> None:
    """They come with the package tzdata then."""
    path = zoneinfo.TZPATH
    zoneinfo.reset_tzpath(to=[])
    try:
        assert zoneinfo.ZoneInfo.no_cache("Europe/Berlin").utcoffset(datetime(2026, 7, 1))  # noqa: DTZ001
    finally:
        zoneinfo.reset_tzpath(to=path)
