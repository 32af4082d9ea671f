"""Server extensions that come with JupyterLab and have nothing to do here.

Each start would pay for them: `jupyter_lsp` runs npm, an eighth of a second of processor time, to look for
language servers; `notebook_shim` looks for extensions of the classic notebook. Both load where the
environment holds what they are for.
"""

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

_LANGUAGE_SERVERS = ("pylsp", "jedi_language_server", "pyright", "basedpyright", "jupyterlab_lsp")
"""Packages of Python."""
_PROGRAMS = (
    "bash-language-server", "basedpyright-langserver", "julia-language-server", "pyright-langserver",
    "r-languageserver", "texlab", "typescript-language-server", "yaml-language-server",
)  # fmt: skip
_CLASSIC = ("nbclassic", "jupyter_contrib_nbextensions")
_CLASSIC_CONFIG = Path("etc", "jupyter", "jupyter_notebook_config.d")
_OF_JUPYTERLAB = "jupyterlab.json"
"""Its own for the classic notebook, which is in every environment."""


def without_work() -> dict[str, bool]:
    """For ``ServerApp.jpserver_extensions``: those that stay off. Looks for files alone."""
    off: dict[str, bool] = {}
    if not any(map(find_spec, _LANGUAGE_SERVERS)) and not any(map(shutil.which, _PROGRAMS)):
        off["jupyter_lsp"] = False
    settings = (Path(sys.prefix) / _CLASSIC_CONFIG).glob("*.json")
    asked_for = any(path.name != _OF_JUPYTERLAB for path in settings)
    if not any(map(find_spec, _CLASSIC)) and not asked_for:
        off["notebook_shim"] = False
    return off
