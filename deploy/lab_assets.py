"""JupyterLab's scripts, styles and fonts of a notebook environment, ready to be served to everybody.

``ENVIRONMENT/lab-assets/BUILD/`` holds the files under their own names, a compressed ``NAME.gz``
beside each that gains by it, and `AHEAD`: the names that a browser may fetch before JupyterLab opens.
BUILD is the digest of JupyterLab's page, which names its main script by content, as that script names
all the others: what has the same BUILD is the same. The portal serves the folder; the compressing is
done here, once.
"""

import gzip
import hashlib
import os
import re
import shutil
from pathlib import Path

FOLDER = "lab-assets"
AHEAD = "ahead.txt"
STATIC = Path("share", "jupyter", "lab", "static")
BUILD_DIGITS = 16
_COMPRESSED = frozenset({".css", ".eot", ".js", ".json", ".map", ".svg", ".ttf"})
_CHUNK = re.compile(r"\.e\((\d+)\)")
_MAIN = re.compile(r"/(main\.[0-9a-f]+\.js)\b")
_WORTH_A_REQUEST = 20_000
"""Bytes; what is smaller is fetched when it is needed."""


def build_of(page: bytes) -> str:
    """The name of a build of JupyterLab, by its ``index.html``."""
    return hashlib.sha256(page).hexdigest()[:BUILD_DIGITS]


def publish(environment: Path) -> Path | None:
    """Make the folder of an environment's JupyterLab unless it is there; None for an environment
    without one. Takes about two seconds, once."""
    static = environment / STATIC
    page = static / "index.html"
    if not page.is_file():
        return None
    place = environment / FOLDER / build_of(page.read_bytes())
    if place.is_dir():
        return place
    fresh = place.with_name(f".{place.name}.{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        _fill(fresh, static)
        for folder in (fresh.parent, fresh):
            folder.chmod(0o755)
        fresh.replace(place)
    except OSError:
        if not place.is_dir():  # else another run was first, with the same
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return place


def _fill(place: Path, static: Path) -> None:
    for source in sorted(static.iterdir()):
        if not source.is_file() or source.suffix == ".html":
            continue
        _same(source, place / source.name)
        if source.suffix in _COMPRESSED:
            _compress(source, place / f"{source.name}.gz")
    (place / AHEAD).write_text("".join(f"{name}\n" for name in ahead(static)), encoding="utf-8")
    for path in place.iterdir():
        path.chmod(0o644)


def _same(source: Path, target: Path) -> None:
    """One file with two names where the file system can; else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _compress(source: Path, target: Path) -> None:
    """Only where it saves a tenth. No time inside: the same file gives the same bytes."""
    body = source.read_bytes()
    packed = gzip.compress(body, 9, mtime=0)
    if len(packed) * 10 < len(body) * 9:
        target.write_bytes(packed)


def ahead(static: Path) -> list[str]:
    """The main script, what all its parts share, and the larger chunks that it names itself: most of
    what is loaded before JupyterLab can be used, the largest first."""
    main = _MAIN.search((static / "index.html").read_text(encoding="utf-8"))
    script = static / main.group(1) if main else None
    if script is None or not script.is_file():
        return []
    named = {"jlab_core", *_CHUNK.findall(script.read_text(encoding="utf-8"))}
    sizes = {
        path.name: path.stat().st_size
        for path in static.glob("*.js")
        if path == script or path.name.partition(".")[0] in named
    }
    large = [name for name, size in sizes.items() if size >= _WORTH_A_REQUEST]
    return sorted(large, key=lambda name: (-sizes[name], name))
