"""Named notebook environments of the site: what a course's labs may run in.

An administrator adds one with ``perijove env add`` (see `deploy.environments`); control looks into
the folder at each launch, so that a new one needs no restart. A name leads to the build in use:
running servers keep the build that they started with.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlmodel import Session

from catalog.errors import BadValue
from hub.settings import PACKAGE_ROOT, Settings
from hub.store.course_tables import CourseRow
from hub.tenant_paths import TenantPaths
from quotas.verdict import Code, Denied

DEFAULT = "default"
"""The site's own; a course that names none has it too."""
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
RECORD = "perijove-env.json"
"""Written last: a folder without it is not finished."""


@dataclass(frozen=True, slots=True)
class Found:
    """An environment. `packages` are counted; `made_at` is when it was finished."""

    name: str
    python: str
    packages: int
    made_at: datetime


def folder_of(settings: Settings) -> Path:
    """Where named environments lie: everybody's servers must reach them."""
    return settings.spaces_dir / "environments"


def find(settings: Settings, name: str) -> Path | None:
    """Where an environment lies now; None when there is none of that name. Empty: the site's own."""
    if name in {"", DEFAULT}:
        return _own(settings)
    if not NAME.fullmatch(name):
        return None
    place = (folder_of(settings) / name).resolve()
    return place if (place / RECORD).exists() else None


def every(settings: Settings) -> list[Found]:
    """The site's own first, then by name."""
    folder = folder_of(settings)
    links = folder.iterdir() if folder.is_dir() else ()
    names = sorted(link.name for link in links if link.is_symlink() and NAME.fullmatch(link.name))
    places = [(name, find(settings, name)) for name in (DEFAULT, *names)]
    return [_look(name, place) for name, place in places if place and (place / RECORD).exists()]


def demand(settings: Settings, name: str) -> None:
    """Raise BadValue unless there is an environment of this name."""
    if find(settings, name) is None:
        known = ", ".join(found.name for found in every(settings))
        raise BadValue(
            f"environment: there is no {name[:60]!r}", next=f"choose one of these: {known}"
        )


def chosen_in(session: Session, tenant_id: str) -> str:
    """What the course of a tenant runs in; empty for the site's own."""
    row = session.get(CourseRow, TenantPaths(session).course_of(tenant_id))
    return row.environment if row is not None else ""


def refusal(settings: Settings, session: Session, tenant_id: str) -> Denied | None:
    """Why nothing can be launched in a course: its environment was taken away. Running another in
    its place would fail later, in words of some missing package."""
    name = chosen_in(session, tenant_id)
    if find(settings, name) is not None:
        return None
    return Denied(
        Code.ENGINE,
        f"the notebook environment {name!r} of this course is not on this site any more",
        "ask the course's staff to choose another one",
    )


def _own(settings: Settings) -> Path:
    # PERIJOVE_ENVS is one environment itself, or the folder where `make up` makes them: the link in
    # the checkout then leads to the one in use.
    if settings.envs is None or any(settings.envs.glob("notebook-*")):
        return PACKAGE_ROOT / ".envs" / "notebook"
    return settings.envs


def _look(name: str, place: Path) -> Found:
    folder = next(place.glob("lib/python3.*"), None)
    packages = len(list(folder.glob("site-packages/*.dist-info"))) if folder else 0
    made_at = datetime.fromtimestamp((place / RECORD).stat().st_mtime, UTC)
    version = folder.name.removeprefix("python") if folder else ""
    return Found(name, version, packages, made_at)
