"""The state directory: made at the first start, checked at every one."""

import os
import shutil
import stat
from pathlib import Path

from catalog.errors import BadSetup
from hub.settings import PACKAGE_ROOT, Settings
from hub.up.files import unwritable, write_whole
from hub.up.secrets import make_secrets

SHIPPED_MENU = PACKAGE_ROOT / "catalog" / "menu.yaml"
_PRIVATE = 0o700
_LONGEST_SOCKET = 107
"""Bytes in the path of a Unix socket that Linux accepts."""


def prepare_home(settings: Settings) -> None:
    """Make and check everything that must be there before a process starts. Repeatable.

    Raises BadSetup naming the folder or file that is in the way.
    """
    if len(os.fsencode(settings.socket)) > _LONGEST_SOCKET:
        raise BadSetup(
            f"the path {settings.socket} is too long for a Unix socket",
            next="choose a shorter PERIJOVE_HOME",
        )
    for folder in (settings.home, settings.run_dir, settings.log_dir, *_inner(settings)):
        _private_folder(folder)
    make_secrets(settings.home / "secrets")
    if not settings.menu_file.exists() and SHIPPED_MENU.exists():
        write_whole(settings.menu_file, SHIPPED_MENU.read_bytes(), 0o644)


def free_bytes(path: Path) -> int:
    """Free space where `path` is, or will be made."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free


def _inner(settings: Settings) -> tuple[Path, Path]:
    return settings.home / "secrets", settings.home / "hub"


def _private_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        seen = folder.stat()
        if seen.st_uid != os.geteuid():
            raise BadSetup(
                f"{folder} belongs to uid {seen.st_uid}, and this is uid {os.geteuid()}",
                next="run as its owner, or choose another PERIJOVE_HOME",
            )
        if stat.S_IMODE(seen.st_mode) != _PRIVATE:
            folder.chmod(_PRIVATE)
    except OSError as error:
        raise unwritable(folder, error) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadSetup(
            f"{folder} is not writable",
            next="mend its permissions, or choose another PERIJOVE_HOME",
        )
