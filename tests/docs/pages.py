"""The pages of the project, as the tests read them."""

import re
from pathlib import Path

from tests.live import ROOT

DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md")))
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[str]:
    """The contents of a page's fenced blocks in one language."""
    return [body for found, body in _BLOCK.findall(read(name)) if found == language]


def commands(name: str) -> list[str]:
    """Each line of a page's console blocks that a person types, without the prompt."""
    lines = [line for block in blocks(name, "console") for line in block.splitlines()]
    assert all(line.startswith("$ ") for line in lines), name
    return [line.removeprefix("$ ") for line in lines]


def section(name: str, heading: str) -> str:
    """What stands between a heading and the next one of any level."""
    _, _, rest = read(name).partition(f"## {heading}\n")
    assert rest, f"{name} has no section {heading!r}"
    return re.split(r"^#+ ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def first_cells(text: str) -> list[str]:
    """The quoted names in the first column of the tables of a text."""
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
