"""Named environments are made beside the one in use, and a failure changes nothing."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blueprints.notebook import Environment
from catalog.errors import BadSetup, BadValue, Conflict
from deploy import environments as deploy
from deploy import notebook_env
from deploy.steps import SetupError
from hub import environments
from hub.settings import Settings
from hub.up.environments import make, take_away


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    found = tmp_path / "requirements.txt"
    found.write_text("tabulate\n")
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where builds are made in a moment, with a record and nothing else."""
    base = notebook_env.Base(Path(sys.executable), "3.11")
    monkeypatch.setattr(notebook_env, "prepare", lambda _folder: base)
    monkeypatch.setattr(notebook_env, "build", _build)
    monkeypatch.setattr(deploy.time, "strftime", _stamps())
    (tmp_path / "spaces" / "environments").mkdir(parents=True)
    return tmp_path / "spaces" / "environments"


def _build(place: Path, *_: object, **__: object) -> None:
    place.mkdir()
    (place / notebook_env.RECORD).write_text(json.dumps({"python": "x", "bin": "x"}))


def _stamps() -> Callable[[str], str]:
    numbers = iter(range(100))
    return lambda _format: f"2026010509{next(numbers):04}"


def builds(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*@*")}


def test_a_name_leads_to_the_newest_build_and_older_ones_go(
    folder: Path, requirements: Path
) -> None:
    first = deploy.add(folder, "physics", requirements)
    other = deploy.add(folder, "maths", requirements)
    second = deploy.add(folder, "physics", requirements)
    assert (folder / "physics").resolve() == second.resolve()
    assert builds(folder) == {other.name, second.name}
    assert not first.exists()


def test_a_build_that_is_in_use_stays(folder: Path, requirements: Path) -> None:
    first = deploy.add(folder, "physics", requirements)
    server = subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()", f"{first}/bin/python"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        server.stdout.readline()  # its command line can be read from then on
        second = deploy.add(folder, "physics", requirements)
        assert builds(folder) == {first.name, second.name}
    finally:
        server.kill()
        server.wait()
    third = deploy.add(folder, "physics", requirements)
    assert builds(folder) == {third.name}


def test_a_failure_leaves_what_was_there(
    folder: Path, requirements: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = deploy.add(folder, "physics", requirements)

    def fails(place: Path, *_: object, **__: object) -> None:
        place.mkdir()
        raise SetupError("no such package")

    monkeypatch.setattr(notebook_env, "build", fails)
    with pytest.raises(SetupError, match="no such package"):
        deploy.add(folder, "physics", requirements)
    assert builds(folder) == {first.name}
    assert (folder / "physics").resolve() == first.resolve()


@pytest.mark.parametrize("name", ["", "default", "Physics", "../x", "a@b", ".a", "-a", "x" * 41])
def test_names(folder: Path, requirements: Path, name: str) -> None:
    with pytest.raises(SetupError, match="cannot name"):
        deploy.add(folder, name, requirements)


def test_a_file_that_is_not_there(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no requirements file"):
        deploy.add(folder, "physics", tmp_path / "nothing.txt")


@pytest.mark.parametrize(
    ("text", "how"), [("a\n", "--constraint"), ("a==1 --hash=sha256:00\n", "--require-hashes")]
)
def test_hashes_are_checked_where_there_are_some(
    requirements: Path, monkeypatch: pytest.MonkeyPatch, text: str, how: str
) -> None:
    ran: list[list[str]] = []

    def run(argv: list[Any], **_: object) -> None:
        ran.append([str(part) for part in argv])

    monkeypatch.setattr(deploy, "run", run)
    requirements.write_text(text)
    deploy._install(Path("/x/python"), requirements, {})
    assert how in ran[0]
    assert "--only-binary=:all:" in ran[0]


def test_what_is_fixed_is_in_the_lock() -> None:
    assert set(deploy._fixed()) == set(deploy.FIXED)


def settings(folder: Path) -> Settings:
    return Settings(home=folder.parent.parent, spaces=folder.parent)


def test_the_command_says_what_is_wrong(
    folder: Path, requirements: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadValue, match="cannot name"):
        make(settings(folder), "Physics", requirements)
    with pytest.raises(BadValue, match="there is no file"):
        make(settings(folder), "physics", requirements.with_name("nothing"))
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(BadSetup, match="was not made"):
        make(settings(folder), "physics", requirements)


def test_what_the_operator_says_of_it_is_in_its_record(folder: Path, requirements: Path) -> None:
    facts = {"fork": True, "preload": ["numpy", "torch.nn"]}
    arguments = ["add", str(folder), "physics", str(requirements), json.dumps(facts)]
    assert deploy.main(arguments) == 0
    found = Environment.load(folder / "physics")
    assert (found.fork, found.preload) == (True, ("numpy", "torch.nn"))
    assert deploy.main(arguments[:4]) == 0
    found = Environment.load(folder / "physics")
    assert (found.fork, found.preload) == (False, ())


def test_the_command_hands_on_what_the_operator_says(
    folder: Path, requirements: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.extend(command[3:])
        return subprocess.CompletedProcess(command, 1)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(BadSetup):
        make(settings(folder), "physics", requirements, fork=True, preload=["numpy"])
    assert json.loads(asked[-1]) == {"fork": True, "preload": ["numpy"]}
    for wrong in ("", "a b", "os;x", "../x", "a,b"):
        with pytest.raises(BadValue, match="names no module"):
            make(settings(folder), "physics", requirements, preload=[wrong])


def test_what_is_taken_away_is_not_found(folder: Path, requirements: Path) -> None:
    deploy.add(folder, "physics", requirements)
    assert environments.find(settings(folder), "physics")
    take_away(settings(folder), "physics")
    assert environments.find(settings(folder), "physics") is None
    for name in ("physics", "default", "../x"):
        with pytest.raises(Conflict):
            take_away(settings(folder), name)


def test_bad_usage_of_the_program() -> None:
    assert deploy.main(["add"]) == 2
    assert deploy.main(["add", "/nonexistent", "Bad", "/nonexistent/file"]) == 1
