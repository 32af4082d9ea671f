"""The mix of asks is learned from history, and there is a prior before there is any."""

from dataclasses import replace
from datetime import timedelta

from catalog.asks import Ask, Priority, demand_possible
from catalog.mix import MOST_TYPES, History, Mix

_SMALL = Ask(1000, 2**30, 250)
_LARGE = Ask(4000, 2**34, 1000, models=("A100", "H100"))


def test_asks_that_differ_in_nothing_placement_weighs_are_one_kind() -> None:
    same = replace(
        _LARGE,
        duration=timedelta(days=1),
        priority=Priority.BEST_EFFORT,
        preemptible=True,
        apart="replicas",
        models=("H100", "A100"),
    )
    mix = Mix.of([(_LARGE, 1.0), (same, 2.0), (_SMALL, 1.0)])
    assert [weight for _, weight in mix.asks] == [3.0, 1.0]
    assert mix.total == 4.0


def test_the_rarest_kinds_are_left_out_and_the_order_does_not_matter() -> None:
    many = [(Ask(cpu, 0, 250), float(cpu)) for cpu in range(1, MOST_TYPES + 11)]
    mix = Mix.of(many)
    assert len(mix.asks) == MOST_TYPES
    assert min(weight for _, weight in mix.asks) == 11.0
    assert mix == Mix.of(reversed(many))


def test_the_prior_is_made_of_asks_that_can_be() -> None:
    prior = Mix.prior()
    assert all(demand_possible(ask) for ask, _ in prior.asks)
    assert History().mix().asks[0][0] == prior.asks[0][0]


def test_history_outweighs_the_prior_and_the_recent_the_old() -> None:
    history = History(half_life=100)
    for _ in range(400):
        history.saw(_SMALL)
    assert history.mix().asks[0][0] == Mix.of([(_SMALL, 1.0)]).asks[0][0]
    for _ in range(400):
        history.saw(_LARGE)
    weights = {ask.gpu_milli: weight for ask, weight in history.mix().asks[:2]}
    assert weights[1000] > 10 * weights.get(250, 0.0)


def test_weights_stay_small_however_long_it_runs() -> None:
    history, other = History(half_life=10), History(half_life=10)
    for _ in range(3000):
        history.saw(_SMALL)
    other.saw(_SMALL)
    assert history.mix().total < 200
    assert history.mix() == history.mix()
    assert other.mix() != history.mix()
