"""`perijove backup` and `perijove restore`: both work while everything runs."""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from catalog.errors import BadSetup, Unavailable
from hub.settings import Settings
from hub.up import swap
from hub.up.archive import write_archive
from hub.up.database import copy_sqlite, dump_postgres, hub_file, sqlite_file
from hub.up.files import unwritable
from hub.up.home import prepare_home
from hub.up.lock import holder_of, only_one
from hub.up.processes import Book
from hub.up.takeover import end_all

_ANSWER_WITHIN_S = 90.0
_POLL_S = 0.2
_GRACE_S = 5.0


def backup(settings: Settings, path: Path) -> Path:
    """Write a backup to `path`, or into it if it is a folder; returns the file. Replaces one there.

    Holds control's database, the Hub's, the menu, the inventory, the providers and the secrets;
    not the homes of people. Control's comes first: whatever the Hub knows beyond it is found and
    ended by control after a restore, and never the reverse. Mode 0600. Raises BadSetup when
    something cannot be read or written; then no file is left.
    """
    path = path.expanduser().absolute()
    if path.is_dir():
        path /= f"perijove-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.tar.gz"
    try:
        work = Path(tempfile.mkdtemp(dir=path.parent, prefix=".perijove-backup-"))
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        files = _collect(settings, work)
        packed = work / "packed"
        with packed.open("xb") as out:
            os.fchmod(out.fileno(), 0o600)
            write_archive(out, files, _facts(settings))
            out.flush()
            os.fsync(out.fileno())
        packed.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return path


def restore(settings: Settings, path: Path) -> str:
    """Bring back a backup; returns a sentence about it. The archive is checked before anything.

    A running `up` stops everything, swaps and starts everything again; without one the swap is
    made here. Notebooks that the restored database does not know are stopped by control after it.
    Raises BadValue for a bad archive and BadSetup when the swap failed: then nothing was changed.
    """
    prepare_home(settings)
    restore_id = swap.stage(settings, path.expanduser().absolute())
    if holder_of(settings.run_dir) is not None:
        return _by_up(settings, restore_id)
    with only_one(settings.run_dir, settings.url):
        records = Book(settings.run_dir / "processes.json").read()
        asyncio.run(end_all((record.identity for record in records.values()), _GRACE_S))
        swap.swap_in(settings)
    return swap.outcome_of(settings, restore_id) or "restored"


def _by_up(settings: Settings, restore_id: str) -> str:
    until = time.monotonic() + _ANSWER_WITHIN_S
    while time.monotonic() < until:
        said = swap.outcome_of(settings, restore_id)
        if said is not None:
            return said
        time.sleep(_POLL_S)
    raise Unavailable(
        "`perijove up` did not take up the restore",
        next="look at its terminal; stopped and started again, it finishes the restore first",
    )


def _collect(settings: Settings, work: Path) -> dict[str, Path]:
    """Consistent copies of the databases, made in `work`, and the files as they lie."""
    files: dict[str, Path] = {}
    database = sqlite_file(settings)
    if database is None:
        files[swap.POSTGRES_DUMP] = work / swap.POSTGRES_DUMP
        dump_postgres(settings, files[swap.POSTGRES_DUMP])
    elif not database.exists():
        raise BadSetup(f"there is no database at {database}", next="start `perijove up` once")
    else:
        files["control.sqlite"] = work / "control.sqlite"
        copy_sqlite(database, files["control.sqlite"])
    if hub_file(settings).exists():
        files["hub.sqlite"] = work / "hub.sqlite"
        copy_sqlite(hub_file(settings), files["hub.sqlite"])
    for name in ("menu.yaml", "inventory.yaml", "oidc.yaml", "lti.yaml"):
        if swap.target_of(settings, name).exists():
            files[name] = work / name
            # Copied, so that an edit while the archive is written cannot break it.
            shutil.copyfile(swap.target_of(settings, name), files[name])
    for secret in sorted((settings.home / "secrets").glob("[a-z]*")):
        files[f"secrets/{secret.name}"] = secret
    return files


def _facts(settings: Settings) -> Mapping[str, str]:
    try:
        product = version("perijove")
    except PackageNotFoundError:
        product = "unknown"
    return {
        "product": "perijove",
        "version": product,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "database": "postgresql" if sqlite_file(settings) is None else "sqlite",
    }
