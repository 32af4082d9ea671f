"""Homes of people: made private, and looked at before a start."""

import errno
import os
import re
from dataclasses import dataclass
from pathlib import Path

from catalog.errors import BadSetup, BadValue
from catalog.units import MIB, format_bytes
from spawners.local.rescue.usage import Entry, UsageMap, largest_in

__all__ = ["Entry", "HomeState", "UsageMap", "home_state", "largest_in", "prepare_home"]

ROOM_NEEDED_BYTES = 64 * MIB
"""JupyterLab writes settings, a run-time folder and a database when it starts."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,99}")
_QUOTA_WALK_S = 2.0


@dataclass(frozen=True, slots=True)
class HomeState:
    """Whether a notebook can start in a home; `reason` says why not, in words for a person.

    `used_bytes` is 0 when it was not measured, which happens only against a quota.
    """

    used_bytes: int
    free_bytes: int
    full: bool
    writable: bool
    reason: str = ""


def prepare_home(base: Path, name: str, uid: int | None, gid: int | None = None) -> Path:
    """Make ``base/name`` 0700, owned by `uid` (None: this process's user). Repeatable.

    What is inside is left alone. Never follows a link at that place. Raises BadValue for a name
    that is no plain folder name, BadSetup for what the operator must mend.
    """
    if not _NAME.fullmatch(name):
        raise BadValue(f"{name!r} cannot name a home", next="use letters, digits, - _ . @")
    home = base / name
    try:
        base.mkdir(mode=0o755, parents=True, exist_ok=True)
        home.mkdir(mode=0o700, exist_ok=True)
        folder = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise _unusable(home, error) from error
    try:
        _own(folder, uid, gid)
    except OSError as error:
        raise _unusable(home, error) from error
    finally:
        os.close(folder)
    return home


def _own(folder: int, uid: int | None, gid: int | None) -> None:
    about = os.fstat(folder)
    if uid is not None and about.st_uid not in (uid, os.geteuid()):
        # Handing somebody's files to somebody else is never a repair.
        raise OSError(errno.EPERM, f"it belongs to user {about.st_uid}, not {uid}")
    if uid is not None and os.geteuid() == 0:
        os.fchown(folder, uid, uid if gid is None else gid)
    os.fchmod(folder, 0o700)


def _unusable(home: Path, error: OSError) -> BadSetup:
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return BadSetup(f"the home {home} is a link or a file", next="put a folder there instead")
    return BadSetup(
        f"cannot make the home {home}: {error.strerror}",
        next="give it an owner, room and a folder above it that can be written",
    )


def home_state(path: Path, quota_bytes: int | None = None, uid: int | None = None) -> HomeState:
    """Look at a home; never raises. Walks it (2 s at the most) only against a quota.

    With `uid`, *writable* is judged for that user, whatever this process may do.
    """
    try:
        disk = os.statvfs(path)
        owner = path.stat()
    except OSError as error:
        return HomeState(0, 0, full=False, writable=False, reason=f"{path}: {error.strerror}")
    used = largest_in(path, 0, _QUOTA_WALK_S).total_bytes if quota_bytes is not None else 0
    room = disk.f_bavail * disk.f_frsize
    free = room if quota_bytes is None else min(room, max(0, quota_bytes - used))
    full, reason = _fullness(room, disk, used, quota_bytes)
    unwritable = _why_not_writable(path, disk, owner, uid)
    return HomeState(used, free, full, not unwritable, unwritable or reason)


def _fullness(
    room: int, disk: os.statvfs_result, used: int, quota_bytes: int | None
) -> tuple[bool, str]:
    if quota_bytes is not None and used > quota_bytes:
        return True, f"{format_bytes(used)} are used of the {format_bytes(quota_bytes)} allowed"
    if room < ROOM_NEEDED_BYTES:
        return True, f"the disk has {format_bytes(room)} left; a start needs " + format_bytes(
            ROOM_NEEDED_BYTES
        )
    if disk.f_files and disk.f_favail == 0:
        return True, "the disk can hold no more files"
    return False, ""


def _why_not_writable(
    path: Path, disk: os.statvfs_result, about: os.stat_result, uid: int | None
) -> str:
    if disk.f_flag & os.ST_RDONLY:
        return f"{path} is on a disk that is mounted read-only"
    if uid is not None and about.st_uid != uid:
        return f"{path} belongs to user {about.st_uid}, not {uid}"
    mine = uid is None or uid == os.geteuid()
    if (mine and not os.access(path, os.W_OK | os.X_OK)) or not about.st_mode & 0o200:
        return f"{path} cannot be written by its owner"
    return ""
