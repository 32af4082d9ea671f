"""Where Perijove's extensions lie: beside this file, which Jupyter finds by JUPYTER_CONFIG_PATH.

A kernel gets nothing of it: the path is the server's own. Extensions of JupyterLab's package that the
environment gives nothing to do are not loaded.
"""
# Jupyter executes this file and puts `get_config` into it.
# ruff: noqa: F821, INP001
# pyright: reportUndefinedVariable=false, reportMissingImports=false

import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
sys.path.append(str(_HERE / "server"))
from perijove_inside import pages  # noqa: E402 (it lies in the folder just added)
from perijove_inside.idle import without_work  # noqa: E402

c = get_config()
c.LabApp.jinja2_options = {"bytecode_cache": pages.of_lab}
c.ServerApp.jpserver_extensions = without_work()
c.LabApp.extra_labextensions_path = [str(_HERE / "labextensions")]
