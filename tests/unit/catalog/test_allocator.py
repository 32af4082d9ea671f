"""The allocator's fleet shows the picture that is asked about, whatever it was asked before."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.allocator import Allocator
from catalog.asks import Ask
from catalog.inventory import Capacity, Device, Health, Mode, Node, Placement, Vendor
from catalog.mix import Mix
from catalog.placement import NoRoom
from catalog.units import GIB
from tests.examples import examples

MIX = Mix.of([(Ask(1000, GIB, 250), 2.0), (Ask(4000, 8 * GIB, 2000, gpu_count=2), 1.0)])
T4 = Device("", Vendor.NVIDIA, "T4", 16_384, sharing=Mode.MPS)
H200 = Device("", Vendor.NVIDIA, "H200", 143_771, sharing=Mode.MIG)


def node(name: str, *devices: Device, closed: str = "") -> Node:
    here = tuple(replace(d, id=f"{name}-{i}", index=i) for i, d in enumerate(devices))
    return Node(name, 32_000, 128 * GIB, here, closed)


SITE = (node("a", T4, T4, T4, T4), node("b", H200), node("c", T4, T4))
asks = st.builds(
    Ask,
    cpu_milli=st.sampled_from([0, 1000, 8000]),
    memory_bytes=st.just(GIB),
    gpu_milli=st.sampled_from([0, 125, 250, 500, 1000, 2000]),
    models=st.sampled_from([(), ("T4",), ("H200",)]),
    apart=st.sampled_from(["", "web"]),
)


@settings(max_examples=examples(60))
@given(st.lists(asks, max_size=12), asks, st.booleans())
def test_what_it_saw_before_does_not_change_its_answer(
    before: list[Ask], ask: Ask, close: bool
) -> None:
    used, capacity, pictures = Allocator(MIX), Capacity.of(SITE), [Capacity.of(SITE)]
    for each in before:
        place = used.place(each, capacity)
        if isinstance(place, Placement):
            capacity = capacity.take(place)
            pictures.append(capacity)
    if close:
        shut = [replace(n, closed="a drain") if n.name == "a" else n for n in SITE]
        used.place(ask, Capacity.of(shut))
    for picture in reversed(pictures):
        assert used.place(ask, picture) == Allocator(MIX).place(ask, picture)


@settings(max_examples=examples(40))
@given(st.lists(asks, max_size=8), asks, st.sets(st.sampled_from("abc"), min_size=1))
def test_a_picture_of_some_nodes_is_answered_as_if_the_others_were_closed(
    before: list[Ask], ask: Ask, names: set[str]
) -> None:
    allocator, capacity = Allocator(MIX), Capacity.of(SITE)
    for each in before:
        place = allocator.place(each, capacity)
        if isinstance(place, Placement):
            capacity = capacity.take(place)
    some = Capacity({name: free for name, free in capacity.nodes.items() if name in names})
    shut = Capacity({
        name: free if name in names else replace(free, node=replace(free.node, closed="x"))
        for name, free in capacity.nodes.items()
    })  # fmt: skip
    place, expected = allocator.place(ask, some), allocator.place(ask, shut)
    assert isinstance(place, Placement) == isinstance(expected, Placement)
    if isinstance(place, Placement):
        assert place == expected


def test_other_nodes_make_another_fleet() -> None:
    allocator, ask = Allocator(MIX), Ask(1000, GIB, 250, models=("H200",))
    assert isinstance(allocator.place(ask, Capacity.of([SITE[0]])), NoRoom)
    assert isinstance(allocator.place(ask, Capacity.of([SITE[1]])), Placement)
    other = [replace(SITE[0], devices=SITE[1].devices)]
    assert isinstance(allocator.place(ask, Capacity.of(other)), Placement)


def test_a_device_that_fails_and_a_node_that_closes_are_seen_at_once() -> None:
    allocator, ask = Allocator(MIX), Ask(1000, GIB, 1000, models=("H200",))
    here = SITE[1]
    assert isinstance(allocator.place(ask, Capacity.of([here])), Placement)
    failing = replace(here, devices=(replace(here.devices[0], health=Health.FAILING),))
    assert isinstance(allocator.place(ask, Capacity.of([failing])), NoRoom)
    assert isinstance(allocator.place(ask, Capacity.of([here])), Placement)
    assert isinstance(allocator.place(ask, Capacity.of([replace(here, closed="x")])), NoRoom)
    assert isinstance(allocator.place(ask, Capacity.of([here])), Placement)


def test_where_instances_cannot_begin_the_next_node_is_taken() -> None:
    """Both have half of their memory free; on one of them not side by side."""
    allocator = Allocator(MIX)
    site = (node("a", H200), node("b", H200))
    capacity = Capacity.of(site)
    for name, starts in (("a", (0, 2, 4, 5)), ("b", (0, 1, 2, 3))):
        share = replace(_share(name), milli=125, profile="1g.18gb")
        for start in starts:
            capacity = capacity.take(Placement(name, 0, 0, (replace(share, start=start),)))
    place = allocator.place(Ask(1000, GIB, 500), capacity)
    assert isinstance(place, Placement)
    assert (place.node, place.shares[0].start) == ("b", 4)


def _share(name: str):  # noqa: ANN202 (a Share)
    place = Allocator(MIX).place(Ask(0, 0, 125), Capacity.of([node(name, H200)]))
    assert isinstance(place, Placement)
    return place.shares[0]


def test_what_is_learned_changes_where_things_go() -> None:
    """Where whole devices are all that comes, a share goes beside another; the rest stays whole."""
    wholes = Mix.of([(Ask(1000, GIB, 1000), 1.0)])
    allocator, capacity = Allocator(MIX), Capacity.of([SITE[0]])
    allocator.learn(wholes)
    for _ in range(4):
        place = allocator.place(Ask(1000, GIB, 250), capacity)
        assert isinstance(place, Placement)
        capacity = capacity.take(place)
    assert sorted(capacity.nodes["a"].device_milli.values()) == [0, 1000, 1000, 1000]


def test_threads_do_not_mix_up_their_pictures() -> None:
    allocator, ask = Allocator(MIX), Ask(1000, GIB, 1000)
    free, shut = Capacity.of(SITE), Capacity.of([replace(n, closed="x") for n in SITE])

    def try_it(number: int) -> bool:
        place = allocator.place(ask, shut if number % 2 else free)
        return isinstance(place, NoRoom) == bool(number % 2)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(try_it, range(200)))


def test_a_thousand_nodes_are_no_wait() -> None:
    nodes = [node(f"n{number}", *[T4] * 8) for number in range(1000)]
    allocator, capacity, times = Allocator(MIX), Capacity.of(nodes), list[float]()
    for _ in range(100):
        before = time.process_time()
        place = allocator.place(Ask(1000, GIB, 250), capacity)
        times.append(time.process_time() - before)
        assert isinstance(place, Placement)
        capacity = capacity.take(place)
    assert sorted(times)[50] < 0.01
