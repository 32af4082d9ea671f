"""Reasons: the named dimension alone makes it fit, nothing smaller does, and who holds it adds up."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from catalog.alternatives import nearby
from catalog.asks import Ask, Priority
from catalog.inventory import Capacity, Device, Health, Mode, Node, Placement, Vendor
from catalog.offers import Answer, Menu, parse_menu
from catalog.placement import BestFit, NoRoom, Shortage
from catalog.shortage import relaxed
from catalog.units import GIB, WHOLE
from quotas.admission import Claim, Planner, Waiting, World
from quotas.explain import Held, Holder, held, starting_now, why
from quotas.verdict import Fits
from tests.examples import examples

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
PLACER = BestFit()
A100 = Device("", Vendor.NVIDIA, "A100", 40_960, sharing=Mode.MPS)
H200 = Device("", Vendor.NVIDIA, "H200", 143_771, sharing=Mode.MIG)
T4 = Device("", Vendor.NVIDIA, "T4", 16_384, sharing=Mode.WHOLE)


def node(name: str, *devices: Device, cpu: int = 16, memory: int = 64, closed: str = "") -> Node:
    here = tuple(replace(d, id=f"{name}-{i}", index=i) for i, d in enumerate(devices))
    return Node(name, cpu * WHOLE, memory * GIB, here, closed)


@st.composite
def nodes(draw: st.DrawFn) -> tuple[Node, ...]:
    kinds = st.builds(
        replace,
        st.sampled_from([A100, H200, T4]),
        health=st.sampled_from([Health.OK, Health.OK, Health.OK, Health.FAILING]),
    )
    return tuple(
        node(
            f"n{number}", *draw(st.lists(kinds, max_size=3)), cpu=draw(st.integers(1, 8)),
            memory=draw(st.integers(1, 16)), closed=draw(st.sampled_from(["", "", "a drain"])),
        )
        for number in range(draw(st.integers(1, 3)))
    )  # fmt: skip


asks = st.one_of(
    st.builds(
        Ask,
        cpu_milli=st.sampled_from([500, 2000, 6000]),
        memory_bytes=st.sampled_from([GIB, 8 * GIB]),
        gpu_milli=st.sampled_from([0, 250, 500, 1000, 2000]),
        models=st.sampled_from([(), (), ("A100",), ("H200",), ("B200",)]),
        priority=st.sampled_from(Priority),
        apart=st.sampled_from(["", "", "web"]),
        duration=st.sampled_from([timedelta(hours=1), timedelta(hours=4)]),
    ),
    st.builds(
        Ask, st.just(500), st.just(GIB), st.sampled_from([1000, 2000]), whole_node=st.just(True)
    ),
    st.builds(Ask, st.just(500), st.just(GIB), gpu_memory_mib=st.sampled_from([8192, 40_000])),
)


def fill(site: tuple[Node, ...], before: list[Ask]) -> tuple[Capacity, tuple[Claim, ...]]:
    capacity, claims = Capacity.of(site), list[Claim]()
    for number, ask in enumerate(before):
        place = PLACER.place(ask, capacity)
        if isinstance(place, Placement):
            capacity = capacity.take(place)
            ends = NOW + ask.duration
            claims.append(Claim(f"c{number}", place, ask, (), ends))
    return capacity, tuple(claims)


def fits(ask: Ask, capacity: Capacity) -> bool:
    return isinstance(PLACER.place(ask, capacity), Placement)


@settings(max_examples=examples(250))
@given(nodes(), st.lists(asks, max_size=8), asks)
def test_what_is_named_would_make_it_fit_and_nothing_smaller_would(
    site: tuple[Node, ...], before: list[Ask], ask: Ask
) -> None:
    capacity, _ = fill(site, before)
    place = PLACER.place(ask, capacity)
    assume(isinstance(place, NoRoom))
    assert isinstance(place, NoRoom)
    assert fits(*relaxed(ask, place.picture, place.minimal))
    for size in range(len(place.minimal)):
        for fewer in combinations(Shortage, size):
            assert not fits(*relaxed(ask, place.picture, fewer)), (place.minimal, fewer)
    whole = Capacity.of(replace(n, closed="", devices=tuple(
        replace(d, health=Health.OK) for d in n.devices)) for n in site)  # fmt: skip
    assert place.ever == fits(ask, whole)
    assert place.text
    assert place.text[0].islower() or place.text[0].isdigit()


@settings(max_examples=examples(150))
@given(nodes(), st.lists(asks, max_size=8), asks)
def test_nobody_is_said_to_hold_more_than_there_is(
    site: tuple[Node, ...], before: list[Ask], ask: Ask
) -> None:
    capacity, claims = fill(site, before)
    place = PLACER.place(ask, capacity)
    assume(isinstance(place, NoRoom))
    assert isinstance(place, NoRoom)
    devices = sum(len(n.devices) for n in site)
    most = {Shortage.CPU: sum(n.cpu_milli for n in site), Shortage.MODEL: 0, Shortage.APART: 0,
            Shortage.MEMORY: sum(n.memory_bytes for n in site), Shortage.SERVICE: 0}  # fmt: skip
    for dimension in place.minimal:
        holders = held(place, dimension, claims)
        assert len({one.by for one in holders}) == len(holders)
        assert all(one.amount > 0 for one in holders)
        assert sum(one.amount for one in holders) <= most.get(dimension, devices * WHOLE)
    assert why(place, claims).startswith(place.text)


def claim(
    place: Placement, priority: Priority = Priority.STANDARD, hours: int = 1, name: str = "c"
) -> Claim:
    ask = Ask(place.cpu_milli, place.memory_bytes, place.gpu_milli, priority=priority)
    return Claim(name, place, ask, (), NOW + timedelta(hours=hours))


def whole(place_on: Node, index: int) -> Placement:
    share = PLACER.place(Ask(0, 0, 1000), Capacity.of([replace(
        place_on, devices=(place_on.devices[index],))]))  # fmt: skip
    assert isinstance(share, Placement)
    return share


def test_holders_are_told_by_class_and_nobody_by_name() -> None:
    here = node("a", A100, A100, A100, A100)
    claims = [claim(whole(here, index)) for index in range(2)]
    claims.append(claim(whole(here, 2), Priority.BEST_EFFORT))
    kept = whole(here, 3)
    capacity = Capacity.of([here], [c.placement for c in claims]).take(kept)
    place = PLACER.place(Ask(500, GIB, 1000, models=("A100",)), capacity)
    assert isinstance(place, NoRoom)
    assert why(place, claims, [kept]) == (
        "1 GPU on A100 is wanted, all are in use: of 4 A100, 2 are held by standard work,"
        " 1 by a reservation and 1 by best-effort work"
    )


def test_parts_of_devices_add_up() -> None:
    here = node("a", A100)
    half = PLACER.place(Ask(500, GIB, 500), Capacity.of([here]))
    assert isinstance(half, Placement)
    place = PLACER.place(Ask(500, GIB, 750), Capacity.of([here], [half]))
    assert isinstance(place, NoRoom)
    assert why(place, [claim(half, Priority.REAL_TIME)]) == (
        "0.75 GPU is wanted, at most 1/2 GPU is free on one device:"
        " of 1 A100, 0.5 are held by real-time work"
    )


def test_a_closed_node_and_a_broken_device_hold_what_they_have() -> None:
    open_, shut = node("a", A100), node("b", A100, closed="a drain until 18:00")
    broken = node("c", replace(A100, health=Health.FAILING))
    taken = claim(whole(open_, 0))
    place = PLACER.place(
        Ask(500, GIB, 1000), Capacity.of([open_, shut, broken], [taken.placement])
    )  # fmt: skip
    assert isinstance(place, NoRoom)
    assert held(place, Shortage.GPU, [taken]) == (
        Held(Holder.BROKEN, 1000), Held(Holder.CLOSED, 1000), Held(Holder.STANDARD, 1000),
    )  # fmt: skip


def test_cpu_and_memory_are_counted_where_the_rest_is_free() -> None:
    a, b = node("a", A100, cpu=4), node("b", cpu=32)
    busy = Placement("a", 3500, GIB)
    place = PLACER.place(Ask(2000, GIB, 250), Capacity.of([a, b], [busy]))
    assert isinstance(place, NoRoom)
    assert why(place, [claim(busy)]) == (
        "free now is at most 0.5 CPU on a node that has the rest:"
        " of the 4 CPU there, 3.5 CPU are held by standard work"
    )


def test_whole_nodes_are_counted_as_nodes() -> None:
    a, b = node("a", A100), node("b", A100)
    claims = [
        claim(Placement("a", 1000, GIB)), claim(Placement("b", 1000, GIB), Priority.BEST_EFFORT),
        claim(Placement("b", 1000, GIB), Priority.REAL_TIME),
    ]  # fmt: skip
    place = PLACER.place(
        Ask(500, GIB, 1000, whole_node=True), Capacity.of([a, b], [c.placement for c in claims])
    )  # fmt: skip
    assert isinstance(place, NoRoom)
    assert why(place, claims) == (
        "a whole node with 1 GPU is wanted, and something runs on each of them:"
        " of 2 such nodes, 1 is held by real-time work and 1 by standard work"
    )


MENU: Menu = parse_menu(
    b"""
offers:
  - {id: a, kind: notebook, title: A100, price_per_hour: 1, models: [A100], fields: {gpu:
     {default: 1, choices: [1/4, 1/2, 1]}, cpu: {default: 2, min: 1, max: 4, step: 1},
     memory: {fixed: 1Gi}, duration: {default: 4h, min: 30m, max: 8h, step: 30m}}}
  - {id: t, kind: notebook, title: T4, price_per_hour: 1, models: [T4], fields: {gpu: {fixed: 1},
     cpu: {fixed: 1}, memory: {fixed: 1Gi}, duration: {fixed: 1h}}}
  - {id: c, kind: notebook, title: CPU, price_per_hour: 1, fields: {cpu: {fixed: 1}, memory:
     {fixed: 1Gi}, duration: {fixed: 1h}}}
""",
    "menu.yaml",
)


def instead(world: World, answer: Answer) -> tuple[Planner, list[Answer]]:
    planner = Planner(world, PLACER, NOW)
    capacity = world.capacity
    for one in world.running:
        capacity = capacity.take(one.placement)
    place = PLACER.place(answer.ask, capacity)
    short = place.minimal if isinstance(place, NoRoom) else ()
    near = nearby(answer, MENU.offers.values(), short)
    return planner, starting_now(
        near, lambda other: planner.check(Waiting("~", other.ask, (), NOW), 0, 0)
    )


@settings(max_examples=examples(80))
@given(nodes(), st.lists(asks, max_size=8), st.sampled_from(["a", "t", "c"]), st.booleans())
def test_every_alternative_would_really_start(
    site: tuple[Node, ...], before: list[Ask], offer: str, queued: bool
) -> None:
    _, claims = fill(site, before)
    queue = (Waiting("w", Ask(500, GIB, 1000), (), NOW - timedelta(hours=1)),) if queued else ()
    world = World(Capacity.of(site), claims, queue)
    planner, found = instead(world, MENU.offers[offer].answer({}))
    assert len(found) <= 3
    assert len({(o.offer.id, tuple(sorted(o.set.items()))) for o in found}) == len(found)
    for other in found:
        verdict = planner.check(Waiting("~", other.ask, (), NOW), 0, 0)
        assert isinstance(verdict, Fits)
        assert other.offer.answer(other.set).ask == other.ask


@pytest.mark.parametrize(
    ("busy", "said"),
    [
        (500, [{"gpu": "0.5"}]),
        (1000, []),
    ],
)
def test_the_largest_share_that_starts_is_offered_first(
    busy: int, said: list[dict[str, str]]
) -> None:
    site = (node("a", A100),)
    taken = PLACER.place(Ask(500, GIB, busy), Capacity.of(site))
    assert isinstance(taken, Placement)
    world = World(Capacity.of(site), (claim(taken, hours=9),))
    _, found = instead(world, MENU.offers["a"].answer({}))
    assert [dict(o.set) for o in found if o.offer.id == "a"][:1] == said
    assert "c" in [o.offer.id for o in found]


def test_the_longest_time_that_starts_now_is_offered() -> None:
    """Somebody ahead wants the device in two hours; until then it is free."""
    site = (node("a", A100), node("b", T4))
    busy = PLACER.place(Ask(500, GIB, 1000, models=("T4",)), Capacity.of(site))
    assert isinstance(busy, Placement)
    both = Waiting("w", Ask(500, GIB, 1000, models=("A100",)), (), NOW - timedelta(hours=1))
    later = replace(both, ask=replace(both.ask, apart="x"))
    blocker = claim(replace(busy, node="a", shares=(), apart="x"), hours=2)
    world = World(Capacity.of(site), (blocker,), (later,))
    _, found = instead(world, MENU.offers["a"].answer({}))
    assert dict(found[0].set) == {"duration": "2h"}
