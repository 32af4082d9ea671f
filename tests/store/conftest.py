"""Both databases: a SQLite file, and a real PostgreSQL under a uid that is not root's."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from catalog.clock import ManualClock
from hub.control_context import Control
from spawners.fake import FakeEngine
from tests.peers.postgres import running_postgres
from tests.site import NODES, build_control, settings_in


@pytest.fixture(scope="session")
def postgres(postgres_bin: Path) -> Iterator[str]:
    """The URL of a server's maintenance database, on a socket alone."""
    with running_postgres(postgres_bin) as url:
        yield url


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
