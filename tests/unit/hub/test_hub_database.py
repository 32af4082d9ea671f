"""The Hub's database lets no write wait for a reader or for the disk."""

import contextlib
from pathlib import Path

from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import Engine

from hub import hub_database
from hub.up.database import set_aside_if_damaged, sqlite_problem


def test_it_is_made_and_opened_so_that_nothing_waits(tmp_path: Path) -> None:
    file = tmp_path / "hub" / "hub.sqlite"
    hub_database.prepare(file)
    with contextlib.ExitStack() as stack:
        stack.callback(event.remove, Engine, "connect", hub_database._connected)
        engine = create_engine(f"sqlite:///{file}")
        stack.callback(engine.dispose)
        with engine.connect() as connection:
            assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
            assert connection.execute(text("PRAGMA synchronous")).scalar() == 1
            connection.execute(text("CREATE TABLE thing (name TEXT)"))
            connection.commit()
    assert sqlite_problem(file) == ""
    assert set_aside_if_damaged(file) is None
