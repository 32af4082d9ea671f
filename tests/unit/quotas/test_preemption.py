"""Who has to go: the rule, the least that is lost, and the grace that nobody waits longer than."""

import itertools
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.asks import Ask, Priority
from catalog.placement import NoRoom
from catalog.units import GIB
from quotas.admission import Claim, Planner, Rules, World, plan
from quotas.limits import Dimension, Scope
from quotas.preemption import Candidate, cost_of, cost_of_going, outranks, victims
from quotas.verdict import Code, Waits
from tests.examples import examples
from tests.unit.quotas.worlds import (
    MINUTE,
    NOW,
    PLACER,
    Clock,
    gpu,
    guarantees,
    node,
    on,
    path,
    site,
    waiting,
)

GRACE = Rules().grace
REAL, STANDARD, BEST = Priority.REAL_TIME, Priority.STANDARD, Priority.BEST_EFFORT


def held(name: str, device: int, ask: Ask, owner: tuple[str, ...] = (), **more: object) -> Claim:
    defaults = {"ends_at": NOW + 600 * MINUTE, "since": NOW - 60 * MINUTE}
    place = on(device, ask.gpu_milli)
    return Claim(name, place, ask, owner, **{**defaults, **more})  # type: ignore[arg-type]


def slot_for(ask: Ask, *claims: Claim, owner: tuple[str, ...] = (), **world: object):  # noqa: ANN201
    new = waiting("new", ask, owner)
    return plan(World(site(4), claims, (new,), **world), PLACER, NOW)["new"]  # type: ignore[arg-type]


def full_of(ask: Ask, **more: object) -> list[Claim]:
    return [held(f"c{n}", n, ask, **more) for n in range(4)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asks", "preemptible", "holds", "goes"),
    [
        (REAL, False, BEST, True),
        (REAL, False, STANDARD, False),
        (REAL, True, STANDARD, True),
        (REAL, True, REAL, False),
        (STANDARD, False, BEST, True),
        (STANDARD, True, STANDARD, False),
        (STANDARD, True, REAL, False),
        (BEST, True, BEST, False),
    ],
)
def test_who_may_take_whose_place(
    asks: Priority, preemptible: bool, holds: Priority, goes: bool
) -> None:
    there = replace(gpu(1000), priority=holds, preemptible=preemptible)
    new = replace(gpu(1000), priority=asks)
    slot = slot_for(new, *full_of(there))
    assert bool(slot.victims) == outranks(new, there) == goes
    if goes:
        assert (slot.at, slot.code) == (NOW + GRACE, Code.PREEMPTION)
        assert slot.firm, "who was told to go must not have gone for nothing"


def test_the_least_lost_work_goes() -> None:
    """What was saved lately loses little, however long it has run."""
    best = replace(gpu(1000), priority=BEST)
    claims = full_of(best, since=NOW - 300 * MINUTE)
    claims[2] = replace(claims[2], saved_at=NOW - MINUTE)
    assert slot_for(gpu(1000), *claims).victims == ("c2",)
    claims[1] = replace(claims[1], since=NOW - 30 * 1 * MINUTE / 60)
    assert slot_for(gpu(1000), *claims).victims == ("c1",)


def test_best_effort_goes_before_standard_work_that_would_lose_less() -> None:
    claims = full_of(replace(gpu(1000), priority=BEST))
    claims[0] = held("c0", 0, replace(gpu(1000), preemptible=True), since=NOW)
    slot = slot_for(replace(gpu(1000), priority=REAL), *claims)
    assert slot.victims
    assert "c0" not in slot.victims


def test_nobody_goes_whose_place_is_not_needed() -> None:
    """One of 500 is cheaper than another, but one of 1000 is enough alone."""
    best = replace(gpu(500), priority=BEST)
    claims = [
        held("a", 0, best, since=NOW - 10 * MINUTE),
        held("b", 0, best, since=NOW - 11 * MINUTE),
        *(held(f"c{n}", n, gpu(1000)) for n in (1, 2)),
        held("d", 3, replace(gpu(1000), priority=BEST), since=NOW - 10 * MINUTE),
    ]
    slot = slot_for(gpu(1000), *claims)
    assert slot.victims == ("d",)
    assert slot_for(gpu(500), *claims).victims == ("a",)


def test_what_began_lately_is_protected_but_not_best_effort_work_from_real_time_work() -> None:
    claims = full_of(replace(gpu(1000), priority=BEST), protected_until=NOW + MINUTE)
    assert not slot_for(gpu(1000), *claims).victims
    assert slot_for(replace(gpu(1000), priority=REAL), *claims).victims
    claims = full_of(replace(gpu(1000), preemptible=True), protected_until=NOW + MINUTE)
    assert not slot_for(replace(gpu(1000), priority=REAL), *claims).victims


def test_nothing_more_is_preempted_for_what_those_that_go_will_free() -> None:
    best = replace(gpu(1000), priority=BEST)
    claims = full_of(best)
    claims[3] = replace(claims[3], going=True, ends_at=NOW + MINUTE)
    slot = slot_for(gpu(1000), *claims)
    assert (slot.at, slot.victims) == (NOW + MINUTE, ())
    two = [waiting("a", gpu(1000)), waiting("b", gpu(1000))]
    slots = plan(World(site(4), tuple(claims), tuple(two)), PLACER, NOW)
    assert (slots["a"].victims, slots["a"].at) == ((), NOW + MINUTE)
    assert len(slots["b"].victims) == 1
    assert not set(slots["b"].victims) & {"c3"}


def test_a_plan_takes_nobody_twice() -> None:
    claims = full_of(replace(gpu(1000), priority=BEST))
    queue = tuple(waiting(f"w{n}", gpu(1000)) for n in range(5))
    slots = plan(World(site(4), tuple(claims), queue), PLACER, NOW)
    told = [victim for slot in slots.values() for victim in slot.victims]
    assert sorted(told) == ["c0", "c1", "c2", "c3"]
    assert slots["w4"].at == NOW + GRACE + 60 * MINUTE


def test_a_limit_that_best_effort_work_fills_is_freed_as_well() -> None:
    owner = path("ada", "art")
    best = replace(gpu(1000), priority=BEST)
    mine = [held("mine", 0, best, owner), held("other", 1, best, path("ben", "bio"))]
    me = replace(
        waiting("new", replace(gpu(1000), priority=REAL), owner),
        scopes=(Scope(owner[0], "you", {Dimension.GPU: 1000}),),
    )
    slot = plan(World(site(4), tuple(mine), (me,)), PLACER, NOW)["new"]
    assert slot.victims == ("mine",)


# ---- giving back what was borrowed ------------------------------------------------------------


def test_who_stays_inside_the_guarantee_has_back_what_was_borrowed_last() -> None:
    tree = guarantees(art=2000, bio=2000)
    claims = [
        held(f"c{n}", n, gpu(1000), path("ben", "bio"), since=NOW - (60 - n) * MINUTE)
        for n in range(4)
    ]
    slot = slot_for(gpu(1000), *claims, owner=path("ada", "art"), tree=tree)
    assert slot.victims == ("c3",), "the last to borrow goes first, though c2 has borrowed too"
    inside = [replace(c, scope_ids=path("ben", "art")) for c in claims[:2]]
    slot = slot_for(gpu(1000), *inside, *claims[2:], owner=path("ada", "art"), tree=tree)
    assert slot.victims == (), "art has its two, and bio borrows nothing"


def test_only_work_of_the_same_or_a_lower_class_is_had_back() -> None:
    tree = guarantees(art=4000, bio=0)
    claims = [
        held(f"c{n}", n, replace(gpu(1000), priority=REAL), path("ben", "bio")) for n in range(4)
    ]
    mine = path("ada", "art")
    assert not slot_for(gpu(1000), *claims, owner=mine, tree=tree).victims
    assert slot_for(replace(gpu(1000), priority=REAL), *claims, owner=mine, tree=tree).victims
    low = [replace(c, ask=replace(c.ask, priority=BEST)) for c in claims]
    best = replace(gpu(1000), priority=BEST)
    assert not slot_for(best, *low, owner=mine, tree=tree).victims


def test_what_is_borrowed_says_so_when_it_starts() -> None:
    tree = guarantees(art=1000, bio=1000)
    world = World(site(4), tree=tree)
    own = Planner(world, PLACER, NOW).check(waiting("n", gpu(1000), path("ada", "art")), 0, 0)
    assert own.reason == "it can start now"
    more = Planner(world, PLACER, NOW).check(waiting("n", gpu(2000), path("ada", "art")), 0, 0)
    assert more.reason == ("it can start now; it may have to go as it is borrowed, with 2m notice")
    best = replace(gpu(500), priority=BEST)
    low = Planner(world, PLACER, NOW).check(waiting("n", best, path("ada", "art")), 0, 0)
    assert low.reason == "it can start now; it may have to go, with 2m notice"


def test_who_waits_for_others_to_go_is_told_so() -> None:
    claims = full_of(replace(gpu(1000), priority=BEST))
    new = waiting("new", gpu(1000))
    verdict = Planner(World(site(4), tuple(claims)), PLACER, NOW).check(new, 0, 0)
    assert isinstance(verdict, Waits)
    assert verdict.code is Code.PREEMPTION
    assert verdict.reason == "1 best-effort workload makes room for it"
    assert verdict.starts_at == NOW + GRACE


# ---- properties -------------------------------------------------------------------------------


@settings(max_examples=examples(120))
@given(
    st.lists(st.tuples(st.sampled_from([125, 250, 500]), st.integers(0, 90)), max_size=7),
    st.sampled_from([250, 500, 1000]),
)
def test_the_victims_are_the_cheapest_set_there_is(
    there: list[tuple[int, int]], wanted: int
) -> None:
    """Against brute force over all sets, on one device."""
    claims: list[Claim] = []
    for number, (milli, minutes) in enumerate(there):
        if sum(c.placement.gpu_milli for c in claims) + milli <= 1000:
            best = replace(gpu(milli), priority=BEST)
            claims.append(held(f"c{number}", 0, best, since=NOW - minutes * MINUTE))
    free = 1000 - sum(c.placement.gpu_milli for c in claims)
    if free >= wanted:
        return
    candidates = [Candidate(c, cost_of_going(c, NOW)) for c in claims]

    def enough(gone: Collection[Claim]) -> bool:
        return free + sum(c.placement.gpu_milli for c in gone) >= wanted

    sets = [s for n in range(len(claims) + 1) for s in itertools.combinations(candidates, n)]
    brute = min(cost_of(s) for s in sets if enough([c.claim for c in s]))
    found = victims(candidates, enough)
    assert found is not None
    assert cost_of(found) == brute
    world = World(
        replace(site(1)), tuple(replace(c, placement=on(0, c.ask.gpu_milli, devices=1)) for c in claims),
        (waiting("new", gpu(wanted)),),
    )  # fmt: skip
    slot = plan(world, PLACER, NOW)["new"]
    assert (
        set(slot.victims) == {c.claim.id for c in found}
        or cost_of([c for c in candidates if c.claim.id in slot.victims]) == brute
    )


@settings(max_examples=examples(60))
@given(st.lists(st.tuples(st.integers(100, 400), st.integers(0, 90)), min_size=9, max_size=16))
def test_of_many_none_goes_in_vain(there: list[tuple[int, int]]) -> None:
    best = replace(gpu(100), priority=BEST)
    claims = [
        replace(held(f"c{n:02}", 0, best, since=NOW - m * MINUTE), ask=replace(best, gpu_milli=g))
        for n, (g, m) in enumerate(there)
    ]
    total = sum(c.ask.gpu_milli for c in claims)

    def enough(gone: Collection[Claim]) -> bool:
        return sum(c.ask.gpu_milli for c in gone) >= total // 2

    found = victims([Candidate(c, cost_of_going(c, NOW)) for c in claims], enough)
    assert found is not None
    gone = [c.claim for c in found]
    assert enough(gone)
    for one in gone:
        assert not enough([c for c in gone if c is not one])


class Hurried(Clock):
    """At each beat, real-time work that nothing but best-effort work is in the way of starts within
    the grace since that was first so."""

    def __init__(self, *args: object) -> None:
        self.clear_since: dict[str, datetime] = {}
        super().__init__(*args)  # type: ignore[arg-type]

    def beat(self) -> None:
        super().beat()
        others = replace(
            self.world,
            running=tuple(c for c in self.world.running if c.ask.priority is not BEST),
            queue=tuple(w for w in self.world.queue if w.ask.priority is not BEST),
        )
        without = plan(others, PLACER, self.now, words=False)
        for w in others.queue:
            if w.ask.priority is not REAL:
                continue
            if without[w.id].at == self.now:
                self.clear_since.setdefault(w.id, self.now)
            if w.id not in self.clear_since:
                continue
            since, slot = self.clear_since[w.id], self.slots[w.id]
            assert slot.at is not None
            assert slot.at <= since + self.world.rules.grace, (w.id, since, slot)


arrivals = st.lists(
    st.tuples(
        st.integers(0, 20), st.sampled_from([250, 500, 1000, 2000]), st.integers(1, 12),
        st.sampled_from(list(Priority)), st.booleans(),
    ),
    max_size=14,
)  # fmt: skip


@settings(max_examples=examples(80))
@given(st.lists(st.integers(1, 2), min_size=1, max_size=2), arrivals, st.integers(0, 20))
def test_real_time_work_never_waits_for_best_effort_work_longer_than_the_grace(
    devices: list[int], arrivals: list[tuple[int, int, int, Priority, bool]], protect: int
) -> None:
    """From the moment when nothing but best-effort work is in its way, the grace is all it waits."""
    clock = Hurried(site(*devices))
    clock.protect = protect * MINUTE
    for number, (minutes, milli, tens, priority, preemptible) in enumerate(arrivals):
        clock.until(clock.now + minutes * MINUTE)
        ask = gpu(milli, tens * 10, priority=priority, preemptible=preemptible)
        clock.ask(waiting(f"w{number:02}", ask, path(f"p{number}", "art"), clock.now))
    clock.until(clock.now + 300 * MINUTE)


@pytest.mark.parametrize(("looks", "starts"), [(107, 112), (108, 110), (109, 111), (110, 112)])
def test_best_effort_work_does_not_go_for_a_place_that_others_hold_still(
    looks: int, starts: int
) -> None:
    """One device is free again at 110. Who is told sooner than the grace before that goes in vain."""
    clock = Hurried(site(2))
    clock.ask(waiting("first", gpu(250, 110, priority=REAL), path("ada", "art"), clock.now))
    clock.until(NOW + 70 * MINUTE)
    clock.ask(waiting("low", gpu(250, 47, priority=BEST), path("ben", "art"), clock.now))
    clock.until(NOW + 90 * MINUTE)
    clock.ask(waiting("both", gpu(2000, 10, priority=REAL), path("eve", "art"), clock.now))
    assert clock.slots["both"].victims == ()
    clock.until(NOW + looks * MINUTE)
    clock.until(NOW + 200 * MINUTE)
    assert clock.started["both"] == NOW + starts * MINUTE


def test_a_split_ask_may_preempt_on_several_nodes() -> None:
    best = replace(gpu(1000), priority=BEST)
    capacity = site(1, 1)
    claims = []
    free = capacity
    for number in range(2):
        place = PLACER.place(best, free)
        assert not isinstance(place, NoRoom)
        free = free.take(place)
        claims.append(Claim(f"c{number}", place, best, (), NOW + 600 * MINUTE, since=NOW))
    ask = Ask(1000, 2 * GIB, 2000, timedelta(hours=1), priority=REAL, gpu_count=2, split=True)
    slot = plan(World(capacity, tuple(claims), (waiting("new", ask),)), PLACER, NOW)["new"]
    assert set(slot.victims) == {"c0", "c1"}
    assert slot.at == NOW + GRACE


def test_who_was_preempted_does_not_take_the_place_back() -> None:
    """Requeued work is first in its class, but the place is promised to whom it went."""
    clock = Clock(site(1), tree=guarantees(art=1000, bio=0))
    clock.ask(waiting("b", gpu(1000, 300), path("ben", "bio"), clock.now))
    clock.until(NOW + 20 * MINUTE)
    clock.ask(waiting("a", gpu(1000, 60), path("ada", "art"), clock.now))
    clock.until(NOW + 30 * MINUTE)
    assert clock.preempted == ["b"]
    assert clock.started["a"] == NOW + 22 * MINUTE
    clock.until(NOW + 600 * MINUTE)
    assert clock.preempted == ["b"]
    assert clock.started["b+"] == NOW + 82 * MINUTE


def test_the_node_of_these_tests_has_what_they_say() -> None:
    assert len(node("n0", 4).devices) == len(site(4).nodes["n0"].node.devices) == 4
