"""What a site under test left running, found in the system's list of processes, and its end."""

import contextlib
import hashlib
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.live import LiveSite, wait_for

GONE_WITHIN_S = 20.0


def with_environment(fits: Callable[[str], bool]) -> set[int]:
    """Every process that has a line like this, ``NAME=value``, in its environment."""
    found: set[int] = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                lines = (entry / "environ").read_bytes().decode(errors="replace").split("\0")
                if any(fits(line) for line in lines):
                    found.add(int(entry.name))
    return found


def attempts_left(site: LiveSite) -> set[int]:
    """Processes of any attempt of this site, shims included."""
    homes = str(site.spaces)
    runs = str(site.home / "run")
    found = with_environment(lambda line: line.startswith(f"HOME={homes}/"))
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(part.startswith(runs) for part in process.cmdline()):
                found.add(process.pid)
    return found


def groups_of(runs: Path) -> list[Path]:
    """Control groups of the attempts whose folders are in `runs`, on every hierarchy; those of other
    sites come and go meanwhile."""
    instance = hashlib.sha256(f"perijove:{runs.resolve()}".encode()).hexdigest()[:12]
    tree = Path("/sys/fs/cgroup")
    found: list[Path] = []
    for top in (tree, *tree.glob("*")):
        with contextlib.suppress(OSError):
            found += [path for path in (top / "perijove" / instance).iterdir() if path.is_dir()]
    return found


def end(site: LiveSite) -> None:
    """Ctrl-C; then whatever is left is killed: of an `up` that was killed or did not end in time,
    and servers that were still being launched, which keep running without it."""
    site.stop()
    home = f"PERIJOVE_HOME={site.home}"

    def nothing_left() -> bool:
        left = with_environment(lambda line: line == home) | attempts_left(site)
        for pid in left - {os.getpid()}:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        return not left

    wait_for("all of the site has ended", nothing_left, GONE_WITHIN_S)
    shutil.rmtree(site.spaces, ignore_errors=True)
