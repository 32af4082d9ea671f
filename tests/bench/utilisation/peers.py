"""What the engine is compared with: one queue, and a partition for each."""

from collections import Counter
from collections.abc import Iterable, Mapping

from tests.bench.utilisation.campus import Machine
from tests.bench.utilisation.demand import LAB, Request
from tests.bench.utilisation.simulation import Job, Shares, Site, Start

_URGENCY = {LAB: 0, "notebook": 1, "job": 2, "resumable-job": 2, "best-effort": 3}


def best_fit(
    request: Request, machines: Iterable[Machine], free: Mapping[str, int]
) -> Shares | None:
    """The fullest node, and on it the fullest devices, with room for all shares."""
    best: tuple[int, Shares] | None = None
    for machine in machines:
        if request.model and machine.model != request.model:
            continue
        room = [(free[d], d) for d in machine.devices if free[d] >= request.milli]
        if len(room) < request.count:
            continue
        chosen = sorted(room)[: request.count]
        left = sum(m for m, _ in chosen) * 1_000_000 + sum(free[d] for d in machine.devices)
        if best is None or left < best[0]:
            best = left, tuple((d, request.milli) for _, d in chosen)
    return best and best[1]


class OneQueue:
    """First come, first served, on the whole site. `strict`: nobody passes the first who waits;
    else whoever fits starts. No reservation, no preemption, no classes. What was interrupted keeps
    its place in the queue."""

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self.name = "fifo" if strict else "first-fit"

    def wakes(self, now: int) -> Iterable[int]:
        return ()

    def decide(self, site: Site, now: int) -> Iterable[Start]:
        queue = sorted(site.waiting.values(), key=lambda j: (j.request.submitted, j.request.id))
        return _start(queue, site.machines, dict(site.free), strict=self._strict)


class Partitions:
    """Everybody waits for devices of their own partition alone: first people at a keyboard, then
    jobs, then best-effort work; within these who came first; whoever fits starts."""

    def __init__(self, name: str, partitions: Mapping[str, tuple[Machine, ...]]) -> None:
        self.name, self.partitions = name, partitions

    def wakes(self, now: int) -> Iterable[int]:
        return ()

    def decide(self, site: Site, now: int) -> Iterable[Start]:
        queues: dict[str, list[Job]] = {}
        for job in site.waiting.values():
            queues.setdefault(job.request.owner, []).append(job)
        free = dict(site.free)
        for owner, queue in sorted(queues.items()):
            queue.sort(key=lambda j: (_URGENCY[j.request.kind], j.request.submitted, j.request.id))
            yield from _start(queue, self.partitions.get(owner, ()), free, strict=False)


def _start(
    queue: list[Job], machines: tuple[Machine, ...], free: dict[str, int], *, strict: bool
) -> Iterable[Start]:
    failed: set[tuple[int, int, str]] = set()
    for job in queue:
        request = job.request
        shape = request.count, request.milli, request.model
        shares = None if shape in failed else best_fit(request, machines, free)
        if shares is None:
            if strict:
                return
            failed.add(shape)
            continue
        for device, milli in shares:
            free[device] -= milli
        yield Start(request.id, shares)


def sizes_of(partitions: Mapping[str, tuple[Machine, ...]]) -> dict[str, dict[str, int]]:
    """Devices by owner and model."""
    return {
        owner: dict(sorted(Counter(m.model for m in parts for _ in m.devices).items()))
        for owner, parts in partitions.items()
    }
