"""The fleet: nothing that fits is refused, nothing is over-committed, caches never lie."""

from dataclasses import dataclass, field

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.asks import Ask
from catalog.fleet import Fleet, Spot
from catalog.inventory import Device, Health, Mode, Node, Vendor
from catalog.mix import Mix
from catalog.units import GIB, WHOLE
from catalog.worth import Weights
from tests.examples import examples


def _node(name: str, models: str, cores: int = 8, memory: int = 64) -> Node:
    devices = tuple(
        Device(f"{name}/{at}", Vendor.NVIDIA, model, 16384, at, sharing=Mode.TIME_SLICE)
        for at, model in enumerate(models)
    )
    return Node(name, cores * 1000, memory * GIB, devices)


def _ask(milli: int, cores: int = 1, count: int = 1, models: tuple[str, ...] = ()) -> Ask:
    return Ask(cores * 1000, GIB, milli * count, models=models, gpu_count=count)


@dataclass
class Books:
    """What is free, kept by plain arithmetic."""

    nodes: list[Node]
    cpu: list[int] = field(init=False)
    memory: list[int] = field(init=False)
    free: list[list[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.cpu = [node.cpu_milli for node in self.nodes]
        self.memory = [node.memory_bytes for node in self.nodes]
        self.free = [
            [WHOLE if device.health is Health.OK else 0 for device in node.devices]
            for node in self.nodes
        ]

    def able(self, at: int, ask: Ask) -> list[int]:
        part = ask.parts[0] if ask.parts else 0
        return [
            index
            for index, device in enumerate(self.nodes[at].devices)
            if self.free[at][index] >= part and (not ask.models or device.model in ask.models)
        ]

    def fits(self, at: int, ask: Ask) -> bool:
        return (
            self.cpu[at] >= ask.cpu_milli
            and self.memory[at] >= ask.memory_bytes
            and len(self.able(at, ask)) >= ask.count
        )

    def move(self, ask: Ask, spot: Spot, sign: int) -> None:
        self.cpu[spot.node] += sign * ask.cpu_milli
        self.memory[spot.node] += sign * ask.memory_bytes
        for index in spot.devices:
            self.free[spot.node][index] += sign * ask.parts[0]


_NODES = st.lists(
    st.tuples(st.sampled_from(["", "A", "B", "AA", "AB", "BBB"]), st.integers(1, 6)),
    min_size=1,
    max_size=5,
)
_ASKS = st.builds(
    _ask,
    st.sampled_from([0, 100, 250, 333, 500, 810, 1000]),
    st.integers(0, 3),
    st.integers(1, 3),
    st.sampled_from([(), ("A",), ("A", "B"), ("C",)]),
).filter(lambda ask: ask.gpu_milli or ask.gpu_count == 1)
_STEPS = st.lists(st.one_of(_ASKS, st.integers(0, 30)), max_size=25)
_MIXES = st.lists(st.tuples(_ASKS, st.sampled_from([1.0, 3.0])), max_size=4).map(Mix.of)


@given(shapes=_NODES, steps=_STEPS, mix=_MIXES)
@settings(max_examples=examples(150), deadline=None)
def test_refuses_nothing_that_fits_and_grants_only_what_there_is(
    shapes: list[tuple[str, int]], steps: list[Ask | int], mix: Mix
) -> None:
    nodes = [_node(f"n{at}", models, cores) for at, (models, cores) in enumerate(shapes)]
    fleet, books = Fleet(nodes, mix), Books(nodes)
    held: list[tuple[Ask, Spot]] = []
    for step in steps:
        if isinstance(step, int):
            if held:
                ask, spot = held.pop(step % len(held))
                fleet.give(fleet.demand(ask), spot)
                books.move(ask, spot, +1)
            continue
        spot = fleet.best(fleet.demand(step))
        if spot is None:
            assert not any(books.fits(at, step) for at in range(len(nodes)))
            continue
        assert books.fits(spot.node, step)
        assert len(set(spot.devices)) == len(spot.devices) == step.count
        assert set(spot.devices) <= set(books.able(spot.node, step))
        fleet.take(fleet.demand(step), spot)
        books.move(step, spot, -1)
        held.append((step, spot))
    _same_as_fresh(fleet, books, mix)


def _same_as_fresh(fleet: Fleet, books: Books, mix: Mix) -> None:
    fresh = Fleet(books.nodes, mix)
    for at in range(len(books.nodes)):
        fresh.set(at, books.cpu[at], books.memory[at], books.free[at])
    for ask in (_ask(250), _ask(1000), _ask(1000, count=2), _ask(0, 2), _ask(500, models=("A",))):
        demand = fleet.demand(ask)
        assert np.array_equal(fleet.scores(demand), fresh.scores(demand))
        assert fleet.best(demand) == fresh.best(demand)


def test_nodes_that_are_not_allowed_are_left_out() -> None:
    fleet = Fleet([_node("a", "A"), _node("b", "A")], Mix.prior())
    only_b = np.array([False, True])
    assert fleet.best(fleet.demand(_ask(250), only_b)) == Spot(1, (0,))
    assert fleet.best(fleet.demand(_ask(250), np.array([False, False]))) is None


def test_a_device_out_of_order_or_shared_only_whole_gives_no_part() -> None:
    whole = Device("w", Vendor.NVIDIA, "A", 16384, 0, sharing=Mode.WHOLE)
    broken = Device("x", Vendor.NVIDIA, "A", 16384, 1, Health.FAILING, sharing=Mode.TIME_SLICE)
    fleet = Fleet([Node("a", 8000, 64 * GIB, (whole, broken))], Mix.prior())
    assert fleet.best(fleet.demand(_ask(250))) is None
    assert fleet.best(fleet.demand(_ask(1000))) == Spot(0, (0,))
    assert fleet.best(fleet.demand(_ask(1000, count=2))) is None


def test_memory_that_is_asked_for_is_another_share_of_each_model() -> None:
    small = Device("s", Vendor.NVIDIA, "small", 8192, 0, sharing=Mode.TIME_SLICE)
    large = Device("l", Vendor.NVIDIA, "large", 81920, 0, sharing=Mode.TIME_SLICE)
    nodes = [Node("s", 8000, 64 * GIB, (small,)), Node("l", 8000, 64 * GIB, (large,))]
    fleet = Fleet(nodes, Mix.prior())
    ask = Ask(1000, GIB, gpu_memory_mib=16384)
    demand = fleet.demand(ask)
    assert demand.milli == (0, 200)
    assert fleet.best(demand) == Spot(1, (0,))


def test_shares_fill_devices_that_are_in_use() -> None:
    fleet = Fleet([_node("a", "AA", 32), _node("b", "AA", 32)], Mix.prior())
    for _ in range(4):
        demand = fleet.demand(_ask(500))
        spot = fleet.best(demand)
        assert spot is not None
        fleet.take(demand, spot)
    assert fleet.best(fleet.demand(_ask(1000, count=2))) is not None


def test_who_can_go_anywhere_leaves_the_model_that_others_insist_on() -> None:
    mix = Mix.of([(_ask(1000, models=("A",)), 5.0), (_ask(1000), 5.0)])
    nodes = [_node("a", "A"), _node("b", "B"), _node("c", "B")]
    demand = Fleet(nodes, mix).demand(_ask(1000))
    spot = Fleet(nodes, mix).best(demand)
    assert spot is not None
    assert spot.node == 1
    blind = Fleet(nodes, mix, Weights(scarcity=0.0, remainder=0.0, chance=0.0)).best(demand)
    assert blind == Spot(0, (0,))


def test_light_asks_go_where_cpu_is_short() -> None:
    mix = Mix.of([(_ask(1000, 2), 1.0), (_ask(1000, 8), 1.0)])
    nodes = [_node("rich", "AA", 16), _node("poor", "AA", 4)]
    fleet = Fleet(nodes, mix)
    light = fleet.best(fleet.demand(_ask(1000, 2)))
    assert light is not None
    assert light.node == 1


def test_asks_for_several_keep_a_node_whole_when_few_are_left() -> None:
    mix = Mix.of([(_ask(1000, 1), 8.0), (_ask(1000, 8, count=4), 1.0)])
    nodes = [_node("whole", "AAAA", 32), _node("used", "AAAA", 32)]
    fleet = Fleet(nodes, mix)
    fleet.set(1, 24000, 60 * GIB, (0, 0, 1000, 1000))
    one = fleet.best(fleet.demand(_ask(1000)))
    assert one is not None
    assert one.node == 1


def test_nothing_is_expected_and_there_is_nothing() -> None:
    assert Fleet([], Mix()).best(Fleet([], Mix()).demand(_ask(250))) is None
    fleet = Fleet([_node("a", ""), _node("b", "A")], Mix())
    assert fleet.best(fleet.demand(_ask(0))) is not None
    assert fleet.best(fleet.demand(_ask(250))) == Spot(1, (0,))


def test_more_classes_than_are_kept_are_weighed_anew() -> None:
    fleet = Fleet([_node("a", "A"), _node("b", "A")], Mix.prior())
    for milli in range(1, 700):
        assert fleet.best(fleet.demand(_ask(milli))) is not None
    demand = fleet.demand(_ask(999))
    fleet.take(demand, Spot(0, (0,)))
    assert fleet.best(fleet.demand(_ask(2))) == Spot(1, (0,))
    assert fleet.best(fleet.demand(_ask(1))) == Spot(0, (0,))


def test_learning_a_mix_anew_changes_what_is_preferred_and_nothing_that_is_held() -> None:
    nodes = [_node("a", "A"), _node("b", "B"), _node("c", "B")]
    fleet = Fleet(nodes, Mix.of([(_ask(1000), 1.0)]))
    demand = fleet.demand(_ask(1000))
    assert fleet.best(demand) == Spot(0, (0,))
    fleet.take(demand, Spot(1, (0,)))
    fleet.learn(Mix.of([(_ask(1000, models=("A",)), 5.0), (_ask(1000), 5.0)]))
    assert fleet.best(demand) == Spot(2, (0,))
