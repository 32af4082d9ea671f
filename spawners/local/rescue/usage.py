"""What fills a folder, and how to free it without ever leaving it. Standard library only."""

import contextlib
import errno
import os
import shutil
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path

THROWAWAY = (".cache/pip", ".cache/uv", ".cache/huggingface", ".local/share/Trash", ".Trash")
"""Folders that programs fill again by themselves, or that hold what was thrown away."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder below the walked one, and what it and all below it take on the disk."""

    path: str
    used_bytes: int
    is_folder: bool


@dataclass(frozen=True, slots=True)
class UsageMap:
    """The largest entries, largest first. `complete` is False when time ran out."""

    total_bytes: int
    entries: list[Entry]
    complete: bool


@dataclass(slots=True)
class _Walk:
    last: float
    device: int
    entries: list[Entry] = field(default_factory=list[Entry])
    complete: bool = True


def largest_in(path: Path, limit: int = 20, deadline_s: float = 2.0) -> UsageMap:
    """Sizes as the disk has them; hard links count once a name. Follows no link, stays on the
    file system of `path`, and stops after `deadline_s`: the sums are then lower bounds."""
    try:
        walk = _Walk(time.monotonic() + deadline_s, path.stat().st_dev)
    except OSError:
        return UsageMap(0, [], complete=False)
    total = _measure(str(path), "", walk, depth=0)
    walk.entries.sort(key=lambda entry: (-entry.used_bytes, entry.path))
    return UsageMap(total, walk.entries[:limit], walk.complete)


def _measure(top: str, relative: str, walk: _Walk, depth: int) -> int:
    """Sum of a folder; remembers each entry in it."""
    if time.monotonic() > walk.last or depth > 200:
        walk.complete = False
        return 0
    total = 0
    with contextlib.suppress(OSError), os.scandir(f"{top}/{relative}") as found:
        for item in found:
            with contextlib.suppress(OSError):
                below = f"{relative}/{item.name}" if relative else item.name
                total += _measure_one(top, below, item, walk, depth)
    return total


def _measure_one(top: str, relative: str, item: "os.DirEntry[str]", walk: _Walk, depth: int) -> int:
    about = item.stat(follow_symlinks=False)
    used = about.st_blocks * 512
    is_folder = stat.S_ISDIR(about.st_mode)
    if is_folder and about.st_dev == walk.device:
        used += _measure(top, relative, walk, depth + 1)
    if used:
        walk.entries.append(Entry(relative, used, is_folder))
    return used


def delete_in(home: Path, relative: str) -> None:
    """Remove the entry at `relative`; a link is removed itself, never what it points to.

    Raises ValueError when the path does not stay inside `home` without passing a link, OSError
    when the system refuses.
    """
    parts = Path(relative).parts
    if not parts or Path(relative).is_absolute() or ".." in parts or "\0" in relative:
        raise ValueError("that is not a place inside your home")
    folder = _open_folder(home, parts[:-1])
    try:
        about = os.stat(parts[-1], dir_fd=folder, follow_symlinks=False)
        if stat.S_ISDIR(about.st_mode):
            # Descriptor by descriptor: a link put in the way while this runs is not followed.
            shutil.rmtree(parts[-1], dir_fd=folder)
        else:
            os.unlink(parts[-1], dir_fd=folder)
    finally:
        os.close(folder)


def _open_folder(home: Path, parts: tuple[str, ...]) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    folder = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for part in parts:
        try:
            below = os.open(part, flags, dir_fd=folder)
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENOTDIR}:
                raise ValueError("that place is behind a link") from error
            raise
        finally:
            os.close(folder)
        folder = below
    return folder


def empty_throwaway(home: Path) -> list[str]:
    """Remove caches and the trash; answers those that were there. What resists stays."""
    freed: list[str] = []
    for relative in THROWAWAY:
        with contextlib.suppress(OSError, ValueError):
            delete_in(home, relative)
            freed.append(relative)
    return freed
