"""What every server does while it begins, and what is the same for all, done by importing this.

For the template that servers are forked from. It runs as the product's own user and for nobody: what
it leaves behind is of the installation alone, and a template that keeps a trace of a home, a thread,
a socket or an event loop is refused like after any other import.
"""
# Jupyter's own packages are in the notebooks' environment only.
# pyright: reportMissingImports=false

from collections.abc import Mapping
from pathlib import Path

from jupyter_events.schema import EventSchema
from jupyter_server import DEFAULT_EVENTS_SCHEMA_PATH
from jupyterlab.commands import get_app_dir
from traitlets.config import Config

from . import kernels, pages

pages.translate(Path(get_app_dir(), "static"))
kernels.provisioners()
for _schema in sorted(Path(DEFAULT_EVENTS_SCHEMA_PATH).rglob("*.yaml")):
    EventSchema(_schema)  # what reads and checks them is warm then
for _kind in (str, int, list, tuple, dict, Config):
    # Each record that is logged asks this of its argument; the first answer goes through all classes.
    issubclass(_kind, Mapping)
