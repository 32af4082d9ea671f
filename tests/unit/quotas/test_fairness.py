"""What was used lately, and how it fades."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.units import GIB
from quotas.fairness import Share, describe, faded, share, used_by_now
from quotas.limits import Dimension

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
WEEK = timedelta(days=7)
CAPACITY = {Dimension.GPU: 8000, Dimension.CPU: 64_000, Dimension.MEMORY: 512 * GIB}
moments = st.integers(0, 30 * 86_400).map(lambda s: NOW - timedelta(seconds=s))


def test_half_is_left_after_the_half_life() -> None:
    assert faded(100, WEEK, WEEK) == pytest.approx(50)
    assert faded(100, 3 * WEEK, WEEK) == pytest.approx(12.5)
    assert faded(100, -WEEK, WEEK) == 100, "a clock that went back adds nothing"


@given(moments, moments, st.integers(1, 8000))
def test_the_closed_form_is_the_sum_of_all_seconds(a: datetime, b: datetime, rate: int) -> None:
    """Against a sum over a thousand parts."""
    begun, ended = min(a, b), max(a, b)
    part = (ended - begun) / 1000
    parts = (
        faded(rate * part.total_seconds(), NOW - (begun + (n + 0.5) * part), WEEK)
        for n in range(1000)
    )
    assert used_by_now(rate, begun, ended, NOW, WEEK) == pytest.approx(sum(parts), rel=1e-3, abs=1)


@given(moments, moments, moments)
def test_it_does_not_matter_where_the_time_is_cut(a: datetime, b: datetime, c: datetime) -> None:
    first, second, third = sorted((a, b, c))
    whole = used_by_now(250, first, third, NOW, WEEK)
    parts = used_by_now(250, first, second, NOW, WEEK) + used_by_now(250, second, third, NOW, WEEK)
    assert whole == pytest.approx(parts, abs=1e-3)
    then = faded(used_by_now(250, first, second, third, WEEK), NOW - third, WEEK)
    later = used_by_now(250, second, third, third, WEEK)
    assert whole == pytest.approx(then + faded(later, NOW - third, WEEK), abs=1e-3)


def test_all_of_the_site_all_the_time_is_one() -> None:
    used = used_by_now(8000, NOW - 100 * WEEK, NOW, NOW, WEEK)
    assert share({Dimension.GPU: used}, CAPACITY, WEEK) == pytest.approx(1.0, abs=1e-3)


def test_the_dominant_resource_counts() -> None:
    hour = (NOW - timedelta(hours=24), NOW, NOW, WEEK)
    used = {Dimension.GPU: used_by_now(1000, *hour), Dimension.CPU: used_by_now(32_000, *hour)}
    assert share(used, CAPACITY, WEEK) == share(
        {Dimension.CPU: used[Dimension.CPU]}, CAPACITY, WEEK
    )
    assert share(used, CAPACITY, WEEK) > share({Dimension.GPU: used[Dimension.GPU]}, CAPACITY, WEEK)


def test_a_site_without_gpus_still_has_shares() -> None:
    assert share({Dimension.GPU: 5.0}, {Dimension.GPU: 0}, WEEK) == 0.0
    assert share({}, {}, WEEK) == 0.0


def test_shares_are_told_in_one_sentence() -> None:
    shares = [Share("person:ada", "you", 0.032), Share("tenant:art", "Art", 0.1)]
    assert shares[0].text == "you used 3.2 % of the site lately"
    assert describe(shares) == "used lately: you 3.2 %, Art 10.0 %"
    assert describe([]) == "nothing was used lately"
