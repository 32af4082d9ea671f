"""How much memory a single-user server takes, shared pages counted once."""

import contextlib
import os
from pathlib import Path

KIB_A_MIB = 1024


def pss_mib(path: str) -> float:
    """Proportional set size, in MiB, of all processes of the server at `path`
    (``/user/NAME/…/``), and of the process that keeps it where there is one."""
    found = server_processes(path)
    return sum(map(_pss_kib, found | _keepers(found))) / KIB_A_MIB


def server_processes(path: str) -> set[int]:
    """Processes that carry this address in their environment: the server and its children."""
    wanted = f"JUPYTERHUB_SERVICE_PREFIX={path}".encode()
    found: set[int] = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.add(int(entry.name))
    return found


def _keepers(servers: set[int]) -> set[int]:
    """Parents that run the product's shim; the parent of a plain server is the Hub itself."""
    found: set[int] = set()
    for pid in servers:
        with contextlib.suppress(OSError, ValueError, IndexError):
            parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
            if b"shim.py" in Path(f"/proc/{parent}/cmdline").read_bytes():
                found.add(parent)
    return found - servers - {os.getpid()}


def _pss_kib(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0
