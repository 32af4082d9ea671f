"""The quota desk: the tree of tenants, changes with their preview, and the way back."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode

import panel as pn

from catalog.errors import PerijoveError
from portal.door import Portal
from portal.panels.client import ControlClient
from portal.panels.desk_table import DeskTable
from portal.panels.look import framed, opened_page

REFRESH_MS = 10_000
PAGE = 50
"""Tenants that are fetched at once below one parent."""
HISTORY = 10
PEOPLE = 50
_TOP = ""


def desk_page(portal: Portal) -> pn.Template:
    """The desk alone: the rest of the console is the shell's."""
    desk = Desk(ControlClient(portal, opened_page()))
    pn.state.onload(desk.open)
    return framed(portal, desk.view)


class Desk:
    """One open desk. What is open, found and sorted is kept here; the rows come from the API."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client
        self._looking = asyncio.Lock()
        self._search = ""
        self._opened: dict[str, int] = {_TOP: PAGE}
        """By tenant: how many of those below it are shown."""
        self._below: dict[str, tuple[list[dict[str, Any]], str | None]] = {}
        self._wishes: list[dict[str, Any]] = []
        self._away = ""
        """What a look for fresh numbers said last that went wrong."""
        self.view = DeskTable(sizing_mode="stretch_width")
        self.view.on_msg(self._message)
        self._acts = {
            "search": self._find, "dimension": self._show, "sort": self._sort, "open": self._open,
            "close": self._close, "more": self._more, "people": self._people,
            "find-person": self._find_person, "edit": self._edit, "apply": self._apply,
            "discard": self._discard, "undo": self._undo,
        }  # fmt: skip

    async def open(self) -> None:
        """Fill it, open what is at the top, then keep it fresh."""
        await self._guarded(self._first)
        pn.state.add_periodic_callback(self._refresh, period=REFRESH_MS)  # type: ignore[arg-type]

    async def _first(self) -> None:
        await self._look_back()  # first: the table says that it opens until there are tenants
        await self._look()
        tops = self._below[_TOP][0]
        if len(tops) == 1 and tops[0]["children"]:
            self._opened[tops[0]["tenant"]] = PAGE
            await self._look()

    async def _refresh(self) -> None:
        """Fresh numbers; not while somebody decides on a change."""
        if self._looking.locked() or self.view.preview:
            return
        try:
            async with self._looking:
                await self._look()
        except PerijoveError as error:
            self._away = self.view.trouble = _said(error)
        else:
            if self._away and self.view.trouble == self._away:
                self._away = self.view.trouble = ""

    async def _message(self, event: Any) -> None:
        data: dict[str, Any] = event.data if isinstance(event.data, dict) else {}
        act = self._acts.get(str(data.get("act")))
        if act is not None:
            await self._guarded(partial(act, data))

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        """One thing after another; what goes wrong is said above the table."""
        async with self._looking:
            try:
                await work()
            except PerijoveError as error:
                self.view.preview = {}
                self._wishes = []
                self.view.trouble = _said(error)
            else:
                self.view.trouble = ""

    # ---- the tree -------------------------------------------------------------------------------

    async def _look(self) -> None:
        parents = [_TOP] if self._search else list(self._opened)
        found = await asyncio.gather(*(self._fetch(parent) for parent in parents))
        self._below = dict(zip(parents, found, strict=True))
        self.view.lines = list(self._lines(_TOP, 0))

    async def _fetch(self, parent: str) -> tuple[list[dict[str, Any]], str | None]:
        """What is shown below one tenant, in as few calls as it takes."""
        items: list[dict[str, Any]] = []
        cursor: str | None = "0"
        while cursor is not None and len(items) < self._opened.get(parent, PAGE):
            query = urlencode({
                "parent": parent, "search": self._search, "sort": self.view.sort,
                "dimension": self.view.dimension, "cursor": cursor, "limit": PAGE,
            })  # fmt: skip
            page = await self._client.get(f"quotas/tree?{query}")
            items += page["items"]
            cursor = page["next"]
        return items, cursor

    def _lines(self, parent: str, depth: int) -> list[dict[str, Any]]:
        items, more = self._below.get(parent, ([], None))
        found: list[dict[str, Any]] = []
        for item in items:
            tenant = item["tenant"]
            is_open = not self._search and tenant in self._opened
            found.append(item | {"depth": depth, "open": is_open, "flat": bool(self._search)})
            if is_open:
                found += self._lines(tenant, depth + 1)
        if more is not None:
            found.append({"more": more, "parent": parent, "depth": depth})
        return found

    async def _find(self, data: Mapping[str, Any]) -> None:
        self._search = str(data.get("text", "")).strip()[:60]
        self._opened[_TOP] = PAGE
        await self._look()

    async def _show(self, data: Mapping[str, Any]) -> None:
        self.view.param.update(dimension=str(data.get("dimension")), sort="name")
        await self._look()

    async def _sort(self, data: Mapping[str, Any]) -> None:
        self.view.sort = str(data.get("sort"))
        await self._look()

    async def _open(self, data: Mapping[str, Any]) -> None:
        self._opened[str(data.get("tenant"))] = PAGE
        await self._look()

    async def _close(self, data: Mapping[str, Any]) -> None:
        self._opened.pop(str(data.get("tenant")), None)
        await self._look()

    async def _more(self, data: Mapping[str, Any]) -> None:
        parent = str(data.get("parent"))
        self._opened[parent] = self._opened.get(parent, PAGE) + PAGE
        await self._look()

    # ---- people ---------------------------------------------------------------------------------

    async def _people(self, data: Mapping[str, Any]) -> None:
        chosen = {"tenant": str(data.get("tenant")), "name": str(data.get("name")), "fresh": True}
        if chosen["tenant"]:
            await self._look_at_people(chosen)
        else:
            self.view.param.update(chosen={}, people=[])

    async def _find_person(self, data: Mapping[str, Any]) -> None:
        found = {"search": str(data.get("text", "")).strip()[:60], "fresh": False}
        await self._look_at_people(self.view.chosen | found)

    async def _look_at_people(self, chosen: dict[str, Any]) -> None:
        query = urlencode(
            {"tenant": chosen["tenant"], "search": chosen.get("search", ""), "limit": PEOPLE}
        )
        page = await self._client.get(f"quotas?{query}")
        self.view.people = [one for one in page["items"] if one["person"]]
        self.view.chosen = chosen

    # ---- changes --------------------------------------------------------------------------------

    async def _edit(self, data: Mapping[str, Any]) -> None:
        self._wishes = [wish_of(data, self.view.lines)]
        self.view.preview = await self._client.post("quotas/preview", {"changes": self._wishes})

    async def _apply(self, _: Mapping[str, Any]) -> None:
        wishes, self._wishes = self._wishes, []
        self.view.preview = {}
        if not wishes:
            return
        made = (await self._client.post("quotas/changes", {"changes": wishes}))["items"]
        said = "; ".join(f"{one['name']}: {one['before']} → {one['after']}" for one in made)
        self.view.done = {"text": said or "It is so already", "ids": [one["id"] for one in made]}
        await self._look_all()

    async def _discard(self, _: Mapping[str, Any]) -> None:
        self._wishes = []
        self.view.preview = {}

    async def _undo(self, data: Mapping[str, Any]) -> None:
        ids = [one for one in data.get("ids", []) if isinstance(one, int)]
        if not ids:
            return
        made = (await self._client.post("quotas/changes/undo", {"changes": ids}))["items"]
        said = "; ".join(f"{one['name']} is again {one['after']}" for one in made)
        self.view.done = {"text": said, "ids": []}
        await self._look_all()

    async def _look_all(self) -> None:
        await self._look()
        await self._look_back()
        if self.view.chosen:
            await self._look_at_people(self.view.chosen | {"fresh": False})

    async def _look_back(self) -> None:
        page = await self._client.get(f"quotas/changes?limit={HISTORY}")
        self.view.history = page["items"]


def _said(error: PerijoveError) -> str:
    return f"{error.message}. {error.next}."


def wish_of(data: Mapping[str, Any], lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The change that an edited cell asks for: an empty limit is none, an empty guarantee nothing;
    another period keeps the limit as it is."""
    tenant, dimension, field = (str(data.get(n, "")) for n in ("tenant", "dimension", "field"))
    value = str(data.get("value", ""))[:20]
    wish: dict[str, Any] = {
        "tenant": tenant, "person": str(data.get("person", "")), "dimension": dimension,
    }  # fmt: skip
    if isinstance(data.get("version"), str):
        wish["version"] = data["version"]
    if field == "guaranteed":
        return wish | {"guaranteed": value or "0"}
    if field == "period":
        line = next((one for one in lines if one.get("tenant") == tenant), None)
        written = line["dimensions"][dimension]["written"] if line else ""
        return wish | {"limit": written or None, "period": value}
    return wish | {"limit": value or None, "period": str(data.get("period", "")) if value else ""}
