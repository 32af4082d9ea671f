"""The burn-down of a course's credits, and the day on which they are gone."""

import itertools
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from hub.courses.spending import LOOK_BACK, Day, burn_down, empty_on

TODAY = date(2026, 2, 20)
days_back = st.integers(0, 60).map(lambda back: TODAY - timedelta(days=back))


def test_every_day_has_its_line_and_the_last_is_today() -> None:
    found = burn_down(100, {date(2026, 2, 17): 30, date(2026, 2, 19): 20}, TODAY)
    assert [(day.day.day, day.spent, day.left) for day in found] == [
        (17, 30, 70), (18, 0, 70), (19, 20, 50), (20, 0, 50),
    ]  # fmt: skip


def test_before_anything_was_spent_there_is_today_alone_and_no_guess() -> None:
    found = burn_down(100, {}, TODAY)
    assert found == (Day(TODAY, 0, 100),)
    assert empty_on(found, TODAY) is None


def test_it_goes_on_as_in_the_last_days() -> None:
    found = burn_down(100, {date(2026, 2, 17): 30, date(2026, 2, 19): 20}, TODAY)
    # 50 in four days, 50 are left.
    assert empty_on(found, TODAY) == date(2026, 2, 24)


def test_what_is_empty_is_empty_today() -> None:
    found = burn_down(50, {TODAY: 50}, TODAY)
    assert empty_on(found, TODAY) == TODAY


def test_what_is_long_ago_counts_no_more() -> None:
    long_ago = TODAY - timedelta(days=LOOK_BACK)
    assert empty_on(burn_down(100, {long_ago: 50}, TODAY), TODAY) is None
    assert empty_on(burn_down(100, {long_ago + timedelta(days=1): 50}, TODAY), TODAY) is not None


@given(st.integers(0, 10**12), st.dictionaries(days_back, st.integers(0, 10**9), max_size=20))
def test_what_is_left_is_what_came_less_what_went(budget: int, spent: dict[date, int]) -> None:
    found = burn_down(budget, spent, TODAY)
    assert found[-1].day == TODAY
    assert found[-1].left == budget - sum(spent.values())
    assert [b.day - a.day for a, b in itertools.pairwise(found)] == (
        [timedelta(days=1)] * (len(found) - 1)
    )


@given(st.integers(1, 10**6), st.lists(st.integers(0, 1000), min_size=1, max_size=40))
def test_at_the_same_pace_the_last_of_it_goes_on_the_day_that_was_said(
    budget: int, daily: list[int]
) -> None:
    spent = {TODAY - timedelta(days=i): amount for i, amount in enumerate(reversed(daily))}
    found = burn_down(budget + sum(daily), spent, TODAY)
    said = empty_on(found, TODAY)
    recent = found[-LOOK_BACK:]
    pace = sum(day.spent for day in recent) / len(recent)
    if pace == 0:
        assert said is None
    elif said is not None:
        days = (said - TODAY).days
        assert pace * days >= budget - 1e-6
        assert pace * (days - 1) < budget + 1e-6
