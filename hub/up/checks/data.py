"""The data: state directory, disks, databases, ledger."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from catalog.errors import PerijoveError, Unavailable
from catalog.units import GIB, MIB, format_bytes
from hub.settings import Settings
from hub.store.schema import HEAD, revision
from hub.store.store import Store
from hub.up.checks.finding import Finding, bad, ok, warn
from hub.up.database import hub_file, sqlite_file, sqlite_problem, without_password
from hub.up.door import ControlDoor
from hub.up.home import free_bytes

_LITTLE = 5 * GIB
_TOO_LITTLE = 200 * MIB
_FEW_FILES = 1000
INVARIANTS = {
    "ledger": "postings balance, accounts are the sum of their entries, holds are those of leases",
    "budgets": "what is counted by day is what the attempts used",
    "shares": "what devices hold is the sum of the shares on them",
    "tenants": "every tenant has its parent, and no guarantee is above its parent's",
    "audit": "no line of the audit was changed",
}
"""What control looks at when it is asked for invariants, and what is so when all is well."""


def check_data(settings: Settings) -> Iterator[Finding]:
    """Where the state is, whether it is whole, and whether there is room."""
    yield _home(settings.home)
    yield from _disk("disk-home", settings.home, "PERIJOVE_HOME")
    yield from _disk("disk-spaces", settings.spaces_dir, "people's homes")
    yield from _control_database(settings)
    yield from _hub_database(settings)
    yield from _ledger(settings)


def _home(home: Path) -> Finding:
    if not home.exists():
        return ok("home", f"{home} will be made at the first start")
    seen = home.stat()
    if seen.st_uid != os.geteuid():
        return bad(
            "home",
            f"{home} belongs to uid {seen.st_uid}, and this is uid {os.geteuid()}",
            "run as its owner, or choose another PERIJOVE_HOME",
        )
    if not os.access(home, os.W_OK | os.X_OK):
        return bad("home", f"{home} is not writable", f"chmod 700 {home}")
    if stat.S_IMODE(seen.st_mode) & 0o077:
        return warn(
            "home", f"others can look into {home}, which holds secrets", f"chmod 700 {home}"
        )
    return ok("home", f"{home} is yours alone")


def _disk(name: str, folder: Path, what: str) -> Iterator[Finding]:
    free = free_bytes(folder)
    said = f"{format_bytes(free)} free for {what} ({folder})"
    if free < _TOO_LITTLE:
        yield bad(name, said, "free space now: databases and notebooks cannot be saved")
    elif free < _LITTLE:
        yield warn(name, said, "free space, or move it to a larger disk")
    else:
        yield ok(name, said)
    there = next(path for path in (folder, *folder.parents) if path.exists())
    disk = os.statvfs(there)
    if disk.f_files and disk.f_favail < _FEW_FILES:
        yield bad(name, f"the disk of {folder} can hold no more files", "delete small files there")


def _control_database(settings: Settings) -> Iterator[Finding]:
    file = sqlite_file(settings)
    if file is not None and not file.exists():
        yield ok("database", f"{file} will be made at the first start")
        return
    shown = str(file) if file else without_password(settings.database)[0]
    if file and (problem := sqlite_problem(file)):
        yield bad(
            "database",
            f"{file} is damaged: {problem}",
            "keep the file for rescue, and put the last backup in place with `perijove restore`",
        )
        return
    try:
        store = Store(settings.database)
        try:
            store.check()
            found = revision(store)
        finally:
            store.close()
    except PerijoveError as error:
        yield bad("database", error.message, error.next)
        return
    yield ok("database", f"{shown} is sound")
    if found == HEAD:
        yield ok("migrations", f"at {HEAD}, the newest")
    else:
        yield warn("migrations", f"at {found}, the newest is {HEAD}", "`perijove up` upgrades it")


def _hub_database(settings: Settings) -> Iterator[Finding]:
    file = hub_file(settings)
    if file.exists() and (problem := sqlite_problem(file)):
        yield bad(
            "hub-database",
            f"{file} is damaged: {problem}",
            "start Perijove again: it is put aside, people sign in anew, and nothing else is lost",
        )


def _ledger(settings: Settings) -> Iterator[Finding]:
    if not settings.socket.exists():
        return
    try:
        found = ControlDoor(settings).ask("GET", "/internal/invariants")
    except Unavailable as error:
        yield warn("ledger", f"not checked: {error.message}", "start `perijove up` and try again")
        return
    for name, sound in INVARIANTS.items():
        for problem in found.get(name, []):
            yield bad(
                name, str(problem), "take a backup, and report this as a bug with the audit log"
            )
        if not found.get(name):
            yield ok(name, sound)
