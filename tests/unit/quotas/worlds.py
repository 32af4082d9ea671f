"""Sites to plan for, and a checker of plans that knows nothing of the planner."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from catalog.asks import Ask
from catalog.discovery.emulated import EmulatedSet
from catalog.fitting import share_of
from catalog.inventory import Capacity, Node, Placement
from catalog.placement import BestFit, NoRoom
from catalog.units import GIB, WHOLE
from quotas.admission import Claim, Rules, Slot, Waiting, World, plan
from quotas.limits import Dimension, Scope, use_of
from quotas.reservations import Hold
from quotas.tree import Tenant, Tree

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PLACER = BestFit()
ROOT = "tenant:main"


def node(name: str, devices: int, cpu: int = 8000, memory: int = 64 * GIB) -> Node:
    found = EmulatedSet(count=devices).devices()
    return Node(name, cpu, memory, tuple(replace(d, id=f"{name}-{d.id}") for d in found))


def site(*devices: int) -> Capacity:
    return Capacity.of(node(f"n{i}", count) for i, count in enumerate(devices))


def gpu(milli: int, minutes: int = 60, **more: object) -> Ask:
    return Ask(500, GIB, milli, minutes * MINUTE, **more)  # type: ignore[arg-type]


def path(person: str, *tenants: str) -> tuple[str, ...]:
    return (f"person:{person}", *(f"tenant:{t}" for t in tenants), ROOT)


def waiting(
    name: str, ask: Ask, owner: tuple[str, ...] = (), since: datetime = NOW, **more: object
) -> Waiting:
    scopes = tuple(Scope(scope, scope) for scope in owner)
    return Waiting(name, ask, scopes, since, **more)  # type: ignore[arg-type]


def running(
    name: str, ask: Ask, capacity: Capacity, owner: tuple[str, ...] = (), *,
    left: timedelta = 60 * MINUTE, since: timedelta = -60 * MINUTE, **more: object,
) -> tuple[Claim, Capacity]:  # fmt: skip
    """A claim where best fit puts it, and what is free then."""
    place = PLACER.place(ask, capacity)
    assert not isinstance(place, NoRoom), name
    claim = Claim(name, place, ask, owner, NOW + left, since=NOW + since, **more)  # type: ignore[arg-type]
    return claim, capacity.take(place)


def on(device: int, milli: int, node_name: str = "n0", devices: int = 4) -> Placement:
    """A place on one device of a node of `devices`."""
    found = node(node_name, devices).devices[device]
    return Placement(node_name, 500, GIB, (share_of(found, milli),))


def guarantees(**gpus: int) -> Tree:
    """Tenants below the root that are guaranteed so many milli-GPU."""
    tenants = [Tenant(ROOT, None, "Main")]
    for name, milli in gpus.items():
        amounts = {Dimension.GPU: milli} if milli else {}
        tenants.append(Tenant(f"tenant:{name}", ROOT, name.title(), amounts))
    return Tree.of(tenants)


@dataclass(frozen=True)
class Stay:
    """Somebody in a place between two moments."""

    start: datetime
    end: datetime
    placement: Placement
    ask: Ask
    scope_ids: tuple[str, ...]


def stays(world: World, slots: dict[str, Slot], gone: dict[str, datetime]) -> list[Stay]:
    """Everybody that runs and everybody that is planned; `gone` says who leaves sooner."""
    now_on = NOW + datetime.resolution
    found = [
        Stay(NOW, min(max(c.ends_at, now_on), gone.get(c.id, c.ends_at)), c.placement, c.ask, c.scope_ids)
        for c in world.running
    ]  # fmt: skip
    return found + [planned for w in world.queue if (planned := _planned(w, slots[w.id]))]


def _planned(w: Waiting, slot: Slot) -> Stay | None:
    if slot.at is None or slot.placement is None:
        return None
    end = slot.at + w.ask.duration
    end = min(end, slot.until) if slot.until else end
    return Stay(slot.at, end, slot.placement, w.ask, w.scope_ids)


def leaving(world: World, slots: dict[str, Slot]) -> dict[str, datetime]:
    """When each victim of a plan is gone."""
    return {
        victim: slot.at for slot in slots.values() if slot.at is not None for victim in slot.victims
    }


def taken_twice(
    world: World, found: Sequence[Stay], kept: Iterable[Hold] = ()
) -> list[tuple[datetime, str]]:
    """Everything that is held more than once at any time, with what is kept counted as held."""
    wrong: list[tuple[datetime, str]] = []
    kept = list(kept)
    moments = {s.start for s in found} | {h.starts_at for h in kept}
    for at in moments:
        live = [s.placement for s in found if s.start <= at < s.end]
        live += [p for h in kept if h.starts_at <= at < h.ends_at for p in h.placements]
        wrong += [(at, what) for what in _over(world.capacity, live)]
    return wrong


def _over(capacity: Capacity, live: list[Placement]) -> list[str]:
    found: list[str] = []
    for name, free in capacity.nodes.items():
        here = [p for p in live if p.node == name]
        if sum(p.cpu_milli for p in here) > free.node.cpu_milli:
            found.append(f"{name} cpu")
        if sum(p.memory_bytes for p in here) > free.node.memory_bytes:
            found.append(f"{name} memory")
        shares = [share for p in here for share in p.shares]
        found += [
            device.id
            for device in free.node.devices
            if sum(s.milli for s in shares if s.device_id == device.id) > WHOLE
        ]
    return found


def over_quota(world: World, found: Sequence[Stay]) -> list[str]:
    """Limits that a planned stay passes at its beginning, or that are passed while it is there."""
    wrong: list[str] = []
    for w in world.queue:
        for scope in w.scopes:
            for dimension, limit in scope.limits.items():
                for at in {s.start for s in found if scope.id in s.scope_ids}:
                    live = [s for s in found if s.start <= at < s.end and scope.id in s.scope_ids]
                    used = sum(use_of(s.ask, s.placement)[dimension] for s in live)
                    if used > limit:
                        wrong.append(f"{scope.id} {dimension} {used} > {limit} at {at}")
    return wrong


class Clock:
    """A site whose plan is carried out: what may start starts, victims go when their time has
    come, all ends when it says."""

    def __init__(self, capacity: Capacity, rules: Rules | None = None, tree: Tree | None = None):  # noqa: ANN204
        self.world = World(capacity, rules=rules or Rules(), tree=tree or Tree())
        self.now = NOW
        self.started: dict[str, datetime] = {}
        self.slots: dict[str, Slot] = {}
        self.preempted: list[str] = []
        self._asks: dict[str, Waiting] = {}
        self.protect = timedelta()

    def ask(self, *queue: Waiting) -> None:
        self.world = replace(self.world, queue=(*self.world.queue, *queue))
        self._asks |= {w.id: w for w in queue}
        self.beat()

    def beat(self) -> None:
        self._end_what_is_over()
        self.slots = plan(replace(self.world, promised=self.slots), PLACER, self.now, words=False)
        told = {v: s.at for s in self.slots.values() if s.at is not None for v in s.victims}
        claims = [
            replace(c, going=True, ends_at=told[c.id]) if c.id in told else c
            for c in self.world.running
        ]
        for w in self.world.queue:
            slot = self.slots[w.id]
            if slot.at == self.now and slot.placement is not None:
                claims.append(self._begin(w, slot.placement))
                self.started[w.id] = self.now
        queue = tuple(w for w in self.world.queue if w.id not in {c.id for c in claims})
        self.world = replace(self.world, running=tuple(claims), queue=queue)
        live = [Stay(self.now, c.ends_at, c.placement, c.ask, c.scope_ids) for c in claims]
        assert taken_twice(self.world, live) == []

    def _begin(self, w: Waiting, place: Placement) -> Claim:
        return Claim(
            w.id, place, w.ask, w.scope_ids, self.now + w.ask.duration, since=self.now,
            protected_until=self.now + self.protect,
        )  # fmt: skip

    def _end_what_is_over(self) -> None:
        over = [c for c in self.world.running if c.ends_at <= self.now]
        again = [
            replace(self._asks[c.id], id=f"{c.id}+", since=self.now, again=True)
            for c in over
            if c.going and c.id in self._asks
        ]
        self.preempted += [c.id for c in over if c.going]
        self._asks |= {w.id: w for w in again}
        left = tuple(c for c in self.world.running if c.ends_at > self.now)
        self.world = replace(self.world, running=left, queue=(*self.world.queue, *again))

    def until(self, moment: datetime) -> None:
        """Beat at each end on the way."""
        while self.world.running:
            end = min(c.ends_at for c in self.world.running)
            if end > moment:
                break
            self.now = max(self.now, end)
            self.beat()
        self.now = moment
        self.beat()

    def end_early(self, number: int) -> None:
        claims = list(self.world.running)
        del claims[number]
        self.world = replace(self.world, running=tuple(claims))
        self.beat()
