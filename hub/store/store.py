"""The unit of work: one transaction, rolled back unless its block ends well.

SQLite: WAL, ``BEGIN IMMEDIATE``, ``synchronous=FULL``, one writer at a time. PostgreSQL: every write
takes one advisory lock, so that what a write reads stays true until it commits; grants and money
are decided nowhere else.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlmodel import Session

from catalog.errors import BadSetup, Unavailable

_WRITE_LOCK = 7_365_123
"""Key of the advisory lock on PostgreSQL; arbitrary, the product's own."""


READS_ONLY = "reads-only"
"""In `Session.info` of a read: what was read once stays as it is."""

_SQLITE_HEADER = b"SQLite format 3\0"


class Store:
    """Sessions on control's database. Safe to use from threads; each has one session at a time: who
    holds a connection and waits for another may wait for somebody who does the same."""

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
            if parsed.drivername == "postgresql":
                parsed = parsed.set(drivername="postgresql+psycopg")
            self.url = parsed
            self.engine = _sqlite(parsed) if self.is_sqlite else create_engine(
                parsed, pool_pre_ping=True, pool_size=10, max_overflow=20
            )  # fmt: skip
        except (ArgumentError, ModuleNotFoundError) as error:
            raise BadSetup(
                f"PERIJOVE_DATABASE_URL is not an address of a database: {error}",
                next="use postgresql://user:password@host/name, or unset it for SQLite",
            ) from error
        self._writer = threading.Lock()
        self.version = 0
        """How many writes of this process have come to their end; it grows after each."""
        self._thread = threading.local()

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    @property
    def inside(self) -> bool:
        """Whether this thread is within a read or a write."""
        return getattr(self._thread, "inside", False)

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        if self.inside:
            raise RuntimeError("a session was opened within another of the same thread")
        self._thread.inside = True
        try:
            yield
        finally:
            self._thread.inside = False

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A consistent picture; nothing that is changed in it is kept."""
        with (
            self._one_at_a_time(),
            _plain_words(),
            Session(self.engine, expire_on_commit=False, info={READS_ONLY: True}) as session,
        ):
            if not self.is_sqlite:  # there the first look takes the picture for the rest
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            try:
                yield session
            finally:
                session.expunge_all()  # or the rollback would empty what was read
                session.rollback()

    @contextmanager
    def write(self) -> Iterator[Session]:
        """The only writer while the block runs; commits at its end, rolls back on an exception.

        Never wait for the network inside.
        """
        with (
            self._one_at_a_time(),
            _plain_words(),
            self._writer,  # before it takes a connection: those who wait must not keep them all
            Session(self.engine, expire_on_commit=False) as session,
        ):
            if self.is_sqlite:
                session.connection(execution_options={"begin": "IMMEDIATE"})
            else:
                session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITE_LOCK})
            yield session
            session.commit()
            self.version += 1

    def check(self) -> None:
        """Raise BadSetup when the database is damaged or out of reach."""
        if self.is_sqlite and self.url.database:
            _demand_header(Path(self.url.database))
        try:
            with self.engine.connect() as connection:
                if self.is_sqlite:
                    said = connection.execute(text("PRAGMA quick_check(1)")).scalar()
                    if said != "ok":
                        raise _damaged(self.url.database, str(said))
                else:
                    connection.execute(text("SELECT 1"))
        except OperationalError as error:
            if self.is_sqlite and "malformed" not in str(error):
                raise BadSetup(
                    f"{self.url.database} cannot be opened: {error.orig}",
                    next="check that the disk has space and the file belongs to you",
                ) from error
            if self.is_sqlite:
                raise _damaged(self.url.database, str(error.orig)) from error
            raise BadSetup(
                f"PostgreSQL at {self.url.host or 'its socket'} does not answer: "
                f"{str(error.orig).strip().splitlines()[0]}",
                next="start it, or correct PERIJOVE_DATABASE_URL",
            ) from error
        except DatabaseError as error:
            raise _damaged(self.url.database, str(error.orig)) from error

    def close(self) -> None:
        self.engine.dispose()


def _demand_header(file: Path) -> None:
    """SQLite takes the stump of a file for an empty database, and would begin anew in it."""
    with contextlib.suppress(OSError), file.open("rb") as database:
        begins = database.read(len(_SQLITE_HEADER))
        if begins and begins != _SQLITE_HEADER:
            raise _damaged(str(file), "it does not begin like one")


def _damaged(name: str | None, said: str) -> BadSetup:
    return BadSetup(
        f"{name} is not a sound database: {said}",
        next="keep the file for rescue, and put the last backup in place with `perijove restore`",
    )


def _sqlite(url: Any) -> Engine:
    # As many as there are threads: each more would be opened and closed for one transaction. The
    # pool of a database in memory is of another kind, and takes no such numbers.
    pool = {"pool_size": 50, "max_overflow": 20} if url.database not in {None, ":memory:"} else {}
    connect = {"timeout": 30, "check_same_thread": False}
    engine = create_engine(url, connect_args=connect, **pool)

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        # Transactions are begun below, not guessed by the driver.
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        how = connection.get_execution_options().get("begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {how}")

    return engine


@contextmanager
def _plain_words() -> Iterator[None]:
    """A database that fails in use: a full disk or a lost server, in words."""
    try:
        yield
    except PoolTimeout as error:
        raise Unavailable(
            "too many wait for the database; nothing was changed", next="try again in a moment"
        ) from error
    except DBAPIError as error:
        said = str(error.orig)
        if "disk is full" in said or "disk I/O error" in said or "readonly" in said:
            raise Unavailable(
                "the disk that holds the database is full or read-only; nothing was changed",
                next="tell the administrator; try again when there is space",
            ) from error
        if isinstance(error, OperationalError):
            raise Unavailable(
                "the database does not answer; nothing was changed", next="try again in a moment"
            ) from error
        raise
