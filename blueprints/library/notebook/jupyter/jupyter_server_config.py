"""Where Perijove's extensions lie: beside this file, which Jupyter finds by JUPYTER_CONFIG_PATH.

A kernel gets nothing of it: the path is the server's own.
"""
# Jupyter executes this file and puts `get_config` into it.
# ruff: noqa: F821, INP001
# pyright: reportUndefinedVariable=false

import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
sys.path.append(str(_HERE / "server"))

c = get_config()
c.LabApp.extra_labextensions_path = [str(_HERE / "labextensions")]
