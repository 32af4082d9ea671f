"""Makes notebook environments on this machine, and takes them away; control needs no restart."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from catalog.errors import BadSetup, BadValue, Conflict
from hub import environments
from hub.environments import Found
from hub.settings import PACKAGE_ROOT, Settings

_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def make(
    settings: Settings, name: str, requirements: Path, *, fork: bool = False,
    preload: Sequence[str] = (),
) -> Found:  # fmt: skip
    """An environment with the packages of a file, beside the one in use, which it then replaces.
    Progress is on stderr. Raises BadValue, BadSetup; what was there is then as it was.

    With `fork`, its notebooks are forked from a process of this product's user that has imported
    JupyterLab; its Python kernels have the modules of `preload` imported when they begin.
    """
    if not environments.NAME.fullmatch(name) or name == environments.DEFAULT:
        raise BadValue(f"{name!r} cannot name an environment", next="write it like physics-2026")
    if not requirements.is_file():
        raise BadValue(f"there is no file {requirements}", next="check the path")
    for module in preload:
        if not _MODULE.fullmatch(module):
            raise BadValue(f"{module[:60]!r} names no module", next="write it as after import")
    facts: dict[str, Any] = {"fork": True} if fork else {}
    facts |= {"preload": list(preload)} if preload else {}
    command = [
        sys.executable, "-m", "deploy.environments", "add", str(environments.folder_of(settings)),
        name, str(requirements.absolute()), json.dumps(facts),
    ]  # fmt: skip
    if subprocess.run(command, cwd=PACKAGE_ROOT, check=False, stdout=sys.stderr).returncode:
        raise BadSetup(
            f"the environment {name!r} was not made; what was there is as before",
            next="mend what is said above, and run it again",
        )
    return next(found for found in environments.every(settings) if found.name == name)


def take_away(settings: Settings, name: str) -> None:
    """Nothing new starts in it. Raises Conflict when there is none of that name."""
    if name == environments.DEFAULT or environments.find(settings, name) is None:
        raise Conflict(
            f"there is no environment {name[:60]!r} to take away", next="see `perijove env list`"
        )
    (environments.folder_of(settings) / name).unlink()
