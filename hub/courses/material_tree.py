"""Whether what a repository holds may be put into students' homes: names, links, sizes.

git itself has checked the objects (`fsckObjects`); this is what git lets through and homes must not.
"""

import posixpath
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from catalog.errors import Refused
from catalog.units import format_bytes

LINK, SUBMODULE = "120000", "160000"
_LONGEST_NAME, _LONGEST_PATH = 255, 1000
_LFS = re.compile(rb"^[^#\n]*\bfilter=lfs\b", re.MULTILINE)
_SHORT_GIT = re.compile(r"git~\d+")
"""What Windows calls ``.git``."""


@dataclass(frozen=True, slots=True)
class Item:
    """A file, link or submodule of a commit. `size` is 0 for a submodule."""

    path: str
    mode: str
    object_id: str
    size: int


def parse_tree(listing: bytes) -> list[Item]:
    """What ``git ls-tree -r -z -l`` printed. Raises Refused for names that are no UTF-8."""
    try:
        lines = listing.decode().split("\0")
    except UnicodeDecodeError as error:
        raise Refused(
            "the name of a file is not in UTF-8", next="rename it in the repository"
        ) from error
    found: list[Item] = []
    for line in lines:
        about, _, path = line.partition("\t")
        if path:
            mode, _, object_id, size = about.split()
            found.append(Item(path, mode, object_id, int(size) if size.isdigit() else 0))
    return found


def check_names(items: list[Item], most_bytes: int, most_items: int) -> None:
    """Raises Refused, naming the first file that cannot be."""
    if not items:
        raise Refused("there is no file in it", next="commit the material to this branch")
    if len(items) > most_items:
        raise Refused(f"it has more than {most_items:,} files", next="keep only what is needed")
    if sum(item.size for item in items) > most_bytes:
        raise Refused(
            f"its files have more than {format_bytes(most_bytes)}",
            next="keep large data elsewhere, and only what is needed on this branch",
        )
    for item in items:
        parts = item.path.split("/")
        if len(item.path.encode()) > _LONGEST_PATH or not all(map(_sound_name, parts)):
            raise Refused(
                f"the name {_shown(item.path)} cannot be in a home", next="rename the file"
            )


def unsound_links(items: list[Item], targets: Mapping[str, bytes]) -> list[str]:
    """Links (by `targets`, by path) that lead out of the material, or that do so by way of another."""
    links = {item.path for item in items if item.mode == LINK}
    return [path for path in sorted(links) if not _stays(path, targets[path], links)]


def uses_lfs(attributes: bytes) -> bool:
    """Whether a ``.gitattributes`` says that some files are kept by Git LFS."""
    return bool(_LFS.search(attributes))


def _sound_name(name: str) -> bool:
    plain = "".join(c for c in name if unicodedata.category(c) != "Cf").casefold()
    bare = plain.partition(":")[0].rstrip(". ")
    return (
        0 < len(name.encode()) <= _LONGEST_NAME
        and name not in {".", ".."}
        and bare != ".git"
        and not _SHORT_GIT.fullmatch(bare)
        and not any(unicodedata.category(c) in {"Cc", "Zl", "Zp"} for c in name)
        and not name.startswith(".perijove-")
    )


def _stays(path: str, raw: bytes, links: set[str]) -> bool:
    """Dots only at the start of the target, never above the top, and through no other link: what
    the name says is then what the system does."""
    try:
        target = raw.decode()
    except UnicodeDecodeError:
        return False
    parts = target.split("/")
    ups = next((n for n, part in enumerate(parts) if part != ".."), len(parts))
    rest = parts[ups:]
    above = posixpath.dirname(path).split("/") if "/" in path else []
    if not target or target.startswith("/") or ups > len(above) or {"..", "."} & set(rest):
        return False
    place = above[: len(above) - ups] + [part for part in rest if part]
    through = {"/".join(place[:n]) for n in range(1, len(place))}
    return not through & links and not any(unicodedata.category(c) == "Cc" for c in target)


def _shown(path: str) -> str:
    return ascii(path if len(path) <= 80 else f"{path[:77]}…")
