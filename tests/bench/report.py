"""What came out: rows for `bench-results/start.json`, versions beside it, a table for people."""

import json
import os
import platform
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from deploy.test_peers import chromium
from hub.settings import Settings
from hub.up.programs import node_binary
from tests.live import ROOT

RESULTS = ROOT / "bench-results"
_COLUMNS = (
    "server", "case", "cache", "n", "failures", "median_s", "worst_s", "last_s",
    "pss_mib_per_server",
)  # fmt: skip


@dataclass
class Series:
    """All runs of one case against one server. `cache` is that of the browser; `last_s` is of cases
    with many at once: when the last of them was ready."""

    server: str
    case: str
    cache: str
    seconds: list[float] = field(default_factory=list[float])
    pss_mib: list[float] = field(default_factory=list[float])
    failures: int = 0
    last_s: float | None = None

    def row(self) -> dict[str, Any]:
        """Figures are None when no run came through; a failure is in none of them."""
        row = {
            "server": self.server,
            "case": self.case,
            "n": len(self.seconds) + self.failures,
            "failures": self.failures,
            "median_s": _rounded(self.seconds, statistics.median, 3),
            "worst_s": _rounded(self.seconds, max, 3),
            "pss_mib_per_server": _rounded(self.pss_mib, statistics.median, 1),
            "cache": self.cache,
        }
        return row if self.last_s is None else {**row, "last_s": round(self.last_s, 3)}


def _rounded(values: list[float], of: Any, digits: int) -> float | None:
    return round(of(values), digits) if values else None


def write(series: list[Series], about: dict[str, Any], folder: Path = RESULTS) -> None:
    """``start.json`` and ``start-versions.json``; earlier ones are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [one.row() for one in series]
    (folder / "start.json").write_text(json.dumps(rows, indent=1) + "\n")
    (folder / "start-versions.json").write_text(json.dumps(about, indent=1) + "\n")


def table(series: list[Series]) -> str:
    """The rows for a terminal."""
    lines = [_COLUMNS, *(tuple(_shown(one.row().get(c)) for c in _COLUMNS) for one in series)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(_COLUMNS))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )


def versions() -> dict[str, str]:
    """Of everything that takes part in a start."""
    notebook = ROOT / ".envs" / "notebook"
    proxy = Settings().proxy_dir / "node_modules" / "configurable-http-proxy" / "package.json"
    return {
        "perijove": version("perijove"),
        "jupyterhub": version("jupyterhub"),
        "python": platform.python_version(),
        **_notebook_versions(notebook / "bin" / "python"),
        "configurable-http-proxy": json.loads(proxy.read_text())["version"],
        "node": _said([str(node_binary()), "--version"]),
        "chromium": _said([str(chromium()), "--version"]) if chromium() else "",
        "playwright": version("playwright"),
        "kernel": platform.release(),
    }


def machine() -> dict[str, Any]:
    """What it ran on, and how busy that was: others may use the same processors."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processors": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30, 1),
        "root": os.geteuid() == 0,
        "loadavg": Path("/proc/loadavg").read_text().split()[:3],
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _notebook_versions(python: Path) -> dict[str, str]:
    ask = (
        "import json, platform; from importlib.metadata import version as v; print(json.dumps("
        "{'notebook-python': platform.python_version(), **{f'notebook-{n}': v(n) for n in "
        "('jupyterlab', 'jupyter_server', 'jupyterhub', 'ipykernel')}}))"
    )
    return json.loads(_said([str(python), "-c", ask]))


def _said(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        sys.stderr.write(f"{command[0]}: {done.stderr.strip()}\n")
        return "{}" if "-c" in command else ""
    return done.stdout.strip()


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
