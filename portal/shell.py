"""The pages that paint at once: one static shell, its assets, and whether the portal is up."""

from portal.config import PREFIX
from portal.door import Page
from portal.skeletons import skeleton

PAGES = (
    "", "workloads", r"workloads/[\w.\-]{1,80}", "reservations", "usage", "inventory", "people", "launch",
    "console",
    "join", r"courses(?:/[a-z][a-z0-9\-]{1,39}(?:/[a-z]{1,20})?)?",
)  # fmt: skip
"""Paths under the prefix that the shell's script fills."""


class ShellPage(Page):
    """The same few kilobytes for every page; who is not signed in goes to the Hub at once."""

    async def get(self) -> None:
        if self.session() is None:
            self.redirect(self.sign_in_url())
            return
        shapes = skeleton(self.request.path.removeprefix(PREFIX))
        self.finish(self.portal.layout.page("Perijove", shapes))


class AssetPage(Page):
    """An asset under the digest of all of them: it never changes."""

    async def get(self, digest: str, name: str) -> None:
        layout = self.portal.layout
        body = layout.assets.get(name)
        if body is None or digest != layout.digest:
            self.send_error(404)
            return
        self.set_header("Content-Type", layout.kind(name))
        self.set_header("Cache-Control", "public, max-age=31536000, immutable")
        self.finish(body)


class HealthPage(Page):
    """``{"status": "ok"}`` as soon as the portal listens."""

    async def get(self) -> None:
        self.finish({"status": "ok"})
