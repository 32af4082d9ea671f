"""How much memory single-user servers take, shared pages counted once."""

import contextlib
import os
from collections.abc import Set as AbstractSet
from pathlib import Path

import psutil

KIB_A_MIB = 1024
_VARIABLE = "JUPYTERHUB_SERVICE_PREFIX"


def pss_mib(path: str) -> float:
    """Proportional set size, in MiB, of all processes of the server at `path`
    (``/user/NAME/…/``), and of the process that keeps it where there is one."""
    return crowd_pss_mib({path}, set())


def crowd_pss_mib(paths: AbstractSet[str], shared: AbstractSet[int]) -> float:
    """The same for all of these servers together, and for what they `shared` beside them."""
    found = server_processes(paths)
    return mib_of(found | _keepers(found) | shared)


def mib_of(pids: AbstractSet[int]) -> float:
    """Proportional set size, in MiB, of these processes together; who is gone takes nothing."""
    return sum(map(_pss_kib, pids)) / KIB_A_MIB


def server_processes(paths: AbstractSet[str]) -> set[int]:
    """Processes that carry one of these addresses in their environment: servers and their
    children."""
    wanted = {f"{_VARIABLE}={path}".encode() for path in paths}
    found: set[int] = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if wanted & set((entry / "environ").read_bytes().split(b"\0")):
                    found.add(int(entry.name))
    return found


def fork_servers(of: int) -> set[int]:
    """Processes below the process `of` from which servers are forked."""
    found: set[int] = set()
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(of).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if "".join(process.cmdline()[:1]).startswith("perijove-template"):
                    found.add(process.pid)
    return found


def _keepers(servers: set[int]) -> set[int]:
    """Parents that run the product's shim; the parent of a plain server is the Hub itself."""
    found: set[int] = set()
    for pid in servers:
        with contextlib.suppress(OSError, ValueError, IndexError):
            parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
            command = Path(f"/proc/{parent}/cmdline").read_bytes()
            if b"shim.py" in command or command.startswith(b"perijove-shim"):
                found.add(parent)
    return found - servers - {os.getpid()}


def _pss_kib(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0
