"""Homes: private, honest about room, and measured without leaving them."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from catalog.errors import BadSetup, BadValue
from spawners.local.homes import home_state, prepare_home
from spawners.local.rescue.usage import delete_in, empty_throwaway, largest_in

SOMEBODY = 61234
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a home away")


def test_a_home_is_private_and_making_it_again_keeps_it(tmp_path: Path) -> None:
    home = prepare_home(tmp_path / "homes", "ada", None)
    (home / "thesis").write_text("x")
    home.chmod(0o755)
    assert prepare_home(tmp_path / "homes", "ada", None) == home
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert (home / "thesis").read_text() == "x"


@root_only
def test_a_home_belongs_to_its_person(tmp_path: Path) -> None:
    home = prepare_home(tmp_path, "ada", SOMEBODY)
    assert (home.stat().st_uid, home.stat().st_gid) == (SOMEBODY, SOMEBODY)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


@root_only
def test_a_home_of_somebody_else_is_not_taken(tmp_path: Path) -> None:
    prepare_home(tmp_path, "ada", SOMEBODY)
    with pytest.raises(BadSetup, match="belongs to user 61234, not 61235"):
        prepare_home(tmp_path, "ada", SOMEBODY + 1)


def test_a_link_in_the_place_of_a_home_is_refused(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    (tmp_path / "ada").symlink_to(elsewhere)
    with pytest.raises(BadSetup, match="is a link or a file"):
        prepare_home(tmp_path, "ada", None)
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o755


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "a\0b", "-rf"])
def test_a_name_is_no_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadValue):
        prepare_home(tmp_path, name, None)


def test_an_ordinary_home_is_fine(tmp_path: Path) -> None:
    state = home_state(tmp_path)
    assert (state.full, state.writable, state.reason) == (False, True, "")
    assert state.free_bytes > 0


def test_over_its_quota_it_is_full(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"x" * 300_000)
    state = home_state(tmp_path, 200_000)
    assert (state.full, state.free_bytes) == (True, 0)
    assert "allowed" in state.reason
    assert not home_state(tmp_path, 2**30).full


@root_only
def test_a_disk_without_room_is_full(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(tmp_path)]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("cannot mount a small disk here")
    try:
        state = home_state(tmp_path)
        assert state.full
        assert state.reason == "the disk has 8 MiB left; a start needs 64 MiB"
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_home_that_is_not_there_says_so(tmp_path: Path) -> None:
    state = home_state(tmp_path / "nobody")
    assert not state.writable
    assert "No such file" in state.reason


@root_only
def test_a_home_of_another_is_not_writable(tmp_path: Path) -> None:
    home = prepare_home(tmp_path, "ada", SOMEBODY)
    assert home_state(home, uid=SOMEBODY).writable
    assert "not 61235" in home_state(home, uid=SOMEBODY + 1).reason
    home.chmod(0o500)
    assert not home_state(home, uid=SOMEBODY).writable


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    (home / "data" / "raw").mkdir(parents=True)
    (home / "data" / "raw" / "big").write_bytes(b"x" * 800_000)
    (home / "data" / "small").write_bytes(b"x" * 100_000)
    (home / "note").write_bytes(b"x" * 5000)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_bytes(b"x" * 2_000_000)
    (home / "link").symlink_to(outside)
    return home


class TestUsage:
    def test_the_largest_come_first_with_totals_of_folders(self, home: Path) -> None:
        found = largest_in(home)
        paths = [entry.path for entry in found.entries]
        assert paths[:4] == ["data", "data/raw", "data/raw/big", "data/small"]
        sizes = {entry.path: entry.used_bytes for entry in found.entries}
        assert sizes["data"] >= sizes["data/raw"] + sizes["data/small"]
        assert found.complete
        assert 900_000 < found.total_bytes < 1_000_000

    def test_a_limit_and_a_deadline_hold(self, home: Path) -> None:
        assert [entry.path for entry in largest_in(home, limit=1).entries] == ["data"]
        assert not largest_in(home, deadline_s=-1).complete

    def test_what_is_not_there_is_empty(self, tmp_path: Path) -> None:
        assert largest_in(tmp_path / "nobody").entries == []


class TestDeleting:
    def test_a_file_and_a_folder(self, home: Path) -> None:
        delete_in(home, "note")
        delete_in(home, "data")
        assert [entry.name for entry in home.iterdir()] == ["link"]

    @pytest.mark.parametrize(
        "path", ["", ".", "..", "../outside", "/etc/passwd", "data/../../outside", "link/precious"]
    )
    def test_nothing_outside(self, home: Path, path: str) -> None:
        with pytest.raises(ValueError):
            delete_in(home, path)
        assert (home.parent / "outside" / "precious").exists()
        assert (home / "data").exists()

    def test_a_link_goes_and_its_target_stays(self, home: Path) -> None:
        delete_in(home, "link")
        assert not (home / "link").is_symlink()
        assert (home.parent / "outside" / "precious").exists()

    def test_what_is_gone_says_so(self, home: Path) -> None:
        with pytest.raises(FileNotFoundError):
            delete_in(home, "nobody")

    def test_caches_and_trash(self, home: Path) -> None:
        for folder in (".cache/pip", ".local/share/Trash", ".cache/mine"):
            (home / folder).mkdir(parents=True)
        assert empty_throwaway(home) == [".cache/pip", ".local/share/Trash"]
        assert (home / ".cache/mine").exists()
        assert empty_throwaway(home) == []
