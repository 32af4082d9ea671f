"""Static partitions, sized for the very demand they will meet: as good as a fixed division can be.

First the labs: each teaching partition gets the fewest devices with which, failures aside, no student
is late. The rest goes to the groups in half nodes; all ways of dividing are compared by the GPU time
that each group, simulated alone, would get through (a dynamic program, exact because partitions do
not touch each other). Odd devices go one by one to the group that gains most.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache

from tests.bench.utilisation.campus import Machine
from tests.bench.utilisation.demand import Demand
from tests.bench.utilisation.metrics import figures
from tests.bench.utilisation.peers import Partitions
from tests.bench.utilisation.simulation import simulate

Sizes = dict[str, dict[str, int]]
"""Devices by owner and model."""
_HALF = 4
_SPARE = 4
"""Devices that a teaching partition may get beyond its need because outages made students late."""


def optimised(demand: Demand, *, pooled: bool) -> Partitions:
    """A partition for each course and each group; or, `pooled`, one for all courses together.

    Teaching partitions grow, one device at a time, while students are late because of outages.
    """
    need, gains = dict(_teaching(demand, pooled=pooled)), _gains(demand)
    for _ in range(_SPARE):
        policy = _policy(demand, need, gains, pooled=pooled)
        late = _late_owners(demand, policy, pooled=pooled)
        if not late:
            return policy
        need = {owner: count + (owner in late) for owner, count in need.items()}
    return _policy(demand, need, gains, pooled=pooled)


def _policy(
    demand: Demand, need: dict[str, int], gains: Callable[[str, int, int], float], *, pooled: bool
) -> Partitions:
    parts = _lay_out(demand, need, _divide(demand, need, gains), pooled=pooled)
    return Partitions("static-pooled" if pooled else "static", parts)


def _teaching(demand: Demand, *, pooled: bool) -> Iterator[tuple[str, int]]:
    courses = [c["id"] for c in demand.campus.courses]
    for owners in [courses] if pooled else [[c] for c in courses]:
        lessons = tuple(r for r in demand.requests if r.owner in owners)
        yield owners[0], _fewest(replace(demand, requests=lessons, outages=()), owners)


def _fewest(demand: Demand, owners: list[str]) -> int:
    most = sum(len(m.devices) for m in demand.campus.machines)
    low, high = 0, most
    while low < high:
        count = (low + high) // 2
        if _alone(demand, owners, {"": count})["late"]:
            low = count + 1
        else:
            high = count
    return low


def _alone(demand: Demand, owners: list[str], sizes: Mapping[str, int]) -> dict[str, float]:
    """Figures of owners who have a site of those sizes to themselves."""
    width = max(len(m.devices) for m in demand.campus.machines)
    machines = tuple(
        Machine(f"{model}{n}", model, tuple(f"{model}{n}/{d}" for d in range(min(width, size - n))))
        for model, size in sizes.items()
        for n in range(0, size, width)
    )
    if not machines:
        return {"late": len(demand.requests), "useful": 0.0}
    site = replace(demand, campus=replace(demand.campus, machines=machines))
    row = figures(site, simulate(site, Partitions("", dict.fromkeys(owners, machines))))
    return {"late": row["late"], "useful": row["useful"] * sum(sizes.values())}


def _gains(demand: Demand) -> Callable[[str, int, int], float]:
    """GPU time that a group gets through with so many devices of the first and second model."""
    first, second = _models(demand)

    @cache
    def gain(group: str, one: int, two: int) -> float:
        wanted = tuple(r for r in demand.requests if r.owner == group)
        alone = replace(demand, requests=wanted, outages=())
        return _alone(alone, [group], {first: one, second: two})["useful"]

    return gain


def _divide(demand: Demand, need: dict[str, int], gains: Callable[[str, int, int], float]) -> Sizes:
    groups = [g["id"] for g in demand.campus.groups]
    first, second = _models(demand)
    left = _left_for_groups(demand, need)
    halves = left[first] // _HALF, left[second] // _HALF
    # best[a, b]: the most that the groups so far get through with a and b half nodes, and how.
    best: dict[tuple[int, int], tuple[float, tuple[tuple[int, int], ...]]] = {(0, 0): (0.0, ())}
    for group in groups:
        more: dict[tuple[int, int], tuple[float, tuple[tuple[int, int], ...]]] = {}
        for (a, b), (value, how) in best.items():
            for x in range(halves[0] - a + 1):
                for y in range(halves[1] - b + 1):
                    got = value + gains(group, x * _HALF, y * _HALF)
                    if got > more.get((a + x, b + y), (-1.0, ()))[0]:
                        more[a + x, b + y] = got, (*how, (x, y))
        best = more
    _, how = max(best.values())
    sizes = {
        g: {first: x * _HALF, second: y * _HALF} for g, (x, y) in zip(groups, how, strict=True)
    }
    for model in (first, second):
        for _ in range(left[model] - sum(s[model] for s in sizes.values())):
            _give_one(sizes, model, gains, (first, second))
    return sizes


def _give_one(
    sizes: Sizes, model: str, gains: Callable[[str, int, int], float], models: tuple[str, str]
) -> None:
    def gain(group: str) -> float:
        had = [sizes[group][m] for m in models]
        with_one = [count + (m == model) for m, count in zip(models, had, strict=True)]
        return gains(group, *with_one) - gains(group, *had)

    sizes[max(sizes, key=gain)][model] += 1


def _models(demand: Demand) -> tuple[str, str]:
    first, second = dict.fromkeys(m.model for m in demand.campus.machines)
    return first, second


def _left_for_groups(demand: Demand, need: dict[str, int]) -> dict[str, int]:
    """Teaching sits on the second model first: nothing of it needs the first."""
    first, second = _models(demand)
    devices = [m.model for m in demand.campus.devices.values()]
    taught = sum(need.values())
    here = min(taught, devices.count(second))
    return {
        first: max(0, devices.count(first) - (taught - here)),
        second: devices.count(second) - here,
    }


def _lay_out(
    demand: Demand, need: dict[str, int], sizes: Sizes, *, pooled: bool
) -> dict[str, tuple[Machine, ...]]:
    """Real devices for everybody: the groups from the first node of a model on, the largest first,
    then the courses on what is left."""
    stock = {
        model: [(m, d) for m in demand.campus.machines if m.model == model for d in m.devices]
        for model in _models(demand)
    }
    parts: dict[str, tuple[Machine, ...]] = {}
    for group in sorted(sizes, key=lambda g: [-(n // _HALF) for n in sizes[g].values()]):
        taken = [p for model, count in sizes[group].items() for p in _take(stock[model], count)]
        parts[group] = _as_machines(taken)
    rest = [pair for model in reversed(list(stock)) for pair in stock[model]]
    for owner, count in need.items():
        parts[owner] = _as_machines(_take(rest, count))
    if pooled:
        shared = parts[next(iter(need))]
        parts |= {course["id"]: shared for course in demand.campus.courses}
    return parts


def _take(stock: list[tuple[Machine, str]], count: int) -> list[tuple[Machine, str]]:
    taken, stock[:] = stock[:count], stock[count:]
    return taken


def _as_machines(devices: list[tuple[Machine, str]]) -> tuple[Machine, ...]:
    by_node: dict[str, Machine] = {}
    for machine, device in devices:
        before = by_node.get(machine.name, replace(machine, devices=()))
        by_node[machine.name] = replace(before, devices=(*before.devices, device))
    return tuple(by_node.values())


def _late_owners(demand: Demand, policy: Partitions, *, pooled: bool) -> set[str]:
    log = simulate(demand, policy)
    courses = [c["id"] for c in demand.campus.courses]
    late = set[str]()
    for course in courses:
        theirs = {r.id for r in demand.requests if r.owner == course}
        only = replace(demand, requests=tuple(r for r in demand.requests if r.id in theirs))
        if figures(only, [e for e in log if e.id in theirs])["late"]:
            late.add(course)
    return {courses[0]} if pooled and late else late
