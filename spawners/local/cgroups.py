"""Control groups: cpu, memory and process limits of an attempt, on v2, v1, or not at all.

Groups are named ``perijove/<instance>/<attempt>``, so that two instances on one machine do not
meet. Every function takes the root of the tree; production has it at ``/sys/fs/cgroup``.
"""

import contextlib
import errno
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from spawners.engine import Enforcement, PermanentError
from spawners.local.shim import remove_groups

TOP = "perijove"
PERIOD_US = 100_000
MAX_PROCESSES = 4096
"""Processes and threads an attempt may have at once: far above a notebook, far below a fork bomb."""
_TRIES = 10
"""Of making a group whose parents others remove meanwhile, as they were empty."""


@dataclass(frozen=True, slots=True)
class Group:
    """The directories of one attempt's group and the files that tell about it.

    `paths` are joined through their ``cgroup.procs``. A file is None where this version has none.
    """

    paths: tuple[Path, ...] = ()
    kill_file: Path | None = None
    peak_file: Path | None = None
    usage_file: Path | None = None
    oom_file: Path | None = None

    def memory_bytes(self) -> int:
        """In use now; 0 when it is not measured or the group is gone."""
        return _read_count(self.usage_file)

    def peak_bytes(self) -> int:
        """The most that was ever in use; 0 when it is not measured or the group is gone."""
        return _read_count(self.peak_file)

    def oom_kills(self) -> int:
        """Processes that the kernel killed for lack of memory."""
        return _read_keyed(self.oom_file, "oom_kill")

    def pids(self) -> set[int]:
        """Every process in the group."""
        found: set[int] = set()
        for path in self.paths:
            with contextlib.suppress(OSError):
                found |= {int(word) for word in (path / "cgroup.procs").read_text().split()}
        return found

    def remove(self) -> None:
        """Remove the empty group and the parents that it leaves empty. Repeatable.

        What still holds a process after a second stays.
        """
        remove_groups([str(path) for path in self.paths])
        for path in self.paths:
            for parent in (path.parent, path.parent.parent):
                with contextlib.suppress(OSError):
                    parent.rmdir()


class Cgroups(Protocol):
    """Makes the group of an attempt. `reasons` says in plain words what is not enforced."""

    cpu: Enforcement
    memory: Enforcement
    reasons: tuple[str, ...]

    def group(self, instance: str, attempt_id: str) -> Group:
        """Where the group is, made or not. Touches nothing."""
        ...

    def create(self, instance: str, attempt_id: str, cpu_milli: int, memory_bytes: int) -> Group:
        """Make the group with its limits; 0 is no limit. Repeatable. Raises PermanentError."""
        ...


class V2:
    """The unified hierarchy."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._controllers = _words(root / "cgroup.controllers")
        self.cpu = _hard("cpu" in self._controllers)
        self.memory = _hard("memory" in self._controllers)
        self.reasons = _missing(self._controllers, "v2")

    def group(self, instance: str, attempt_id: str) -> Group:
        path = self._root / TOP / instance / attempt_id
        if self.memory is Enforcement.NONE:
            return Group((path,), path / "cgroup.kill")
        return Group(
            paths=(path,),
            kill_file=path / "cgroup.kill",
            peak_file=path / "memory.peak",
            usage_file=path / "memory.current",
            oom_file=path / "memory.events",
        )

    def create(self, instance: str, attempt_id: str, cpu_milli: int, memory_bytes: int) -> Group:
        group = self.group(instance, attempt_id)
        path = group.paths[0]
        with _explained(path):
            _while_others_remove(lambda: self._make(path, cpu_milli, memory_bytes))
        return group

    def _make(self, path: Path, cpu_milli: int, memory_bytes: int) -> None:
        # A controller is there in a group once every group above it hands it down.
        for above in (self._root, path.parent.parent, path.parent):
            above.mkdir(exist_ok=True)
            self.hand_down(above)
        path.mkdir(exist_ok=True)
        if memory_bytes and self.memory is Enforcement.HARD:
            _write(path / "memory.max", memory_bytes)
            _write_if_there(path / "memory.swap.max", 0)
            _write_if_there(path / "memory.oom.group", 1)
        if cpu_milli and self.cpu is Enforcement.HARD:
            _write(path / "cpu.max", f"{_quota(cpu_milli)} {PERIOD_US}")
        if "pids" in self._controllers:
            _write(path / "pids.max", MAX_PROCESSES)

    def hand_down(self, path: Path) -> None:
        """Let the groups below `path` limit what this tree can limit. Raises OSError."""
        wanted = [name for name in ("cpu", "memory", "pids") if name in self._controllers]
        there = _words(path / "cgroup.subtree_control")
        if new := [f"+{name}" for name in wanted if name not in there]:
            _write(path / "cgroup.subtree_control", " ".join(new))


class V1:
    """One hierarchy a controller: memory, cpu, pids; those that are mounted."""

    def __init__(self, root: Path) -> None:
        self._mounts = {name: path for name in _V1_NAMES if (path := _v1_mount(root, name))}
        self.cpu = _hard("cpu" in self._mounts)
        self.memory = _hard("memory" in self._mounts)
        self.reasons = _missing(set(self._mounts), "v1")

    def group(self, instance: str, attempt_id: str) -> Group:
        paths = {name: top / TOP / instance / attempt_id for name, top in self._mounts.items()}
        memory = paths.get("memory")
        return Group(
            paths=tuple(dict.fromkeys(paths.values())),
            peak_file=memory and memory / "memory.max_usage_in_bytes",
            usage_file=memory and memory / "memory.usage_in_bytes",
            oom_file=memory and memory / "memory.oom_control",
        )

    def create(self, instance: str, attempt_id: str, cpu_milli: int, memory_bytes: int) -> Group:
        group = self.group(instance, attempt_id)
        for path in group.paths:
            with _explained(path):
                _while_others_remove(lambda path=path: path.mkdir(parents=True, exist_ok=True))
        for name, top in self._mounts.items():
            path = top / TOP / instance / attempt_id
            with _explained(path):
                self._limit(name, path, cpu_milli, memory_bytes)
        return group

    def _limit(self, name: str, path: Path, cpu_milli: int, memory_bytes: int) -> None:
        if name == "memory" and memory_bytes:
            _write(path / "memory.limit_in_bytes", memory_bytes)
            # Memory and swap together, where the kernel counts swap: no way around the limit.
            _write_if_there(path / "memory.memsw.limit_in_bytes", memory_bytes)
        elif name == "cpu" and cpu_milli:
            _write(path / "cpu.cfs_period_us", PERIOD_US)
            _write(path / "cpu.cfs_quota_us", _quota(cpu_milli))
        elif name == "pids":
            _write(path / "pids.max", MAX_PROCESSES)


class Unlimited:
    """No usable control groups: attempts run without limits, and everybody is told why."""

    cpu = Enforcement.NONE
    memory = Enforcement.NONE

    def __init__(self, reason: str) -> None:
        self.reasons: tuple[str, ...] = (reason,)

    def group(self, instance: str, attempt_id: str) -> Group:
        del instance, attempt_id
        return Group()

    def create(self, instance: str, attempt_id: str, cpu_milli: int, memory_bytes: int) -> Group:
        del instance, attempt_id, cpu_milli, memory_bytes
        return Group()


def detect(root: Path) -> Cgroups:
    """What this machine has under `root`: v2 if it holds memory, else v1, else nothing.

    On a machine with both, v2 may be mounted with no controller that matters: then v1 is the
    one that can limit memory.
    """
    if not root.is_dir():
        return Unlimited(f"cpu and memory are not limited: {root} does not exist")
    for candidate in (root, root / "unified"):
        if "memory" in _words(candidate / "cgroup.controllers"):
            return V2(candidate) if _usable(candidate, unified=True) else _refused(candidate)
    mounts = [path for name in ("memory", "cpu") if (path := _v1_mount(root, name))]
    if not mounts:
        return Unlimited(f"cpu and memory are not limited: {root} has no memory or cpu controller")
    unusable = next((path for path in mounts if not _usable(path)), None)
    return _refused(unusable) if unusable else V1(root)


_V1_NAMES = ("memory", "cpu", "pids")
_V1_FOLDERS = {
    "memory": ("memory",),
    "cpu": ("cpu", "cpu,cpuacct", "cpuacct,cpu"),
    "pids": ("pids",),
}
_V1_FILES = {
    "memory": "memory.limit_in_bytes",
    "cpu": "cpu.shares",
    "pids": "cgroup.procs",
}


def _v1_mount(root: Path, name: str) -> Path | None:
    folders = (root / folder for folder in _V1_FOLDERS[name])
    return next((path for path in folders if (path / _V1_FILES[name]).exists()), None)


def _usable(path: Path, *, unified: bool = False) -> bool:
    """Whether a group can be made here: tried, since containers often mount the tree read-only.

    On v2 a container's root group may refuse to hand controllers down: it holds processes itself.
    """
    top = path / TOP
    try:
        if unified:
            V2(path).hand_down(path)
        if top.is_dir():
            return os.access(top, os.W_OK)
        if top.is_file():
            return False
        # Another engine may try the same now: it makes the folder, or removes it, before this one.
        with contextlib.suppress(FileExistsError):
            top.mkdir()
        with contextlib.suppress(OSError):
            top.rmdir()
    except OSError:
        return False
    return True


def _refused(path: Path) -> Unlimited:
    who = "this process is not root" if os.geteuid() else "the system does not allow it"
    return Unlimited(f"cpu and memory are not limited: no group can be made under {path}, as {who}")


def _missing(there: Sequence[str] | set[str], version: str) -> tuple[str, ...]:
    return tuple(
        f"{name} is not limited: cgroup {version} has no {name} controller here"
        for name in ("cpu", "memory")
        if name not in there
    )


def _hard(enforced: bool) -> Enforcement:  # noqa: FBT001 (the answer is made of it)
    return Enforcement.HARD if enforced else Enforcement.NONE


def _quota(cpu_milli: int) -> int:
    """Microseconds a period; the kernel takes no less than a thousand."""
    return max(1000, PERIOD_US * cpu_milli // 1000)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        text = f"could not limit cpu and memory in {error.filename or path}: {error.strerror}"
        raise PermanentError(text) from error


def _while_others_remove(make: Callable[[], None]) -> None:
    """Again while another attempt's end removes the empty parents. Raises OSError."""
    for left in reversed(range(_TRIES)):
        try:
            make()
        except OSError as error:
            # A file of a group that was removed after it was opened answers ENODEV; a folder that
            # was there and is gone a moment later, EEXIST.
            if not left or error.errno not in {errno.ENOENT, errno.ENODEV, errno.EEXIST}:
                raise
        else:
            return


def _write(path: Path, value: int | str) -> None:
    path.write_text(str(value))


def _write_if_there(path: Path, value: int | str) -> None:
    with contextlib.suppress(OSError):
        _write(path, value)


def _words(path: Path) -> set[str]:
    try:
        return set(path.read_text().split())
    except OSError:
        return set()


def _read_count(path: Path | None) -> int:
    try:
        return int(path.read_text()) if path else 0
    except (OSError, ValueError):
        return 0


def _read_keyed(path: Path | None, key: str) -> int:
    try:
        lines = path.read_text().splitlines() if path else []
        return next((int(line.split()[1]) for line in lines if line.startswith(f"{key} ")), 0)
    except (OSError, ValueError, IndexError):
        return 0
