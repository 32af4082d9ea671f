"""JupyterLab's page, translated to Python once for all servers that are forked."""
# Jupyter's own packages are in the notebooks' environment only.
# pyright: reportMissingImports=false, reportUntypedBaseClass=false

from pathlib import Path
from types import CodeType
from typing import Any

from jinja2 import BytecodeCache, Environment, FileSystemLoader

from .lab_assets import PAGE, early


class Translated(BytecodeCache):
    """In memory. Jinja asks with the place of a page and with its content's sum: another page at
    that place is translated anew."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], CodeType] = {}

    def __deepcopy__(self, memo: object) -> "Translated":
        """Jupyter copies what it is configured with."""
        return self

    def load_bytecode(self, bucket: Any) -> None:
        bucket.code = self._known.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Any) -> None:
        self._known[bucket.key, bucket.checksum] = bucket.code


of_lab = Translated()
"""For JupyterLab's own pages alone: what they are translated to depends on options, too."""


def translate(folder: Path) -> None:
    """Have JupyterLab's page of this folder ready, with the options that it is shown with: as it is, and
    as a server shows it that points it at the site's files."""
    if not (folder / PAGE).is_file():
        return
    plain = FileSystemLoader([str(folder)])
    for loader in (plain, early(plain, folder)):
        jinja = Environment(
            loader=loader, extensions=["jinja2.ext.i18n"], autoescape=True, bytecode_cache=of_lab
        )
        jinja.get_template(PAGE)
