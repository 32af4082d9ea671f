"""Quantities: what is written comes back, and what is none is refused."""

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import BadValue
from catalog.offers import Quantity
from catalog.units import (
    GIB,
    KIB,
    MIB,
    format_bytes,
    format_cpu,
    format_credits,
    format_duration,
    format_gpu,
    parse_bytes,
    parse_credits,
    parse_duration,
    parse_milli,
)

anything = st.one_of(
    st.text(max_size=60), st.integers(), st.floats(), st.booleans(), st.decimals(), st.fractions()
)
PARSERS = (parse_bytes, parse_milli, parse_credits, parse_duration)


@pytest.mark.parametrize("parse", PARSERS)
@given(value=anything)
def test_any_value_is_parsed_or_refused_in_words(parse: Any, value: Any) -> None:
    said = ""
    try:
        parse(value)
    except BadValue as error:
        said = f"{error.message}: {error.next}"
    assert len(said) < 300


@given(st.integers(-(10**17), 10**17))
def test_credits_come_back(micro: int) -> None:
    assert parse_credits(format_credits(micro)) == micro


@given(st.decimals(-(10**9), 10**9, places=6))
def test_credits_are_exact(amount: Decimal) -> None:
    assert Fraction(parse_credits(str(amount))) == Fraction(amount) * 10**6


@given(st.integers(0, 10**6))
def test_thousandths_come_back_in_each_way_to_write_them(milli: int) -> None:
    whole, rest = divmod(milli, 1000)
    for text in (f"{milli}m", f"{whole}.{rest:03}", f"{milli}/1000"):
        assert parse_milli(text) == milli


@given(st.integers(0, 10**9), st.sampled_from(["", "K", "Ki", "M", "Mi", "G", "Gi", "Ti", "GiB"]))
def test_sizes_are_exact(number: int, unit: str) -> None:
    scale = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "Ki": KIB, "Mi": MIB, "Gi": GIB}
    factor = scale.get(unit, GIB if unit == "GiB" else 2**40)
    assert parse_bytes(f"{number}{unit}") == number * factor


@given(st.integers(0, 9999 * 86400))
def test_durations_are_exact(seconds: int) -> None:
    text = Quantity.DURATION.show(seconds)
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("quantity", list(Quantity))
@given(data=st.data())
def test_what_a_field_shows_is_what_it_reads(quantity: Quantity, data: st.DataObject) -> None:
    least, most = quantity.bounds
    base = data.draw(st.integers(least, most))
    assert quantity.parse(quantity.show(base)) == base


@pytest.mark.parametrize(
    ("text", "milli"), [("1/4", 250), (0.25, 250), ("250m", 250), ("1", 1000), (2, 2000), ("0", 0)]
)
def test_ways_to_write_a_part(text: Any, milli: int) -> None:
    assert parse_milli(text) == milli


@pytest.mark.parametrize(
    "text", ["1/3", "0.0001", "-1", "1e3", "x", "", True, "nan", "1/0", "½" * 30]
)
def test_parts_that_are_none(text: Any) -> None:
    with pytest.raises(BadValue):
        parse_milli(text)


@pytest.mark.parametrize("text", ["-1", "1e3", "Gi", "1 X", "", True, 1e300, -5, 10**30, "NaN"])
def test_sizes_that_are_none(text: Any) -> None:
    with pytest.raises(BadValue):
        parse_bytes(text)


@pytest.mark.parametrize("text", ["1e999999999", "1e-999999999", "NaN", "sNaN", "inf", "0.0000001"])
def test_amounts_that_are_none(text: str) -> None:
    with pytest.raises(BadValue):
        parse_credits(text)


def test_how_people_read_them() -> None:
    assert format_credits(250_000) == "0.25"
    assert format_credits(-1_500_000) == "-1.50"
    assert format_credits(1) == "0.000001"
    assert format_bytes(1536 * MIB) == "1.5 GiB"
    assert format_bytes(10) == "10 B"
    assert [format_gpu(m) for m in (125, 250, 1000, 2000)] == [
        "1/8 GPU",
        "1/4 GPU",
        "1 GPU",
        "2 GPUs",
    ]
    assert format_cpu(500) == "0.5 CPU"
    assert format_duration(timedelta(seconds=5400)) == "1h30m"
    assert format_duration(timedelta(seconds=-3)) == "0s"
    assert format_duration(timedelta(days=2, hours=3, minutes=4)) == "2d3h"
