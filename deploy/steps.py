"""The steps of a set-up: each shows one line with its seconds, and runs once at a time."""

import fcntl
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

_TAIL_LINES = 25


class SetupError(Exception):
    """A step failed. `next` is what the person at the keyboard can do about it."""

    def __init__(self, message: str, *, next: str = "") -> None:
        super().__init__(message)
        self.next = next


@contextmanager
def shown(title: str) -> Iterator[None]:
    """One line for a long step: ``title … 12 s``; on failure the line says so."""
    started = time.monotonic()
    _write(f"  {title} … ")
    try:
        yield
    except BaseException:
        _write("failed\n")
        raise
    _write(f"{time.monotonic() - started:.0f} s\n")


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    next: str = "",
) -> None:
    """Run a command to its end in silence. Raises `SetupError` with the end of what it said.

    `env` is added to this process's environment.
    """
    command = [str(part) for part in argv]
    # subprocess.DEVNULL opens for writing too, which some containers allow to root alone.
    with tempfile.TemporaryFile("w+", errors="replace") as said, Path(os.devnull).open() as nothing:
        try:
            status = subprocess.run(
                command,
                cwd=cwd,
                env={**os.environ, **(env or {})},
                stdin=nothing,
                stdout=said,
                stderr=subprocess.STDOUT,
                check=False,
            ).returncode
        except OSError as error:
            raise SetupError(f"{command[0]} does not run: {error.strerror}", next=next) from error
        if status:
            said.seek(0)
            tail = "".join(said.readlines()[-_TAIL_LINES:])
            raise SetupError(f"{tail}{' '.join(command)}\nended with status {status}", next=next)


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Wait until no other set-up holds `lock`; hold it meanwhile. A crash lets it go."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
