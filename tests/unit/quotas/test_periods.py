"""Periods begin where the calendar says, and no part of a lease is counted twice or not at all."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import BadValue
from catalog.offers import cost_of
from catalog.units import MICRO
from quotas.limits import Dimension
from quotas.periods import (
    Budget,
    Lease,
    OverBudget,
    Period,
    Span,
    Use,
    demand_period,
    first_over,
    parse_moment,
    show_moment,
    span_at,
    spans,
    used_by_day,
)

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = st.sampled_from([ZoneInfo(name) for name in ("UTC", "Europe/Berlin", "Asia/Kolkata",
                                                     "America/Santiago", "Pacific/Apia")])  # fmt: skip
MOMENTS = st.datetimes(datetime(2011, 12, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (hypothesis adds the zone)
LENGTHS = st.timedeltas(timedelta(0), timedelta(days=5))
PERIODS = st.sampled_from([Period.DAY, Period.WEEK, Period.MONTH])


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("period", "now", "begins", "ends"),
    [
        (Period.DAY, "2026-11-21T23:59:59", "2026-11-21T00:00", "2026-11-22T00:00"),
        (Period.WEEK, "2026-11-22T12:00:00", "2026-11-16T00:00", "2026-11-23T00:00"),
        (Period.MONTH, "2026-12-31T12:00:00", "2026-12-01T00:00", "2027-01-01T00:00"),
        (Period.MONTH, "2028-02-29T12:00:00", "2028-02-01T00:00", "2028-03-01T00:00"),
    ],
)
def test_periods_of_the_calendar(period: Period, now: str, begins: str, ends: str) -> None:
    assert span_at(period, at(now), UTC) == Span(at(begins), at(ends))


def test_a_day_of_the_clock_change_has_its_own_length() -> None:
    span = span_at(Period.DAY, at("2026-03-29T12:00"), BERLIN)
    assert span.starts_at is not None
    assert span.ends_at is not None
    assert span.ends_at - span.starts_at == timedelta(hours=23)
    assert show_moment(span.ends_at, BERLIN) == "30 March 00:00 CEST"


@given(period=PERIODS, now=MOMENTS, length=LENGTHS, zone=ZONES)
def test_periods_lie_side_by_side_and_cover_everything(
    period: Period, now: datetime, length: timedelta, zone: ZoneInfo
) -> None:
    found = list(spans(period, now, now + length, zone))
    assert found[0].starts_at is not None
    assert found[0].starts_at <= now
    for one, other in pairwise(found):
        assert one.ends_at == other.starts_at
    assert found[-1].ends_at is not None
    assert found[-1].ends_at >= now + length


@given(
    now=MOMENTS, length=LENGTHS, milli=st.integers(0, 8000), price=st.integers(0, 50 * MICRO),
    part=st.floats(0, 1), zone=ZONES,
)  # fmt: skip
def test_days_add_up_to_what_was_used_and_paid(
    now: datetime, length: timedelta, milli: int, price: int, part: float, zone: ZoneInfo
) -> None:
    paid = int(cost_of(price, length) * part)
    days = used_by_day(now, now + length, milli, price, paid, zone)
    assert sum(amounts.get(Dimension.CREDITS, 0) for amounts in days.values()) == paid
    assert all(amount > 0 for amounts in days.values() for amount in amounts.values())
    total = sum(amounts.get(Dimension.GPU_HOURS, 0) for amounts in days.values())
    assert abs(total - milli * length.total_seconds()) <= milli


@given(
    granted=MOMENTS, length=LENGTHS, milli=st.integers(1, 8000), price=st.integers(0, 50 * MICRO),
    late=st.floats(0, 1), early=st.floats(0, 1), part=st.floats(0, 1), period=PERIODS, zone=ZONES,
)  # fmt: skip
def test_what_was_set_aside_is_never_less_than_what_is_used_in_any_period(  # noqa: PLR0917 (what is drawn)
    granted: datetime, length: timedelta, milli: int, price: int, late: float, early: float,
    part: float, period: Period, zone: ZoneInfo,
) -> None:  # fmt: skip
    length = timedelta(seconds=length // timedelta(seconds=1))
    held = cost_of(price, length)
    lease = Lease(granted, granted + length, length, milli, price, held)
    ready = granted + length * late
    ended = ready + (granted + length - ready) * early
    paid = int(min(held, cost_of(price, ended - ready)) * part)
    days = used_by_day(ready, ended, milli, price, paid, zone)
    for span in spans(period, granted, granted + length, zone):
        first, last = span.days(zone)
        used = [amounts for day, amounts in days.items() if first <= day.isoformat() < last]
        for dimension in (Dimension.GPU_HOURS, Dimension.CREDITS):
            aside = lease.in_span(span).get(dimension, 0)
            assert sum(amounts.get(dimension, 0) for amounts in used) <= aside


def test_a_refund_takes_from_the_end() -> None:
    begins = at("2026-11-20T23:00")
    paid = used_by_day(begins, begins + timedelta(hours=2), 1000, 2 * MICRO, 3 * MICRO, UTC)
    assert [amounts[Dimension.CREDITS] for amounts in paid.values()] == [2 * MICRO, MICRO]


@given(
    st.lists(st.tuples(st.integers(0, 200), st.integers(1, 60), st.booleans()), max_size=15),
    st.integers(1, 40), PERIODS,
)  # fmt: skip
def test_whatever_is_granted_no_period_is_overspent(
    asks: list[tuple[int, int, bool]], hours: int, period: Period
) -> None:
    """Each lease is granted when its budget allows, and then used to the last second or not."""
    budget = Budget("you", Dimension.GPU_HOURS, hours * 3_600_000, period)
    begins, live = at("2026-11-20T05:30"), list[Lease]()
    days: dict[str, int] = {}
    for start, length, ended in asks:
        now, span = begins + timedelta(hours=start), timedelta(hours=length)
        lease = Lease(now, now + span, span, 1000, 0, 0)
        if first_over([Use(budget, 0, days, tuple(live))], lease, UTC):
            continue
        if not ended:
            live.append(lease)
            continue
        for day, amounts in used_by_day(now, now + span, 1000, 0, 0, UTC).items():
            days[day.isoformat()] = days.get(day.isoformat(), 0) + amounts[Dimension.GPU_HOURS]
    use = Use(budget, 0, days, tuple(live))
    for span_ in spans(period, begins, begins + timedelta(days=20), UTC):
        assert use.in_span(span_, UTC) <= budget.limit


def test_a_limit_that_is_met_exactly_is_no_trouble() -> None:
    now, hour = at("2026-11-20T05:30:00.7"), timedelta(hours=1)
    budget = Budget("you", Dimension.GPU_HOURS, 3_600_000, Period.DAY)
    lease = Lease(now, now + hour, hour, 1000, MICRO, MICRO)
    assert first_over([Use(budget, 0, {}, ())], lease, UTC) is None
    found = first_over([Use(budget, 0, {"2026-11-20": 1}, ())], lease, UTC)
    assert isinstance(found, OverBudget)
    assert found.resets_at == at("2026-11-21T00:00")
    money = Budget("you", Dimension.CREDITS, MICRO, Period.DAY)
    assert first_over([Use(money, 0, {}, ())], lease, UTC) is None


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2026-12-01", BERLIN, "2026-11-30T23:00"),
        ("2026-12-01T09:00", BERLIN, "2026-12-01T08:00"),
        ("2026-12-01T09:00+05:30", BERLIN, "2026-12-01T03:30"),
        (" 2026-12-01T09:00Z ", BERLIN, "2026-12-01T09:00"),
    ],
)
def test_moments_as_people_write_them(text: str, zone: ZoneInfo, expected: str) -> None:
    assert parse_moment(text, zone, "from") == at(expected)


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-13-01", "0001-01-01", "9" * 30])
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(BadValue, match=r"^from: .* is not a time"):
        parse_moment(text, ZoneInfo("Asia/Kolkata"), "from")


def test_limits_that_mean_nothing() -> None:
    demand_period(Dimension.GPU_HOURS, Period.NEVER, person=True)
    demand_period(Dimension.CREDITS, Period.WEEK, person=True)
    demand_period(Dimension.CREDITS, Period.NEVER, person=False)
    for dimension in (Dimension.GPU, Dimension.CPU, Dimension.MEMORY, Dimension.WORKLOADS):
        with pytest.raises(BadValue, match="has no period"):
            demand_period(dimension, Period.DAY, person=False)
    with pytest.raises(BadValue, match="what was granted"):
        demand_period(Dimension.CREDITS, Period.NEVER, person=True)
