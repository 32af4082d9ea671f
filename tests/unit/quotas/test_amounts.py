"""Amounts of limits, read and written."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import BadValue
from quotas.amounts import MOST, parse_amount, write_amount
from quotas.limits import Dimension


@given(st.sampled_from(Dimension), st.integers(0, 10**14))
def test_what_is_written_is_read_again_as_it_was(dimension: Dimension, amount: int) -> None:
    if dimension is Dimension.GPU_HOURS:
        amount -= amount % 3600
    assert parse_amount(dimension, write_amount(dimension, amount)) == amount


@given(st.sampled_from(Dimension), st.text(max_size=30))
def test_anything_typed_is_an_amount_or_a_plain_error(dimension: Dimension, text: str) -> None:
    with contextlib.suppress(BadValue):
        assert 0 <= parse_amount(dimension, text) < MOST


@pytest.mark.parametrize(
    ("dimension", "text", "amount"),
    [
        (Dimension.GPU, "1/2", 500),
        (Dimension.MEMORY, "8Gi", 8 * 1024**3),
        (Dimension.GPU_HOURS, "20", 20 * 1000 * 3600),
        (Dimension.CREDITS, "0.5", 500_000),
        (Dimension.WORKLOADS, "5", 5),
    ],
)
def test_people_write_amounts_as_they_think_of_them(
    dimension: Dimension, text: str, amount: int
) -> None:
    assert parse_amount(dimension, text) == amount


@pytest.mark.parametrize("text", ["٣", "1.5", "-1", "", "a lot"])
def test_counts_are_whole_numbers(text: str) -> None:
    with pytest.raises(BadValue):
        parse_amount(Dimension.WORKLOADS, text)
