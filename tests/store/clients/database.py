"""A database as plain SQL sees it, of either kind. Shares no code with the product."""

import contextlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

SQLITE = "sqlite:///"
Row = tuple[Any, ...]


class Database:
    """SQL in, rows out, on a connection of its own; the same text for both kinds."""

    def __init__(self, url: str) -> None:
        self.is_sqlite = url.startswith(SQLITE)
        self._connection: Any = (
            sqlite3.connect(url.removeprefix(SQLITE), timeout=60, isolation_level=None)
            if self.is_sqlite
            else psycopg.connect(url, autocommit=True)
        )

    def rows(self, sql: str) -> list[Row]:
        return self._connection.execute(sql).fetchall()

    def map(self, sql: str) -> dict[Any, Any]:
        """Two columns as a dictionary."""
        return dict(self.rows(sql))

    def run(self, *statements: str) -> None:
        for statement in statements:
            self._connection.execute(statement)

    @contextmanager
    def one_picture(self) -> Iterator[None]:
        """Everything that is read in the block is as of one moment."""
        self.run("BEGIN" if self.is_sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ")
        try:
            yield
        finally:
            self.run("ROLLBACK")

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error, psycopg.Error):
            self._connection.close()
