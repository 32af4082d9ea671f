"""JupyterLab's scripts, styles and fonts, at one address for all people and servers.

A build never changes under its name, so that browsers keep it and ask no more. The files are public,
as they are in JupyterLab's package, and nothing else is served: a file lies directly in the folder of
a build that control has linked, and its name is checked against a plain pattern first.
"""

import json
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path

from portal.config import PREFIX
from portal.door import Page

AHEAD = "ahead.txt"
OWN = "own"
FOREVER = "public, max-age=31536000, immutable"
BUILD = r"[0-9a-f]{16}"
_NAME = re.compile(r"\w[\w\-]*(?:\.[\w\-]+)+")
_KINDS = {".js": "text/javascript", ".map": "application/json", ".woff": "font/woff",
          ".woff2": "font/woff2", ".ttf": "font/ttf",
          ".eot": "application/vnd.ms-fontobject"}  # fmt: skip
_NOT_SERVED = frozenset({".gz", ".txt"})


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent. `encoding` is empty for the plain one."""

    path: Path
    kind: str
    encoding: str

    @property
    def etag(self) -> str:
        """Strong: nothing under this name changes."""
        return f'"{self.path.parent.name}-{self.path.name}"'


def find(folder: Path, build: str, name: str, *, gzip: bool) -> Asset | None:
    """A file of a build that `folder` links to, compressed where the browser takes that and it helps;
    None for anything else."""
    path = folder / build / name
    if not re.fullmatch(BUILD, build) or not _NAME.fullmatch(name) or path.suffix in _NOT_SERVED:
        return None
    if not path.is_file():
        return None
    kind = _KINDS.get(path.suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    packed = path.with_name(f"{name}.gz")
    if gzip and packed.is_file():
        return Asset(packed, kind, "gzip")
    return Asset(path, kind, "")


def ahead(folder: Path) -> list[str]:
    """Addresses of what a browser may fetch before it opens a server of the site's own environment,
    as JupyterLab's page asks for them; empty when nothing was published."""
    try:
        build = (folder / OWN).readlink().name
        names = (folder / build / AHEAD).read_text(encoding="utf-8").split()
    except OSError:
        return []
    return [f"{PREFIX}lab/{build}/{_as_asked_for(name)}" for name in names]


def _as_asked_for(name: str) -> str:
    """A browser's cache knows a script by its whole address, to which JupyterLab adds the digest."""
    digest = name.rsplit(".", 2)[-2] if name.count(".") > 1 else ""
    return f"{name}?v={digest}" if digest else name


class LabAsset(Page):
    """One file of a build, for pages of every origin: with subdomains a server has its own."""

    async def get(self, build: str, name: str) -> None:
        asset = find(self._folder, build, name, gzip=self._takes_gzip)
        if asset is None:
            self.send_error(404)
            return
        self.clear_header("Content-Security-Policy")
        self.set_header("Access-Control-Allow-Origin", "*")
        self.set_header("Cross-Origin-Resource-Policy", "cross-origin")
        self.set_header("Cache-Control", FOREVER)
        self.set_header("Content-Type", asset.kind)
        self.set_header("Etag", asset.etag)
        if asset.encoding:
            self.set_header("Content-Encoding", asset.encoding)
        if self.check_etag_header():
            self.set_status(304)
            self.finish()
            return
        self.finish(asset.path.read_bytes())

    async def head(self, build: str, name: str) -> None:
        await self.get(build, name)

    @property
    def _takes_gzip(self) -> bool:
        """As Tornado judges it for the portal's other answers."""
        return "gzip" in self.request.headers.get("Accept-Encoding", "").lower()

    @property
    def _folder(self) -> Path:
        return Path(self.portal.config.lab_assets)


class LabAhead(Page):
    """``["address", …]`` for the menu page of who is signed in: what will be needed soon."""

    async def get(self) -> None:
        if self.session() is None:
            self.send_error(404)
            return
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "private, max-age=300")
        self.finish(json.dumps(ahead(Path(self.portal.config.lab_assets))))
