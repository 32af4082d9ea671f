"""Fetching from a real git server, and from hostile ones: bounded, in words, nothing left behind."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from catalog.errors import PerijoveError, Refused, TooLarge, Unavailable
from hub.courses.material_git import Bounds, Git, write_config
from hub.courses.material_source import Allowed, Source, parse_source
from tests.peers.git_http import GitHttp, Repository, serving

pytestmark = pytest.mark.slow

REF = "refs/perijove/new"
BOUNDS = Bounds(time_s=20)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitHttp]:
    (tmp_path / "repositories").mkdir()
    with serving(tmp_path / "repositories") as found:
        yield found


@pytest.fixture
def repository(server: GitHttp) -> Repository:
    found = Repository(server.folder / "physics")
    found.publish(a__txt="one\n")
    return found


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    (tmp_path / "mirror.git").mkdir()
    return tmp_path / "mirror.git"


@pytest.fixture
def git(tmp_path: Path, mirror: Path) -> Git:
    write_config(tmp_path / "gitconfig")
    found = Git(tmp_path / "gitconfig")
    found.make(mirror)
    return found


def source(server: GitHttp, path: str = "/repos/physics", branch: str = "") -> Source:
    return parse_source(f"{server.url}{path}", branch, Allowed.parse(server.url, None))


def fetched(git: Git, mirror: Path, from_: Source, bounds: Bounds = BOUNDS) -> str:
    git.fetch(mirror, from_, ("127.0.0.1",), REF, bounds)
    return git.run(mirror, "rev-parse", REF).decode().strip()


def clean(mirror: Path) -> bool:
    """No pack, no part of one, no ref."""
    left = [*mirror.glob("objects/pack/*"), *mirror.glob("refs/perijove/*")]
    return not left


def test_the_newest_commit_comes_and_then_the_next(
    server: GitHttp, repository: Repository, git: Git, mirror: Path
) -> None:
    first = fetched(git, mirror, source(server))
    second = repository.publish(a__txt="two\n")
    assert fetched(git, mirror, source(server, branch="main")) == second != first
    assert git.run(mirror, "cat-file", "-t", first) == b"commit\n"  # what students have it from
    assert fetched(git, mirror, source(server)) == second


@pytest.mark.parametrize(
    ("path", "branch", "words"),
    [
        ("/repos/nothing", "", "there is no git repository"),
        ("/elsewhere", "", "there is no git repository"),
        ("/repos/physics", "nothing", "it has no branch 'nothing'"),
        ("/moved/physics", "", "leads to another one"),
    ],
)
def test_what_is_not_there_is_told_in_words(
    server: GitHttp, repository: Repository, git: Git, mirror: Path, path: str, branch: str,
    words: str,
) -> None:  # fmt: skip
    with pytest.raises(Refused, match=words) as caught:
        fetched(git, mirror, source(server, path, branch))
    assert caught.value.next
    assert clean(mirror)
    assert not any(asked.startswith("/repos/") for asked in server.asked if "moved" in path)


def test_a_server_that_is_gone_is_told(git: Git, mirror: Path) -> None:
    allowed = Allowed.parse("http://127.0.0.1:9", None)
    with pytest.raises(Refused, match="does not answer"):
        fetched(git, mirror, parse_source("http://127.0.0.1:9/a", "", allowed))


def test_only_the_address_that_was_checked_is_connected_to(
    server: GitHttp, repository: Repository, git: Git, mirror: Path
) -> None:
    """The name is not looked up again: a second answer for it would change nothing."""
    url = f"http://no-such-name.invalid:{server.server_port}/repos/physics"
    found = parse_source(url, "", Allowed.parse(url.removesuffix("/repos/physics"), None))
    assert fetched(git, mirror, found)


@pytest.mark.parametrize("path", ["/hang/x", "/endless/x"])
def test_a_server_without_end_is_left_after_the_time(
    server: GitHttp, git: Git, mirror: Path, path: str
) -> None:
    with pytest.raises((Unavailable, Refused)):
        fetched(git, mirror, source(server, path), Bounds(time_s=1))
    assert clean(mirror)
    assert not _processes_on(mirror)


def test_too_large_is_stopped_and_leaves_nothing(
    server: GitHttp, repository: Repository, git: Git, mirror: Path
) -> None:
    first = fetched(git, mirror, source(server))
    repository.publish(big=os.urandom(3 * 2**20))
    with pytest.raises(TooLarge, match="larger than"):
        fetched(git, mirror, source(server), Bounds(size_bytes=2**20, time_s=20))
    assert sum(p.stat().st_size for p in mirror.glob("objects/pack/*")) < 2**20
    assert git.run(mirror, "cat-file", "-t", first) == b"commit\n"
    repository.publish(big="small")
    assert fetched(git, mirror, source(server))  # the mirror is as good as before


@pytest.mark.parametrize("lock", ["shallow.lock", "refs/perijove/new.lock"])
def test_what_a_killed_git_left_locked_is_unlocked(
    server: GitHttp, repository: Repository, git: Git, mirror: Path, lock: str
) -> None:
    held = mirror / lock
    held.parent.mkdir(parents=True, exist_ok=True)
    held.touch()
    os.utime(held, (0, 0))  # longer ago than a fetch may take
    assert fetched(git, mirror, source(server))
    assert not held.exists()


def test_what_another_git_holds_stays_locked(
    server: GitHttp, repository: Repository, git: Git, mirror: Path
) -> None:
    held = mirror / "shallow.lock"
    held.touch()
    with pytest.raises(Refused, match="being fetched already") as caught:
        fetched(git, mirror, source(server))
    assert str(mirror) not in str(caught.value)
    assert held.exists()


def test_a_fetch_that_fails_leaves_nothing_locked(
    server: GitHttp, git: Git, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = Git._start

    def locking(self: Git, *rest: Any) -> Any:
        (mirror / "shallow.lock").touch()  # as a git that is killed a moment later
        return start(self, *rest)

    monkeypatch.setattr(Git, "_start", locking)
    with pytest.raises(Refused, match="there is no git repository"):
        fetched(git, mirror, source(server, "/repos/nothing"))
    assert not (mirror / "shallow.lock").exists()


def test_too_many_objects_are_stopped(
    server: GitHttp, repository: Repository, git: Git, mirror: Path
) -> None:
    repository.publish(**{f"f{n}": str(n) for n in range(60)})
    with pytest.raises(TooLarge, match="more than 50 objects"):
        fetched(git, mirror, source(server), Bounds(objects=50, time_s=20))
    assert clean(mirror)


@pytest.mark.parametrize("name", [".git", "..", ".", ".GIT", "git~1"])
def test_a_tree_that_git_knows_to_be_hostile_is_refused(
    server: GitHttp, repository: Repository, git: Git, mirror: Path, name: str
) -> None:
    blob = repository.blob("x")
    repository.publish_tree(f"100644 blob {blob}\t{name}\n")
    with pytest.raises(PerijoveError, match="broken or hostile"):
        fetched(git, mirror, source(server))
    assert clean(mirror)


def test_nothing_of_a_repository_runs(
    server: GitHttp, repository: Repository, git: Git, mirror: Path, tmp_path: Path
) -> None:
    """Filters, hooks and submodules that a checkout or a clone would follow."""
    mark = tmp_path / "ran"
    repository.publish(
        **{
            ".gitattributes": "* filter=evil diff=evil\n",
            ".gitmodules": f'[submodule "s"]\n\tpath = s\n\turl = {server.url}/repos/other\n',
        }
    )
    (mirror / "hooks").mkdir()
    for hook in ("reference-transaction", "post-checkout", "post-merge"):
        script = mirror / "hooks" / hook
        script.write_text(f"#!/bin/sh\ntouch {mark}\n")
        script.chmod(0o755)
    fetched(git, mirror, source(server))
    assert not mark.exists()
    assert not any("other" in asked for asked in server.asked)


def test_the_operators_own_git_settings_do_not_count(
    server: GitHttp, repository: Repository, git: Git, mirror: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    config = tmp_path / "home" / ".gitconfig"
    config.parent.mkdir()
    config.write_text('[url "http://127.0.0.1:9/"]\n\tinsteadOf = http://\n')
    monkeypatch.setenv("HOME", str(config.parent))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    assert fetched(git, mirror, source(server))


def test_without_git_it_is_told(
    git: Git, mirror: Path, server: GitHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.courses.material_git._PATH", "/nonexistent")
    with pytest.raises(Unavailable, match="git is not installed"):
        fetched(git, mirror, source(server))


def _processes_on(mirror: Path) -> list[str]:
    found: list[str] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if str(mirror) in line:
                found.append(json.dumps(line))
    return found
