"""Placement: never more than there is, all on one node, the unhealthy left alone, reasons in words."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.asks import Ask
from catalog.discovery.emulated import EmulatedSet
from catalog.inventory import Capacity, Device, Health, Mode, Node, Placement, Share, Vendor
from catalog.placement import BestFit, NoRoom, Shortage, count_that_fit, share_of
from catalog.units import GIB, WHOLE

PLACER = BestFit()

devices = st.builds(
    Device,
    id=st.just(""),
    vendor=st.just(Vendor.EMULATED),
    model=st.sampled_from(["A", "B"]),
    memory_mib=st.sampled_from([8192, 24576]),
    health=st.sampled_from([Health.OK, Health.OK, Health.OK, Health.FAILING, Health.GONE]),
)


@st.composite
def sites(draw: st.DrawFn) -> tuple[Node, ...]:
    found: list[Node] = []
    for number in range(draw(st.integers(0, 3))):
        here = draw(st.lists(devices, max_size=4))
        named = tuple(replace(d, id=f"n{number}-{i}", index=i) for i, d in enumerate(here))
        cpu, memory = draw(st.integers(0, 8)) * 1000, draw(st.integers(0, 32)) * GIB
        found.append(Node(f"n{number}", cpu, memory, named))
    return tuple(found)


asks = st.builds(
    Ask,
    cpu_milli=st.sampled_from([500, 1000, 3000]),
    memory_bytes=st.sampled_from([GIB, 4 * GIB]),
    gpu_milli=st.one_of(st.integers(0, 1000), st.sampled_from([2000, 3000])),
    models=st.sampled_from([(), (), ("A",), ("A", "B"), ("C",)]),
)


def over(nodes: tuple[Node, ...], held: list[Placement]) -> list[str]:
    """Everything that is held more than once. Knows nothing of Capacity."""
    found: list[str] = []
    for node in nodes:
        here = [p for p in held if p.node == node.name]
        if sum(p.cpu_milli for p in here) > node.cpu_milli:
            found.append("cpu")
        if sum(p.memory_bytes for p in here) > node.memory_bytes:
            found.append("memory")
        for device in node.devices:
            milli = sum(s.milli for p in here for s in p.shares if s.device_id == device.id)
            if milli > (WHOLE if device.health is Health.OK else 0):
                found.append(device.id)
    return found


@given(sites(), st.lists(asks, max_size=25))
def test_whatever_is_asked_for_nothing_is_held_twice(
    nodes: tuple[Node, ...], wanted: list[Ask]
) -> None:
    capacity, held = Capacity.of(nodes), []
    for ask in wanted:
        place = PLACER.place(ask, capacity)
        if isinstance(place, NoRoom):
            assert place.text
            continue
        held.append(place)
        capacity = capacity.take(place)
        assert over(nodes, held) == []
        by_id = {d.id: d for n in nodes if n.name == place.node for d in n.devices}
        assert {s.device_id for s in place.shares} <= set(by_id)
        assert sorted(s.milli for s in place.shares) == sorted(ask.parts)
        assert len({s.device_id for s in place.shares}) == len(place.shares)
        if ask.models:
            assert all(by_id[s.device_id].model in ask.models for s in place.shares)
    for place in held:
        capacity = capacity.give(place)
    assert capacity == Capacity.of(nodes)


@given(sites(), asks)
def test_what_has_room_is_placed_and_what_has_none_says_whether_it_ever_would(
    nodes: tuple[Node, ...], ask: Ask
) -> None:
    def fits(node: Node) -> bool:
        usable = [
            d for d in node.devices
            if d.health is Health.OK and (not ask.models or d.model in ask.models)
        ]  # fmt: skip
        return (
            node.cpu_milli >= ask.cpu_milli
            and node.memory_bytes >= ask.memory_bytes
            and len(usable) >= len(ask.parts)
        )

    place = PLACER.place(ask, Capacity.of(nodes))
    if isinstance(place, NoRoom):
        assert not any(fits(node) for node in nodes)
        assert not place.ever
    else:
        assert any(fits(node) for node in nodes if node.name == place.node)


@given(sites(), asks)
def test_the_same_picture_gives_the_same_answer(nodes: tuple[Node, ...], ask: Ask) -> None:
    first = PLACER.place(ask, Capacity.of(nodes))
    assert first == PLACER.place(ask, Capacity.of(reversed(nodes)))


@given(sites(), asks)
def test_copies_are_counted_as_they_would_be_placed(nodes: tuple[Node, ...], ask: Ask) -> None:
    count = count_that_fit(ask, Capacity.of(nodes), PLACER)
    capacity = Capacity.of(nodes)
    for _ in range(count):
        place = PLACER.place(ask, capacity)
        assert isinstance(place, Placement)
        capacity = capacity.take(place)
    assert isinstance(PLACER.place(ask, capacity), NoRoom)


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


@pytest.mark.parametrize(
    ("ask", "held", "shortage", "said"),
    [
        (Ask(500, GIB, 3000), 0, Shortage.GPU, "no node has more than 2 GPUs"),
        (Ask(99_000, GIB), 0, Shortage.CPU, "at most 8 cpu"),
        (Ask(500, 99 * GIB), 0, Shortage.MEMORY, "at most 32 GiB"),
        (Ask(500, GIB, 250, models=("H200",)), 0, Shortage.MODEL, "there is no H200 here"),
        (Ask(500, GIB, 500), 750, Shortage.GPU, "1/2 GPU is wanted, at most 1/4 GPU is free"),
        (Ask(500, GIB, 500), 1000, Shortage.GPU, "all are in use"),
        (Ask(500, GIB, 2000), 250, Shortage.GPU, "2 free GPUs are wanted, 0 are free"),
    ],
)
def test_the_reason_is_in_words(ask: Ask, held: int, shortage: Shortage, said: str) -> None:
    here = node()
    shares = tuple(share_of(device, held) for device in here.devices) if held else ()
    place = PLACER.place(ask, Capacity.of([here], [Placement("here", 0, 0, shares)]))
    assert isinstance(place, NoRoom)
    assert (place.shortage, place.ever) == (shortage, bool(held))
    assert said in place.text


def test_no_working_device_is_said_so() -> None:
    broken = replace(node(), devices=tuple(replace(d, health=Health.GONE) for d in node().devices))
    place = PLACER.place(Ask(500, GIB, 250), Capacity.of([broken]))
    assert isinstance(place, NoRoom)
    assert place.text == "there is no working GPU here"


def test_a_share_says_how_it_is_made() -> None:
    real = Device("GPU-1", Vendor.NVIDIA, "H200", 141_000, sharing=Mode.MPS)
    assert share_of(real, 250) == Share("GPU-1", 250, 35_250, Mode.MPS)
    assert share_of(real, 1000).mode is Mode.WHOLE
    assert share_of(node().devices[0], 1000).mode is Mode.EMULATED
