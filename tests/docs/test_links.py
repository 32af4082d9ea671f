"""Links lead somewhere, pictures are there and light, every page can be found."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, PAGES, name_of, read
from tests.live import ROOT

LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)>\s]+)>?\)")
MAX_PICTURE = 200_000


def links(page: Path) -> list[str]:
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    return LINK.findall(text)


def anchors(page: Path) -> set[str]:
    """As forges and browsers make them of headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_between_pages_resolve(page: Path) -> None:
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), f"{link} leads nowhere"
        assert target.is_relative_to(ROOT)
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{link}: there is no such heading"


def test_pictures_are_pngs_and_light() -> None:
    pictures = sorted((DOCS / "images").iterdir())
    assert pictures
    for picture in pictures:
        assert picture.read_bytes().startswith(b"\x89PNG"), picture.name
        assert picture.stat().st_size < MAX_PICTURE, picture.name


def test_every_page_of_the_handbook_is_in_its_contents() -> None:
    listed = {(DOCS / link.partition("#")[0]).resolve() for link in links(DOCS / "index.md")}
    listed |= {(ROOT / link.partition("#")[0]).resolve() for link in links(ROOT / "README.md")}
    missing = set(DOCS.rglob("*.md")) - listed
    assert {name_of(page) for page in missing} == set()


def test_every_picture_has_words() -> None:
    for page in PAGES:
        assert not re.search(r"!\[\s*\]", page.read_text("utf-8")), name_of(page)


def test_decisions_have_their_four_parts_and_numbers_without_gaps() -> None:
    records = sorted((DOCS / "decisions").glob("*.md"))
    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    for record in records:
        text = read(name_of(record))
        assert text.startswith(f"# {int(record.name[:4])}. ")
        parts = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert parts == ["Context", "Choice", "Rejected", "What would change our mind"], record
