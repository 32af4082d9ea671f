"""What a repository may hold: names, links and sizes that homes can take."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import Refused
from hub.courses import material_tree as trees
from hub.courses.material_tree import Item


def item(path: str, size: int = 1, mode: str = "100644") -> Item:
    return Item(path, mode, "0" * 40, size)


def check(*paths: str) -> None:
    trees.check_names([item(path) for path in paths], 1000, 100)


def test_a_listing_is_read() -> None:
    listing = b"100644 blob aa 12\ta b.txt\x00160000 commit bb -\tsub\x00"
    assert trees.parse_tree(listing) == [
        Item("a b.txt", "100644", "aa", 12), Item("sub", "160000", "bb", 0),
    ]  # fmt: skip


def test_a_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(Refused, match="UTF-8"):
        trees.parse_tree(b"100644 blob aa 12\t\xff\x00")


def test_plain_names_are_taken() -> None:
    check("README.md", "data/Messung 1 – Übung.csv", ".gitignore", ".github/x.yml", "a.git/b")


@pytest.mark.parametrize(
    "path",
    [
        "../x", "a/../b", "./x", ".git/config", ".GIT/hooks/x", ".git /x", ".git./x", "git~1/x",
        ".g\u200cit/config", ".git::$INDEX_ALLOCATION/x", "a\nb", "a\x1b[31m", "a\u2028b",
        "x" * 256, "/".join(["d" * 200] * 6), "a//b", ".perijove-1",
    ],
)  # fmt: skip
def test_names_that_could_do_harm_are_refused(path: str) -> None:
    with pytest.raises(Refused, match="cannot be in a home"):
        check("good", path)


def test_too_many_too_large_and_nothing() -> None:
    with pytest.raises(Refused, match="more than 100 files"):
        check(*map(str, range(101)))
    with pytest.raises(Refused, match="its files have more than"):
        trees.check_names([item("a", 600), item("b", 600)], 1000, 100)
    with pytest.raises(Refused, match="no file"):
        check()


@pytest.mark.parametrize(
    ("path", "target", "stays"),
    [
        ("l", "a.txt", True), ("l", "d/a.txt", True), ("d/l", "../a.txt", True),
        ("d/e/l", "../../x/y", True), ("l", "/etc/passwd", False), ("l", "../x", False),
        ("d/l", "../../x", False), ("l", "a/../b", False), ("l", "", False), ("l", "a/./b", False),
        ("l", "other/x", False), ("d/l", "../other/x", False), ("l", "a\nb", False),
        ("l", "other", True),
    ],
)  # fmt: skip
def test_links_stay_inside(path: str, target: str, *, stays: bool) -> None:
    items = [item(path, mode=trees.LINK), item("other", mode=trees.LINK)]
    bad = trees.unsound_links(items, {path: target.encode(), "other": b"d"})
    assert (path not in bad) is stays


_PART = st.sampled_from(["a", "b", "..", ".", "", "l"])


@given(st.lists(_PART, max_size=5).map("/".join), st.integers(0, 3))
def test_no_link_that_is_let_through_leaves(target: str, depth: int) -> None:
    path = "/".join([*["d"] * depth, "l"])
    if trees.unsound_links([item(path, mode=trees.LINK)], {path: target.encode()}):
        return
    place = ["d"] * depth
    for part in target.split("/"):
        if part == "..":
            assert place
            place.pop()
        elif part:
            place.append(part)


def test_a_link_that_is_no_text_is_unsound() -> None:
    assert trees.unsound_links([item("l", mode=trees.LINK)], {"l": b"\xff"}) == ["l"]


@pytest.mark.parametrize(
    ("text", "uses"),
    [
        (b"*.bin filter=lfs diff=lfs merge=lfs -text\n", True), (b"# filter=lfs\n", False),
        (b"*.txt text\n", False), (b"a\nb filter=lfs", True), (b"", False),
    ],
)  # fmt: skip
def test_files_kept_elsewhere_are_noticed(text: bytes, *, uses: bool) -> None:
    assert trees.uses_lfs(text) is uses
