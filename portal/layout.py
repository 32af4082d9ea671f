"""The shell's HTML and its assets: small, static, cached for ever under the digest of all."""

import hashlib
import mimetypes
import re
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from portal.config import PREFIX

_IMPORT = re.compile(r'^(?:import|export)\b[^"]*"\./([\w.\-]+)"', re.MULTILINE)
STATIC = Path(str(files("portal") / "static"))


class Layout:
    """Reads the assets once. Their address changes when any of them does."""

    def __init__(self, folder: Path = STATIC) -> None:
        self.assets = {
            path.name: path.read_bytes()
            for path in sorted(folder.iterdir())
            if path.suffix in {".css", ".js", ".svg"}
        }
        whole = hashlib.sha256()
        for name, body in self.assets.items():
            whole.update(name.encode() + b"\0" + body)
        self.digest = whole.hexdigest()[:16]
        self._shell = Template((folder / "shell.html").read_text(encoding="utf-8"))

    @property
    def base(self) -> str:
        """Where the assets lie, with a trailing slash."""
        return f"{PREFIX}static/{self.digest}/"

    def page(self, title: str, main: str, *, live: bool = True, asset: str = "main.js") -> str:
        """A whole page around `main`, which is HTML already. `live` ones fill it from the API."""
        script = f'<script type="module" src="{self.base}{asset}"></script>' if live else ""
        modules = "".join(
            f'<link rel="modulepreload" href="{self.base}{name}">'
            for name in (self.modules(asset) if live else ())
        )
        return self._shell.substitute(
            title=escape(title), main=main, base=self.base, prefix=PREFIX,
            script=modules + script,
        )  # fmt: skip

    def modules(self, asset: str = "main.js") -> list[str]:
        """What every page loads: `asset` and all that it imports. What is imported only when its
        page is opened, with ``import()``, is not among them."""
        found = [asset]
        for name in found:
            imports = _IMPORT.findall(self.assets[name].decode())
            found += [other for other in dict.fromkeys(imports) if other not in found]
        return sorted(found)

    def kind(self, name: str) -> str:
        """The media type of an asset."""
        return mimetypes.guess_type(name)[0] or "application/octet-stream"
