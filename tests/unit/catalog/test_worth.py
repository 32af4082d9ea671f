"""What a remainder is worth: the linear program's prices and the tables made of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.patterns import prices
from catalog.units import WHOLE
from catalog.worth import CPU_STEP, GRAIN, RATIO, SHARE, Want, Weights, Worth, scarcity
from tests.examples import examples

_SHAPES = st.lists(
    st.tuples(
        st.integers(1, 2),
        st.tuples(st.sampled_from([0, 110, 250, 470, 810, 1000]), st.sampled_from([0, 300, 1000])),
        st.sampled_from([1.0, 5.0]),
    ),
    min_size=1,
    max_size=6,
)


@given(shapes=_SHAPES, supply=st.tuples(st.integers(0, 9), st.integers(0, 9)))
@settings(max_examples=examples(60), deadline=None)
def test_prices_never_fall_and_no_rest_is_worth_more_than_a_device(
    shapes: list[tuple[int, tuple[int, ...], float]], supply: tuple[int, int]
) -> None:
    worth = prices(shapes, supply)
    assert worth.shape == (2, WHOLE + 1)
    assert (np.diff(worth, axis=1) >= -1e-6).all()
    assert (worth >= 0).all()
    # An ask of 0.81 needs a device of its own, so its room may be worth as much as one.
    assert (worth <= 1.1 * WHOLE + 1e-6).all()


def test_a_rest_that_nothing_fills_is_worth_nothing() -> None:
    """Asks of 0.81 are plenty and nothing fits beside them: 0.19 is nobody's."""
    worth = prices([(1, (810,), 10.0), (1, (1000,), 1.0)], [5])[0]
    assert worth[190] == 0
    assert worth[809] == 0
    assert worth[810] == pytest.approx(810)
    assert worth[WHOLE] == pytest.approx(810)


def test_a_rest_that_scarce_asks_fill_is_worth_what_they_are() -> None:
    worth = prices([(1, (810,), 10.0), (1, (190,), 1.0)], [1000])[0]
    plenty = prices([(1, (810,), 1.0), (1, (190,), 10.0)], [1000])[0]
    assert worth[190] == 0  # every small ask finds a place anyway
    assert plenty[190] > 150  # small asks queue up for it


def test_models_that_many_insist_on_are_scarce() -> None:
    wants = [Want(0, 1, (1000, 0), 3.0), Want(0, 1, (1000, 1000), 3.0)]
    press = scarcity(wants, [10, 30])
    assert press[1] == 0
    assert press[0] == pytest.approx(0.5 * 40 / 10)
    assert (scarcity([Want(0, 1, (500, 500), 1.0)], [3, 0]) == 0).all()


def test_stranded_is_the_part_of_asks_that_the_cpu_left_is_too_little_for() -> None:
    wants = [Want(4000, 1, (1000,), 1.0), Want(8000, 1, (1000,), 1.0)]
    table = Worth.of(wants, [1], weights=Weights(stranded=1.0, reach=1.0)).stranded[0]
    assert table[0] == GRAIN * SHARE
    assert table[4 * RATIO] == round(GRAIN * SHARE * 0.25)
    assert table[8 * RATIO] == table[-1] == 0
    assert (np.diff(table) <= 0).all()


def test_together_counts_asks_for_several_by_devices_and_cpu() -> None:
    wants = [Want(8000, 4, (1000,), 1.0), Want(1000, 1, (1000,), 4.0)]
    worth = Worth.of(wants, [8], 8, 32000, Weights(together=1.0))
    table = worth.together[0]
    assert table[3].max() == 0
    assert table[4, 7000 // CPU_STEP] == 0
    assert table[4, 8] == table[7, 32] == GRAIN * 4 * 4 * WHOLE // 8
    assert table[8, 16] == 2 * table[4, 8]
    assert worth.several == 0.5


def test_weights_of_nothing_and_no_mix_make_no_difference() -> None:
    nothing = Weights(0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0)
    for worth in (
        Worth.of([Want(1000, 2, (1000,), 1.0)], [4], 4, 4000, nothing),
        Worth.of([], [4], 4, 4000),
        Worth.of([Want(1000, 1, (0,), 1.0)], [4], 4, 4000),
    ):
        assert not worth.device.any()
        assert not worth.stranded.any()
        assert not worth.together.any()
