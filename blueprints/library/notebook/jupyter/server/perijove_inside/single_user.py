"""JupyterLab under the Hub, less what each start of it would do for nothing."""
# Jupyter's own packages are in the notebooks' environment only.
# pyright: reportMissingImports=false, reportMissingModuleSource=false

import contextlib
import logging
import re
import sys
from collections.abc import Sequence
from typing import Any

import jupyterhub.singleuser
from traitlets.config import Application, Config
from traitlets.config.loader import DeferredConfigString

_SETTING = re.compile(r"--([A-Z]\w*)\.([a-z]\w*)=([^\[({].*|)", re.DOTALL)
"""One value: what begins with a bracket may be several."""
_with_every_option = Application.parse_command_line


def main() -> None:
    """Run it until it ends; ``sys.argv`` is its own.

    - A command line that only sets values is read as such. Jupyter asks every class for every option
      first, once for each application in the server: a sixth of a start, and of its memory.
    - The Hub's version is not asked for. The Hub is of the same site, and was there a moment ago: it
      had this started. A notebook that ends because the Hub restarts right now helps nobody.
    - The Hub has an address, not a name, so nothing is prepared to look up names: c-ares would read
      its files and start a thread.
    - Until Perijove's extension is loaded, nobody makes records of what is for debugging: Jupyter
      makes a hundred, and its log drops them.

    An environment that somebody added may hold an older JupyterHub, which lacks some of this.
    """
    logging.disable(logging.DEBUG)
    Application.parse_command_line = _parse_command_line
    with contextlib.suppress(ImportError):
        from jupyterhub.singleuser.extension import JupyterHubSingleUser

        JupyterHubSingleUser.check_hub_version = _trust_the_hub
    with contextlib.suppress(ImportError):
        import aiohttp.connector
        from aiohttp.resolver import ThreadedResolver

        setattr(aiohttp.connector, "DefaultResolver", ThreadedResolver)  # noqa: B010 (not public)
    jupyterhub.singleuser.main()


def settings_of(argv: Sequence[str]) -> Config | None:
    """What ``--Class.trait=value`` sets, as Jupyter itself reads it; None when anything else is in
    it, or one trait is set twice."""
    found = Config()
    for word in argv:
        match = _SETTING.fullmatch(word)
        if match is None or (match[1] in found and match[2] in found[match[1]]):
            return None
        found[match[1]][match[2]] = DeferredConfigString(match[3])
    return found


def _parse_command_line(self: Any, argv: Any = None) -> None:
    words = sys.argv[1:] if argv is None else argv
    found = settings_of(words)
    if found is None:
        _with_every_option(self, argv)
        return
    self.argv, self.cli_config, self.extra_args = list(words), found, []
    self.update_config(found)


async def _trust_the_hub(self: Any) -> None:
    del self
