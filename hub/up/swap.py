"""Putting a checked backup in place of what is there, whole or not at all.

A restore is first *staged*: unpacked and checked in ``home/restore``. Whoever holds the lock of the
home then swaps it in while nothing runs. Killed half way, the next `up` finishes it: every step can
be repeated.
"""

import contextlib
import shutil
import tempfile
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from catalog.errors import BadSetup, BadValue, Conflict, PerijoveError
from hub.settings import Settings
from hub.up.archive import read_archive
from hub.up.database import (
    SQLITE_COMPANIONS,
    dump_postgres,
    hub_file,
    load_postgres,
    sqlite_file,
    sqlite_problem,
)
from hub.up.files import read_json, write_json

PLAN = "plan.json"
POSTGRES_DUMP = "control.dump"


def stage(settings: Settings, path: Path) -> str:
    """Check the backup in `path` and lay it ready; returns the id of this restore.

    Raises BadValue for a bad archive, Conflict while another restore is staged. Either way
    nothing that is in use was touched.
    """
    if is_staged(settings):
        raise Conflict("another restore is under way", next="wait for it, then try again")
    work = Path(tempfile.mkdtemp(dir=settings.home, prefix=".restore-"))
    try:
        manifest = read_archive(path, work)
        names = sorted(manifest["files"])
        _demand_same_database(settings, names, path)
        for name in names:
            if name.endswith(".sqlite") and (problem := sqlite_problem(work / name)):
                raise BadValue(
                    f"{path}: {name} is damaged: {problem}",
                    next="nothing was changed; use another backup",
                )
        plan = {"id": uuid.uuid4().hex, "files": names, "before": _before_name(settings)}
        write_json(work / PLAN, plan)
        work.rename(_stage_dir(settings))
    except OSError as error:
        raise BadSetup(
            f"the backup cannot be laid ready in {settings.home}: {error}", next="free disk space"
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return str(plan["id"])


def is_staged(settings: Settings) -> bool:
    """Whether a restore waits to be swapped in."""
    return (_stage_dir(settings) / PLAN).exists()


def swap_in(settings: Settings) -> str:
    """Put the staged files in place; returns a sentence about it. Nothing may run meanwhile.

    What they replace is kept in ``home/before-restore-TIME``. On an error everything is put back.
    The outcome is also in ``run/restored.json``, for the process that asked.
    """
    stage_dir = _stage_dir(settings)
    plan = read_json(stage_dir / PLAN)
    before = settings.home / str(plan.get("before", "before-restore"))
    try:
        before.mkdir(mode=0o700, exist_ok=True)
        _swap_all(settings, stage_dir, before, [str(name) for name in plan.get("files", [])])
    except (OSError, PerijoveError) as error:
        said = f"the restore failed and changed nothing: {error}"
        outcome = {"ok": False, "message": said, "next": getattr(error, "next", "")}
    else:
        said = f"restored; what was replaced is in {before}"
        outcome = {"ok": True, "message": said, "next": ""}
    # First the outcome: a reader that finds nothing staged must find it.
    with contextlib.suppress(BadSetup):
        write_json(_outcome_file(settings), {"id": plan.get("id"), **outcome})
    (stage_dir / PLAN).unlink(missing_ok=True)
    shutil.rmtree(stage_dir, ignore_errors=True)
    return said


def outcome_of(settings: Settings, restore_id: str) -> str | None:
    """The sentence about a swap that was done; None as long as it was not. Raises BadSetup."""
    outcome = read_json(_outcome_file(settings))
    if outcome.get("id") != restore_id:
        return None
    if not outcome.get("ok"):
        raise BadSetup(str(outcome.get("message")), next=str(outcome.get("next")))
    return str(outcome.get("message"))


def target_of(settings: Settings, name: str) -> Path:
    """Where the file that is `name` in a backup lies."""
    match name:
        case "control.sqlite":
            return sqlite_file(settings) or settings.home / name
        case "hub.sqlite":
            return hub_file(settings)
        case "menu.yaml":
            return settings.menu_file
        case "inventory.yaml":
            return settings.inventory or settings.home / name
        case "oidc.yaml":
            return settings.oidc or settings.home / name
        case "lti.yaml":
            return settings.lti or settings.home / name
        case _:
            return settings.home / name


def _swap_all(settings: Settings, stage_dir: Path, before: Path, names: Sequence[str]) -> None:
    if POSTGRES_DUMP in names:
        _swap_postgres(settings, stage_dir / POSTGRES_DUMP, before / POSTGRES_DUMP)
    done: list[tuple[Path, Path]] = []
    placed: list[Path] = []
    try:
        for name in names:
            if name != POSTGRES_DUMP and (stage_dir / name).exists():
                _swap_one(stage_dir / name, target_of(settings, name), before / name, done)
                placed.append(target_of(settings, name))
    except OSError:
        for place in placed:
            place.unlink()
        for kept, place in reversed(done):
            _move(kept, place)
        raise


def _swap_one(fresh: Path, place: Path, kept: Path, done: list[tuple[Path, Path]]) -> None:
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for suffix in ("", *SQLITE_COMPANIONS) if place.suffix == ".sqlite" else ("",):
        old, aside = Path(f"{place}{suffix}"), Path(f"{kept}{suffix}")
        if old.exists() and not aside.exists():
            _move(old, aside)
            done.append((aside, old))
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _move(fresh, place)


def _swap_postgres(settings: Settings, fresh: Path, kept: Path) -> None:
    if not kept.exists():
        half = kept.with_suffix(".half")
        dump_postgres(settings, half)
        half.replace(kept)
    load_postgres(settings, fresh)


def _move(source: Path, target: Path) -> None:
    """Rename, also to another disk: there the copy is whole before it takes the name."""
    try:
        source.replace(target)
    except OSError:
        half = target.with_name(f".{target.name}.half")
        shutil.copy2(source, half)
        half.replace(target)
        source.unlink()


def _demand_same_database(settings: Settings, names: Sequence[str], path: Path) -> None:
    wanted = POSTGRES_DUMP if sqlite_file(settings) is None else "control.sqlite"
    if wanted not in names:
        kind = "PostgreSQL" if wanted == POSTGRES_DUMP else "SQLite"
        raise BadValue(
            f"{path} was made from another kind of database; this one is {kind}",
            next="set PERIJOVE_DATABASE_URL as it was when the backup was made",
        )


def _before_name(settings: Settings) -> str:
    """A name that no earlier restore has used."""
    base = f"before-restore-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    taken = {path.name for path in settings.home.iterdir()}
    return next(n for i in range(len(taken) + 1) if (n := base + f"-{i}" * bool(i)) not in taken)


def _stage_dir(settings: Settings) -> Path:
    return settings.home / "restore"


def _outcome_file(settings: Settings) -> Path:
    return settings.run_dir / "restored.json"
