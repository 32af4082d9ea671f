"""The folder of one attempt: its files, read without trust, and the lock that tells who lives.

The table in `spawners.local.shim` says what each file means. ``attempt.json`` is the engine's:
what it must know later, with no secret in it. ``lock`` is held by whoever starts the attempt and
then, through the inherited descriptor, by its shim.
"""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spawners.engine import PermanentError, TemporaryError
from spawners.local.shim import write_once

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG}


class DamagedError(Exception):
    """A file is there but says nothing; the text names it."""


class RunFolder:
    """Paths and atomic reads and writes. Nothing is kept in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, name: str) -> dict[str, Any] | None:
        """A JSON object, or None when there is no such file. Raises DamagedError for what it says,
        PermanentError or TemporaryError when it cannot be read now."""
        path = self.path / name
        try:
            record = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            # Too many open files, say: that tells nothing about the attempt.
            raise cannot("read", path, error) from error
        except ValueError as error:
            raise DamagedError(f"{path} is damaged") from error
        if not isinstance(record, dict):
            raise DamagedError(f"{path} is damaged")
        return record

    def has(self, name: str) -> bool:
        return (self.path / name).exists()

    def write_record(self, name: str, record: Mapping[str, Any]) -> None:
        """Whole or not at all, 0600. Raises PermanentError, or TemporaryError, naming the path."""
        self.write(name, json.dumps(record))

    def write(self, name: str, text: str) -> None:
        """As `write_record`."""
        path = self.path / name
        # A deadline may be moved by one thread while another begins the attempt.
        temporary = path.with_name(f"{name}.{os.getpid()}.{threading.get_native_id()}.new")
        try:
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise cannot("write", path, error) from error

    def write_exit(self, record: dict[str, Any]) -> None:
        """Unless there is one. A full disk is not an error: the next look comes to the same end."""
        with contextlib.suppress(OSError):
            write_once(str(self.path / "exit.json"), record)

    def drop_secrets(self) -> None:
        for path in self.path.glob("run.json*"):
            path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove every file but the lock."""
        for entry in self.path.iterdir():
            if entry.name != "lock":
                entry.unlink(missing_ok=True)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def make(self) -> None:
        """Raises PermanentError or TemporaryError, naming the path."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise cannot("make", self.path, error) from error

    def is_locked(self) -> bool:
        """Whether the shim lives, or somebody is starting it."""
        with self._lock(fcntl.LOCK_SH) as fd:
            return fd is None and self.has("lock")

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[int | None]:
        """The held descriptor, or None when another holds it. Never waits; makes the lock file.

        Raises PermanentError or TemporaryError, naming the path.
        """
        try:
            fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise cannot("write", self.path / "lock", error) from error
        with _held(fd, fcntl.LOCK_EX) as held:
            yield fd if held and self._is_current(fd) else None

    @contextlib.contextmanager
    def _lock(self, mode: int) -> Iterator[int | None]:
        try:
            fd = os.open(self.path / "lock", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            yield None
            return
        with _held(fd, mode) as held:
            yield fd if held else None

    def _is_current(self, fd: int) -> bool:
        """Not so when the folder was forgotten between the opening and the locking."""
        with contextlib.suppress(OSError):
            return os.path.samestat(os.fstat(fd), (self.path / "lock").stat())
        return False


@contextlib.contextmanager
def _held(fd: int, mode: int) -> Iterator[bool]:
    """Try the lock; close the descriptor after, which leaves the lock to a process that has it."""
    try:
        try:
            fcntl.flock(fd, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(fd)


def cannot(act: str, path: Path, error: OSError) -> PermanentError | TemporaryError:
    """Whether trying again may help, with the place and the system's reason."""
    text = f"cannot {act} {path}: {error.strerror}"
    return PermanentError(text) if error.errno in _FULL else TemporaryError(text)
