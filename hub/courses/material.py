"""The material of courses: fetched once into a mirror of this site, and brought to each student.

A mirror is a bare repository that git's own user owns and everybody may read who knows its name; a
student's server takes what is new from it when it starts. What a fetch cannot get changes nothing
that students have; the course says why.
"""

import hmac
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Collection, Iterator
from datetime import timedelta
from pathlib import Path

from sqlmodel import Session, col, select

from catalog.errors import Conflict, PerijoveError, Refused, Unavailable
from hub.bus import Hint
from hub.control_context import Control
from hub.courses import material_tree as trees
from hub.courses.material_git import Bounds, Git, git_binary, write_config
from hub.courses.material_source import (
    Allowed,
    Source,
    addresses_of,
    parse_source,
)
from hub.courses.notices import tell_staff
from hub.courses.people import place_of
from hub.policy import Action, Actor
from hub.settings import Settings
from hub.store import audit
from hub.store.course_tables import CourseRow
from hub.tenant_paths import TenantPaths

log = logging.getLogger("perijove.material")

FRESH_FOR = timedelta(minutes=10)
"""A start looks for new material when the last look is older."""
WAIT_S = 3.0
"""So long a start waits for that look, and then goes on with what is there."""
_WAITING = threading.BoundedSemaphore(2)
"""Starts that wait for a look: when a class arrives, threads are wanted for starting."""
_NEW, _CURRENT = "refs/perijove/new", "refs/perijove/current"
_MOST_SMALL_FILES = 2000
"""Links and attributes that are read to be judged."""


def folder_of(row: CourseRow) -> str:
    """Below a student's home; empty when the course has no material."""
    return (row.material_folder or row.tenant_id) if row.material_url else ""


def folder_in(session: Session, tenant_id: str) -> str:
    """The same for work in a tenant: empty outside of courses."""
    row = session.get(CourseRow, TenantPaths(session).course_of(tenant_id))
    return folder_of(row) if row is not None else ""


def request(control: Control, actor: Actor, course_id: str) -> CourseRow:
    """Staff ask for a look now; it begins within a second, and the course shows what came of it.
    Safe to repeat. Raises Conflict when the course has no material."""
    with control.store.write() as session:
        row = place_of(session, actor, course_id, Action.RUN_ROOM).course
        if not row.material_url:
            raise Conflict(
                "this course has no material", next="give the address of a repository first"
            )
        row.material_at = None
        session.add(row)
    control.unhurried.discard(course_id)
    return row


def freshen(control: Control, tenant_id: str) -> None:
    """Before a start in a course: look for new material if the last look is old, and wait a little
    for it. Never raises: a lab starts with what is there."""
    with control.store.read() as session:
        row = session.get(CourseRow, TenantPaths(session).course_of(tenant_id))
    if row is None or not row.material_url or row.cleaned_at is not None:
        return
    if row.tenant_id in control.unhurried and mirror_of(control, row.tenant_id).is_dir():
        return
    old = row.material_at is not None and control.clock.now() - row.material_at > FRESH_FOR
    lost = bool(row.material_commit) and not mirror_of(control, row.tenant_id).is_dir()
    if old or lost:
        _make_due(control, row.tenant_id)
    elif row.material_at is not None and row.tenant_id not in control.fetching:
        return
    if _WAITING.acquire(blocking=False):
        try:
            _wait_until_looked(control, row.tenant_id)
        finally:
            _WAITING.release()


def plan(control: Control, tenant_id: str) -> str:
    """What a student's server is told, as JSON (see `spawners.local.material`); empty when there is
    nothing to bring."""
    with control.store.read() as session:
        row = session.get(CourseRow, TenantPaths(session).course_of(tenant_id))
    if row is None or not row.material_url or not row.material_commit:
        return ""
    mirror, git = mirror_of(control, row.tenant_id), git_binary()
    if not git or not mirror.is_dir():
        return ""
    facts = {
        "mirror": str(mirror), "commit": row.material_commit, "folder": folder_of(row),
        "course": row.tenant_id, "git": git, "config": str(_config(control)),
    }  # fmt: skip
    return json.dumps(facts)


# ---- fetching ------------------------------------------------------------------------------------


def fetch(control: Control, course_id: str, bounds: Bounds = Bounds()) -> None:  # noqa: B008 (frozen)
    """Look at the repository of a course and publish what is new. What goes wrong is written down
    for the course's staff. Blocks, at most for the time of `bounds`."""
    with control.store.read() as session:
        row = session.get(CourseRow, course_id)
    if row is None or not row.material_url:
        return
    commit, error = "", ""
    try:
        source = parse_source(row.material_url, row.material_branch, allowed(control.settings))
        commit = _bring(control, course_id, source, bounds)
    except PerijoveError as problem:
        error = f"{problem.message}; {problem.next}" if problem.next else problem.message
    except OSError as problem:
        log.exception("material-failed course=%s", course_id)
        error = f"it could not be kept here ({problem.strerror}); tell the administrator"
    _write_down(control, row, commit, error)


def _bring(control: Control, course_id: str, source: Source, bounds: Bounds) -> str:
    """The commit that the mirror now has. Raises PerijoveError, OSError."""
    addresses = addresses_of(source) if source.host else ()
    git, mirror = _git(control), _made_mirror(control, course_id)
    git.make(mirror)
    git.fetch(mirror, source, addresses, _NEW, bounds)
    commit = git.run(mirror, "rev-parse", "--verify", f"{_NEW}^{{commit}}").decode().strip()
    _inspect(git, mirror, commit, bounds)
    git.run(mirror, "update-ref", _CURRENT, commit)
    return commit


def _inspect(git: Git, mirror: Path, commit: str, bounds: Bounds) -> None:
    """Raises Refused for what must not come into a home."""
    items = trees.parse_tree(git.run(mirror, "ls-tree", "-r", "-z", "-l", "--full-tree", commit))
    trees.check_names(items, bounds.size_bytes, bounds.objects)
    links = [item for item in items if item.mode == trees.LINK]
    attributes = [item for item in items if item.path.rpartition("/")[2] == ".gitattributes"]
    small = [*links, *attributes]
    if len(small) > _MOST_SMALL_FILES or any(item.size > 2**20 for item in small):
        raise Refused("it has too many links", next="replace links by the files themselves")
    content = _read(git, mirror, small)
    targets = {item.path: content[item.object_id] for item in links}
    if bad := trees.unsound_links(items, targets):
        raise Refused(
            f"the link {bad[0][:80]!a} leads out of the material",
            next="replace it by the file itself",
        )
    if any(trees.uses_lfs(content[item.object_id]) for item in attributes):
        raise Refused(
            "it keeps files in Git LFS, which is not fetched", next="commit the files themselves"
        )


def _read(git: Git, mirror: Path, items: list[trees.Item]) -> dict[str, bytes]:
    """Contents by object id."""
    if not items:
        return {}
    asked = "".join(f"{item.object_id}\n" for item in items).encode()
    answer = git.run(mirror, "cat-file", "--batch", asked=asked)
    found, at = dict[str, bytes](), 0
    for item in items:
        begin = answer.index(b"\n", at) + 1
        found[item.object_id] = answer[begin : begin + item.size]
        at = begin + item.size + 1
    return found


def _write_down(control: Control, looked_at: CourseRow, commit: str, error: str) -> None:
    now, course_id = control.clock.now(), looked_at.tenant_id
    with control.store.write() as session:
        row = session.get(CourseRow, course_id)
        if row is None or (row.material_url, row.material_branch) != (
            looked_at.material_url, looked_at.material_branch,
        ):  # fmt: skip
            return  # changed meanwhile: what was found is of another place
        fresh, failed = (
            commit not in {"", row.material_commit},
            error not in {"", row.material_error},
        )
        row.material_commit = commit or row.material_commit
        row.material_error = error
        session.add(row)
        if fresh:
            audit.record(
                session, now, "system", "material-fetched", course_id, course_id, {"commit": commit}
            )
        if failed:
            audit.record(
                session, now, "system", "material-failed", course_id, course_id, {"why": error}
            )
            text = f"the material could not be fetched: {error}"
            tell_staff(control, session, course_id, "material", text)
    control.bus.tell(Hint("courses"))


# ---- which courses are due -----------------------------------------------------------------------


def claim_due(control: Control) -> list[str]:
    """Courses whose material should be looked for now; they count as looked at from now on, so
    that each is fetched once, and a wish that comes meanwhile is not lost."""
    with control.store.read() as session:
        if not list(_due(session)):
            return []
    with control.store.write() as session:
        rows = [row for row in _due(session) if row.tenant_id not in control.fetching]
        for row in rows:
            row.material_at = control.clock.now()
            session.add(row)
        claimed = [row.tenant_id for row in rows]
        control.fetching.update(claimed)
    return claimed


def refresh(control: Control, course_ids: Collection[str], older: timedelta) -> None:
    """Look again at these whose last look is `older`, before anybody needs it: what starts meanwhile
    takes what is there and does not wait for it."""
    for course_id in course_ids:
        with control.store.read() as session:
            row = session.get(CourseRow, course_id)
        if row is None or not row.material_url or row.material_at is None:
            continue
        if control.clock.now() - row.material_at > older and course_id not in control.fetching:
            if row.material_commit:
                control.unhurried.add(course_id)
            _make_due(control, course_id)


def interrupted(control: Control) -> None:
    """After a restart: looks that were begun and never came to an end are due again."""
    with control.store.write() as session:
        for row in session.exec(
            select(CourseRow).where(
                CourseRow.material_url != "", CourseRow.material_commit == "",
                CourseRow.material_error == "",
            )
        ):  # fmt: skip
            row.material_at = None
            session.add(row)


def drop_unused(control: Control) -> None:
    """Remove mirrors of courses that are gone, cleaned up or have no material any more."""
    # Listed first: a course is there before its mirror is.
    mirrors = list(_folder(control).glob("*.git"))
    with control.store.read() as session:
        kept = session.exec(
            select(CourseRow.tenant_id).where(
                CourseRow.material_url != "", col(CourseRow.cleaned_at).is_(None)
            )
        ).all()
    names = {mirror_of(control, course_id).name for course_id in kept}
    for mirror in mirrors:
        if mirror.name not in names:
            shutil.rmtree(mirror, ignore_errors=True)


def _due(session: Session) -> Iterator[CourseRow]:
    return iter(
        session.exec(
            select(CourseRow).where(
                CourseRow.material_url != "", col(CourseRow.material_at).is_(None),
                col(CourseRow.cleaned_at).is_(None),
            )
        ).all()
    )  # fmt: skip


def _make_due(control: Control, course_id: str) -> None:
    with control.store.write() as session:
        if row := session.get(CourseRow, course_id):
            row.material_at = None
            session.add(row)


def _wait_until_looked(control: Control, course_id: str) -> None:
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until and not _looked(control, course_id):
        time.sleep(0.05)


def _looked(control: Control, course_id: str) -> bool:
    with control.store.read() as session:
        row = session.get(CourseRow, course_id)
    return row is None or (row.material_at is not None and course_id not in control.fetching)


# ---- places --------------------------------------------------------------------------------------


def allowed(settings: Settings) -> Allowed:
    """What this site lets through."""
    return Allowed.parse(settings.git_hosts, settings.materials)


def git_uid(settings: Settings) -> int | None:
    """The user that git runs as: none of the people's, and without rights. None without root."""
    return settings.first_uid - 1 if settings.is_root else None


def mirror_of(control: Control, course_id: str) -> Path:
    """Its name cannot be guessed: students of other courses are users of the same machine."""
    secret = hmac.digest(control.pepper.encode(), f"material {course_id}".encode(), "sha256")
    return _folder(control) / f"{course_id}-{secret.hex()[:24]}.git"


def prepare_folder(control: Control) -> None:
    """The folder of mirrors: entered by everybody, listed by nobody but its owner."""
    folder = _folder(control)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711)
    write_config(_config(control))


def _made_mirror(control: Control, course_id: str) -> Path:
    mirror, uid = mirror_of(control, course_id), git_uid(control.settings)
    mirror.mkdir(exist_ok=True)
    if uid is not None:
        os.chown(mirror, uid, uid, follow_symlinks=False)
    mirror.chmod(0o755)
    return mirror


def _git(control: Control) -> Git:
    config = _config(control)
    if not config.exists():
        raise Unavailable("the place of materials is not ready", next="try again in a moment")
    return Git(config, git_uid(control.settings))


def _folder(control: Control) -> Path:
    return control.settings.spaces_dir / "material"


def _config(control: Control) -> Path:
    return _folder(control) / "gitconfig"
