"""What came out: ``bench-results/placement.json``, logs for anybody to replay, a table for people."""

import csv
import json
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.bench.placement.regimes import MARKS, Run
from tests.live import ROOT

RESULTS = ROOT / "bench-results"
Row = dict[str, Any]


def row(trace: str, policy: str, seed: int, load: float | None, run: Run) -> Row:
    """One run. `arrived` is empty with departures, where `allocated` is the average over time; with
    filling up, `allocated`, `unallocated` (GPUs) and `fragmentation` (percent) are those at 100 %."""
    return {
        "trace": trace,
        "policy": policy,
        "seed": seed,
        "regime": "fill" if load is None else "departures",
        "load": load,
        "arrived": {mark: round(percent, 4) for mark, percent in run.arrived.items()},
        "allocated": round(run.allocated, 4),
        "unallocated": round(run.unallocated, 3),
        "fragmentation": round(run.fragmentation, 4),
        "decisions": len(run.seconds),
        "decisions_per_s": round(run.decisions_per_s),
        "p99_ms": round(run.p99_ms, 4),
        "p99_wall_ms": round(sorted(run.wall)[len(run.wall) * 99 // 100] * 1000, 4),
    }


def write(rows: list[Row], folder: Path) -> None:
    """``placement.json``; an earlier one is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "placement.json").write_text(json.dumps(rows, indent=1) + "\n")


def log(about: Row, run: Run, folder: Path) -> None:
    """One CSV with a row for each arrival, in order."""
    folder.mkdir(parents=True, exist_ok=True)
    load = "" if about["load"] is None else f"-departures-{about['load']}"
    path = folder / f"{about['trace']}-{about['policy']}-{about['seed']}{load}.csv"
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["pod", "node", "devices", *(["arrives", "leaves"] if load else [])])
        for one in run.rows:
            times = [f"{one.arrives!r}", f"{one.leaves!r}"] if load else []
            out.writerow([one.pod, one.node, one.devices, *times])


def line(about: Row) -> str:
    """One run, for a terminal."""
    load = "" if about["load"] is None else f" load {about['load']}"
    return (
        f"{about['trace']} {about['policy']} seed {about['seed']}{load}: {about['allocated']:.2f} %"
        f" allocated, {about['decisions_per_s']} decisions/s, p99 {about['p99_ms']:.3f} ms"
    )


def table(rows: list[Row]) -> str:
    """Means over the seeds, with the standard error of what is allocated."""
    groups: defaultdict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for one in rows:
        groups[one["trace"], one["regime"], one["load"] or "", one["policy"]].append(one)
    head = ["trace", "regime", "load", "policy", *(f"{mark} %" for mark in MARKS),
            "± (100 %)", "unallocated", "fragments", "per s", "p99 ms"]  # fmt: skip
    lines = [head, *([*map(str, key), *_means(runs)] for key, runs in groups.items())]
    widths = [max(len(one[at]) for one in lines) for at in range(len(head))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(one, widths, strict=True))
        for one in lines
    )


def _means(runs: list[Row]) -> list[str]:
    def mean(name: str) -> float:
        return statistics.fmean(one[name] for one in runs)

    allocated = [one["allocated"] for one in runs]
    error = statistics.stdev(allocated) / len(runs) ** 0.5 if len(runs) > 1 else 0.0
    marks = [
        statistics.fmean(one["arrived"][str(mark)] for one in runs) if runs[0]["arrived"] else None
        for mark in MARKS
    ]
    if not runs[0]["arrived"]:
        marks[1] = mean("allocated")
    return [
        *("-" if mark is None else f"{mark:.2f}" for mark in marks),
        f"{error:.2f}", f"{mean('unallocated'):.1f}", f"{mean('fragmentation'):.2f}",
        f"{mean('decisions_per_s'):.0f}", f"{mean('p99_ms'):.3f}",
    ]  # fmt: skip
