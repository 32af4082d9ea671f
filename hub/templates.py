"""Which Pythons the engine should have ready, with JupyterLab imported, for the next notebook."""

import asyncio
import logging
from functools import partial
from pathlib import Path

from blueprints.notebook import MARKS, MODULES, Environment
from catalog.errors import BadSetup
from hub import environments
from hub.control_context import Control
from hub.rounds import again
from hub.settings import Settings
from spawners.engine import Template

log = logging.getLogger("perijove.templates")

BEAT_S = 20.0


def of(settings: Settings, folder: Path, environment: Environment) -> Template | None:
    """What a notebook in this environment, which lies in `folder`, may be forked from; None where
    each starts anew.

    The product's own user, root perhaps, imports it. So it is the site's own environment, or one
    whose record says ``"fork": true``: the operator's word.
    """
    if settings.fork == "off":
        return None
    if not environment.fork and folder != environments.find(settings, environments.DEFAULT):
        return None
    inside = str(settings.spaces_dir / "jupyter" / "server")
    return Template(str(environment.python), MODULES, environment.extra, MARKS, (inside,))


def named(settings: Settings, name: str) -> Template | None:
    """As `of`, of the environment with this name; None for one that is gone or damaged, too."""
    folder = environments.find(settings, name)
    try:
        return of(settings, folder, Environment.load(folder)) if folder else None
    except BadSetup:
        return None


class TemplateKeeper:
    """Keeps the template of the site's own environment ready, from the start of control on."""

    def __init__(self, control: Control) -> None:
        self._control = control

    async def run(self) -> None:
        """Forever. While a look fails, for a full disk, say, each notebook starts anew."""
        await again(partial(asyncio.to_thread, self.look), BEAT_S, log, "template-look-failed")

    def look(self) -> None:
        """Look once. An environment that is not installed yet is no fault here: a start tells it."""
        found = named(self._control.settings, environments.DEFAULT)
        self._control.engine.prepare([found] if found is not None else [])
