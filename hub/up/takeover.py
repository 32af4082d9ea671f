"""What an earlier `up` left behind: processes to adopt, and processes to end."""

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hub.up.processes import Identity, Process, Record, identify, is_alive
from hub.up.programs import Program


@dataclass(frozen=True, slots=True)
class Leftovers:
    """`adoptable` by name; `outdated` run other code or settings, or nobody remembers them."""

    adoptable: Mapping[str, Record]
    outdated: tuple[Identity, ...]


def find_leftovers(
    records: Mapping[str, Record], programs: Sequence[Program], version: str, home: Path
) -> Leftovers:
    """Sort the live processes of this home. Signals nothing."""
    digests = {program.name: program.digest for program in programs}
    alive = [record for record in records.values() if is_alive(record.identity)]
    adoptable = {
        record.name: record
        for record in alive
        if record.version == version and record.digest == digests.get(record.name)
    }
    outdated = [record.identity for record in alive if record.name not in adoptable]
    known = {record.pid for record in alive}
    return Leftovers(adoptable, (*outdated, *_strays(programs, home, known)))


async def end_all(leftovers: Iterable[Identity], grace_s: float) -> None:
    """TERM each and KILL it after `grace_s`; returns when all are gone. Strangers are spared."""
    processes = [process for who in leftovers if (process := Process.adopt(who)) is not None]
    await asyncio.gather(*(process.stop(grace_s) for process in processes))


def _strays(programs: Sequence[Program], home: Path, known: set[int]) -> list[Identity]:
    """Processes of ours that no record names: `up` was killed between their start and its note.

    A process whose parent is one of ours was forked by it, and is that one's to end.
    """
    commands = {program.argv for program in programs}
    mark = f"PERIJOVE_HOME={home}".encode()
    ours = {
        pid
        for pid in _pids()
        if _words(pid, "cmdline") in commands and mark in _content(pid, "environ").split(b"\0")
    }
    found = ((pid, identify(pid)) for pid in ours - known)
    return [who for pid, who in found if who and _parent(pid) not in ours | known]


def _pids() -> list[int]:
    own = os.getpid()
    pids = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
    return [pid for pid in pids if pid != own]


def _words(pid: int, name: str) -> tuple[str, ...]:
    return tuple(_content(pid, name).decode(errors="replace").removesuffix("\0").split("\0"))


def _content(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _parent(pid: int) -> int:
    fields = _content(pid, "stat").rpartition(b")")[2].split()
    return int(fields[1]) if len(fields) > 1 else 0
