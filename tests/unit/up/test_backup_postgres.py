"""Backup and restore when control's database is PostgreSQL: a real one, on a socket alone."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from catalog.errors import BadSetup
from hub.settings import Settings
from hub.up.backup import backup, restore
from hub.up.checks.data import check_data
from hub.up.database import without_password
from hub.up.home import prepare_home
from tests.peers.postgres import running_postgres

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(shutil.which("pg_dump") is None, reason="needs pg_dump on PATH"),
]


@pytest.fixture(scope="module")
def server(postgres_bin: Path) -> Iterator[str]:
    """The URL of a fresh server that runs under an unprivileged uid."""
    with running_postgres(postgres_bin) as url:
        yield url


@pytest.fixture
def settings(server: str, tmp_path: Path) -> Settings:
    made = Settings(home=tmp_path / "h", database_url=server.replace(":", "+psycopg:", 1))
    prepare_home(made)
    with psycopg.connect(server) as database:
        database.execute("DROP TABLE IF EXISTS t")
        database.execute("CREATE TABLE t (x text)")
        database.execute("INSERT INTO t VALUES ('then')")
    return made


def test_there_and_back_keeps_what_was_replaced(
    settings: Settings, server: str, tmp_path: Path
) -> None:
    saved = backup(settings, tmp_path / "b")
    with psycopg.connect(server) as database:
        database.execute("UPDATE t SET x = 'now'")
    said = restore(settings, saved)
    with psycopg.connect(server) as database:
        assert database.execute("SELECT x FROM t").fetchone() == ("then",)
    kept = next(settings.home.glob("before-restore-*"))
    assert str(kept) in said
    assert (kept / "control.dump").read_bytes().startswith(b"PGDMP")


def test_a_dump_that_cannot_be_loaded_changes_nothing(
    settings: Settings, server: str, tmp_path: Path
) -> None:
    saved = backup(settings, tmp_path / "b")
    with psycopg.connect(server) as database:
        database.execute("UPDATE t SET x = 'now'")
        # Something that the dump does not know leans on what it would drop.
        database.execute("CREATE VIEW v AS SELECT x FROM t")
    try:
        with pytest.raises(BadSetup, match="changed nothing"):
            restore(settings, saved)
        with psycopg.connect(server) as database:
            assert database.execute("SELECT x FROM v").fetchone() == ("now",)
    finally:
        with psycopg.connect(server) as database:
            database.execute("DROP VIEW v")


def test_a_server_that_does_not_answer_is_said_plainly(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "h", database_url=f"postgresql://u:pw@/d?host={tmp_path}")
    prepare_home(settings)
    with pytest.raises(BadSetup, match="pg_dump failed") as caught:
        backup(settings, tmp_path / "b")
    assert "pw" not in caught.value.message
    assert not (tmp_path / "b").exists()
    found = {finding.name: finding for finding in check_data(settings)}
    assert found["database"].level == "bad"
    assert "does not answer" in found["database"].text


def test_the_password_goes_by_the_environment() -> None:
    url, secret = without_password(
        "postgresql+psycopg://me:p%40ss@db.example:5433/pj?sslmode=require"
    )
    assert url == "postgresql://me@db.example:5433/pj?sslmode=require"
    assert secret == {"PGPASSWORD": "p@ss"}
