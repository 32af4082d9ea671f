"""Archives of students' work: what a hostile home cannot do to them."""

import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from hub.courses import exports
from hub.courses.exports import Export


def packed(tmp_path: Path, top: Path) -> tuple[list[str], Export]:
    """Names in the archive of a folder, and what was noted of it."""
    export, file = Export("mia", "Mia"), tmp_path / "mia.tar"
    folder = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with tarfile.open(file, "w") as archive:
            for below, names, place in exports._walk(folder, export):
                for name in names:
                    exports._add(archive, export, below, name, f"mia/{place}{name}", None)
    finally:
        os.close(folder)
    with tarfile.open(file) as archive:
        return archive.getnames(), export


def test_folders_without_end_leave_the_rest_as_it_is(tmp_path: Path) -> None:
    top = tmp_path / "home"
    (top / "work").mkdir(parents=True)
    (top / "work" / "lab.ipynb").write_text("{}")
    (top / "work" / "inside").symlink_to("/etc")
    here = os.open(top, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("deep", dir_fd=here)
        below = os.open("deep", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    open_before = len(list(Path("/proc/self/fd").iterdir()))
    names, export = packed(tmp_path, top)
    assert names == ["mia/work/lab.ipynb"]
    assert (export.files, export.left_out) == (1, 2)  # the link, and what is too deep
    assert len(list(Path("/proc/self/fd").iterdir())) == open_before
    subprocess.run(["rm", "-rf", top / "deep"], check=True)  # shutil cannot


def test_folders_without_number_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "MOST_FOLDERS", 10)
    top = tmp_path / "home"
    for number in range(30):
        (top / f"f{number:02}").mkdir(parents=True)
        (top / f"f{number:02}" / "a").touch()
    names, export = packed(tmp_path, top)
    assert len(names) == export.files == 9
    assert export.left_out


def test_names_of_any_bytes_are_packed(tmp_path: Path) -> None:
    top = tmp_path / "home"
    top.mkdir()
    Path(os.fsdecode(os.fsencode(top) + b"/\xff\xfe.txt")).write_text("x")
    names, _ = packed(tmp_path, top)
    assert os.fsencode(names[0]) == b"mia/\xff\xfe.txt"
