"""Cpu and memory that this machine can hand out.

What the process may use is the least of the machine, the cpu affinity and the limits of its
control groups (version 2 and version 1, each ancestor included). From that:

======== ============================================ ==========================================
quantity kept for the system and Perijove itself      handed out
======== ============================================ ==========================================
cpu      half a core, at most half of what there is   the rest × 6: a share of cpu is soft, and
                                                      notebooks are idle most of the time
memory   10 %, at least 1 GiB and at most 8 GiB,      the rest, once: memory is never promised
         never more than half of what there is        twice
======== ============================================ ==========================================
"""

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from catalog.units import GIB, WHOLE

CPU_OVERCOMMIT = 6
"""Milli-cores handed out for each that is there."""
CPU_RESERVE_MILLI = 500
MEMORY_RESERVE_LEAST = GIB
MEMORY_RESERVE_MOST = 8 * GIB
_MEMORY_RESERVE_PARTS = 10


@dataclass(frozen=True, slots=True)
class Host:
    """A name, and what may be handed out: milli-cores and bytes."""

    name: str
    cpu_milli: int
    memory_bytes: int


def read_host(root: Path = Path("/")) -> Host:
    """This machine as it is now. `root` is where ``proc`` and ``sys`` are looked for."""
    cores = len(os.sched_getaffinity(0)) * WHOLE
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    groups = ControlGroups(root)
    return Host(
        name=socket.gethostname() or "localhost",
        cpu_milli=cpu_to_hand_out(min(cores, groups.cpu_milli() or cores)),
        memory_bytes=memory_to_hand_out(min(total, groups.memory_bytes() or total)),
    )


def cpu_to_hand_out(usable_milli: int) -> int:
    """Milli-cores to hand out of `usable_milli`: less the reserve, times the overcommit."""
    return (usable_milli - min(CPU_RESERVE_MILLI, usable_milli // 2)) * CPU_OVERCOMMIT


def memory_to_hand_out(usable_bytes: int) -> int:
    """Bytes to hand out of `usable_bytes`: less the reserve."""
    tenth = usable_bytes // _MEMORY_RESERVE_PARTS
    reserve = min(max(MEMORY_RESERVE_LEAST, tenth), MEMORY_RESERVE_MOST, usable_bytes // 2)
    return usable_bytes - reserve


class ControlGroups:
    """The limits of the control groups that this process is in; None where there is no limit."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._mount = root / "sys/fs/cgroup"
        self._paths = _memberships(root / "proc/self/cgroup")

    def cpu_milli(self) -> int | None:
        """The lowest cpu quota of the group and its ancestors, in milli-cores."""
        quotas = [
            *(_quota(_text(folder / "cpu.max")) for folder in self._folders("")),
            *(
                _quota(
                    f"{_text(folder / 'cpu.cfs_quota_us')} {_text(folder / 'cpu.cfs_period_us')}"
                )
                for folder in self._folders("cpu")
            ),
        ]
        return min((quota for quota in quotas if quota), default=None)

    def memory_bytes(self) -> int | None:
        """The lowest memory limit of the group and its ancestors, in bytes."""
        limits = [
            *(_positive(_text(folder / "memory.max")) for folder in self._folders("")),
            *(
                _positive(_text(folder / "memory.limit_in_bytes"))
                for folder in self._folders("memory")
            ),
        ]
        return min((limit for limit in limits if limit), default=None)

    def _folders(self, controller: str) -> Iterator[Path]:
        """The group's folder and its ancestors. In a container some may not be mounted: the
        limits are then those of the root that is."""
        path = self._paths.get(controller)
        if path is None:
            return
        mount = self._mount / controller if controller else self._unified()
        for part in (path, *path.parents):
            yield mount / part.relative_to("/")

    def _unified(self) -> Path:
        """Where version 2 is mounted: below the version 1 controllers on a hybrid machine."""
        hybrid = self._mount / "unified"
        return hybrid if hybrid.is_dir() else self._mount


def _memberships(file: Path) -> dict[str, PurePosixPath]:
    """Controller → path in its tree; the controller of version 2 is the empty string."""
    found: dict[str, PurePosixPath] = {}
    for line in _text(file).splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if path.startswith("/"):
            found.update(dict.fromkeys(controllers.split(","), PurePosixPath(path)))
    return found


def _quota(text: str) -> int | None:
    """``"150000 100000"`` (microseconds of a period) → 1500; ``max`` or ``-1`` is no limit."""
    quota, period = (_positive(part) for part in (*text.split(), "", "")[:2])
    return max(1, quota * WHOLE // period) if quota and period else None


def _positive(text: str) -> int | None:
    """A whole number above zero, else None: ``max``, ``-1`` and an empty file are no limit."""
    return int(text) or None if text.isascii() and text.isdigit() else None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
