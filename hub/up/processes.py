"""Processes, own and adopted: known by pid and start time, watched and signalled by pidfd.

A pid alone may be somebody else's by the time it is used. Nothing here signals a process whose
start time is not the remembered one.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from hub.up.files import read_json, write_json
from hub.up.logs import open_log
from hub.up.programs import Program

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_START_TIME = 19
"""Position of `starttime` in /proc/PID/stat, counted after the command's closing bracket."""


@dataclass(frozen=True, slots=True)
class Identity:
    """One process of this boot. `started` is in clock ticks since the boot."""

    pid: int
    started: int


def identify(pid: int) -> Identity | None:
    """Who `pid` is now; None when nobody, or only a corpse that nobody has collected."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else Identity(pid, int(fields[_START_TIME]))


def is_alive(who: Identity) -> bool:
    """Whether exactly this process still runs."""
    return identify(who.pid) == who


@dataclass(frozen=True, slots=True)
class Record:
    """What `up` remembers of a process, so that the next `up` can take it over.

    `state` is running or failing; a `pid` of 0 is that of a process that is down now.
    """

    name: str
    pid: int
    started: int
    digest: str
    version: str
    state: str = "running"

    @property
    def identity(self) -> Identity:
        return Identity(self.pid, self.started)


class Book:
    """``run/processes.json``: the processes that `up` has started. Each write is whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, Record]:
        """Every record of this boot, by name; what cannot be read counts as nothing."""
        content = read_json(self._path)
        if content.get("boot") != boot_id():
            return {}
        try:
            records = [Record(**entry) for entry in content.get("processes", [])]
        except TypeError:
            return {}
        return {record.name: record for record in records}

    def write(self, records: list[Record]) -> None:
        write_json(
            self._path, {"boot": boot_id(), "processes": [asdict(record) for record in records]}
        )


def boot_id() -> str:
    """Changes with every boot; start times of different boots cannot be compared."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


class Process:
    """A process that runs or ran. Own ones leave an exit status, adopted ones None."""

    def __init__(self, who: Identity, pidfd: int, child: subprocess.Popen[bytes] | None) -> None:
        self.identity = who
        self.log_from = 0
        self.begun_at = time.monotonic()
        self._pidfd = pidfd
        self._child = child
        self._ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(pidfd, self._seen_ending)

    @classmethod
    def start(cls, program: Program, log_path: Path) -> "Process":
        """Start it in a session of its own: Ctrl-C in the terminal must reach `up` alone.

        Raises OSError when it cannot be run at all.
        """
        with open_log(log_path) as log:
            begins = log.tell()
            child = subprocess.Popen(
                program.argv,
                cwd=program.cwd,
                env=dict(program.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=0o022,
            )
        pidfd = os.pidfd_open(child.pid)
        # A child that has ended already is a corpse, and still ours to collect.
        who = identify(child.pid) or Identity(child.pid, 0)
        process = cls(who, pidfd, child)
        process.log_from = begins
        return process

    @classmethod
    def adopt(cls, who: Identity) -> "Process | None":
        """Take over a process that somebody else started; None when it is no longer there."""
        try:
            pidfd = os.pidfd_open(who.pid)
        except OSError:
            return None
        # Checked after the pidfd was opened: from here on it cannot mean another process.
        if not is_alive(who):
            os.close(pidfd)
            return None
        return cls(who, pidfd, None)

    @property
    def adopted(self) -> bool:
        return self._child is None

    @property
    def has_ended(self) -> bool:
        return self._ended.is_set()

    async def wait(self) -> int | None:
        """Wait for its end. Own: exit status, or minus the signal; collected, so no zombie stays."""
        await self._ended.wait()
        return self._child.wait() if self._child is not None else None

    async def stop(self, grace_s: float) -> None:
        """TERM, and KILL after `grace_s` seconds. Returns when it has ended. Repeatable."""
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.wait(), grace_s)
        except TimeoutError:
            self.kill()
            await self.wait()

    def kill(self) -> None:
        """KILL, and do not wait. Repeatable."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self.has_ended:
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)

    def _seen_ending(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._ended.set()
