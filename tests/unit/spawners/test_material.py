"""Material and a student's changes come together: nothing of the student's is lost, no conflict."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spawners.local import material
from tests.examples import examples

GIT = "/usr/bin/git"
_ENV = {
    "PATH": os.defpath, "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org",
    "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.org",
    "GIT_AUTHOR_DATE": "2026-01-05T09:00:00Z", "GIT_COMMITTER_DATE": "2026-01-05T09:00:00Z",
}  # fmt: skip


@dataclass
class Desk:
    """A teacher's repository and a student's home."""

    top: Path

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True)
        self._git("init", "-q", "-b", "main", str(self.repository))
        (self.top / "gitconfig").write_text("[safe]\n\tdirectory = *\n")

    @property
    def repository(self) -> Path:
        return self.top / "repository"

    @property
    def home(self) -> Path:
        return self.top / "home"

    @property
    def folder(self) -> Path:
        return self.home / "physics"

    def publish(self, files: dict[str, str | bytes | None]) -> str:
        """Change files (None: delete) and commit; the commit's id."""
        for name, content in files.items():
            path = self.repository / name
            if content is None:
                path.unlink()
                if not any(path.parent.iterdir()):
                    path.parent.rmdir()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return self.commit()

    def commit(self) -> str:
        self._git("-C", str(self.repository), "add", "-A")
        self._git("-C", str(self.repository), "commit", "-q", "--allow-empty", "-m", "x")
        return self._git("-C", str(self.repository), "rev-parse", "HEAD").strip()

    def plan(self, commit: str) -> dict[str, str]:
        return {
            "mirror": str(self.repository / ".git"), "commit": commit, "folder": "physics",
            "course": "physics-101", "git": GIT, "config": str(self.top / "gitconfig"),
        }  # fmt: skip

    def bring(self, commit: str) -> dict[str, int]:
        """What happened, without what did not."""
        counts = material.bring(self.plan(commit), str(self.home))
        return {name: count for name, count in counts.items() if count}

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()

    def names(self) -> set[str]:
        return {
            str(path.relative_to(self.folder))
            for path in self.folder.rglob("*")
            if path.is_symlink() or not path.is_dir()
        }

    def _git(self, *args: str) -> str:
        done = subprocess.run([GIT, *args], env=_ENV, capture_output=True, text=True, check=True)
        return done.stdout


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_first_start_brings_everything(desk: Desk) -> None:
    commit = desk.publish({"lab.ipynb": "{}", "data/a.csv": "1,2\n", "run.sh": "#!/bin/sh\n"})
    (desk.repository / "run.sh").chmod(0o755)
    (desk.repository / "link").symlink_to("data/a.csv")
    commit = desk.commit()
    assert desk.bring(commit) == {"new": 4}
    assert desk.names() == {"lab.ipynb", "data/a.csv", "run.sh", "link"}
    assert desk.read("link") == "1,2\n"
    assert (desk.folder / "run.sh").stat().st_mode & 0o777 == 0o755
    assert (desk.folder / "lab.ipynb").stat().st_mode & 0o777 == 0o644


def test_nothing_new_changes_nothing_and_asks_git_nothing(desk: Desk) -> None:
    commit = desk.publish({"a.txt": "one\n"})
    desk.bring(commit)
    before = (desk.folder / "a.txt").stat()
    plan = desk.plan(commit) | {"git": "/nonexistent/git"}
    assert not any(material.bring(plan, str(desk.home)).values())
    assert (desk.folder / "a.txt").stat() == before


def test_a_change_elsewhere_in_a_file_is_merged_beside_the_students(desk: Desk) -> None:
    lines = [f"line {n}\n" for n in range(10)]
    desk.bring(desk.publish({"a.txt": "".join(lines)}))
    lines[1] = "mine\n"
    (desk.folder / "a.txt").write_text("".join(lines))
    lines[1], lines[8] = "line 1\n", "theirs\n"
    assert desk.bring(desk.publish({"a.txt": "".join(lines)})) == {"merged": 1}
    assert "mine" in desk.read("a.txt")
    assert "theirs" in desk.read("a.txt")


def test_where_both_changed_a_line_the_students_stays_and_no_mark_of_a_conflict(desk: Desk) -> None:
    desk.bring(desk.publish({"a.txt": "one\ntwo\n"}))
    (desk.folder / "a.txt").write_text("one\nmine\n")
    desk.bring(desk.publish({"a.txt": "one\ntheirs\n"}))
    assert desk.read("a.txt") == "one\nmine\n"


def test_a_notebook_that_merging_would_break_stays_the_students(desk: Desk) -> None:
    desk.bring(desk.publish({"lab.ipynb": '{\n"a": [\n1\n],\n"b": 2\n}\n'}))
    mine = '{\n"a": [\n1,\n7\n],\n"b": 2}\n'
    (desk.folder / "lab.ipynb").write_text(mine)
    desk.bring(desk.publish({"lab.ipynb": '{\n"a": [\n1\n],\n"b": 2,\n"c": 3\n}\n'}))
    assert isinstance(json.loads(desk.read("lab.ipynb")), dict)
    assert "7" in desk.read("lab.ipynb")


def test_a_changed_binary_file_stays_the_students(desk: Desk) -> None:
    desk.bring(desk.publish({"a.bin": b"\0one"}))
    (desk.folder / "a.bin").write_bytes(b"\0mine")
    assert desk.bring(desk.publish({"a.bin": b"\0theirs"})) == {"kept": 1}
    assert (desk.folder / "a.bin").read_bytes() == b"\0mine"


def test_a_file_deleted_by_mistake_comes_back(desk: Desk) -> None:
    commit = desk.publish({"a.txt": "one\n", "d/b.txt": "two\n"})
    desk.bring(commit)
    (desk.folder / "a.txt").unlink()
    (desk.folder / "d" / "b.txt").unlink()
    (desk.folder / "d").rmdir()
    assert desk.bring(commit) == {"back": 2}
    assert desk.read("d/b.txt") == "two\n"


def test_a_new_file_does_not_replace_one_of_the_students(desk: Desk) -> None:
    desk.bring(desk.publish({"a.txt": "one\n"}))
    (desk.folder / "answers.txt").write_text("mine\n")
    (desk.folder / "same.txt").write_text("same\n")
    commit = desk.publish({"answers.txt": "theirs\n", "same.txt": "same\n"})
    assert desk.bring(commit) == {"new": 1, "renamed": 1}
    (renamed,) = (name for name in desk.names() if name.startswith("answers__"))
    assert renamed.endswith(".txt")
    assert (desk.read("answers.txt"), desk.read(renamed)) == ("theirs\n", "mine\n")


def test_a_folder_of_the_students_own_is_kept(desk: Desk) -> None:
    desk.folder.mkdir()
    (desk.folder / "a.txt").write_text("mine\n")
    (desk.folder / "b.txt").write_text("mine too\n")
    desk.bring(desk.publish({"a.txt": "one\n"}))
    kept = {desk.read(name) for name in desk.names()}
    assert kept == {"one\n", "mine\n", "mine too\n"}


def test_what_the_material_drops_goes_unless_the_student_changed_it(desk: Desk) -> None:
    desk.bring(desk.publish({"a.txt": "one\n", "d/b.txt": "two\n", "d/c.txt": "three\n"}))
    (desk.folder / "a.txt").write_text("mine\n")
    commit = desk.publish({"a.txt": None, "d/b.txt": None, "d/c.txt": None, "e.txt": "new\n"})
    assert desk.bring(commit) == {"kept": 1, "updated": 2, "new": 1}
    assert desk.names() == {"a.txt", "e.txt"}
    assert not (desk.folder / "d").exists()


def test_a_folder_becomes_a_file_and_a_file_a_folder(desk: Desk) -> None:
    desk.bring(desk.publish({"x/a.txt": "one\n", "y": "two\n"}))
    desk.publish({"x/a.txt": None, "y": None})
    desk.bring(desk.publish({"x": "file\n", "y/b.txt": "folder\n"}))
    assert (desk.read("x"), desk.read("y/b.txt")) == ("file\n", "folder\n")


def test_a_history_begun_anew_keeps_what_the_student_changed(desk: Desk, tmp_path: Path) -> None:
    desk.bring(desk.publish({"a.txt": "one\n", "b.txt": "two\n"}))
    (desk.folder / "a.txt").write_text("mine\n")
    other = Desk(tmp_path / "other")
    plan = other.plan(other.publish({"a.txt": "theirs\n", "b.txt": "new\n"}))
    counts = material.bring(plan, str(desk.home))
    assert (counts["kept"], counts["updated"]) == (1, 1)
    assert (desk.read("a.txt"), desk.read("b.txt")) == ("mine\n", "new\n")


def test_a_run_that_was_cut_off_is_repeated(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.bring(desk.publish({"a.txt": "one\n2\n3\n4\n", "b.txt": "b\n", "c.txt": "c\n"}))
    (desk.folder / "a.txt").write_text("mine\n2\n3\n4\n")
    commit = desk.publish({"a.txt": "one\n2\n3\ntheirs\n", "b.txt": "b2\n", "n.txt": "n\n"})
    real, left = material.Merge._came, [2]

    def cut(self: material.Merge, path: str) -> None:
        if not left[0]:
            raise OSError(28, "no space")
        left[0] -= 1
        real(self, path)

    with monkeypatch.context() as patched:
        patched.setattr(material.Merge, "_came", cut)
        with pytest.raises(OSError, match="no space"):
            desk.bring(commit)
    desk.bring(commit)
    assert desk.read("a.txt") == "mine\n2\n3\ntheirs\n"
    assert desk.names() == {"a.txt", "b.txt", "c.txt", "n.txt"}
    assert desk.bring(commit) == {}


def test_a_file_in_the_place_of_the_folder_is_left_alone(desk: Desk) -> None:
    desk.folder.write_text("mine\n")
    with pytest.raises(material.CannotError, match="in-the-way"):
        desk.bring(desk.publish({"a.txt": "one\n"}))
    assert desk.folder.read_text() == "mine\n"


def test_what_is_no_file_is_never_opened(desk: Desk) -> None:
    desk.bring(desk.publish({"a.txt": "one\n", "b.txt": "two\n"}))
    for name in ("a.txt", "b.txt"):
        (desk.folder / name).unlink()
    os.mkfifo(desk.folder / "a.txt")
    (desk.folder / "b.txt").mkdir()
    desk.bring(desk.publish({"a.txt": "new\n", "b.txt": "new\n", "c.txt": "c\n"}))
    assert desk.read("c.txt") == "c\n"


def test_the_program_says_what_it_did(desk: Desk) -> None:
    plan = desk.plan(desk.publish({"a.txt": "one\n"}))
    assert _run(desk, plan) == {
        "code": "done", "new": 1, "updated": 0, "merged": 0, "kept": 0, "back": 0, "renamed": 0,
    }  # fmt: skip


def test_the_program_says_when_the_mirror_is_broken(desk: Desk) -> None:
    desk.publish({"a.txt": "one\n"})
    assert _run(desk, desk.plan("0" * 40)) == {"code": "broken"}
    assert desk.names() == set()


def _run(desk: Desk, plan: dict[str, str]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-I", "-S", material.__file__], capture_output=True, text=True, check=True,
        env={"HOME": str(desk.home), "PERIJOVE_MATERIAL": json.dumps(plan)},
    )  # fmt: skip
    assert done.stdout.startswith(material.SAYS), done
    return json.loads(done.stdout.removeprefix(material.SAYS))


_LINES = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "d\n"]), max_size=6).map("".join)


@settings(
    max_examples=examples(25),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(base=_LINES, mine=_LINES, theirs=_LINES)
def test_any_three_versions_come_together(
    tmp_path_factory: pytest.TempPathFactory, base: str, mine: str, theirs: str
) -> None:
    """Who did not change gets the other's; the student's lines are there; no mark of a conflict."""
    desk = Desk(tmp_path_factory.mktemp("desk"))
    desk.bring(desk.publish({"f": base, "other": "x"}))
    (desk.folder / "f").write_text(mine)
    commit = desk.publish({"f": theirs, "other": "y"})
    desk.bring(commit)
    found = desk.read("f")
    if mine == base:
        assert found == theirs
    elif theirs == base:
        assert found == mine
    assert not {"<", "=", ">"} & set(found)
    assert desk.read("other") == "y"
    assert desk.bring(commit) == {}
    assert desk.read("f") == found
