"""Every request and every outage of a fortnight, drawn from the spec and a seed, and as a CSV file.

The same seed gives the same requests whatever the load: a higher load only adds to them.
"""

import csv
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any

from tests.bench.utilisation.campus import DAY, HOUR, Campus, Lab

LAB = "lab"


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody wants: `count` shares of `milli` each, on one node, for `work` minutes.

    `limit` is what the scheduler is told. Work is saved every `saves` minutes (0: never). A student
    of a `lab` leaves at `until` at the latest, whether served or not.
    """

    id: str
    kind: str
    owner: str
    person: str
    submitted: int
    count: int
    milli: int
    model: str
    limit: int
    work: int
    saves: int
    preemptible: bool
    lab: str = ""
    until: int = 0

    @property
    def total_milli(self) -> int:
        return self.count * self.milli


@dataclass(frozen=True, slots=True)
class Outage:
    """A node (`machine`) or one of its devices is down from `begins` until `ends`."""

    target: str
    begins: int
    ends: int


@dataclass(frozen=True, slots=True)
class Demand:
    """All that happens to the campus, whoever schedules. `requests` are by time of submission."""

    campus: Campus
    load: float
    seed: int
    requests: tuple[Request, ...]
    outages: tuple[Outage, ...]


def draw(campus: Campus, load: float, seed: int) -> Demand:
    """`load` is all GPU time wanted, over all that the site has while healthy; the courses' part of
    it is given, the groups' part is scaled."""
    lessons = [request for lab in campus.labs for request in _students(campus, lab, seed)]
    capacity = len(campus.devices) * 1000 * campus.minutes
    rest = load * capacity - sum(r.total_milli * r.work for r in lessons)
    of_all = sum(group["share"] for group in campus.groups)
    others = [
        request
        for group in campus.groups
        for work in campus.work
        for request in _wanted(
            campus, group, work, rest * group["share"] / of_all * work["part"], seed
        )
    ]
    requests = sorted([*lessons, *others], key=lambda r: (r.submitted, r.id))
    return Demand(campus, load, seed, tuple(requests), tuple(_outages(campus, seed)))


def write(demand: Demand, path: Path) -> None:
    """One row a request, then one an outage (`kind` is ``outage``, `id` what is down, `work` for
    how long)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        rows = csv.DictWriter(file, [f.name for f in fields(Request)], lineterminator="\n")
        rows.writeheader()
        rows.writerows(asdict(request) for request in demand.requests)
        rows.writerows(
            {"id": o.target, "kind": "outage", "submitted": o.begins, "work": o.ends - o.begins}
            for o in demand.outages
        )


def _students(campus: Campus, lab: Lab, seed: int) -> Iterator[Request]:
    course = next(c for c in campus.courses if c["id"] == lab.course)
    for number in range(lab.students):
        random = Random(f"{seed} {lab.id} {number}")
        if random.random() >= course["show_up"]:
            continue
        late = random.randint(0, 10) if random.random() < 0.8 else random.randint(11, 40)
        until = lab.ends - (0 if random.random() < 0.7 else random.randint(1, 40))
        at = lab.begins + late
        yield Request(
            f"{lab.id}#{number}", LAB, lab.course, f"{lab.course}/{number}", at, 1, lab.milli, "",
            lab.ends - at, until - at, 30, preemptible=False, lab=lab.id, until=until,
        )  # fmt: skip


def _wanted(
    campus: Campus, group: dict[str, Any], work: dict[str, Any], target: float, seed: int
) -> Iterator[Request]:
    """Requests of one group and kind, until they come to `target` milli-GPU minutes."""
    random = Random(f"{seed} {group['id']} {work['id']}")
    clock = _Clock(campus, work["rhythm"], group.get("deadline"))
    total, number = 0, 0
    while total < target:
        hours = work["hours"]
        drawn = random.lognormvariate(math.log(hours["median"]), hours["sigma"])
        minutes = round(min(max(drawn, hours["least"]), hours["most"]) * HOUR)
        limit = min(round(minutes * random.uniform(*work["margin"])), work["limit_hours"] * HOUR)
        request = Request(
            f"{group['id']}/{work['id']}-{number}", work["id"], group["id"],
            f"{group['id']}/{random.randrange(group['people'])}", clock.draw(random),
            _by_weight(random, work["counts"]), _by_weight(random, work["milli"]),
            "A100" if random.random() < work["a100"] else "", max(limit, minutes), minutes,
            work["saves_minutes"], preemptible=work["preemptible"],
        )  # fmt: skip
        total, number = total + request.total_milli * minutes, number + 1
        yield request


class _Clock:
    """When something is submitted, by a rhythm."""

    def __init__(self, campus: Campus, rhythm: str, deadline: dict[str, Any] | None) -> None:
        hours, weekend = campus.rhythms[rhythm]["hours"], campus.rhythms[rhythm]["weekend"]
        self._hours = range(campus.minutes // HOUR)
        weights = [
            hours[h % 24] * (weekend if h // 24 % 7 >= 5 else 1) for h in range(len(self._hours))
        ]
        self._usual = list(accumulate(weights))
        self._part, self._rush = 0.0, self._usual
        # A notebook is no rush; and a short campus may end before its deadline comes.
        if deadline and rhythm != "desk" and deadline["from"] * DAY < campus.minutes:
            rush = (deadline["from"] * 24, deadline["to"] * 24)
            self._part = deadline["part"]
            self._rush = list(
                accumulate(w * (rush[0] <= h < rush[1]) for h, w in enumerate(weights))
            )

    def draw(self, random: Random) -> int:
        weights = self._rush if random.random() < self._part else self._usual
        hour = random.choices(self._hours, cum_weights=weights)[0]
        return hour * HOUR + random.randrange(HOUR)


def _by_weight(random: Random, weights: dict[int, float]) -> int:
    return random.choices(list(weights), weights=list(weights.values()))[0]


def _outages(campus: Campus, seed: int) -> Iterator[Outage]:
    told = campus.failures
    targets = [(m.name, "node") for m in campus.machines] + [(d, "device") for d in campus.devices]
    for target, what in targets:
        random = Random(f"{seed} outage {target}")
        at = 0.0
        while (
            at := at + random.expovariate(1 / (told[f"{what}_mtbf_days"] * DAY))
        ) < campus.minutes:
            repair = max(30.0, random.expovariate(1 / (told[f"{what}_repair_hours"] * HOUR)))
            yield Outage(target, int(at), int(at + repair))
            at += repair
