"""Placement: never more than there is, nothing refused that fits, the same picture the same answer."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import combinations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.allocator import Allocator
from catalog.asks import Ask, demand_possible
from catalog.discovery.emulated import EmulatedSet
from catalog.errors import BadValue
from catalog.inventory import Capacity, Device, Health, Mode, Node, Placement, Share, Vendor
from catalog.mix import Mix
from catalog.placement import BestFit, NoRoom, Placer, Shortage, count_that_fit, share_of
from catalog.units import GIB, WHOLE
from tests.examples import examples

PLACER = BestFit()
MIX = Mix.of([(Ask(1000, GIB, 250), 2.0), (Ask(2000, 4 * GIB, 1000), 1.0)])
both = pytest.mark.parametrize("placer", [PLACER, Allocator(MIX)], ids=["best-fit", "allocator"])

KINDS = [
    Device("", Vendor.EMULATED, "A", 8192),
    Device("", Vendor.EMULATED, "B", 24576),
    Device("", Vendor.AMD, "W", 65536, sharing=Mode.WHOLE),
    Device("", Vendor.NVIDIA, "H200", 143_771, sharing=Mode.MIG),
]
healths = st.sampled_from([Health.OK] * 8 + [Health.FAILING, Health.GONE])


@st.composite
def racks(draw: st.DrawFn) -> list[Device]:
    """The devices of a node: mostly of one kind."""
    kind, count = draw(st.sampled_from(KINDS)), draw(st.sampled_from([3, 2, 1, 0]))
    mixed = draw(st.sampled_from([False, False, True]))
    kinds = [draw(st.sampled_from(KINDS)) if mixed else kind for _ in range(count)]
    return [replace(device, health=draw(healths)) for device in kinds]


@st.composite
def sites(draw: st.DrawFn) -> tuple[Node, ...]:
    found: list[Node] = []
    for number in range(draw(st.integers(1, 3))):
        here = draw(racks())
        named = tuple(replace(d, id=f"n{number}-{i}", index=i) for i, d in enumerate(here))
        cpu = draw(st.sampled_from([16, 8, 4, 1])) * 1000
        memory = draw(st.sampled_from([64, 32, 8, 0])) * GIB
        closed = draw(st.sampled_from([""] * 7 + ["a drain"]))
        found.append(Node(f"n{number}", cpu, memory, named, closed))
    return tuple(found)


@st.composite
def asks(draw: st.DrawFn) -> Ask:
    ask = Ask(
        cpu_milli=draw(st.sampled_from([0, 500, 1000, 3000])),
        memory_bytes=draw(st.sampled_from([GIB, 4 * GIB])),
        models=draw(st.sampled_from([(), (), (), (), (), ("A",), ("A", "B"), ("C",)])),
        vendors=draw(st.sampled_from([(), (), (), (), (), (Vendor.NVIDIA,), (Vendor.EMULATED,)])),
        apart=draw(st.sampled_from(["", "", "x"])),
        split=draw(st.booleans()),
    )
    match draw(st.integers(0, 4)):
        case 0:
            return replace(ask, gpu_milli=draw(st.sampled_from([0, 2000, 3000])))
        case 1:
            count = draw(st.sampled_from([3, 2, 1]))
            share = draw(st.sampled_from([125, 250, 300, 500, 1000]))
            return replace(ask, gpu_milli=count * share, gpu_count=count)
        case 2:
            memory = draw(st.sampled_from([1000, 8192, 17_000, 30_000, 71_000, 200_000]))
            return replace(ask, gpu_memory_mib=memory, gpu_count=draw(st.integers(1, 2)))
        case 3:
            gpus = draw(st.sampled_from([0, 1000, 2000]))
            return replace(ask, gpu_milli=gpus, whole_node=True)
        case _:
            return replace(ask, gpu_milli=draw(st.integers(0, 1000)))


# ---- an independent checker: knows the rules, and nothing of how a place is found --------------

STARTS = {"1g.18gb": (1, range(7)), "1g.35gb": (2, (0, 2, 4, 6)), "2g.35gb": (2, (0, 2, 4)),
          "3g.71gb": (4, (0, 4)), "4g.71gb": (4, (0,)), "7g.141gb": (8, (0,))}  # fmt: skip


def parts(place: Placement) -> Iterator[Placement]:
    yield place
    yield from place.others


def over(nodes: tuple[Node, ...], held: list[Placement]) -> list[str]:
    """Everything that is held more than once or against a rule."""
    found: list[str] = []
    for node in nodes:
        here = [
            (number, p) for number, h in enumerate(held) for p in parts(h) if p.node == node.name
        ]
        if sum(p.cpu_milli for _, p in here) > node.cpu_milli:
            found.append("cpu")
        if sum(p.memory_bytes for _, p in here) > node.memory_bytes:
            found.append("memory")
        groups = [p.apart for _, p in here if p.apart]
        if len(groups) != len(set(groups)):
            found.append("apart")
        if any(p.whole_node for _, p in here) and len(here) > 1:
            found.append("not alone")
        if here and node.closed:
            found.append("closed")
        for device in node.devices:
            shares = [s for _, p in here for s in p.shares if s.device_id == device.id]
            if sum(s.milli for s in shares) > (WHOLE if device.health is Health.OK else 0):
                found.append(device.id)
            found += [] if device.sharing is not Mode.MIG else slices_over(shares)
            if device.sharing is Mode.WHOLE and any(s.milli != WHOLE for s in shares):
                found.append(f"a part of {device.id}")
    return found


def slices_over(shares: list[Share]) -> list[str]:
    taken = [0] * 8
    for share in shares:
        size, starts = STARTS[share.profile]
        if share.start not in starts or share.milli != 125 * size:
            return [f"{share.profile} at {share.start}"]
        for at in range(share.start, share.start + size):
            taken[at] += 1
    return ["slices"] if max(taken) > 1 else []


def suits(ask: Ask, device: Device, share: Share) -> bool:
    """Whether this share of this device is what was asked for."""
    wanted = (
        -(-ask.gpu_memory_mib * WHOLE // device.memory_mib)
        if ask.gpu_memory_mib
        else WHOLE if ask.whole_node else ask.gpu_milli // ask.gpu_count
        if ask.gpu_count > 1 else min(ask.gpu_milli, WHOLE)
    )  # fmt: skip
    exact = share.milli == wanted if device.sharing is not Mode.MIG else share.milli >= wanted
    return exact and (not ask.models or device.model in ask.models) and (
        not ask.vendors or device.vendor in ask.vendors
    )  # fmt: skip


@both
@settings(max_examples=examples(80))
@given(sites(), st.lists(asks(), min_size=4, max_size=20), st.randoms(use_true_random=False))
def test_whatever_is_asked_for_nothing_is_held_twice(
    placer: Placer, nodes: tuple[Node, ...], wanted: list[Ask], random: Random
) -> None:
    capacity, held = Capacity.of(nodes), []
    for ask in wanted:
        place = placer.place(ask, capacity)
        if isinstance(place, NoRoom):
            continue
        assert capacity.has_room(place)
        held.append(place)
        capacity = capacity.take(place)
        assert over(nodes, held) == []
        assert capacity == Capacity.of(nodes, held)
        by_id = {(n.name, d.id): d for n in nodes for d in n.devices}
        shares = [(p.node, s) for p in parts(place) for s in p.shares]
        assert all(suits(ask, by_id[node, s.device_id], s) for node, s in shares)
        assert len({s.device_id for _, s in shares}) == len(shares)
        assert not place.others or ask.split
        assert sum(p.cpu_milli for p in parts(place)) == ask.cpu_milli
        assert sum(p.memory_bytes for p in parts(place)) == ask.memory_bytes
        if not ask.whole_node or ask.gpu_milli:
            count = max(ask.gpu_count, ask.gpu_milli // WHOLE if ask.gpu_count == 1 else 0)
            assert len(shares) == (count if ask.gpu_milli or ask.gpu_memory_mib else 0)
    random.shuffle(held)
    for place in held:
        capacity = capacity.give(place)
    assert capacity == Capacity.of(nodes)


# ---- nothing that fits is refused ---------------------------------------------------------------


def can_hold(ask: Ask, device: Device, here: list[Share]) -> bool:
    """By trying every way to make one more share of the device."""
    if device.health is not Health.OK:
        return False
    if device.sharing is Mode.MIG:
        made = [
            Share(device.id, 125 * size, 0, Mode.MIG, False, name, start)
            for name, (size, starts) in STARTS.items()
            for start in starts
        ]
        suited = [share for share in made if suits(ask, device, share)]
        fewest = min((share.milli for share in suited), default=0)
        return any(s.milli == fewest and not slices_over([*here, s]) for s in suited)
    sizes = [
        milli for milli in range(1, WHOLE + 1) if suits(ask, device, Share("", milli, 0, Mode.MPS))
    ]
    return any(
        sum(share.milli for share in here) + milli <= WHOLE
        and (milli == WHOLE or device.sharing is not Mode.WHOLE)
        for milli in sizes
    )


def fits_somewhere(ask: Ask, nodes: tuple[Node, ...], held: list[Placement]) -> bool:
    """Brute force over every set of nodes, written from the rules."""
    room: dict[str, int] = {}
    for node in nodes:
        here = [p for h in held for p in parts(h) if p.node == node.name]
        barred = node.closed or any(p.whole_node for p in here) or (ask.whole_node and here)
        if barred or (ask.apart and any(p.apart == ask.apart for p in here)):
            continue
        able = [
            d for d in node.devices
            if can_hold(ask, d, [s for p in here for s in p.shares if s.device_id == d.id])
        ]  # fmt: skip
        if ask.whole_node and (not node.devices or len(able) != len(node.devices)):
            continue
        cpu = node.cpu_milli - sum(p.cpu_milli for p in here)
        memory = node.memory_bytes - sum(p.memory_bytes for p in here)
        whole_fits = cpu >= ask.cpu_milli and memory >= ask.memory_bytes
        want = ask.count
        if whole_fits and (len(able) >= want if not ask.whole_node else want in (0, len(able))):
            return True
        if not want:
            continue
        each_cpu, each_memory = -(-ask.cpu_milli // want), -(-ask.memory_bytes // want)
        enough = [
            n for n in range(1, len(able) + 1)
            if n * each_cpu <= cpu and n * each_memory <= memory
            and (not ask.whole_node or n == len(able))
        ]  # fmt: skip
        if enough:
            room[node.name] = max(enough)
    if not ask.split or ask.count < 2:
        return False
    sums = [sum(some) for size in range(1, 4) for some in combinations(room.values(), size)]
    return ask.count in sums if ask.whole_node else max(sums, default=0) >= ask.count


@both
@settings(max_examples=examples(200))
@given(sites(), st.lists(asks(), max_size=6), asks())
def test_nothing_that_fits_is_refused(
    placer: Placer, nodes: tuple[Node, ...], before: list[Ask], ask: Ask
) -> None:
    capacity, held = Capacity.of(nodes), []
    for earlier in before:
        place = placer.place(earlier, capacity)
        if isinstance(place, Placement):
            held.append(place)
            capacity = capacity.take(place)
    assert isinstance(placer.place(ask, capacity), Placement) == fits_somewhere(ask, nodes, held)


@both
@settings(max_examples=examples(60))
@given(sites(), asks())
def test_the_same_picture_gives_the_same_answer(
    placer: Placer, nodes: tuple[Node, ...], ask: Ask
) -> None:
    first = placer.place(ask, Capacity.of(nodes))
    again = placer.place(ask, Capacity.of(reversed(nodes)))
    assert first == again
    if isinstance(first, NoRoom):
        assert isinstance(again, NoRoom)
        assert (first.text, first.minimal, first.ever) == (again.text, again.minimal, again.ever)


@both
@settings(max_examples=examples(40))
@given(sites(), asks())
def test_copies_are_counted_as_they_would_be_placed(
    placer: Placer, nodes: tuple[Node, ...], ask: Ask
) -> None:
    count = count_that_fit(ask, Capacity.of(nodes), placer, 20)
    capacity = Capacity.of(nodes)
    for _ in range(count):
        place = placer.place(ask, capacity)
        assert isinstance(place, Placement)
        capacity = capacity.take(place)
    assert count == 20 or isinstance(placer.place(ask, capacity), NoRoom)


@both
@settings(max_examples=examples(50))
@given(sites(), st.lists(asks(), max_size=6), asks())
def test_what_both_pictures_have_is_in_the_least_of_them(
    placer: Placer, nodes: tuple[Node, ...], taken: list[Ask], ask: Ask
) -> None:
    one = other = Capacity.of(nodes)
    for number, each in enumerate(taken):
        picture = one if number % 2 else other
        place = placer.place(each, picture)
        if isinstance(place, Placement):
            one, other = (one.take(place), other) if number % 2 else (one, other.take(place))
    place = placer.place(ask, one.least(other))
    if isinstance(place, Placement):
        assert one.has_room(place)
        assert other.has_room(place)


def node(count: int = 2, **changes: int) -> Node:
    size = {"cpu_milli": 8000, "memory_bytes": 32 * GIB} | changes
    return Node("here", size["cpu_milli"], size["memory_bytes"], EmulatedSet(count).devices())


def test_the_fullest_gap_is_filled_so_that_large_ones_stay_whole() -> None:
    capacity = Capacity.of([node()])
    for _ in range(4):
        place = PLACER.place(Ask(500, GIB, 250), capacity)
        assert isinstance(place, Placement)
        capacity = capacity.take(place)
    assert sorted(capacity.nodes["here"].device_milli.values()) == [0, 1000]


def test_what_a_node_that_left_held_is_ignored() -> None:
    gone = Placement("gone", 500, GIB, (Share("x", 250, 1, Mode.EMULATED),))
    assert Capacity.of([node()], [gone]) == Capacity.of([node()])


def test_what_runs_on_a_closed_node_or_a_broken_device_stays_counted() -> None:
    here = node()
    place = PLACER.place(Ask(500, GIB, 250), Capacity.of([here]))
    assert isinstance(place, Placement)
    out = replace(
        here,
        closed="a drain",
        devices=tuple(replace(d, health=Health.FAILING) for d in here.devices),
    )
    capacity = Capacity.of([out], [place])
    assert capacity.nodes["here"].cpu_milli == 7500
    assert sorted(capacity.nodes["here"].device_milli.values()) == [750, 1000]
    assert not capacity.has_room(place)
    refused = PLACER.place(Ask(500, GIB), capacity)
    assert isinstance(refused, NoRoom)
    assert refused.ever
    assert refused.text == "it waits for what is out of service: node here is closed: a drain"


@pytest.mark.parametrize(
    ("ask", "held", "shortage", "said"),
    [
        (Ask(500, GIB, 3000), 0, Shortage.GPU, "3 GPUs are wanted and no node has more than 2 GPUs"),
        (Ask(99_000, GIB), 0, Shortage.CPU, "there is at most 8 CPU"),
        (Ask(500, 99 * GIB), 0, Shortage.MEMORY, "there is at most 32 GiB"),
        (Ask(500, GIB, 250, models=("H200",)), 0, Shortage.MODEL, "there is no H200 here"),
        (Ask(500, GIB, gpu_memory_mib=99_000), 0, Shortage.GPU, "no device has more than 24 GiB"),
        (Ask(500, GIB, 5000, whole_node=True), 0, Shortage.GPU, "with 5 GPUs is wanted, and there is none"),
        (Ask(500, GIB, 2000, whole_node=True), 250, Shortage.NODE, "something runs on each"),
        (Ask(500, GIB, 500), 750, Shortage.GPU, "1/2 GPU is wanted, at most 1/4 GPU is free"),
        (Ask(500, GIB, 500), 1000, Shortage.GPU, "all are in use"),
        (Ask(500, GIB, 2000), 250, Shortage.GPU, "2 free GPUs are wanted, 0 are free"),
        (Ask(500, GIB, apart="web"), 250, Shortage.APART, "another of its replicas"),
    ],
)  # fmt: skip
def test_the_reason_is_in_words(ask: Ask, held: int, shortage: Shortage, said: str) -> None:
    here = node()
    shares = tuple(share_of(device, held) for device in here.devices) if held else ()
    before = [Placement("here", 0, 0, shares, "web")] if held else []
    place = PLACER.place(ask, Capacity.of([here], before))
    assert isinstance(place, NoRoom)
    assert (place.shortage, place.ever) == (shortage, bool(held))
    assert said in place.text


def test_enough_on_several_nodes_is_not_enough_on_one() -> None:
    two = [replace(node(), name="a"), replace(node(), name="b")]
    place = PLACER.place(Ask(500, GIB, 3000), Capacity.of(two))
    assert isinstance(place, NoRoom)
    assert place.text == "3 GPUs are wanted on one node, and no node has more than 2"
    busy = [Placement(n.name, 0, 0, (share_of(n.devices[0], 250),)) for n in two]
    place = PLACER.place(Ask(500, GIB, 2000), Capacity.of(two, busy))
    assert isinstance(place, NoRoom)
    assert (place.shortage, place.ever) == (Shortage.NODE, True)
    assert place.text == "2 GPUs are wanted on one node, and at most 1 is free on one"
    assert isinstance(
        PLACER.place(Ask(500, GIB, 2000, split=True), Capacity.of(two, busy)), Placement
    )


def test_two_things_may_be_short_together() -> None:
    place = PLACER.place(Ask(99_000, 99 * GIB), Capacity.of([node()]))
    assert isinstance(place, NoRoom)
    assert place.minimal == (Shortage.CPU, Shortage.MEMORY)
    assert place.text == (
        "there is at most 8 CPU on a node that has the rest"
        " and there is at most 32 GiB of memory on a node that has the rest"
    )


def test_a_site_without_machines_says_so() -> None:
    place = PLACER.place(Ask(500, GIB, 250), Capacity())
    assert isinstance(place, NoRoom)
    assert (place.text, place.ever) == ("there is no machine here", False)


def test_no_working_device_is_said_so() -> None:
    broken = replace(
        node(), devices=tuple(
            replace(d, health=Health.FAILING, health_reason="XID 79") for d in node().devices
        ),
    )  # fmt: skip
    place = PLACER.place(Ask(500, GIB, 250), Capacity.of([broken]))
    assert isinstance(place, NoRoom)
    assert place.ever
    assert place.text == (
        "there is no working GPU here: emulated-0 is failing (XID 79);"
        " emulated-1 is failing (XID 79)"
    )


def test_a_share_says_how_it_is_made() -> None:
    real = Device("GPU-1", Vendor.NVIDIA, "H200", 141_000, sharing=Mode.MPS)
    assert share_of(real, 250) == Share("GPU-1", 250, 35_250, Mode.MPS)
    assert share_of(real, 1000).mode is Mode.WHOLE
    assert share_of(node().devices[0], 1000).mode is Mode.EMULATED


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (Ask(-1, GIB), "cpu: -1 is negative"),
        (Ask(1, GIB, 1500), "1.5 is more than one device and not whole"),
        (Ask(1, GIB, 1000, gpu_count=3), "not whole"),
        (Ask(1, GIB, 3000, gpu_count=0), "gpu_count: 0 shares"),
        (Ask(1, GIB, gpu_count=2), "2 shares of nothing"),
        (Ask(1, GIB, 250, gpu_memory_mib=10), "two ways to say the same"),
        (Ask(1, GIB, 250, whole_node=True), "comes with whole devices"),
        (Ask(1, GIB, duration=timedelta()), "duration"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(ask: Ask, said: str) -> None:
    with pytest.raises(BadValue) as caught:
        demand_possible(ask)
    assert said in caught.value.message
    assert caught.value.next
