"""What ``/proc`` tells about an attempt: its processes, and who listens on a port."""

import contextlib
import os
import signal
import socket
from collections.abc import Iterable
from pathlib import Path

from spawners.local.shim import start_time

MARKER = "PERIJOVE_ATTEMPT"
"""In the environment of every process of an attempt, its shim included: how a sweep finds them."""
_LISTEN = "0A"
_LOOPBACK_OR_ANY = {
    "0100007F", "00000000",
    "00000000000000000000000000000000", "0000000000000000FFFF00000100007F",
}  # fmt: skip
"""As ``/proc/net/tcp`` and ``tcp6`` write what can be reached at 127.0.0.1."""


def is_process(pid: int, start: int) -> bool:
    """Whether `pid` is still the process that began at `start`, and not another with its number."""
    return pid > 1 and start > 0 and start_time(pid) == start


def signal_process(pid: int, start: int, number: signal.Signals) -> bool:
    """Signal exactly that process; False when it is gone."""
    if not is_process(pid, start):
        return False
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
        return True
    return False


def marked(marker: str) -> set[int]:
    """Processes that began with `marker` in their environment; this one never."""
    wanted = f"{MARKER}={marker}".encode()
    found: set[int] = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.add(int(entry.name))
    return found


def kill(pids: Iterable[int]) -> None:
    """KILL each; who is gone already does not matter."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def answers(port: int) -> bool:
    """Whether somebody accepts connections at 127.0.0.1:`port`; takes well under 1 ms."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def listens(port: int, pids: Iterable[int]) -> bool:
    """Whether one of `pids` holds the listening socket of 127.0.0.1:`port`."""
    wanted = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    return bool(wanted) and any(wanted & _open_files(pid) for pid in pids)


def _listening_inodes(port: int) -> set[str]:
    found: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                address, _, local = fields[1].partition(":")
                if fields[3] == _LISTEN and int(local, 16) == port and address in _LOOPBACK_OR_ANY:
                    found.add(fields[9])
    return found


def _open_files(pid: int) -> set[str]:
    found: set[str] = set()
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(str(entry.readlink()))
    return found
