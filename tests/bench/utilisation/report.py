"""What came out: `bench-results/utilisation.json`, and a table for people."""

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.bench.utilisation.metrics import spread
from tests.bench.utilisation.simulation import Event

_COLUMNS = (
    "load", "policy", "used %", "±", "useful %", "late", "of", "notebook", "job", "resumable",
    "best-effort", "Jain", "lost GPU-h", "preempted",
)  # fmt: skip
_KINDS = ("notebook", "job", "resumable-job", "best-effort")


def write(rows: list[dict[str, Any]], about: dict[str, Any], folder: Path) -> None:
    """``utilisation.json``, a row a run, and ``utilisation-about.json``; earlier ones are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "utilisation.json").write_text(json.dumps(rows, indent=1) + "\n")
    (folder / "utilisation-about.json").write_text(json.dumps(about, indent=1) + "\n")


def write_log(log: Iterable[Event], path: Path) -> None:
    """``minute,event,id,devices``, devices as ``id:milli;id:milli``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("minute", "event", "id", "devices"))
        for event in log:
            devices = ";".join(f"{device}:{milli}" for device, milli in event.shares)
            rows.writerow((event.at, event.what, event.id, devices))


def table(rows: list[dict[str, Any]]) -> str:
    """Means over the seeds, for a terminal and for Markdown alike; waits are median / p95 in
    hours."""
    keys = list(dict.fromkeys((row["load"], row["policy"]) for row in rows))
    lines: list[tuple[str, ...]] = [_COLUMNS]
    for load, policy in sorted(keys, key=lambda key: key[0]):
        mean = spread([r["figures"] for r in rows if (r["load"], r["policy"]) == (load, policy)])
        lines.append((f"{load:g}", policy, *_cells(mean)))
    widths = [max(len(line[i]) for line in lines) for i in range(len(_COLUMNS))]
    shown = [
        "| " + " | ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)) + " |"
        for line in lines
    ]
    rule = "|" + "|".join("-" * (w + 1) + ":" for w in widths) + "|"
    return "\n".join([shown[0], rule, *shown[1:]])


def _cells(mean: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"{mean['utilisation']:.1%}"[:-1],
        f"{mean['utilisation_half_range']:.1%}"[:-1],
        f"{mean['useful']:.1%}"[:-1],
        f"{mean['late']:.0f}",
        f"{mean['students']:.0f}",
        *(_wait(mean["waits"].get(kind)) for kind in _KINDS),
        f"{mean['jain']:.2f}",
        f"{mean['lost_gpu_hours']:.0f}",
        f"{mean['preemptions']:.0f}",
    )


def _wait(wait: dict[str, float] | None) -> str:
    return f"{wait['median'] / 60:.1f} / {wait['p95'] / 60:.1f}" if wait else "-"
