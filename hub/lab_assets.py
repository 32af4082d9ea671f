"""Where browsers get JupyterLab's scripts, styles and fonts: from the portal, at one address for all
people and servers, so that only the first start of a browser loads them.

An environment brings them in ``lab-assets/BUILD/`` (see `deploy.lab_assets`). The portal finds a build
by the link ``SPACES/lab/BUILD``, and the site's own, which it may fetch ahead, by ``SPACES/lab/own``.
"""

import contextlib
import hashlib
import os
from pathlib import Path

from hub import environments
from hub.settings import PORTAL_PREFIX, Settings

FOLDER = "lab-assets"
VARIABLE = "PERIJOVE_LAB_ASSETS"
OWN = "own"
_PAGE = Path("share", "jupyter", "lab", "static", "index.html")
_DIGITS = 16


def folder_of(settings: Settings) -> Path:
    """Where the portal looks builds up."""
    return settings.spaces_dir / "lab"


def told(settings: Settings, environment: Path) -> dict[str, str]:
    """The variable for a server of this environment, with the address of its build; empty where the
    environment brings none: its servers then serve these files themselves.

    Once it was told, the portal finds them. Costs one small file and two looks at the file system.
    """
    assets = _assets_of(environment)
    if assets is None or not _point(folder_of(settings) / assets.name, assets):
        return {}
    # With subdomains a server is at another host than the portal.
    host = settings.url if settings.subdomains else ""
    return {VARIABLE: f"{host}{PORTAL_PREFIX}/lab/{assets.name}"}


def point_at_own(settings: Settings) -> None:
    """Let the portal find the site's own build: what most people will open. Links to builds that
    went with their environment are removed."""
    place = environments.find(settings, environments.DEFAULT)
    assets = _assets_of(place.resolve()) if place is not None else None
    if assets is not None and _point(folder_of(settings) / assets.name, assets):
        _point(folder_of(settings) / OWN, Path(assets.name))
    with contextlib.suppress(OSError):
        for link in list(folder_of(settings).iterdir()):
            if link.is_symlink() and not link.exists():
                link.unlink(missing_ok=True)


def _assets_of(environment: Path) -> Path | None:
    """Of the JupyterLab that is installed there now; nothing of another one is ever used."""
    try:
        page = (environment / _PAGE).read_bytes()
    except OSError:
        return None
    assets = environment / FOLDER / hashlib.sha256(page).hexdigest()[:_DIGITS]
    return assets if assets.is_dir() else None


def _point(link: Path, target: Path) -> bool:
    """Make the link or turn it, in one step. False when it cannot be made: nothing depends on it."""
    try:
        if link.is_symlink() and link.readlink() == target:
            return True
        link.parent.mkdir(mode=0o755, exist_ok=True)
        fresh = link.with_name(f".{link.name}.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(target)
        fresh.replace(link)
    except OSError:
        return False
    return True
