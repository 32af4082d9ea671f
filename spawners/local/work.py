"""Processor time that attempts have used: read from their control groups, else from their processes."""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from spawners.local.cgroups import Group
from spawners.local.shim import stat_fields

_PARENT, _TIMES = 1, slice(11, 15)
"""In ``/proc/PID/stat`` from field 3 on: the parent, and the time in user and system mode, its own and
that of its children who have ended."""
_TICKS = os.sysconf("SC_CLK_TCK")


def of_group(group: Group) -> float | None:
    """Seconds since the group was made; None where it does not count them."""
    for path in group.paths:
        with contextlib.suppress(OSError, ValueError, IndexError):
            for line in (path / "cpu.stat").read_text().splitlines():
                name, value = line.split()
                if name == "usage_usec":
                    return int(value) / 1e6
        with contextlib.suppress(OSError, ValueError):
            return int((path / "cpuacct.usage").read_text()) / 1e9
    return None


def of_families(roots: Mapping[str, int]) -> dict[str, float]:
    """Seconds by name of each family of processes, its first process given: those who live, and those
    of their children who have ended. One look at the whole table of processes, a few ms."""
    owner = {pid: name for name, pid in roots.items()}
    stats = _all_stats()
    found: dict[str, float] = {}
    for pid, fields in stats.items():
        line, above = [pid], pid
        # Read one after another, a process id that was used again could lead round in a circle.
        while above not in owner and above in stats and above > 1 and len(line) <= len(stats):
            above = int(stats[above][_PARENT])
            line.append(above)
        name = owner.get(above)
        if name is not None:
            owner |= dict.fromkeys(line, name)
            found[name] = found.get(name, 0.0) + sum(map(int, fields[_TIMES])) / _TICKS
    return found


def _all_stats() -> dict[int, list[str]]:
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return {pid: fields for pid in pids if (fields := stat_fields(pid))}
