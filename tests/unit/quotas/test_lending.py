"""Held capacity in the plan: for whom it is kept, to whom it is lent, and until when."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.asks import Ask, Priority
from catalog.inventory import Capacity, Device, Mode, Node, Placement, Share, Vendor
from catalog.placement import NoRoom
from catalog.units import GIB
from quotas.admission import Claim, Planner, Rules, World, plan
from quotas.reservations import Hold
from quotas.verdict import Code, Fits
from tests.examples import examples
from tests.unit.quotas.worlds import (
    MINUTE,
    NOW,
    PLACER,
    gpu,
    guarantees,
    on,
    path,
    site,
    stays,
    taken_twice,
    waiting,
)

BEST = Priority.BEST_EFFORT
GRACE = Rules().grace


def lab(*devices: int, begins: int = 60, ends: int = 180, milli: int = 1000) -> Hold:
    """Held for the lab, one place on each of these devices; minutes from now."""
    return Hold(
        "r-lab@x", "tenant:lab", tuple(on(d, milli) for d in devices), NOW + begins * MINUTE,
        NOW + ends * MINUTE, NOW + (begins - 15) * MINUTE,
    )  # fmt: skip


def one(ask, *claims: Claim, owner=("person:ada",), holds=(), **more):  # noqa: ANN001, ANN003, ANN201
    new = waiting("new", ask, owner, **more)
    return plan(World(site(4), claims, (new,), holds=tuple(holds)), PLACER, NOW)["new"]


def held(name: str, device: int, ask, ends: int = 600, **more) -> Claim:  # noqa: ANN001, ANN003
    place = on(device, ask.gpu_milli)
    return Claim(name, place, ask, ("person:zoe",), NOW + ends * MINUTE, since=NOW - MINUTE, **more)


def test_who_ends_before_the_window_may_use_what_is_held() -> None:
    everything = lab(0, 1, 2, 3)
    assert one(gpu(1000, 60), holds=[everything]).at == NOW
    late = one(gpu(1000, 61), holds=[everything])
    assert late.at == NOW + 180 * MINUTE
    assert late.code is Code.RESERVED
    assert late.reason.startswith(
        "what is free is held for a reservation from 10:00 on 5 January UTC until 12:00 on"
        " 5 January UTC; it would not end before"
    )
    inside = one(gpu(1000, 10), holds=[lab(0, 1, 2, 3, begins=-10)])
    assert inside.at == NOW + 180 * MINUTE
    assert inside.reason.startswith(
        "what is free is held for a reservation until 12:00 on 5 January UTC"
    )


def test_what_is_not_held_is_free_for_all() -> None:
    slot = one(gpu(1000, 600), holds=[lab(0, 1, 2)])
    assert slot.at == NOW
    assert slot.placement == on(3, 1000)


def test_members_use_what_is_held_for_them_first() -> None:
    member = path("mia", "lab")
    holds = [lab(0, 1, 2, 3, begins=-10)]
    slot = one(gpu(1000, 60), owner=member, holds=holds)
    assert (slot.at, slot.reservation) == (NOW, "r-lab@x")
    some = one(gpu(500, 60), owner=member, holds=[lab(2, begins=-10, milli=500)])
    assert (some.placement, some.reservation) == (on(2, 500), "r-lab@x")
    early = one(gpu(1000, 60), owner=member, holds=[lab(0)])
    assert early.reservation == "", "before the window they are like everybody"
    verdict = Planner(World(site(4), holds=tuple(holds)), PLACER, NOW).check(
        waiting("new", gpu(1000), member), 0, 0
    )
    assert isinstance(verdict, Fits)
    assert verdict.reason == "it can start now, in what is reserved for your group"


def test_each_member_takes_one_place_off() -> None:
    """Two of the four are held; the third member has to do without, like everybody."""
    queue = tuple(waiting(f"m{n}", gpu(1000, 60), path(f"p{n}", "lab")) for n in range(3))
    outside = waiting("out", gpu(1000, 60), ("person:ada",), NOW + MINUTE)
    claims = (held("c2", 2, gpu(1000)), held("c3", 3, gpu(1000), ends=90))
    world = World(site(4), claims, (*queue, outside), holds=(lab(0, 1, begins=-10),))
    slots = plan(world, PLACER, NOW)
    assert [slots[f"m{n}"].at for n in range(3)] == [NOW, NOW, NOW + 60 * MINUTE]
    assert [bool(slots[f"m{n}"].reservation) for n in range(3)] == [True, True, True]
    assert slots["out"].at == NOW + 90 * MINUTE, "held again after the first two have left"


def test_held_places_are_lent_to_what_can_go_until_they_are_wanted() -> None:
    everything = lab(0, 1, 2, 3)
    for ask in (gpu(1000, 600, preemptible=True), gpu(1000, 600, priority=BEST)):
        slot = one(ask, holds=[everything])
        assert slot.at == NOW
        assert slot.until == NOW + 45 * MINUTE + GRACE
    soon = lab(0, 1, 2, 3, begins=20)
    assert one(gpu(1000, 600, priority=BEST), holds=[soon]).at != NOW, "not worth the start"
    partly = one(gpu(1000, 600, priority=BEST), holds=[lab(0, 1, 2)])
    assert (partly.placement, partly.until) == (on(3, 1000), None), "rather where it may stay"
    said = Planner(World(site(4), holds=(everything,)), PLACER, NOW).check(
        waiting("new", gpu(1000, 600, priority=BEST)), 0, 0
    )
    assert said.reason == (
        "it can start now; it has to go by 09:47 on 5 January UTC, when its place is reserved;"
        " it may have to go, with 2m notice"
    )


def test_what_is_lent_is_called_back_in_time_and_the_least_is_lost() -> None:
    low = gpu(1000, 600, priority=BEST)
    claims = tuple(held(f"c{n}", n, low) for n in range(4))
    claims = (replace(claims[0], saved_at=NOW), *claims[1:])
    world = World(site(4), claims, holds=(lab(1, 2),))
    planner = Planner(world, PLACER, NOW)
    assert set(planner.recalls) == {"c1", "c2"}
    recall = planner.recalls["c1"]
    assert (recall.told_at, recall.gone_at) == (NOW + 45 * MINUTE, NOW + 45 * MINUTE + GRACE)
    later = NOW + 50 * MINUTE
    assert Planner(world, PLACER, later).recalls["c1"].told_at == later
    assert Planner(world, PLACER, later).recalls["c1"].gone_at == later + GRACE
    over = NOW + 181 * MINUTE
    assert Planner(world, PLACER, over).recalls == {}


def test_what_cannot_go_is_not_called_back() -> None:
    claims = tuple(held(f"c{n}", n, gpu(1000, 600)) for n in range(4))
    assert Planner(World(site(4), claims, holds=(lab(1),)), PLACER, NOW).recalls == {}


def test_a_member_waits_for_what_is_lent_no_longer_than_until_the_window() -> None:
    low = gpu(1000, 600, priority=BEST)
    claims = tuple(held(f"c{n}", n, low) for n in range(4))
    world = World(
        site(4), claims, (waiting("m", replace(low, duration=timedelta(hours=1)), path("mia", "lab")),),
        holds=(lab(0),),
    )  # fmt: skip
    slot = plan(world, PLACER, NOW)["m"]
    assert slot.at is not None
    assert slot.at <= NOW + 60 * MINUTE


def test_real_time_work_does_not_wait_for_what_a_later_window_calls_back() -> None:
    """The best-effort claim has to go in five days anyhow; it goes now all the same."""
    low, long = gpu(1000, 10_000, priority=BEST), gpu(1000, 10_000)
    claims = (held("c0", 0, low, 10_000), *(held(f"c{n}", n, long, 10_000) for n in (1, 2, 3)))
    far = lab(0, begins=5 * 24 * 60, ends=6 * 24 * 60)
    slot = one(gpu(1000, 60, priority=Priority.REAL_TIME), *claims, holds=[far])
    assert (slot.at, slot.victims) == (NOW + GRACE, ("c0",))


def test_a_whole_node_is_called_back_from_whoever_is_on_it() -> None:
    """Its cpu would be enough for both; its name is that nobody else is there."""
    whole = PLACER.place(Ask(0, 0, whole_node=True), site(4))
    assert not isinstance(whole, NoRoom)
    hold = replace(lab(0), placements=(whole,))
    claim = held("c0", 0, gpu(0, 600, priority=BEST))
    claim = replace(claim, placement=Placement("n0", 500, GIB))
    assert set(Planner(World(site(4), (claim,), holds=(hold,)), PLACER, NOW).recalls) == {"c0"}


def test_of_mig_instances_those_go_that_lie_where_the_held_one_may_begin() -> None:
    """A 4g instance begins at slice 0 only, however much of the device is free elsewhere."""
    device = Device("m", Vendor.NVIDIA, "A100", 40_960, sharing=Mode.MIG)
    capacity = Capacity.of([Node("n0", 8000, 64 * GIB, (device,))])

    def instance(milli: int, profile: str, start: int) -> Placement:
        share = Share("m", milli, 40 * milli, Mode.MIG, profile=profile, start=start)
        return Placement("n0", 500, GIB, (share,))

    hold = replace(lab(0), placements=(instance(500, "4g.20gb", 0),))
    low = gpu(125, 600, priority=BEST)
    claims = tuple(
        replace(held(name, 0, low), placement=instance(125, "1g.5gb", start))
        for name, start in (("early", 0), ("late", 4))
    )
    assert set(Planner(World(capacity, claims, holds=(hold,)), PLACER, NOW).recalls) == {"early"}


def test_who_is_in_a_held_place_does_not_go_for_one_that_could_not_have_it() -> None:
    """Once gone, the place is held for the next of the lab; all four are in use, none is left."""
    tree = guarantees(art=4000, lab=0)
    claims = tuple(
        replace(held(f"c{n}", n, gpu(1000)), scope_ids=path(f"p{n}", "lab"), reservation="r-lab@x")
        for n in range(4)
    )
    hold = replace(lab(begins=-60, ends=180), ask=gpu(1000))
    new = waiting("new", gpu(1000), path("ada", "art"))

    def victims(*holds: Hold) -> tuple[str, ...]:
        world = World(site(4), claims, (new,), holds=holds, tree=tree)
        return plan(world, PLACER, NOW)["new"].victims

    assert victims(hold) == ()
    assert victims(replace(hold, starts_at=NOW + 60 * MINUTE)) == (), "it would last into it"
    assert len(victims(replace(hold, starts_at=NOW + 62 * MINUTE))) == 1
    assert len(victims()) == 1, "the window was given up; they stay as everybody"
    other = (replace(claims[0], reservation=""), *claims[1:])
    slot = plan(World(site(4), other, (new,), holds=(hold,), tree=tree), PLACER, NOW)["new"]
    assert slot.victims == ("c0",)


@pytest.mark.parametrize(
    ("unit", "ask"),
    [(gpu(250), gpu(0)), (gpu(0), gpu(250)), (Ask(0, 0, whole_node=True), gpu(250))],
)
@pytest.mark.parametrize("preemptible", [False, True])  # to its own people nothing is lent
def test_what_is_of_another_kind_leaves_the_held_places_alone(
    unit: Ask, ask: Ask, preemptible: bool
) -> None:
    place = PLACER.place(unit, site(1))
    assert not isinstance(place, NoRoom)
    hold = replace(lab(begins=-10), placements=(place,), ask=unit)
    member = waiting("m", replace(ask, preemptible=preemptible), path("mia", "lab"))
    slot = plan(World(site(1), queue=(member,), holds=(hold,)), PLACER, NOW)["m"]
    assert slot.reservation == ""
    assert slot.at == (hold.ends_at if unit.whole_node else NOW)


def test_what_is_lent_is_gone_when_the_window_begins_however_long_the_notice() -> None:
    claims = (held("c0", 0, gpu(1000, 600, priority=BEST)),)
    rules = Rules(grace=20 * MINUTE)
    world = World(site(1), claims, holds=(lab(0),), rules=rules)
    recall = Planner(world, PLACER, NOW).recalls["c0"]
    assert (recall.told_at, recall.gone_at) == (NOW + 40 * MINUTE, NOW + 60 * MINUTE)
    new = waiting("new", gpu(1000, 600, priority=BEST))
    slot = plan(replace(world, running=(), queue=(new,)), PLACER, NOW)["new"]
    assert (slot.at, slot.until) == (NOW, NOW + 60 * MINUTE)


devices = st.sets(st.integers(0, 3), min_size=1)
asked = st.builds(
    gpu, st.sampled_from([250, 500, 1000, 2000]), st.integers(1, 30).map(lambda n: 10 * n),
    priority=st.sampled_from(list(Priority)), preemptible=st.booleans(),
)  # fmt: skip


@settings(max_examples=examples(120))
@given(
    st.lists(asked, max_size=5), st.lists(st.tuples(asked, st.booleans()), max_size=7), devices,
    st.integers(-2, 12), st.integers(1, 12),
)  # fmt: skip
def test_what_is_held_is_there_whoever_asks(
    there: list, queue: list, devices: set[int], begins: int, lasts: int
) -> None:
    """With all that is planned and lent, what a reservation keeps is free when it begins, or has
    members in it: outsiders and what is held always go together."""
    hold = lab(*devices, begins=10 * begins, ends=10 * (begins + lasts))
    free, claims = site(4), []
    for number, ask in enumerate(there):
        place = PLACER.place(ask, free)
        if isinstance(place, NoRoom):
            continue
        free = free.take(place)
        claims.append(Claim(f"c{number}", place, ask, (), NOW + ask.duration, since=NOW))
    world = World(site(4), tuple(claims), holds=(hold,))
    gone = {r.claim: r.gone_at for r in Planner(world, PLACER, NOW).recalls.values()}
    before = stays(world, {}, gone)
    if taken_twice(world, before, [hold]):
        return  # what cannot go, or cannot go in time, is in the way already
    asks = tuple(
        waiting(f"w{n}", replace(ask, gpu_milli=1000), path(f"p{n}", "lab"), NOW)
        if member
        else waiting(f"w{n}", ask, (f"person:p{n}",), NOW)
        for n, (ask, member) in enumerate(queue)
    )
    world = replace(world, queue=asks)
    slots = plan(world, PLACER, NOW)
    told = {v: s.at for s in slots.values() if s.at for v in s.victims}
    found = stays(world, slots, {**gone, **told})
    assert taken_twice(world, found) == []
    outsiders = [s for s in found if "tenant:lab" not in s.scope_ids]
    assert taken_twice(world, outsiders, [hold]) == []
