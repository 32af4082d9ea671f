"""The Hub's own database, as the Hub's process opens it."""

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event


def prepare(path: Path) -> None:
    """Make it if it is not there, and let no write wait for the disk: a start is a dozen writes, and
    nothing in it is worth that. Control knows all that matters; a power cut may take what was written
    here last, a sign-in or a sign-out, and never damages the rest. For every database that this
    process opens from now on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=WAL")
    event.listen(Engine, "connect", _connected)


def _connected(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")
