"""What is kept of a course: each student's folder of it as an archive, and a list of them.

Students own what is packed, and may change it meanwhile: nothing is followed, nothing but their own
plain files is read, and all of it is bounded.
"""

import hashlib
import json
import os
import re
import shutil
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from catalog.errors import Unavailable
from catalog.units import GIB
from hub.control_context import Control
from hub.store.tables import PersonRow

MOST_BYTES = 2 * GIB
"""Of one student, before it is packed."""
MOST_FILES = 50_000
MOST_FOLDERS = 20_000
DEEPEST = 50
"""Folders inside each other: a deeper one is nobody's work, and could stop the packing of all."""
LEAST_FREE = 2 * GIB
"""So much stays free on the disk that takes the archives."""
_CHUNK = 2**20
_NOFOLLOW = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass(slots=True)
class Export:
    """One student's archive. `left_out` counts what is no plain file of theirs, or was too much."""

    login: str
    name: str
    file: str = ""
    files: int = 0
    size: int = 0
    left_out: int = 0
    sha256: str = ""
    found: bool = field(default=True)
    """Whether they had a folder of the course at all."""


def folder_of(control: Control, course_id: str) -> Path:
    """Where the archives of a course lie; only the site's administrator reads it directly."""
    return control.settings.spaces_dir / "exports" / course_id


def exported(control: Control, course_id: str) -> dict[str, Export]:
    """What was packed already, by login."""
    try:
        facts = json.loads((folder_of(control, course_id) / "manifest.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return {entry["login"]: Export(**entry) for entry in facts}


def pack(control: Control, course_id: str, inside: str, person: PersonRow) -> Export:
    """Pack somebody's folder `inside` their home, and note it. Safe to repeat: what was packed is
    not packed again. Raises Unavailable when the disk has no room."""
    done = exported(control, course_id)
    target = folder_of(control, course_id)
    known = done.get(person.login)
    if known is not None and (not known.file or (target / known.file).exists()):
        return known
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    if shutil.disk_usage(target).free < LEAST_FREE:
        raise Unavailable(
            "the disk has too little room for the archives of a course that is over",
            next="make room, or move older archives away",
        )
    export = Export(person.login, person.display_name)
    home = control.settings.spaces_dir / "homes" / person.hub_name
    top = _open_folder(home, inside)
    if top is None:
        export.found = False
    else:
        try:
            _write(target, export, top, person)
        finally:
            os.close(top)
    done[person.login] = export
    _note(target, done)
    return export


def _write(target: Path, export: Export, top: int, person: PersonRow) -> None:
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", person.login)[:60]
    export.file = f"{safe}-{person.id}.tar.gz"
    part = target / f".{export.file}.part"
    with part.open("wb") as raw:
        os.fchmod(raw.fileno(), 0o600)
        with tarfile.open(fileobj=raw, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
            for folder, names, place in _walk(top, export):
                for name in names:
                    _add(archive, export, folder, name, f"{safe}/{place}{name}", person.uid)
        raw.flush()
        os.fsync(raw.fileno())
    export.sha256 = _digest(part)
    part.replace(target / export.file)


def _walk(top: int, export: Export) -> Iterator[tuple[int, list[str], str]]:
    """Open folders with the names of what is in them and their place below the top; links to
    folders are not entered, nor what is too deep or too many."""
    pending, seen = [""], 0
    while pending:
        place, seen = pending.pop(), seen + 1
        folder = _open_below(os.dup(top), place)
        if folder is None or seen > MOST_FOLDERS:
            export.left_out += 1
        if folder is None:
            continue
        try:
            if seen > MOST_FOLDERS:
                return
            names, below = _names_in(folder)
            yield folder, names, place
        finally:
            os.close(folder)
        if place.count("/") < DEEPEST:
            pending.extend(f"{place}{name}/" for name in reversed(below))
        else:
            export.left_out += len(below)


def _names_in(folder: int) -> tuple[list[str], list[str]]:
    """The names of what is no folder, and of folders."""
    with os.scandir(folder) as entries:
        found = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
    return [name for name, below in found if not below], [name for name, below in found if below]


def _add(
    archive: tarfile.TarFile, export: Export, folder: int, name: str, place: str, uid: int | None
) -> None:
    try:
        file = os.open(name, _NOFOLLOW, dir_fd=folder)
    except OSError:
        export.left_out += 1
        return
    with os.fdopen(file, "rb") as content:
        about = os.fstat(content.fileno())
        theirs = stat.S_ISREG(about.st_mode) and (uid is None or about.st_uid == uid)
        if not theirs or export.files >= MOST_FILES or export.size + about.st_size > MOST_BYTES:
            export.left_out += 1
            return
        entry = tarfile.TarInfo(place)
        entry.size, entry.mtime = about.st_size, int(about.st_mtime)
        entry.mode = 0o755 if about.st_mode & stat.S_IXUSR else 0o644
        archive.addfile(entry, _Exactly(content, about.st_size))  # type: ignore[arg-type]
        export.files, export.size = export.files + 1, export.size + about.st_size


class _Exactly:
    """As many bytes as were promised, also of a file that is cut while it is read."""

    def __init__(self, content: IO[bytes], size: int) -> None:
        self._content, self._left = content, size

    def read(self, count: int = -1) -> bytes:
        wanted = self._left if count < 0 else min(count, self._left)
        found = self._content.read(wanted)
        self._left -= wanted
        return found + bytes(wanted - len(found))


def _open_folder(home: Path, inside: str) -> int | None:
    """A folder within a home, no part of it a link; None when there is none."""
    try:
        folder = os.open(home, _NOFOLLOW | os.O_DIRECTORY)
    except OSError:
        return None
    return _open_below(folder, inside)


def _open_below(folder: int, inside: str) -> int | None:
    """A folder below an open one, which is closed; no part of the way is a link."""
    for part in filter(None, inside.split("/")):
        try:
            below = os.open(part, _NOFOLLOW | os.O_DIRECTORY, dir_fd=folder)
        except OSError:
            return None
        finally:
            os.close(folder)
        folder = below
    return folder


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as content:
        while chunk := content.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()


def _note(target: Path, done: dict[str, Export]) -> None:
    part, entries = target / ".manifest.part", [_plain(done[login]) for login in sorted(done)]
    part.write_text(json.dumps(entries, indent=1), "utf-8")
    part.replace(target / "manifest.json")


def _plain(export: Export) -> dict[str, Any]:
    return asdict(export)
