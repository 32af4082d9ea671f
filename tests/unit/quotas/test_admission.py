"""The plan of the queue against an independent checker, and what it promises over time."""

import itertools
import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from catalog.asks import Ask, Priority
from catalog.discovery.emulated import EmulatedSet
from catalog.inventory import Capacity, Node, Placement
from catalog.placement import BestFit
from catalog.units import GIB, WHOLE
from quotas.admission import Claim, Slot, Waiting, World, check, in_order, plan
from quotas.limits import Dimension, Scope, use_of
from quotas.verdict import Code, Denied, Fits, Waits
from tests.examples import examples
from tests.unit.quotas.worlds import guarantees, path

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PLACER = BestFit()
PEOPLE = ("mia", "noa", "zoe")


def node(name: str, devices: int, cpu: int = 8000, memory: int = 32 * GIB) -> Node:
    found = EmulatedSet(count=devices).devices()
    return Node(name, cpu, memory, tuple(replace(d, id=f"{name}-{d.id}") for d in found))


asks = st.builds(
    Ask,
    cpu_milli=st.sampled_from([500, 1000, 4000]),
    memory_bytes=st.sampled_from([GIB, 4 * GIB, 16 * GIB]),
    gpu_milli=st.sampled_from([0, 125, 250, 500, 1000, 2000]),
    duration=st.integers(1, 12).map(lambda n: n * 10 * MINUTE),
    priority=st.sampled_from(list(Priority)),
)
nodes = st.lists(st.integers(0, 3), min_size=1, max_size=3).map(
    lambda counts: tuple(node(f"n{i}", count) for i, count in enumerate(counts))
)
limits = st.dictionaries(
    st.sampled_from([Dimension.GPU, Dimension.CPU, Dimension.WORKLOADS]),
    st.sampled_from([1, 2, 250, 1000, 2000, 4000]),
    max_size=2,
)


@dataclass(frozen=True)
class Drawn:
    """A site with limits, and asks by people in the order in which they came."""

    nodes: tuple[Node, ...]
    limits: dict[str, dict[Dimension, int]]
    arrivals: tuple[tuple[str, Ask], ...]

    def waiting(self, number: int, since: datetime) -> Waiting:
        person, ask = self.arrivals[number]
        scopes = (
            Scope(f"person:{person}", "you", self.limits.get(person, {})),
            Scope("tenant:main", "Main", self.limits.get("tenant", {})),
        )
        return Waiting(f"w{number:03}", ask, scopes, since)

    def queue(self) -> tuple[Waiting, ...]:
        return tuple(self.waiting(n, NOW + n * MINUTE / 100) for n in range(len(self.arrivals)))

    @property
    def capacity(self) -> Capacity:
        return Capacity.of(self.nodes)


def drawn(longest: int) -> st.SearchStrategy[Drawn]:
    return st.builds(
        Drawn,
        nodes,
        st.fixed_dictionaries(dict.fromkeys((*PEOPLE, "tenant"), limits)),
        st.lists(st.tuples(st.sampled_from(PEOPLE), asks), max_size=longest).map(tuple),
    )


def over_at(moment: datetime, world: World, claims: Iterable[tuple[datetime, Claim]]) -> list[str]:
    """Everything that is held more than once at a moment. Knows nothing of the planner."""
    live = [claim for start, claim in claims if start <= moment < claim.ends_at]
    found: list[str] = []
    for name, free in world.capacity.nodes.items():
        here = [claim.placement for claim in live if claim.placement.node == name]
        if sum(p.cpu_milli for p in here) > free.node.cpu_milli:
            found.append(f"{name} cpu")
        if sum(p.memory_bytes for p in here) > free.node.memory_bytes:
            found.append(f"{name} memory")
        for device in free.node.devices:
            milli = [s.milli for p in here for s in p.shares if s.device_id == device.id]
            if sum(milli) > WHOLE:
                found.append(device.id)
    return found


def over_quota(
    moment: datetime, drawn: Drawn, claims: Iterable[tuple[datetime, Claim]]
) -> list[str]:
    live = [claim for start, claim in claims if start <= moment < claim.ends_at]
    found: list[str] = []
    for name, bounds in drawn.limits.items():
        scope = "tenant:main" if name == "tenant" else f"person:{name}"
        for dimension, bound in bounds.items():
            used = sum(use_of(c.ask)[dimension] for c in live if scope in c.scope_ids)
            if used > bound:
                found.append(f"{scope} {dimension} {used} > {bound}")
    return found


def claim_of(waiting: Waiting, slot: Slot) -> tuple[datetime, Claim]:
    assert slot.at is not None
    assert slot.placement is not None
    ids = tuple(scope.id for scope in waiting.scopes)
    end = slot.at + waiting.ask.duration
    return slot.at, Claim(waiting.id, slot.placement, waiting.ask, ids, end)


@given(drawn(12))
def test_nothing_is_planned_twice_and_no_quota_is_passed(drawn: Drawn) -> None:
    world = World(drawn.capacity, (), drawn.queue())
    slots = plan(world, PLACER, NOW)
    assert set(slots) == {waiting.id for waiting in world.queue}
    claims = [claim_of(w, slots[w.id]) for w in world.queue if slots[w.id].at is not None]
    for moment in {start for start, _ in claims}:
        assert over_at(moment, world, claims) == []
        assert over_quota(moment, drawn, claims) == []


@given(drawn(8))
def test_each_gets_what_it_asked_for_on_one_node(drawn: Drawn) -> None:
    world = World(drawn.capacity, (), drawn.queue())
    for waiting in world.queue:
        slot = plan(world, PLACER, NOW)[waiting.id]
        if slot.placement is None:
            continue
        assert slot.placement.gpu_milli == waiting.ask.gpu_milli
        devices = {d.id for d in drawn.capacity.nodes[slot.placement.node].node.devices}
        assert {share.device_id for share in slot.placement.shares} <= devices


@given(drawn(12))
def test_a_later_ask_moves_nobody_before_it(drawn: Drawn) -> None:
    queue = in_order(drawn.queue())
    assume(queue)
    capacity = drawn.capacity
    for length in range(1, len(queue)):
        before = plan(World(capacity, (), tuple(queue[:length])), PLACER, NOW)
        after = plan(World(capacity, (), tuple(queue[: length + 1])), PLACER, NOW)
        assert {name: after[name] for name in before} == before


@given(drawn(10), st.integers(0, 10**9))
def test_check_says_what_the_plan_will_do(drawn: Drawn, balance: int) -> None:
    queue = drawn.queue()
    assume(queue)
    *ahead, new = queue
    world = World(drawn.capacity, (), tuple(ahead))
    verdict = check(new, 10**8, balance, world, PLACER, NOW)
    slot = plan(replace(world, queue=queue), PLACER, NOW)[new.id]
    match verdict:
        case Fits(placement):
            assert (slot.at, slot.placement) == (NOW, placement)
        case Waits(code, reason, position, starts_at):
            assert (slot.code, slot.reason) == (code, reason)
            assert (slot.position, slot.at) == (position, starts_at)
            assert starts_at is None or starts_at > NOW
        case Denied(code, reason, step):
            assert reason
            assert step
            if code is Code.CREDITS:
                assert balance < 10**8
            else:
                alone = plan(World(drawn.capacity, (), (new,)), PLACER, NOW)[new.id]
                assert alone.at is None


@given(drawn(10))
def test_only_what_never_fits_has_no_start(drawn: Drawn) -> None:
    """What is alone allowed and large enough starts some day, whatever waits before it."""
    world = World(drawn.capacity, (), drawn.queue())
    slots = plan(world, PLACER, NOW)
    for waiting in world.queue:
        alone = plan(World(drawn.capacity, (), (waiting,)), PLACER, NOW)[waiting.id]
        assert (slots[waiting.id].at is None) == (alone.at is None)


@dataclass
class Simulated:
    """A site where everything runs for as long as it asked for, or shorter."""

    drawn: Drawn
    now: datetime = NOW
    running: tuple[tuple[datetime, Claim], ...] = ()
    queue: tuple[Waiting, ...] = ()

    def __post_init__(self) -> None:
        self.promised: dict[str, datetime] = {}
        self.started: dict[str, datetime] = {}
        self.planned: dict[str, Slot] = {}

    def world(self) -> World:
        running = tuple(claim for _, claim in self.running)
        return World(self.drawn.capacity, running, self.queue, self.planned)

    def beat(self) -> None:
        """What has ended leaves; what may start starts."""
        self.running = tuple((s, c) for s, c in self.running if c.ends_at > self.now)
        slots = self.planned = plan(self.world(), PLACER, self.now)
        for waiting in self.queue:
            slot = slots[waiting.id]
            if slot.at is not None:
                self.promised.setdefault(waiting.id, slot.at)
            if slot.at == self.now:
                self.running = (*self.running, claim_of(waiting, slot))
                self.started[waiting.id] = self.now
        self.queue = tuple(w for w in self.queue if w.id not in self.started)
        assert over_at(self.now, self.world(), self.running) == []
        assert over_quota(self.now, self.drawn, self.running) == []

    def advance(self, until: datetime | None = None) -> None:
        """Beat at each end on the way; None: until nothing runs."""
        while self.running:
            end = min(claim.ends_at for _, claim in self.running)
            if until is not None and end > until:
                break
            self.now = end
            self.beat()
        self.now = until or self.now

    def end_early(self, number: int) -> None:
        """One of those that run ends now."""
        self.running = self.running[:number] + self.running[number + 1 :]
        self.beat()


@settings(max_examples=examples(60))
@given(drawn(10), st.data())
def test_starts_hold_if_nobody_extends(drawn: Drawn, data: st.DataObject) -> None:
    """All of one class, asked for one after the other; some end before their time."""
    arrivals = tuple((p, replace(a, priority=Priority.STANDARD)) for p, a in drawn.arrivals)
    site = Simulated(replace(drawn, arrivals=arrivals))
    for number in range(len(arrivals)):
        site.advance(site.now + data.draw(st.integers(0, 40)) * MINUTE)
        site.queue = (*site.queue, site.drawn.waiting(number, site.now))
        site.beat()
        if site.running and data.draw(st.booleans()):
            site.end_early(data.draw(st.integers(0, len(site.running) - 1)))
    site.advance()
    for name, promised in site.promised.items():
        assert site.started[name] <= promised, name


@pytest.mark.parametrize("seed", [15, 37, 44, 51, 60, 62, 101, 107])
def test_starts_hold_when_a_crowded_site_changes_its_mind(seed: int) -> None:
    """On each of these days a plan without the memory of the one before breaks a promise."""
    chance = random.Random(seed)
    arrivals = tuple(
        (
            "mia",
            Ask(
                500, GIB, chance.choice([250, 500, 500, 1000, 1000, 2000]),
                chance.randint(1, 12) * 10 * MINUTE,
            ),
        )
        for _ in range(14)
    )  # fmt: skip
    nodes = tuple(node(f"n{i}", chance.randint(1, 2)) for i in range(chance.randint(1, 2)))
    site = Simulated(Drawn(nodes, {}, arrivals))
    for number in range(len(arrivals)):
        site.advance(site.now + chance.choice([0, 0, 1, 5, 15]) * MINUTE)
        site.queue = (*site.queue, site.drawn.waiting(number, site.now))
        site.beat()
        if site.running and chance.random() < 0.4:
            site.end_early(chance.randrange(len(site.running)))
    site.advance()
    assert {n for n, p in site.promised.items() if site.started[n] > p} == set()


def test_a_promise_that_is_overdue_is_still_kept_before_others() -> None:
    """What runs is a moment late to end: the place goes to whom it was promised."""
    capacity = Capacity.of((node("n0", 1),))
    whole = Ask(500, GIB, 1000, 60 * MINUTE)
    late = Claim("r", Placement("n0", 500, GIB, (_share("n0", 1000),)), whole, (), NOW - MINUTE)
    first, second = Waiting("a", whole, (), NOW - MINUTE), Waiting("b", whole, (), NOW)
    promised = plan(World(capacity, (late,), (first, second)), PLACER, NOW - 30 * MINUTE)
    world = World(capacity, (late,), (first, second), promised)
    slots = plan(world, PLACER, NOW)
    assert slots["a"].at == NOW + datetime.resolution
    assert plan(replace(world, running=()), PLACER, NOW)["a"].at == NOW


@pytest.mark.parametrize("stream", [1, 4])
def test_a_large_ask_is_not_starved_by_an_endless_stream_of_small_ones(stream: int) -> None:
    """It starts when those that were there before it have ended, however many come after."""
    small = Ask(500, GIB, 250, 20 * MINUTE)
    site = Simulated(Drawn((node("n0", 2),), {}, ()))
    numbers = itertools.count()

    def arrive(ask: Ask) -> str:
        name = f"w{next(numbers):04}"
        site.queue = (*site.queue, Waiting(name, ask, (), site.now))
        return name

    for _ in range(2 * 4 + 3):  # three more than there is room for: two rounds of 20 minutes
        arrive(small)
        site.beat()
        site.now += MINUTE / 10
    large, began = arrive(replace(small, gpu_milli=2 * WHOLE)), site.now
    while large not in site.started:
        for _ in range(stream):
            arrive(small)
        site.advance(site.now + 2 * MINUTE)
        site.beat()
        assert site.now - began < 45 * MINUTE
    assert site.started[large] <= site.promised[large]


def test_small_ones_pass_a_large_one_through_gaps() -> None:
    capacity = Capacity.of((node("n0", 1),))
    running = Claim(
        "r", Placement("n0", 500, GIB, (_share("n0", 500),)), Ask(500, GIB, 500), (),
        NOW + 60 * MINUTE,
    )  # fmt: skip
    large = Waiting("a", Ask(500, GIB, 1000, 60 * MINUTE), (), NOW)
    short = Waiting("b", Ask(500, GIB, 500, 60 * MINUTE), (), NOW + MINUTE)
    long = Waiting("c", Ask(500, GIB, 500, 61 * MINUTE), (), NOW + 2 * MINUTE)
    slots = plan(World(capacity, (running,), (large, short, long)), PLACER, NOW)
    assert slots["a"].at == NOW + 60 * MINUTE
    assert slots["b"].at == NOW
    assert slots["c"].at == NOW + 120 * MINUTE
    assert (slots["a"].code, slots["c"].position) == (Code.CAPACITY, 3)


def test_what_is_past_its_end_holds_its_place_until_it_is_gone() -> None:
    capacity = Capacity.of((node("n0", 1),))
    late = Claim(
        "r", Placement("n0", 500, GIB, (_share("n0", 1000),)), Ask(500, GIB, 1000), (), NOW - MINUTE
    )
    waiting = Waiting("a", Ask(500, GIB, 250), (), NOW)
    slot = plan(World(capacity, (late,), (waiting,)), PLACER, NOW)["a"]
    assert slot.at is not None
    assert slot.at > NOW


def test_priority_goes_before_age() -> None:
    capacity = Capacity.of((node("n0", 1),))
    whole = Ask(500, GIB, 1000, 60 * MINUTE)
    old = Waiting("a", whole, (), NOW)
    urgent = Waiting("b", replace(whole, priority=Priority.REAL_TIME), (), NOW + MINUTE)
    slots = plan(World(capacity, (), (old, urgent)), PLACER, NOW)
    assert (slots["b"].at, slots["a"].at) == (NOW, NOW + 60 * MINUTE)


def _share(node_name: str, milli: int):  # noqa: ANN202
    from catalog.placement import share_of

    return share_of(node(node_name, 1).devices[0], milli)


# ---- asks that say only by memory, or by node, what they take of a GPU ---------------------------

BY_MEMORY = Ask(500, GIB, gpu_memory_mib=24_576)
"""All of an emulated device."""
A_NODE = Ask(500, GIB, whole_node=True)


def limited(ask: Ask, milli: int) -> Waiting:
    return Waiting("w", ask, (Scope("person:mia", "you", {Dimension.GPU: milli}),), NOW)


@pytest.mark.parametrize("ask", [BY_MEMORY, A_NODE])
def test_what_is_over_a_limit_on_every_device_is_denied(ask: Ask) -> None:
    world = World(Capacity.of((node("n0", 1), node("n1", 2))))
    verdict = check(limited(ask, 500), 0, 0, world, PLACER, NOW)
    assert isinstance(verdict, Denied)
    assert verdict.reason == "1 GPU is wanted and your own limit is 1/2 GPU"
    assert isinstance(check(limited(ask, 1000), 0, 0, world, PLACER, NOW), Fits)


def test_where_one_device_is_within_a_limit_it_is_taken() -> None:
    """Best fit likes the small device, of which the ask would take more than its person may have."""
    large = EmulatedSet(count=1, model="Large", memory_mib=49_152).devices()
    nodes = (node("n0", 1), Node("n1", 8000, 32 * GIB, (replace(large[0], id="large"),)))
    verdict = check(limited(BY_MEMORY, 500), 0, 0, World(Capacity.of(nodes)), PLACER, NOW)
    assert isinstance(verdict, Fits)
    assert verdict.placement.node == "n1"


@pytest.mark.parametrize("ask", [BY_MEMORY, A_NODE])
def test_a_guarantee_counts_what_it_will_take(ask: Ask) -> None:
    tree = guarantees(art=1000, bio=0)
    world = World(Capacity.of((node("n0", 1),)), tree=tree)
    scopes = tuple(Scope(scope, scope) for scope in path("ben", "bio"))
    there = Waiting("b", ask, scopes, NOW)
    borrows = check(there, 0, 0, world, PLACER, NOW)
    assert isinstance(borrows, Fits)
    assert borrows.borrowed
    claim = claim_of(there, plan(replace(world, queue=(there,)), PLACER, NOW)["b"])[1]
    mine = replace(there, id="a", scopes=tuple(Scope(s, s) for s in path("ada", "art")))
    world = replace(world, running=(replace(claim, since=NOW - MINUTE),), queue=(mine,))
    assert plan(world, PLACER, NOW)["a"].victims == ("b",)
