"""Backup and restore on real SQLite files, and on archives that somebody tampered with."""

import contextlib
import gzip
import hashlib
import io
import json
import os
import resource
import sqlite3
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from catalog.errors import BadSetup, BadValue
from hub.settings import Settings
from hub.up import swap
from hub.up.backup import backup, restore
from hub.up.home import prepare_home

Members = list[tuple[tarfile.TarInfo, bytes]]


def fill(path: Path, value: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE IF NOT EXISTS t (x)")
        database.execute("DELETE FROM t")
        database.execute("INSERT INTO t VALUES (?)", (value,))
        database.commit()


def value_of(path: Path) -> str:
    with contextlib.closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT x FROM t").fetchone()[0]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(home=tmp_path / "h")
    prepare_home(made)
    fill(made.home / "control.sqlite", "then")
    fill(made.home / "hub" / "hub.sqlite", "then")
    made.menu_file.write_text("menu: then\n")
    (made.home / "lti.yaml").write_text("platforms: []\n")
    return made


def unchanged(settings: Settings) -> bool:
    """Nothing in use was touched and nothing is left lying about."""
    odd = [p.name for p in settings.home.iterdir() if p.name.startswith((".", "before", "restore"))]
    return odd == [] and value_of(settings.home / "control.sqlite") == "now"


def test_there_and_back(settings: Settings, tmp_path: Path) -> None:
    pepper = settings.secret("pepper")
    saved = backup(settings, tmp_path)
    assert saved.parent == tmp_path
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    fill(settings.home / "control.sqlite", "now")
    fill(settings.home / "hub" / "hub.sqlite", "now")
    settings.menu_file.write_text("menu: now\n")
    (settings.home / "lti.yaml").write_text("platforms: [now]\n")
    (settings.home / "secrets" / "pepper").write_text("other")
    said = restore(settings, saved)
    assert value_of(settings.home / "control.sqlite") == "then"
    assert value_of(settings.home / "hub" / "hub.sqlite") == "then"
    assert settings.menu_file.read_text() == "menu: then\n"
    assert (settings.home / "lti.yaml").read_text() == "platforms: []\n"
    assert settings.secret("pepper") == pepper
    kept = next(settings.home.glob("before-restore-*"))
    assert str(kept) in said
    assert value_of(kept / "control.sqlite") == "now"
    assert (kept / "secrets" / "pepper").read_text() == "other"


def test_what_is_written_and_not_yet_checkpointed_is_in_the_backup(
    settings: Settings, tmp_path: Path
) -> None:
    with contextlib.closing(sqlite3.connect(settings.home / "control.sqlite")) as live:
        live.execute("PRAGMA wal_autocheckpoint=0")
        live.execute("UPDATE t SET x = 'in the wal'")
        live.commit()
        live.execute("UPDATE t SET x = 'not committed'")
        saved = backup(settings, tmp_path / "b")
    fill(settings.home / "control.sqlite", "now")
    restore(settings, saved)
    assert value_of(settings.home / "control.sqlite") == "in the wal"


def test_a_second_restore_keeps_what_the_first_had_put_aside(
    settings: Settings, tmp_path: Path
) -> None:
    saved = backup(settings, tmp_path / "b")
    fill(settings.home / "control.sqlite", "now")
    restore(settings, saved)
    restore(settings, saved)
    kept = sorted(settings.home.glob("before-restore-*"))
    assert [value_of(folder / "control.sqlite") for folder in kept] == ["now", "then"]


def test_a_damaged_database_makes_no_backup(settings: Settings, tmp_path: Path) -> None:
    (settings.home / "control.sqlite").write_bytes(b"SQLite format 3\0" + os.urandom(9000))
    for companion in settings.home.glob("control.sqlite-*"):
        companion.unlink()
    with pytest.raises(BadSetup, match=r"control\.sqlite"):
        backup(settings, tmp_path / "b")
    assert not (tmp_path / "b").exists()
    assert not list(tmp_path.glob(".perijove*"))


def test_nothing_to_back_up_or_nowhere_to_put_it(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(BadSetup, match="no database"):
        backup(Settings(home=tmp_path / "empty"), tmp_path / "b")
    with pytest.raises(BadSetup, match="cannot write"):
        backup(settings, tmp_path / "missing" / "b")


@pytest.mark.parametrize("most", [100, 9000])
def test_a_disk_that_takes_no_more_leaves_no_half_backup(
    settings: Settings, tmp_path: Path, most: int
) -> None:
    settings.menu_file.write_bytes(os.urandom(20_000))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        with pytest.raises(BadSetup):
            backup(settings, tmp_path / "b")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir()] == ["h"]


def test_a_swap_that_fails_half_way_puts_everything_back(
    settings: Settings, tmp_path: Path
) -> None:
    (settings.home / "inventory.yaml").touch()
    saved = backup(settings, tmp_path / "b")
    fill(settings.home / "control.sqlite", "now")
    (settings.home / "hub" / "hub.sqlite").unlink()
    (tmp_path / "file").touch()
    astray = Settings(home=settings.home, inventory=tmp_path / "file" / "inventory.yaml")
    with pytest.raises(BadSetup, match="changed nothing"):
        restore(astray, saved)
    assert value_of(settings.home / "control.sqlite") == "now"
    assert not (settings.home / "hub" / "hub.sqlite").exists()
    assert not (settings.home / "restore").exists()


def test_a_swap_that_was_killed_half_way_is_finished_later(
    settings: Settings, tmp_path: Path
) -> None:
    saved = backup(settings, tmp_path / "b")
    fill(settings.home / "control.sqlite", "now")
    restore_id = swap.stage(settings, saved)
    plan = json.loads((settings.home / "restore" / "plan.json").read_text())
    kept = settings.home / plan["before"]
    kept.mkdir()
    # As it is after the first of two renames.
    (settings.home / "control.sqlite").rename(kept / "control.sqlite")
    assert swap.is_staged(settings)
    swap.swap_in(settings)
    assert str(kept) in (swap.outcome_of(settings, restore_id) or "")
    assert value_of(settings.home / "control.sqlite") == "then"
    assert value_of(kept / "control.sqlite") == "now"
    assert not swap.is_staged(settings)


def members_of(path: Path) -> Members:
    with tarfile.open(path) as tar:
        found: Members = []
        for member in tar:
            content = tar.extractfile(member)
            found.append((member, content.read() if content else b""))
        return found


def pack(path: Path, members: Members) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for member, content in members:
            tar.addfile(member, io.BytesIO(content))


def with_manifest(members: Members, change: Callable[[dict], None]) -> Members:
    manifest = json.loads(members[0][1])
    change(manifest)
    content = json.dumps(manifest).encode()
    members[0][0].size = len(content)
    return [(members[0][0], content), *members[1:]]


def entry(name: str, content: bytes, kind: bytes = tarfile.REGTYPE, link: str = "") -> tuple:
    made = tarfile.TarInfo(name)
    made.size, made.type, made.linkname = len(content), kind, link
    return made, content


def listed(name: str, content: bytes) -> Callable[[dict], None]:
    facts = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return lambda manifest: manifest["files"].update({name: facts})


EVIL = b"evil"
TAMPERED: dict[str, Callable[[Members], Members]] = {
    "a byte changed": lambda m: [
        (i, c[:-1] + b"?" if i.name == "menu.yaml" else c) for i, c in m
    ],
    "a file missing": lambda m: [pair for pair in m if pair[0].name != "hub.sqlite"],
    "a file more": lambda m: [*m, entry("oidc.yaml", EVIL)],
    "a file twice": lambda m: [*m, next(p for p in m if p[0].name == "menu.yaml")],
    "climbs": lambda m: [
        *with_manifest(m, listed("../evil", EVIL)), entry("../evil", EVIL)
    ],
    "absolute": lambda m: [
        *with_manifest(m, listed("/tmp/evil", EVIL)), entry("/tmp/evil", EVIL)
    ],
    "climbs out of secrets": lambda m: [
        *with_manifest(m, listed("secrets/../../x", EVIL)), entry("secrets/../../x", EVIL)
    ],
    "symbolic link": lambda m: [
        *with_manifest(m, listed("oidc.yaml", b"")),
        entry("oidc.yaml", b"", tarfile.SYMTYPE, "/etc/passwd"),
    ],
    "hard link": lambda m: [
        *with_manifest(m, listed("oidc.yaml", b"")),
        entry("oidc.yaml", b"", tarfile.LNKTYPE, "menu.yaml"),
    ],
    "linked folder": lambda m: [
        m[0], entry("secrets", b"", tarfile.SYMTYPE, "/tmp"), *m[1:]
    ],
    "no manifest": lambda m: m[1:],
    "manifest is a list": lambda m: [entry("manifest.json", b"[]"), *m[1:]],
    "manifest of another format": lambda m: with_manifest(m, lambda f: f.update(format=2)),
    "manifest without files": lambda m: with_manifest(m, lambda f: f.update(files=[])),
    "negative size": lambda m: with_manifest(
        m, lambda f: f["files"]["menu.yaml"].update(size=-1)
    ),
    "more than the disk holds": lambda m: with_manifest(
        m, lambda f: f["files"]["menu.yaml"].update(size=2**60)
    ),
    "an entry larger than stated": lambda m: with_manifest(
        m, lambda f: f["files"]["menu.yaml"].update(size=1)
    ),
    "a broken database": lambda m: [
        *with_manifest([p for p in m if p[0].name != "hub.sqlite"], listed("hub.sqlite", EVIL)),
        entry("hub.sqlite", EVIL),
    ],
    "a huge name": lambda m: [m[0], entry("a" * 9_000_000, b""), *m[1:]],
    "deep json": lambda m: [entry("manifest.json", b"[" * 100_000), *m[1:]],
}  # fmt: skip


@pytest.mark.parametrize("how", TAMPERED)
def test_a_tampered_archive_changes_nothing(settings: Settings, tmp_path: Path, how: str) -> None:
    saved = backup(settings, tmp_path / "b")
    pack(saved, TAMPERED[how](members_of(saved)))
    fill(settings.home / "control.sqlite", "now")
    with pytest.raises(BadValue) as caught:
        restore(settings, saved)
    assert str(saved) in caught.value.message
    assert caught.value.next
    assert unchanged(settings)


@pytest.mark.parametrize(
    "content", [b"", b"hello", gzip.compress(b"hello", mtime=0), b"\x1f\x8b\x08"]
)
def test_what_is_no_archive_changes_nothing(
    settings: Settings, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "b").write_bytes(content)
    fill(settings.home / "control.sqlite", "now")
    with pytest.raises(BadValue):
        restore(settings, tmp_path / "b")
    assert unchanged(settings)


def test_a_truncated_archive_changes_nothing(settings: Settings, tmp_path: Path) -> None:
    saved = backup(settings, tmp_path / "b")
    saved.write_bytes(saved.read_bytes()[:-200])
    fill(settings.home / "control.sqlite", "now")
    with pytest.raises(BadValue):
        restore(settings, saved)
    assert unchanged(settings)


def test_an_archive_of_the_other_kind_of_database_is_refused(
    settings: Settings, tmp_path: Path
) -> None:
    saved = backup(settings, tmp_path / "b")
    fill(settings.home / "control.sqlite", "now")
    other = Settings(home=settings.home, database_url="postgresql://u@localhost/d")
    with pytest.raises(BadValue, match="PostgreSQL"):
        restore(other, saved)
    assert unchanged(settings)


def test_a_missing_archive_is_named(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="nowhere"):
        restore(settings, tmp_path / "nowhere")
