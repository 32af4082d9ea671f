"""One `up` for each home: a lock that ends with its process, however that ends."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from catalog.errors import Conflict
from hub.up.files import read_json, unwritable, write_json
from hub.up.processes import Identity, boot_id, identify, is_alive


@dataclass(frozen=True, slots=True)
class Holder:
    """The `up` that supervises a home."""

    pid: int
    started: int
    boot: str
    url: str


def holder_of(run_dir: Path) -> Holder | None:
    """The `up` that runs now, or None. Takes no lock, so it disturbs nobody."""
    try:
        holder = Holder(**read_json(run_dir / "up.json"))
    except TypeError:
        return None
    alive = holder.boot == boot_id() and is_alive(Identity(holder.pid, holder.started))
    return holder if alive else None


@contextlib.contextmanager
def only_one(run_dir: Path, url: str) -> Iterator[None]:
    """Be the only `up` of this home meanwhile. Raises Conflict naming the one that runs."""
    path = run_dir / "up.lock"
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise _held(run_dir) from error
    try:
        me = identify(os.getpid())
        started = me.started if me else 0
        write_json(run_dir / "up.json", asdict(Holder(os.getpid(), started, boot_id(), url)))
        yield
        (run_dir / "up.json").unlink(missing_ok=True)
    finally:
        os.close(handle)


def _held(run_dir: Path) -> Conflict:
    holder = holder_of(run_dir)
    who = f" (pid {holder.pid}) at {holder.url}" if holder else ""
    return Conflict(
        f"Perijove runs already on {run_dir.parent}{who}",
        next="open that address; or stop it with Ctrl-C where it runs"
        + (f", or kill -TERM {holder.pid}" if holder else ""),
    )
