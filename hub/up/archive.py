"""The backup file: a .tar.gz whose first member, the manifest, tells size and hash of the rest.

Reading trusts nothing: only known names, only regular files, only the sizes that the manifest
states, and never more than fits on the disk.
"""

import contextlib
import gzip
import hashlib
import io
import json
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from catalog.errors import BadValue
from hub.up.home import free_bytes

MANIFEST = "manifest.json"
FORMAT = 1
_NAMES = re.compile(
    r"control\.sqlite|control\.dump|hub\.sqlite|(?:menu|inventory|oidc|lti)\.yaml|secrets/[a-z_]{1,40}"
)
_LARGEST_MANIFEST = 2**20
_MOST_FILES = 64
_CHUNK = 2**20
_LARGEST_READ = 4 * _CHUNK
_SPARE = 64 * 2**20
"""Bytes left free on the disk by a restore."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A file as the manifest lists it."""

    size: int
    sha256: str


def write_archive(out: BinaryIO, files: Mapping[str, Path], facts: Mapping[str, str]) -> None:
    """Write `files` (name in the archive → where it lies) and a manifest with `facts`."""
    listed = {
        name: {"size": path.stat().st_size, "sha256": _hash(path)} for name, path in files.items()
    }
    manifest = json.dumps({"format": FORMAT, **facts, "files": listed}, indent=2).encode()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(_entry(MANIFEST, len(manifest)), io.BytesIO(manifest))
        for name, path in files.items():
            with path.open("rb") as content:
                tar.addfile(_entry(name, listed[name]["size"]), content)


def read_archive(path: Path, into: Path) -> dict[str, Any]:
    """Check the whole archive and unpack it to the empty folder `into`; returns the manifest.

    Raises BadValue naming what is wrong; `into` may then hold a part.
    """
    with _refusing(path), path.open("rb") as packed, gzip.GzipFile(fileobj=packed) as plain:
        bounded = _Bounded(plain)
        with tarfile.TarFile(fileobj=bounded) as tar:  # pyright: ignore[reportArgumentType]
            members = iter(tar)
            manifest = _manifest(tar, next(members, None))
            listed = _listed(manifest)
            bounded.allow(sum(entry.size + _CHUNK for entry in listed.values()) + _CHUNK)
            if sum(entry.size for entry in listed.values()) + _SPARE > free_bytes(into):
                raise _Refused(f"it unpacks to more than fits on the disk of {into}")
            for member in members:
                _unpack(tar, member, listed, into)
            missing = [name for name in listed if not (into / name).exists()]
            if missing:
                raise _Refused(f"{missing[0]} is in its manifest and not in it")
    return manifest


class _Refused(Exception):
    """Why an archive is not accepted."""


class _Bounded:
    """A stream that refuses to be read or sought further than a backup needs.

    Tar headers may state that a name or an extension is gigabytes long, and a few packed
    kilobytes may unpack to gigabytes.
    """

    def __init__(self, plain: gzip.GzipFile) -> None:
        self._plain = plain
        self._end = _LARGEST_MANIFEST + _CHUNK

    def allow(self, end: int) -> None:
        self._end = end

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LARGEST_READ or self._plain.tell() + size > self._end:
            raise _Refused("it is larger than its manifest says")
        return self._plain.read(size)

    def seek(self, position: int, whence: int = 0) -> int:
        if whence != 0 or position > self._end:
            raise _Refused("it is larger than its manifest says")
        return self._plain.seek(position)

    def tell(self) -> int:
        return self._plain.tell()


@contextlib.contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except (_Refused, tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadValue(
            f"{path} cannot be restored: {error or 'it ends too early'}",
            next="nothing was changed; use a file that `perijove backup` made",
        ) from error
    except FileNotFoundError as error:
        raise BadValue(f"{path} is not there", next="name a file of `perijove backup`") from error
    except OSError as error:
        raise BadValue(
            f"{path} cannot be restored: {error.strerror or error}", next="nothing was changed"
        ) from error


def _manifest(tar: tarfile.TarFile, first: tarfile.TarInfo | None) -> dict[str, Any]:
    if first is None or first.name != MANIFEST or not first.isreg():
        raise _Refused("it does not begin with a manifest, so it is no backup of Perijove")
    if first.size > _LARGEST_MANIFEST:
        raise _Refused("its manifest is too large")
    content = tar.extractfile(first)
    try:
        value = json.loads(content.read() if content else b"")
    except (ValueError, RecursionError) as error:
        raise _Refused("its manifest is not JSON") from error
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise _Refused(f"its manifest is not of format {FORMAT}; a newer Perijove made it, or none")
    return value


def _listed(manifest: Mapping[str, Any]) -> dict[str, Listed]:
    files = manifest.get("files")
    if not isinstance(files, dict) or len(files) > _MOST_FILES:
        raise _Refused("its manifest lists no files, or too many")
    listed: dict[str, Listed] = {}
    for name, facts in files.items():
        if not _NAMES.fullmatch(name):
            raise _Refused(f"{name[:80]!r} is no file of a backup")
        size, digest = (
            (facts.get("size"), facts.get("sha256")) if isinstance(facts, dict) else (0, 0)
        )
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise _Refused(f"its manifest gives no size of {name}")
        listed[name] = Listed(size, str(digest))
    return listed


def _unpack(
    tar: tarfile.TarFile, member: tarfile.TarInfo, listed: Mapping[str, Listed], into: Path
) -> None:
    name = member.name
    if name not in listed or member.type != tarfile.REGTYPE:
        raise _Refused(f"{name[:80]!r} is not in its manifest, or no plain file")
    target = into / name
    if target.exists() or member.size != listed[name].size:
        raise _Refused(f"{name} is there twice, or not of the size that the manifest states")
    target.parent.mkdir(mode=0o700, exist_ok=True)
    content = tar.extractfile(member)
    seen = hashlib.sha256()
    with target.open("xb") as out:
        target.chmod(0o600)
        while content and (chunk := content.read(_CHUNK)):
            seen.update(chunk)
            out.write(chunk)
    if seen.hexdigest() != listed[name].sha256:
        raise _Refused(f"{name} does not match its checksum")


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o600
    return entry


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
