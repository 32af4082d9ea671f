"""Figures from a log: utilisation, waits, late students, fairness, lost work."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.bench.utilisation.demand import LAB, Demand, Request
from tests.bench.utilisation.simulation import Event

ON_TIME = 1
"""Minutes from a student's arrival within which a lab share must be theirs."""


@dataclass(slots=True)
class _Track:
    """One request through the log; minutes."""

    request: Request
    ran: int = 0
    lost: int = 0
    waited: int = 0
    first: int | None = None
    done: bool = False
    since: int = 0
    runs: bool = False
    waits: bool = False
    interrupted: int = 0


@dataclass(slots=True)
class _Reading:
    tracks: dict[str, _Track] = field(default_factory=dict[str, _Track])
    counts: Counter[str] = field(default_factory=Counter[str])
    down: int = 0


def figures(demand: Demand, log: list[Event]) -> dict[str, Any]:
    """One row of results. GPU time in GPU-hours, waits in minutes; what still waits at the end
    counts with the time it has waited."""
    read = _read(demand, log)
    tracks = list(read.tracks.values())
    whole = len(demand.campus.devices) * 1000 * demand.campus.minutes
    healthy = whole - read.down * 1000
    held = _gpu_minutes((t.request, t.ran) for t in tracks)
    lost = _gpu_minutes((t.request, t.lost) for t in tracks)
    students = [t for t in tracks if t.request.kind == LAB]
    return {
        "utilisation": held / healthy,
        "useful": (held - lost) / healthy,
        "offered": _gpu_minutes((t.request, t.request.work) for t in tracks) / healthy,
        "held_milli_minutes": held,
        "students": len(students),
        "late": sum(t.first is None or t.first - t.request.submitted > ON_TIME for t in students),
        "unserved": sum(t.first is None for t in students),
        "lab_interrupted": sum(t.interrupted for t in students),
        "waits": _waits(tracks),
        "finished": sum(t.done for t in tracks if t.request.kind != LAB),
        "jain": _jain(tracks),
        "lost_gpu_hours": lost / 60_000,
        "preemptions": read.counts["preempted"],
        "failures": read.counts["failed"],
    }


def spread(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over seeds of every figure, with the half range of the most important."""
    of = {key: [row[key] for row in rows] for key in rows[0] if key != "waits"}
    mean: dict[str, Any] = {key: statistics.fmean(values) for key, values in of.items()}
    mean["utilisation_half_range"] = (max(of["utilisation"]) - min(of["utilisation"])) / 2
    mean["waits"] = {
        kind: {
            what: statistics.fmean(row["waits"][kind][what] for row in rows)
            for what in rows[0]["waits"][kind]
        }
        for kind in rows[0]["waits"]
    }
    return mean


def _read(demand: Demand, log: list[Event]) -> _Reading:
    read, end = _Reading(), demand.campus.minutes
    requests = {r.id: r for r in demand.requests}
    down: dict[str, int] = {}
    for event in log:
        read.counts[event.what] += 1
        if event.what == "down":
            down[event.id] = event.at
        elif event.what == "up":
            read.down += event.at - down.pop(event.id)
        elif event.what == "arrive":
            track = _Track(requests[event.id], since=event.at, waits=True)
            read.tracks[event.id] = track
        elif event.what != "told":
            _follow(read.tracks[event.id], event)
    read.down += sum(end - at for at in down.values())
    for track in read.tracks.values():
        track.ran += end - track.since if track.runs else 0
        track.waited += end - track.since if track.waits else 0
    return read


def _follow(track: _Track, event: Event) -> None:
    passed = event.at - track.since
    track.since = event.at
    if event.what == "start":
        track.first = event.at if track.first is None else track.first
        track.waited, track.runs, track.waits = track.waited + passed, True, False
        return
    if event.what == "left":
        track.waited, track.waits = track.waited + passed, False
        return
    track.ran, track.runs = track.ran + passed, False
    if event.what == "end":
        track.done = True
        return
    saves = track.request.saves
    track.lost += passed % saves if saves else passed
    track.interrupted += 1
    track.waits = not track.request.until or event.at < track.request.until


def _gpu_minutes(parts: Iterable[tuple[Request, int]]) -> int:
    return sum(request.total_milli * minutes for request, minutes in parts)


def _waits(tracks: list[_Track]) -> dict[str, dict[str, float]]:
    kinds: defaultdict[str, list[int]] = defaultdict(list)
    for track in tracks:
        kinds[track.request.kind].append(track.waited)
    return {
        kind: {"median": statistics.median(waits), "p95": sorted(waits)[int(0.95 * len(waits))]}
        for kind, waits in sorted(kinds.items())
    }


def _jain(tracks: list[_Track]) -> float:
    """Jain's index over tenants (courses and groups) of what they were served, as a part of what
    they wanted: 1 if all got the same part."""
    wanted, got = Counter[str](), Counter[str]()
    for track in tracks:
        request = track.request
        wanted[request.owner] += request.total_milli * request.work
        got[request.owner] += request.total_milli * (track.ran - track.lost)
    parts = [min(1.0, got[owner] / wanted[owner]) for owner in wanted]
    return sum(parts) ** 2 / (len(parts) * sum(p * p for p in parts)) if any(parts) else 0.0
