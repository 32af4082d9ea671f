"""Control's database as an operator's tools see it: a SQLite file, or PostgreSQL by URL."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from catalog.errors import BadSetup
from hub.settings import Settings

SQLITE_COMPANIONS = ("-wal", "-shm", "-journal")
"""Files beside a SQLite database that belong to it."""

_SQLITE = "sqlite:///"


def sqlite_file(settings: Settings) -> Path | None:
    """Where control's SQLite database lies; None on PostgreSQL."""
    url = settings.database
    return Path(url.removeprefix(_SQLITE)) if url.startswith(_SQLITE) else None


def hub_file(settings: Settings) -> Path:
    """The Hub's own database."""
    return settings.home / "hub" / "hub.sqlite"


def copy_sqlite(source: Path, target: Path) -> None:
    """A consistent copy of a database that is being written to; nobody waits for it.

    Raises BadSetup when the source is damaged; OSError when the target's disk is full.
    """
    try:
        with (
            contextlib.closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True)) as live,
            contextlib.closing(sqlite3.connect(target)) as copy,
        ):
            live.backup(copy)
            # One file alone: a copy in WAL mode would want companions.
            copy.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise BadSetup(
            f"the database {source} cannot be copied: {error}",
            next="see `perijove doctor`; a full disk or a damaged database is the usual cause",
        ) from error
    if problem := sqlite_problem(target):
        raise BadSetup(
            f"the database {source} is damaged: {problem}",
            next="bring back an earlier backup with `perijove restore FILE`",
        )


def sqlite_problem(path: Path) -> str:
    """What `PRAGMA quick_check` finds; empty when all is well. Changes nothing."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            found = [str(row[0]) for row in database.execute("PRAGMA quick_check(3)")]
    except sqlite3.Error as error:
        return str(error)
    return "" if found == ["ok"] else "; ".join(found)


def set_aside_if_damaged(path: Path) -> Path | None:
    """A database that can be made anew: a damaged one is renamed, with what belongs to it.
    Returns its new name; None when it is sound or not there."""
    if not path.exists() or not path.stat().st_size or not sqlite_problem(path):
        return None
    kept = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    for companion in ("", *SQLITE_COMPANIONS):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + companion).rename(kept.with_name(kept.name + companion))
    return kept


def dump_postgres(settings: Settings, target: Path) -> None:
    """`pg_dump` in custom format: one consistent picture. Raises BadSetup with what it said."""
    _postgres(settings, "pg_dump", "--format=custom", "--no-owner", "--file", str(target))


def load_postgres(settings: Settings, source: Path) -> None:
    """`pg_restore` in one transaction: all of it or nothing. Raises BadSetup."""
    _postgres(
        settings, "pg_restore", "--clean", "--if-exists", "--no-owner", "--single-transaction",
        "--exit-on-error", str(source),
    )  # fmt: skip


def without_password(url: str) -> tuple[str, Mapping[str, str]]:
    """A URL that may be shown and put on a command line, and the environment for the rest."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    user = f"{parts.netloc.rpartition('@')[0].partition(':')[0]}@" if "@" in parts.netloc else ""
    bare = parts._replace(scheme=parts.scheme.partition("+")[0], netloc=user + place)
    secret = {"PGPASSWORD": unquote(parts.password)} if parts.password else {}
    return urlunsplit(bare), secret


def _postgres(settings: Settings, tool: str, *arguments: str) -> None:
    program = shutil.which(tool)
    if program is None:
        raise BadSetup(
            f"{tool} is not on PATH, and the database is PostgreSQL",
            next="install PostgreSQL's client programs (Debian: postgresql-client)",
        )
    url, secret = without_password(settings.database)
    done = subprocess.run(
        [program, "--dbname", url, *arguments],
        env={**os.environ, **secret},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BadSetup(
            f"{tool} failed: {done.stderr.strip()[-500:]}",
            next="see that PostgreSQL answers, and that the tool is not older than the server",
        )
