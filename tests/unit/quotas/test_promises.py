"""What is promised to those who wait: firm starts, no starvation, nothing held twice, fair order."""

import itertools
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.asks import Ask, Priority
from catalog.placement import NoRoom
from catalog.units import GIB
from quotas.admission import Claim, Planner, Rules, Waiting, World, plan
from quotas.limits import Dimension, Scope
from quotas.verdict import Code, Fits, Waits
from tests.examples import examples
from tests.unit.quotas.worlds import (
    MINUTE,
    NOW,
    PLACER,
    ROOT,
    Clock,
    gpu,
    guarantees,
    leaving,
    over_quota,
    path,
    site,
    stays,
    taken_twice,
    waiting,
)

PEOPLE = ("ada", "ben", "cem", "dot")
TENANTS = ("art", "bio")
shares = st.tuples(*[st.sampled_from([0.0, 0.1, 0.2, 0.3])] * 2)
sizes = st.sampled_from([125, 250, 500, 1000, 2000])
spans = st.integers(1, 12).map(lambda n: n * 10 * MINUTE)
asks = st.builds(
    Ask, st.sampled_from([500, 2000]), st.sampled_from([GIB, 16 * GIB]), sizes, spans,
    priority=st.sampled_from(list(Priority)), preemptible=st.booleans(),
)  # fmt: skip


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A site where some run and others wait, with limits and guarantees."""
    capacity = site(*draw(st.lists(st.integers(1, 2), min_size=1, max_size=3)))
    limits = {
        scope: draw(st.dictionaries(st.sampled_from([Dimension.GPU, Dimension.WORKLOADS]), sizes, max_size=1))
        for scope in [*(f"person:{p}" for p in PEOPLE), *(f"tenant:{t}" for t in TENANTS)]
    }  # fmt: skip
    free, claims = capacity, []
    for number in range(draw(st.integers(0, 8))):
        ask, owner = draw(asks), path(draw(st.sampled_from(PEOPLE)), draw(st.sampled_from(TENANTS)))
        place = PLACER.place(ask, free)
        if isinstance(place, NoRoom):
            continue
        free = free.take(place)
        claims.append(
            Claim(
                f"c{number}", place, ask, owner, NOW + draw(spans), since=NOW - draw(spans),
                protected_until=NOW + draw(st.integers(-5, 5)) * MINUTE,
                going=draw(st.integers(0, 4)) == 0,
            )
        )  # fmt: skip
    queue = []
    for number in range(draw(st.integers(0, 8))):
        owner = path(draw(st.sampled_from(PEOPLE)), draw(st.sampled_from(TENANTS)))
        scopes = tuple(Scope(s, s, limits.get(s, {})) for s in owner)
        queue.append(
            Waiting(
                f"w{number}", draw(asks), scopes, NOW - draw(st.integers(0, 60)) * MINUTE,
                draw(shares), again=draw(st.booleans()),
            )
        )  # fmt: skip
    # What runs keeps the limits, as it always does.
    for scope, amounts in limits.items():
        for dimension in amounts:
            used = sum(
                c.placement.gpu_milli if dimension is Dimension.GPU else 1
                for c in claims
                if scope in c.scope_ids
            )
            amounts[dimension] = max(amounts[dimension], used)
    tree = guarantees(
        art=draw(st.sampled_from([0, 500, 1000])), bio=draw(st.sampled_from([0, 1000]))
    )
    return World(capacity, tuple(claims), tuple(queue), tree=tree)


@settings(max_examples=examples(150))
@given(worlds())
def test_nothing_is_held_twice_at_any_time_and_no_limit_is_passed(world: World) -> None:
    slots = plan(world, PLACER, NOW)
    assert set(slots) == {w.id for w in world.queue}
    found = stays(world, slots, leaving(world, slots))
    assert taken_twice(world, found) == []
    assert over_quota(world, found) == []


@settings(max_examples=examples(60))
@given(worlds(), st.randoms())
def test_the_same_world_has_one_plan(world: World, chance: object) -> None:
    mixed = list(world.queue), list(world.running)
    for several in mixed:
        chance.shuffle(several)  # type: ignore[attr-defined]
    other = replace(world, queue=tuple(mixed[0]), running=tuple(mixed[1]))
    assert plan(other, PLACER, NOW) == plan(world, PLACER, NOW)


@settings(max_examples=examples(100))
@given(worlds())
def test_check_says_what_the_plan_will_do(world: World) -> None:
    if not world.queue:
        return
    *others, new = world.queue
    slot = plan(world, PLACER, NOW)[new.id]
    verdict = Planner(replace(world, queue=tuple(others)), PLACER, NOW).check(new, 0, 0)
    match verdict:
        case Fits(placement):
            assert (slot.at, slot.placement) == (NOW, placement)
        case Waits(code, reason, position, starts_at):
            assert (slot.code, slot.reason) == (code, reason)
            assert (slot.position, slot.at) == (position, starts_at)
        case _:
            assert slot.at is None


@settings(max_examples=examples(60))
@given(st.data())
def test_a_firm_start_never_moves_later_within_its_class(data: st.DataObject) -> None:
    """Whatever comes: others with smaller shares, requeued work, ends before their time."""
    draw = data.draw
    clock = Clock(site(*draw(st.lists(st.integers(1, 2), min_size=1, max_size=2))))
    clock.world = replace(clock.world, tree=guarantees(art=draw(st.sampled_from([0, 1000])), bio=0))
    bounds: dict[str, datetime] = {}
    for number in range(draw(st.integers(5, 14))):
        owner = path(draw(st.sampled_from(PEOPLE)), draw(st.sampled_from(TENANTS)))
        ask = gpu(draw(sizes), draw(st.integers(1, 9)) * 10)
        new = waiting(
            f"w{number:02}", ask, owner, clock.now, shares=draw(shares), again=draw(st.booleans())
        )
        clock.ask(new)
        clock.until(clock.now + draw(st.integers(0, 25)) * MINUTE)
        for name, slot in clock.slots.items():
            if slot.firm and slot.at is not None:
                assert slot.at <= bounds.setdefault(name, slot.at), name
        if clock.world.running and draw(st.booleans()):
            clock.end_early(draw(st.integers(0, len(clock.world.running) - 1)))
        # Shares change while people wait.
        queue = tuple(replace(w, shares=draw(shares)) for w in clock.world.queue)
        clock.world = replace(clock.world, queue=queue)
    clock.until(clock.now + 48 * 60 * MINUTE)
    for name, bound in bounds.items():
        assert clock.started[name] <= bound, name


def test_before_it_is_firm_who_used_less_goes_ahead_and_after_it_nobody_does() -> None:
    clock = Clock(site(1), Rules(patience=30 * MINUTE))
    whole = gpu(1000, 60)
    clock.ask(waiting("r", whole, path("zoe", "art"), clock.now))
    clock.ask(waiting("a", whole, path("ada", "art"), clock.now, shares=(0.5, 0.5)))
    assert clock.slots["a"].at == NOW + 60 * MINUTE
    clock.until(NOW + 10 * MINUTE)
    clock.ask(waiting("b", whole, path("ben", "bio"), clock.now, shares=(0.5, 0.1)))
    assert clock.slots["b"].at == NOW + 60 * MINUTE
    assert clock.slots["a"].at == NOW + 120 * MINUTE
    assert not clock.slots["a"].firm
    clock.until(NOW + 30 * MINUTE)
    assert clock.slots["a"].firm
    clock.ask(waiting("c", whole, path("cem", "bio"), clock.now, shares=(0.5, 0.0)))
    assert clock.slots["c"].at == NOW + 60 * MINUTE, "b waits for less than its patience"
    assert clock.slots["a"].at == NOW + 120 * MINUTE
    assert clock.slots["b"].at == NOW + 180 * MINUTE


def test_of_each_person_only_the_first_is_firm_so_that_a_flood_is_no_fortress() -> None:
    clock = Clock(site(1))
    whole = gpu(1000, 60)
    clock.ask(waiting("r", whole, path("zoe", "art"), clock.now))
    flood = [
        waiting(f"a{n}", whole, path("ada", "art"), clock.now, shares=(0.5, 0.5)) for n in range(9)
    ]
    clock.ask(*flood)
    clock.until(NOW + 45 * MINUTE)
    assert [name for name, slot in sorted(clock.slots.items()) if slot.firm] == ["a0"]
    clock.ask(waiting("b", whole, path("ben", "bio"), clock.now, shares=(0.5, 0.0)))
    assert clock.slots["b"].at == NOW + 120 * MINUTE
    assert clock.slots["b"].position == 1


@pytest.mark.parametrize("each", [1, 3])
def test_no_stream_of_small_asks_starves_a_large_one(each: int) -> None:
    """The large one has the largest share of all; newcomers with none at all keep coming, more than
    the site can serve. It starts when what was ahead when it became firm is done."""
    clock = Clock(site(2), Rules(patience=30 * MINUTE))
    small, numbers = gpu(500, 20), itertools.count()

    def stream(count: int) -> None:
        clock.ask(*(
            waiting(f"s{n:03}", small, path(f"p{n}", "bio"), clock.now, shares=(0.0, 0.0))
            for n in itertools.islice(numbers, count)
        ))  # fmt: skip

    stream(6)
    clock.ask(waiting("large", gpu(2000, 60), path("ada", "art"), clock.now, shares=(0.9, 0.9)))
    bound: datetime | None = None
    while "large" not in clock.started:
        clock.until(clock.now + 4 * MINUTE)
        stream(each)
        slot = clock.slots.get("large")
        if bound is None and slot is not None and slot.firm:
            bound = slot.at
        assert clock.now < NOW + timedelta(hours=5), "it starves"
    assert bound is not None
    assert clock.started["large"] <= bound
    arrived_first = 6 + each * 8  # in half an hour
    rounds = -(-arrived_first // 4)
    assert clock.started["large"] <= NOW + (30 + 20 * (rounds + 1)) * MINUTE


def test_requeued_work_goes_first_in_its_class_only() -> None:
    whole = gpu(1000)
    queue = (
        waiting("old", whole, path("ada", "art"), NOW - 60 * MINUTE),
        waiting("again", whole, path("ben", "art"), NOW, shares=(0.9,), again=True),
        waiting("urgent", replace(whole, priority=Priority.REAL_TIME), path("cem", "art"), NOW),
    )
    slots = plan(World(site(1), (), queue), PLACER, NOW)
    assert [slots[name].position for name in ("urgent", "again", "old")] == [1, 2, 3]


def test_who_stays_inside_the_guarantee_goes_before_who_would_borrow() -> None:
    """Only for as much as is guaranteed: the second of bio's would borrow like the first of art's."""
    tree = guarantees(bio=1000, art=0)
    whole = gpu(1000)
    queue = (
        waiting("art-0", whole, path("ada", "art"), NOW - 60 * MINUTE, again=True),
        waiting("bio-0", whole, path("ben", "bio"), NOW),
        waiting("bio-1", whole, path("ben", "bio"), NOW + MINUTE),
    )
    slots = plan(World(site(1), (), queue, tree=tree), PLACER, NOW)
    assert [slots[name].position for name in ("bio-0", "art-0", "bio-1")] == [1, 2, 3]


def test_who_is_ahead_is_told_by_kind_and_by_no_name() -> None:
    half = gpu(500, 30)
    queue = (
        waiting("b", gpu(1000), path("ben", "bio"), NOW, shares=(0.3, 0.1)),
        waiting("c", gpu(1000), path("cem", "bio"), NOW, shares=(0.3, 0.1)),
        waiting("d", gpu(1000), path("dot", "art"), NOW - MINUTE, shares=(0.3, 0.4, 0.1)),
        waiting("e", replace(gpu(1000), priority=Priority.REAL_TIME), path("eve", "law"), NOW),
        waiting("f", half, path("ada", "art"), NOW, shares=(0.3, 0.4, 0.4)),
    )
    labels = zip(queue[-1].scopes, ("you", "Art", "Main"), strict=True)
    mine = replace(queue[-1], scopes=tuple(Scope(s.id, label) for s, label in labels))
    slot = plan(World(site(1), (), (*queue[:-1], mine)), PLACER, NOW)["f"]
    assert slot.code is Code.QUEUE
    assert slot.reason == (
        "others are ahead in the queue and would be delayed: 2 from other groups that used less"
        " lately, 1 more urgent, 1 of your group that used less lately (used lately: you 40.0 %,"
        " Art 40.0 %, Main 30.0 %)"
    )
    names = [*PEOPLE, "eve", "bio", "law", ROOT]
    assert not any(name in slot.reason for name in names)
