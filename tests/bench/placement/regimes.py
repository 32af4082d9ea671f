"""The two regimes: filling up without departures, and a steady state with them."""

import heapq
import random
import time
from dataclasses import dataclass, field, replace

from catalog.units import WHOLE
from tests.bench.placement.fgd import Fragmentation, fragmentation
from tests.bench.placement.peers import Cluster, Place, Policy
from tests.bench.placement.replay import Row
from tests.bench.placement.trace import Pod, Server, Trace

MARKS = (90, 100, 110, 120, 130)
WARM_UP, MEASURED = 0.5, 1.0
"""In mean durations."""


@dataclass
class Run:
    """What one run gave. Percents are of the GPUs there are; `rows` are the log."""

    rows: list[Row] = field(default_factory=list[Row])
    seconds: list[float] = field(default_factory=list[float])
    wall: list[float] = field(default_factory=list[float])
    arrived: dict[str, float] = field(default_factory=dict[str, float])
    allocated: float = 0.0
    unallocated: float = 0.0
    fragmentation: float = 0.0

    @property
    def decisions_per_s(self) -> float:
        return len(self.seconds) / sum(self.seconds)

    @property
    def p99_ms(self) -> float:
        return sorted(self.seconds)[len(self.seconds) * 99 // 100] * 1000


class _Driver:
    """Puts pods to a policy and keeps the books itself."""

    def __init__(self, policy: Policy, servers: list[Server], trace: Trace) -> None:
        self.run = Run()
        self._policy, self._servers = policy, servers
        self._books = Cluster(servers, trace)
        self._measure = Fragmentation(trace, self._books.models)
        self.capacity = trace.capacity_milli
        self.held = 0

    def arrive(self, pod: Pod, arrives: float = 0.0, leaves: float = float("inf")) -> Place | None:
        began, wall = time.thread_time(), time.perf_counter()
        place = self._policy.choose(pod)
        if place is not None:
            self._policy.took(pod, place)
        self.run.seconds.append(time.thread_time() - began)
        self.run.wall.append(time.perf_counter() - wall)
        node, devices = "", ""
        if place is not None:
            self._books.took(pod, place)
            self.held += pod.gpu_milli
            node = self._servers[place[0]].name
            devices = ";".join(f"{at}:{pod.milli}" for at in place[1])
        self.run.rows.append(Row(pod.name, node, devices, arrives, leaves))
        return place

    def leave(self, pod: Pod, place: Place) -> None:
        self._policy.gave(pod, place)
        self._books.gave(pod, place)
        self.held -= pod.gpu_milli

    def percent(self) -> float:
        return 100 * self.held / self.capacity

    def look(self) -> None:
        """What is free now, in GPUs, and how much of it is in fragments, in percent of all GPUs."""
        self.run.unallocated = (self.capacity - self.held) / WHOLE
        lost = fragmentation(self._books, self._measure)
        self.run.fragmentation = 100 * lost / self.capacity


def fill(policy: Policy, servers: list[Server], trace: Trace, seed: int) -> Run:
    """No departures; figures are taken when a mark is first reached, the last ones at 100 %."""
    driver = _Driver(policy, servers, trace)
    arrived, marks = 0, list(MARKS)
    for pod in trace.arrivals(seed):
        driver.arrive(pod)
        arrived += pod.gpu_milli
        while marks and 100 * arrived >= marks[0] * driver.capacity:
            mark = marks.pop(0)
            driver.run.arrived[str(mark)] = driver.percent()
            if mark == 100:
                driver.look()
                driver.run.allocated = driver.percent()
    return driver.run


def departures(policy: Policy, servers: list[Server], trace: Trace, seed: int, load: float) -> Run:
    """Steady state: pods are drawn with replacement and come at random moments (Poisson), so many
    that they ask for `load` times the GPUs there are; they stay for exponential times of mean 1, and
    what does not fit goes away. It begins with as many pods as such a system holds; after `WARM_UP`
    what is allocated is averaged over time for `MEASURED`."""
    driver = _Driver(policy, servers, trace)
    leaving: list[tuple[float, int, Pod, Place]] = []
    area, now = 0.0, 0.0
    end = WARM_UP + MEASURED
    events = [*_drawn(trace, seed, load, end), None]
    for at, event in enumerate(events):
        until = event[0] if event else end
        while leaving and leaving[0][0] <= until:
            leaves, _, pod, place = heapq.heappop(leaving)
            area += driver.held * (max(leaves, WARM_UP) - max(now, WARM_UP))
            now = leaves
            driver.leave(pod, place)
        area += driver.held * (max(until, WARM_UP) - max(now, WARM_UP))
        now = until
        if event:
            arrives, leaves, pod = event
            place = driver.arrive(pod, arrives, leaves)
            if place is not None:
                heapq.heappush(leaving, (leaves, at, pod, place))
    driver.look()
    driver.run.allocated = 100 * area / MEASURED / driver.capacity
    return driver.run


def _drawn(trace: Trace, seed: int, load: float, end: float) -> list[tuple[float, float, Pod]]:
    """When each pod arrives and leaves, in the order of arrival."""
    dice = random.Random(f"departures {seed} {load}")
    mean = sum(pod.gpu_milli for pod in trace.pods) / len(trace.pods)
    rate = load * trace.capacity_milli / mean
    drawn: list[tuple[float, float, Pod]] = []
    at, first = 0.0, round(rate)
    while True:
        if len(drawn) >= first:
            at += dice.expovariate(rate)
        if at >= end:
            return drawn
        pod = dice.choice(trace.pods)
        name = f"{pod.name}#{len(drawn) + 1}"
        drawn.append((at, at + dice.expovariate(1.0), replace(pod, name=name)))
