"""JupyterLab's scripts, styles and fonts come from where all servers of the site have them from, so
that a browser which has opened one server has them for the next; and its page names them at once."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import BaseLoader, Environment

VARIABLE = "PERIJOVE_LAB_ASSETS"
PAGE = "index.html"
_FIRST = '<script id="jupyter-config-data"'
_LINK = '<link rel="preload" as="script" href="'
_EXTENSIONS = (
    "{% for one in page_config.federated_extensions %}"
    f'{_LINK}{{{{page_config.fullLabextensionsUrl}}}}/{{{{one.name}}}}/{{{{one.load}}}}">'
    "{% endfor %}"
)


def point_page_at_them(app: Any) -> None:
    """Let JupyterLab's page load its files from the address that the server was started with, which
    no kernel sees. Without one, and where another JupyterLab runs than the address is of, the server
    serves them itself, as it can in any case."""
    address = os.environ.pop(VARIABLE, "").rstrip("/")
    if not address:
        return
    for lab in app.extension_manager.extension_apps.get("jupyterlab", ()):
        if address.endswith(f"/{_build_of(lab.templates_dir)}"):
            lab.static_url_prefix = address
            _name_scripts_at_once(lab)


class EarlyScripts(BaseLoader):
    """JupyterLab's page with links to the scripts that its main script asks for one after the other:
    first the entries of extensions, then what all parts share. With the links a browser loads these
    beside it. A page of another make stays as it is."""

    def __init__(self, pages: BaseLoader, shared: str) -> None:
        self._pages = pages
        digest = shared.split(".")[-2]
        address = f"{{{{page_config.fullStaticUrl}}}}/{shared}?v={digest}"
        self._links = f'{_EXTENSIONS}{_LINK}{address}">'

    def get_source(
        self, environment: Environment, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        source, path, is_current = self._pages.get_source(environment, template)
        if template == PAGE:
            source = source.replace(_FIRST, f"{self._links}{_FIRST}", 1)
        return source, path, is_current


def early(pages: BaseLoader, folder: Path) -> BaseLoader:
    """The same pages with those links, if the folder of JupyterLab's files shows what all parts share."""
    shared = sorted(folder.glob("jlab_core.*.js"))
    return EarlyScripts(pages, shared[0].name) if len(shared) == 1 else pages


def _name_scripts_at_once(lab: Any) -> None:
    pages = getattr(lab, "jinja2_env", None)
    if pages is not None:
        pages.loader = early(pages.loader, Path(lab.templates_dir))


def _build_of(templates: str) -> str:
    """The page names the main script by content, and that one all others."""
    try:
        page = Path(templates, PAGE).read_bytes()
    except OSError:
        return "none"
    return hashlib.sha256(page).hexdigest()[:16]
