"""What needs no plan: whether an ask is refused for good, and the words for one that is shown."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.asks import Ask
from quotas.admission import Planner, Waiting, World, plan, refusal
from quotas.limits import Dimension, Scope
from quotas.verdict import Code, Denied, Fits, Waits
from tests.examples import examples
from tests.unit.quotas.worlds import MINUTE, NOW, PLACER, gpu, site, waiting

asks = st.builds(gpu, st.sampled_from([250, 500, 1000]))
limits = st.sampled_from([None, 250, 500])


def queue_of(asked: Sequence[Ask]) -> tuple[Waiting, ...]:
    """The first has waited longest."""
    return tuple(waiting(f"q{n}", ask, since=NOW - (9 - n) * MINUTE) for n, ask in enumerate(asked))


@settings(max_examples=examples(80))
@given(asks, st.lists(asks, max_size=5), limits, st.integers(0, 3), st.integers(0, 2))
def test_it_is_refused_without_a_plan_exactly_when_the_plan_refuses_it(
    ask: Ask, queued: list[Ask], limit: int | None, cost: int, devices: int
) -> None:
    world = World(site(devices), queue=queue_of(queued))
    scope = Scope("person:ada", "you", {} if limit is None else {Dimension.GPU: limit})
    new = replace(waiting("new", ask), scopes=(scope,))
    said = refusal(new, cost, 1, world.capacity, PLACER)
    verdict = Planner(world, PLACER, NOW).check(new, cost, 1)
    assert said == (verdict if isinstance(verdict, Denied) else None)


@settings(max_examples=examples(60))
@given(st.lists(asks, min_size=1, max_size=6))
def test_the_words_for_one_are_those_of_the_whole_plan(queued: list[Ask]) -> None:
    world = World(site(1), queue=queue_of(queued))
    planner = Planner(world, PLACER, NOW)
    told = {one.id: planner.told(one.id) for one in reversed(world.queue)}
    assert told == plan(world, PLACER, NOW)
    for id_, slot in told.items():
        bare = planner.slots[id_]
        assert slot.reason
        assert (bare.at, bare.placement, bare.position) == (slot.at, slot.placement, slot.position)
    *before, last = world.queue
    verdict = Planner(replace(world, queue=tuple(before)), PLACER, NOW).check(last, 0, 0)
    slot = told[last.id]
    if isinstance(verdict, Waits):
        said = (verdict.reason, verdict.position, verdict.code)
        assert said == (slot.reason, slot.position, slot.code)
    else:
        assert isinstance(verdict, Fits)
        assert slot.code == Code.FITS
