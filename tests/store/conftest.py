"""Both databases: a SQLite file, and a real PostgreSQL under a uid that is not root's."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from catalog.clock import ManualClock
from hub.control_context import Control
from spawners.fake import FakeEngine
from tests.site import NODES, build_control, settings_in

_NOBODY = 65534


@pytest.fixture(scope="session")
def postgres(postgres_bin: Path) -> Iterator[str]:
    """The URL of a server's maintenance database, on a socket alone."""
    folder = Path(tempfile.mkdtemp(prefix="pg-store-"))
    uid = _NOBODY if os.geteuid() == 0 else None
    if uid:
        os.chown(folder, uid, uid)
    data = folder / "data"
    subprocess.run(
        [postgres_bin / "initdb", "-D", data, "-U", "owner", "-A", "trust", "--no-sync"],
        check=True, capture_output=True, user=uid, cwd=folder,
    )  # fmt: skip
    running = subprocess.Popen(
        [postgres_bin / "postgres", "-D", data, "-k", folder, "-h", "", "-F"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=uid, cwd=folder,
    )  # fmt: skip
    try:
        yield _when_it_answers(f"postgresql://owner@/postgres?host={folder}")
    finally:
        running.terminate()
        running.wait(timeout=20)
        shutil.rmtree(folder)


def _when_it_answers(url: str) -> str:
    end = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            assert time.monotonic() < end, "PostgreSQL did not start"
            time.sleep(0.1)
        else:
            return url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database of each kind in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'control.sqlite'}"
        return
    server, name = request.getfixturevalue("postgres"), f"t{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    yield server.replace("/postgres?", f"/{name}?")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def control(database: str, tmp_path: Path, clock: ManualClock) -> Iterator[Control]:
    """Control on the database, with the fake engine."""
    built = another(database, tmp_path, clock)
    yield built
    built.store.close()


def another(database: str, folder: Path, clock: ManualClock) -> Control:
    """One more control on the same database, as if on another machine."""
    settings = settings_in(folder, database_url=database)
    return build_control(settings, clock, FakeEngine(NODES, clock))
