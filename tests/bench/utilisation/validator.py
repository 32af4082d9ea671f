"""An independent check of a log against the demand: it shares no code with policies or simulation."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench.utilisation.demand import Demand
from tests.bench.utilisation.simulation import Event


@dataclass(frozen=True, slots=True)
class Verified:
    """What the log adds up to by its own count, and all that is wrong with it."""

    milli_minutes: int
    late_students: int
    wrong: tuple[str, ...]


def verify(demand: Demand, log: list[Event]) -> Verified:
    """Replays the log: no device holds more than it has or anything while down; shares are as asked
    for, on one node of the right model; nothing runs before it came, twice at once, or longer than
    its work; nothing is thrown out without a word except by a failure; every outage is in it."""
    replay = _Replay(demand)
    wrong = [f"{event}: {fault}" for event in log for fault in replay.faults(event)]
    wrong += replay.at_the_end()
    late = sum(
        r.kind == "lab" and replay.first.get(r.id, demand.campus.minutes) > r.submitted + 1
        for r in demand.requests
    )
    return Verified(replay.milli_minutes, late, tuple(wrong))


class _Replay:
    def __init__(self, demand: Demand) -> None:
        self._demand = demand
        self._requests = {r.id: r for r in demand.requests}
        self._model = {d: m.model for m in demand.campus.machines for d in m.devices}
        self._node = {d: m.name for m in demand.campus.machines for d in m.devices}
        self._held: Counter[str] = Counter()
        self._running: dict[str, tuple[int, dict[str, int]]] = {}
        self._came: set[str] = set()
        self._told: set[str] = set()
        self._over: set[str] = set()
        self._worked: Counter[str] = Counter()
        self._now = 0
        self._down: set[str] = set()
        self.first: dict[str, int] = {}
        self.milli_minutes = 0

    def faults(self, event: Event) -> Iterator[str]:
        if not self._now <= event.at < self._demand.campus.minutes:
            yield "out of order"
        self._now = event.at
        match event.what:
            case "arrive":
                if self._requests[event.id].submitted != event.at or event.id in self._came:
                    yield "came at another time"
                self._came.add(event.id)
            case "start":
                yield from self._starts(event)
            case "end" | "preempted" | "failed":
                yield from self._stops(event)
            case "told":
                self._told.add(event.id)
            case "left":
                if self._requests[event.id].until != event.at or event.id in self._running:
                    yield "left at another time"
                self._over.add(event.id)
            case "down" | "up":
                yield from self._health(event)
            case _:
                yield "unknown event"

    def _starts(self, event: Event) -> Iterator[str]:
        request, shares = self._requests[event.id], dict(event.shares)
        if event.id not in self._came or event.id in self._running or event.id in self._over:
            yield "may not run"
        if sorted(m for _, m in event.shares) != [request.milli] * request.count:
            yield "got something else than was asked for"
        if len(shares) != request.count or len({self._node[d] for d in shares}) != 1:
            yield "shares are not of separate devices of one node"
        for device, milli in shares.items():
            self._held[device] += milli
            if self._held[device] > 1000:
                yield f"{device} holds {self._held[device]}"
            if device in self._down:
                yield f"{device} is down"
            if request.model and self._model[device] != request.model:
                yield f"{device} is no {request.model}"
        self._running[event.id] = event.at, shares
        self.first.setdefault(event.id, event.at)

    def _stops(self, event: Event) -> Iterator[str]:
        if event.id not in self._running:
            yield "does not run"
            return
        request = self._requests[event.id]
        began, shares = self._running.pop(event.id)
        for device, milli in shares.items():
            self._held[device] -= milli
        ran = event.at - began
        self.milli_minutes += ran * sum(shares.values())
        if event.what == "preempted" and not (request.preemptible and event.id in self._told):
            yield "preempted without leave or notice"
        if event.what == "failed" and not set(shares) & self._about_to_fail(event.at):
            yield "failed on healthy devices"
        self._told.discard(event.id)
        ended = event.what == "end"
        saves = request.saves
        self._worked[event.id] += ran if ended else ran // saves * saves if saves else 0
        if ended:
            self._over.add(event.id)
            whole = event.at == request.until if request.until else (
                self._worked[event.id] == request.work
            )  # fmt: skip
            if not whole:
                yield f"ended after {self._worked[event.id]} of {request.work} minutes"

    def _about_to_fail(self, at: int) -> set[str]:
        targets = {o.target for o in self._demand.outages if o.begins == at}
        return {d for d, node in self._node.items() if d in targets or node in targets}

    def _health(self, event: Event) -> Iterator[str]:
        if (event.what == "down") is (event.id in self._down):
            yield "already so"
        if event.what == "down" and self._held[event.id]:
            yield "still held"
        self._down ^= {event.id}

    def at_the_end(self) -> Iterator[str]:
        end = self._demand.campus.minutes
        for key, (began, shares) in self._running.items():
            self.milli_minutes += (end - began) * sum(shares.values())
            if self._requests[key].until and self._requests[key].until < end:
                yield f"{key} is a student who never left"
        if self._came != set(self._requests):
            yield "not everybody came"
        for request in self._demand.requests:
            if request.until and request.until < end and request.id not in self._over:
                yield f"{request.id} was forgotten"
        expected = {
            d
            for o in self._demand.outages
            for d, node in self._node.items()
            if o.target in (d, node) and o.begins < end <= o.ends
        }
        if self._down != expected:
            yield "outages differ"
