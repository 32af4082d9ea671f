"""A campus by discrete events: requests come, run, are interrupted and end; a policy decides who starts.

Within one minute: what ends, then outages and repairs, then arrivals, then the policy. All that
happens goes to the log, from which alone the figures and the validator work.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import Protocol

from tests.bench.utilisation.campus import Machine
from tests.bench.utilisation.demand import Demand, Request

Shares = tuple[tuple[str, int], ...]
"""Device ids with the milli-GPU taken of each."""


@dataclass(slots=True)
class Run:
    """`leaves` is when it must go because it was told to."""

    shares: Shares
    began: int
    leaves: int | None = None


@dataclass(slots=True)
class Job:
    """A request on its way. `left` are the minutes of work still to do when it starts next."""

    request: Request
    left: int
    waits_since: int
    again: bool = False
    run: Run | None = None
    number: int = 0
    """Which run of the whole simulation it is, so that an old event does not end a new one."""

    @property
    def limit(self) -> int:
        """The time limit of the run to come, or of the one that runs: what is saved needs no more."""
        return max(1, self.request.limit - (self.request.work - self.left))


@dataclass(frozen=True, slots=True)
class Start:
    id: str
    shares: Shares


@dataclass(frozen=True, slots=True)
class Tell:
    """A running one is told to go by `leaves`."""

    id: str
    leaves: int
    cause: str = "preempted"


@dataclass(frozen=True, slots=True)
class Event:
    """A line of the log. `what`: arrive, start, told, end, preempted, failed, left (a student whose
    lab ended while they waited), down, up."""

    at: int
    what: str
    id: str
    shares: Shares = ()


@dataclass(slots=True)
class Site:
    """The state of the campus. `free` is milli-GPU by device; a device in `down` has nothing free."""

    machines: tuple[Machine, ...]
    free: dict[str, int]
    down: dict[str, int] = field(default_factory=dict[str, int])
    waiting: dict[str, Job] = field(default_factory=dict[str, Job])
    running: dict[str, Job] = field(default_factory=dict[str, Job])


class Policy(Protocol):
    """Decides at every minute at which something happened, and at the minutes it asked for."""

    name: str

    def decide(self, site: Site, now: int) -> Iterable[Start | Tell]: ...

    def wakes(self, now: int) -> Iterable[int]:
        """Later minutes at which to ask again, whatever happens."""
        ...


def simulate(demand: Demand, policy: Policy) -> list[Event]:
    """The log of a fortnight under `policy`."""
    return _Simulation(demand, policy).run()


_END, _LEAVE, _UP, _DOWN, _ARRIVE, _WAKE = range(6)


class _Simulation:
    def __init__(self, demand: Demand, policy: Policy) -> None:
        machines = demand.campus.machines
        self._devices = {m.name: m.devices for m in machines}
        self._devices |= {d: (d,) for m in machines for d in m.devices}
        self._site = Site(machines, {d: 1000 for m in machines for d in m.devices})
        self._policy, self._until = policy, demand.campus.minutes
        self._requests = {request.id: request for request in demand.requests}
        self._log: list[Event] = []
        self._events = [(r.submitted, _ARRIVE, r.id, 0) for r in demand.requests]
        self._events += [(r.until, _LEAVE, r.id, -1) for r in demand.requests if r.until]
        for outage in demand.outages:
            if outage.target in self._devices:
                self._events += [(outage.begins, _DOWN, outage.target, 0)]
                self._events += [(outage.ends, _UP, outage.target, 0)]
        self._events += [(at, _WAKE, "", 0) for at in policy.wakes(0)]
        heapify(self._events)
        self._runs = 0

    def run(self) -> list[Event]:
        while self._events and self._events[0][0] < self._until:
            now = self._events[0][0]
            while self._events and self._events[0][0] == now:
                self._happen(*heappop(self._events))
            for act in self._policy.decide(self._site, now):
                self._carry_out(act, now)
            for at in self._policy.wakes(now):
                heappush(self._events, (max(at, now + 1), _WAKE, "", 0))
        return self._log

    def _happen(self, now: int, kind: int, key: str, run: int) -> None:
        if kind == _ARRIVE:
            request = self._requests[key]
            self._site.waiting[key] = Job(request, request.work, now)
            self._note(now, "arrive", key)
        elif kind == _DOWN:
            self._go_down(now, key)
        elif kind == _UP:
            self._come_up(now, key)
        elif kind == _END:
            self._end(now, key, run)
        elif kind == _LEAVE:
            self._leave(now, key, run)

    def _end(self, now: int, key: str, run: int) -> None:
        job = self._site.running.get(key)
        if job and job.number == run:
            self._release(now, job, "end")

    def _leave(self, now: int, key: str, run: int) -> None:
        """A preempted run's grace is over (`run` says which); or a student's time is."""
        job = self._site.running.get(key)
        if run >= 0 and job and job.number == run:
            self._interrupt(now, job, "preempted")
        if run < 0 and self._site.waiting.pop(key, None):
            self._note(now, "left", key)

    def _go_down(self, now: int, target: str) -> None:
        site = self._site
        for device in self._devices[target]:
            site.down[device] = site.down.get(device, 0) + 1
            if site.down[device] > 1:
                continue
            for job in list(site.running.values()):
                if job.run and any(device == held for held, _ in job.run.shares):
                    self._interrupt(now, job, "failed")
            site.free[device] = 0
            self._note(now, "down", device)

    def _come_up(self, now: int, target: str) -> None:
        for device in self._devices[target]:
            self._site.down[device] -= 1
            if not self._site.down[device]:
                del self._site.down[device]
                self._site.free[device] = 1000
                self._note(now, "up", device)

    def _interrupt(self, now: int, job: Job, what: str) -> None:
        assert job.run
        ran, saves = now - job.run.began, job.request.saves
        self._release(now, job, what)
        job.left -= ran // saves * saves if saves and not job.request.until else 0
        if job.request.until:
            job.left = job.request.until - now
        if job.left > 0:
            job.waits_since, job.again = now, True
            self._site.waiting[job.request.id] = job

    def _release(self, now: int, job: Job, what: str) -> None:
        assert job.run
        for device, milli in job.run.shares:
            if device not in self._site.down:
                self._site.free[device] += milli
        self._note(now, what, job.request.id, job.run.shares)
        job.run = None
        del self._site.running[job.request.id]

    def _carry_out(self, act: Start | Tell, now: int) -> None:
        if isinstance(act, Tell):
            job = self._site.running[act.id]
            assert job.run
            job.run.leaves = act.leaves
            heappush(self._events, (max(act.leaves, now + 1), _LEAVE, act.id, job.number))
            self._note(now, "told", act.id)
            return
        job = self._site.waiting.pop(act.id)
        for device, milli in act.shares:
            self._site.free[device] -= milli
        if job.request.until:
            job.left = job.request.until - now
        self._runs += 1
        job.run, job.number = Run(act.shares, now), self._runs
        self._site.running[act.id] = job
        heappush(self._events, (now + job.left, _END, act.id, self._runs))
        self._note(now, "start", act.id, act.shares)

    def _note(self, now: int, what: str, key: str, shares: Shares = ()) -> None:
        self._log.append(Event(now, what, key, shares))
