"""The handbook at /help: the Markdown of docs/, rendered safely inside the shell."""

import re
from html import escape
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from portal.config import PREFIX
from portal.door import Page

HELP = f"{PREFIX}help/"
_PAGE = re.compile(r"(?:(?:concepts|decisions)/)?[\w\-]+", re.ASCII)
_IMAGE = re.compile(r"[\w\-]+\.(?:png|jpg|svg)", re.ASCII)
_FIRST = ("quickstart", "teach", "administer", "operations", "cli")


class Handbook:
    """Reads pages from a folder when they are asked for: they are small and asked for rarely."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # "js-default" switches raw HTML off and refuses javascript: and file: links.
        self._markdown = MarkdownIt("js-default", {"linkify": False})

    def names(self) -> list[str]:
        """Every page: the ones to read first, the rest, then the concepts."""
        own = {path.stem for path in self._folder.glob("*.md")}
        first = [name for name in _FIRST if name in own]
        concepts = sorted(f"concepts/{p.stem}" for p in (self._folder / "concepts").glob("*.md"))
        return [*first, *sorted(own - set(first)), *concepts]

    def title(self, name: str) -> str:
        """The page's first heading."""
        match = re.search(r"^#\s+(.+)$", self._text(name), re.MULTILINE)
        return match[1].strip() if match else name.rpartition("/")[2].replace("-", " ").capitalize()

    def render(self, name: str) -> str | None:
        """HTML of a page with the list of all beside it; None if there is no such page."""
        if name and (not _PAGE.fullmatch(name) or not self._path(name).is_file()):
            return None
        if not name:
            name = next(iter(self.names()), "")
        tokens = self._markdown.parse(self._text(name)) if name else []
        self._point_links_here(tokens, name)
        body = self._markdown.renderer.render(tokens, self._markdown.options, {})
        return (
            f'<div class="handbook"><nav aria-label="Handbook">{self._contents(name)}</nav>'
            f'<article class="prose">{body or "<h1>The handbook is not installed</h1>"}'
            "</article></div>"
        )

    def image(self, name: str) -> bytes | None:
        path = self._folder / "images" / name
        return path.read_bytes() if _IMAGE.fullmatch(name) and path.is_file() else None

    def _contents(self, current: str) -> str:
        here = ' aria-current="page"'
        return (
            "<ul>"
            + "".join(
                f'<li><a href="{HELP}{name}"{here if name == current else ""}>'
                f"{escape(self.title(name))}</a></li>"
                for name in self.names()
            )
            + "</ul>"
        )

    def _point_links_here(self, tokens: list[Token], name: str) -> None:
        """``units.md`` beside a page, or ``../images/x.png``, become addresses of the handbook."""
        folder = name.rpartition("/")[0]
        for token in tokens:
            for child in token.children or []:
                for key in ("href", "src"):
                    link = child.attrGet(key)
                    if isinstance(link, str):
                        child.attrSet(key, _inside(link, folder))

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.md"

    def _text(self, name: str) -> str:
        return self._path(name).read_text(encoding="utf-8")


def _inside(link: str, folder: str) -> str:
    if re.match(r"[a-z]+:|/|#", link):
        return link
    parts = folder.split("/") if folder else []
    path, hash_mark, anchor = link.partition("#")
    for part in path.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    return HELP + "/".join(parts).removesuffix(".md") + hash_mark + anchor


class HelpPage(Page):
    """A page of the handbook, readable without signing in."""

    async def get(self, name: str) -> None:
        handbook = Handbook(Path(self.portal.config.docs))
        html = handbook.render(name)
        if html is None:
            self.send_error(404)
            return
        self.finish(
            self.portal.layout.page("Help · Perijove", html, live=self.session() is not None)
        )


class HelpImage(Page):
    """A picture of the handbook."""

    async def get(self, name: str) -> None:
        body = Handbook(Path(self.portal.config.docs)).image(name)
        if body is None:
            self.send_error(404)
            return
        kinds = {"png": "image/png", "jpg": "image/jpeg", "svg": "image/svg+xml"}
        self.set_header("Content-Type", kinds[name.rpartition(".")[2]])
        self.set_header("Cache-Control", "public, max-age=3600")
        self.finish(body)
