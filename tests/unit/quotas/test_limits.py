"""Limits by scope, in words that name whose they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.asks import Ask
from catalog.inventory import Capacity, Device, Mode, Node, Vendor
from catalog.units import GIB
from quotas.limits import Dimension, LeastUse, Scope, first_over, use_of

amounts = st.dictionaries(st.sampled_from(list(Dimension)), st.integers(0, 100))


@given(amounts, amounts, amounts)
def test_over_exactly_when_the_sum_passes_the_limit(
    wanted: dict[Dimension, int], used: dict[Dimension, int], limits: dict[Dimension, int]
) -> None:
    over = first_over(wanted, (Scope("a", "you", limits),), {"a": used})
    passing = {
        d for d, limit in limits.items() if wanted.get(d) and wanted[d] + used.get(d, 0) > limit
    }
    assert (over is None) == (not passing)
    if over is not None:
        assert over.dimension in passing
        assert over.text


def test_the_nearest_scope_is_named_first() -> None:
    wanted = use_of(Ask(1000, GIB, 500))
    me = Scope("p", "you", {Dimension.GPU: 250})
    course = Scope("t", "Physics", {Dimension.GPU: 100})
    over = first_over(wanted, (me, course), {})
    assert over is not None
    assert over.text == "1/2 GPU is wanted and your own limit is 1/4 GPU"
    over = first_over(wanted, (course,), {})
    assert over is not None
    assert "Physics's limit is 1/10 GPU" in over.text


def test_what_is_in_use_is_told() -> None:
    me = Scope("p", "you", {Dimension.WORKLOADS: 2})
    over = first_over(use_of(Ask(1, 1)), (me,), {"p": {Dimension.WORKLOADS: 2}})
    assert over is not None
    assert over.ever
    assert over.text == "your own limit is 2 running at once, in use now: 2 running at once"


def test_a_limit_on_what_is_not_wanted_does_not_matter() -> None:
    full = Scope("p", "you", {Dimension.GPU: 0})
    assert first_over(use_of(Ask(1000, GIB)), (full,), {"p": {Dimension.GPU: 5}}) is None


A100 = Device("a", Vendor.NVIDIA, "A100", 40_960, sharing=Mode.MIG)
SMALL = Device("s", Vendor.EMULATED, "Small", 16_384)
SITE = Capacity.of(
    [
        Node("n0", 8000, 64 * GIB, (A100, A100)),
        Node("n1", 8000, 64 * GIB, (SMALL, SMALL, SMALL)),
        Node("n2", 8000, 64 * GIB),
    ]
)


@pytest.mark.parametrize(
    ("ask", "milli"),
    [
        (Ask(1, 1), 0),
        (Ask(1, 1, 300), 300),
        (Ask(1, 1, 300, models=("A100",)), 500),
        (Ask(1, 1, 300, models=("other",)), 300),
        (Ask(1, 1, gpu_memory_mib=8192), 250),
        (Ask(1, 1, gpu_memory_mib=8192, models=("Small",)), 500),
        (Ask(1, 1, gpu_memory_mib=8192, gpu_count=2), 500),
        (Ask(1, 1, gpu_memory_mib=99_999), 0),
        (Ask(1, 1, whole_node=True), 2000),
        (Ask(1, 1, whole_node=True, models=("Small",)), 3000),
        (Ask(1, 1, 3000, whole_node=True), 3000),
    ],
)
def test_what_an_ask_takes_of_gpus_at_least(ask: Ask, milli: int) -> None:
    assert LeastUse(SITE).of(ask) == milli
