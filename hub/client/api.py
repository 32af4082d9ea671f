"""The REST API, one method a route. Answers are JSON objects in the shapes of `hub.api.schema`."""

import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self, TypedDict
from urllib.parse import quote, urljoin

from catalog.errors import BadValue, NotFound, Unavailable
from hub.client.access import Access, checked_url, find_access
from hub.client.courses import Courses
from hub.client.desk import Desk
from hub.client.errors import Json
from hub.client.event_stream import follow
from hub.client.people import PeopleCalls
from hub.client.transport import Transport

MAX_PAGES = 100
_LOOKS_LIKE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

Answers = Mapping[str, str | int | float]
"""Answers to an offer's fields, as people write them: ``{"gpu": "1/4", "duration": "2h"}``."""


class Page(TypedDict):
    """A part of a list; `next` is the cursor of the rest, or None."""

    items: list[Json]
    next: str | None


class Client(Desk, Courses, PeopleCalls):
    """Speaks to one server as one person.

    Without `url` and `token` it finds both like the command line does (see `hub.client.access`).
    Every method may raise a PerijoveError: NotSignedIn, Forbidden, NotFound, BadValue, Denied with
    the verdict, or Unavailable when the server is down or is something else. Reading is repeated
    for about two seconds while the server restarts; launching is too, under one idempotency key.
    """

    def __init__(
        self, url: str = "", token: str = "", *, pause: Callable[[float], None] = time.sleep
    ) -> None:
        given = bool(url and token)
        self._transport = Transport(
            Access(checked_url(url), token) if given else find_access(), pause=pause
        )
        self.url = self._transport.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    # What there is

    def me(self) -> Json:
        """The person, the meter and what every screen says about the site."""
        return self._transport.get("/me")

    def offers(self) -> Page:
        """The menu with live availability."""
        return _page(self._transport.get("/offers"))

    def check(self, offer: str, set: Answers | None = None) -> Json:  # noqa: A002 (the API's word)
        """The Verdict on a launch: fits, waits or denied. Nothing is held."""
        return self._transport.post("/check", {"offer": offer, "set": dict(set or {})})

    def inventory(self) -> Json:
        """Nodes and devices with what is held of them."""
        return self._transport.get("/inventory")

    def usage(self, cursor: str | None = None) -> Json:
        """The person's statement, the newest first."""
        return self._transport.get("/usage", cursor=cursor)

    def statement(
        self, *, begins: str = "", ends: str = "", tenant: str = "", person: str = "",
        cursor: str | None = None,
    ) -> Json:  # fmt: skip
        """The person's, somebody's or a tenant's statement between two times, the oldest first."""
        query = {"from": begins, "to": ends, "tenant": tenant, "person": person, "cursor": cursor}
        return self._transport.get("/statement", **query)

    def statement_file(
        self, kind: str, *, begins: str = "", ends: str = "", tenant: str = "", person: str = ""
    ) -> Iterator[bytes]:
        """The same, whole, as ``csv`` or ``parquet``, part by part."""
        query = {"from": begins, "to": ends, "tenant": tenant, "person": person, "format": kind}
        return self._transport.download("/statement/file", **query)

    def environments(self) -> Page:
        """Notebook environments that a course may choose."""
        return _page(self._transport.get("/environments"))

    def prices(self) -> Page:
        """What the offers cost, have cost and will cost."""
        return _page(self._transport.get("/prices"))

    def notices(self, cursor: str | None = None) -> Page:
        """What the person should know, the newest first."""
        return _page(self._transport.get("/notices", cursor=cursor))

    def read_notice(self, notice: str) -> None:
        """Mark a notice as read; repeating it changes nothing."""
        self._transport.post(f"/notices/{_part(notice)}/read")

    # Workloads

    def launch(
        self,
        offer: str,
        *,
        set: Answers | None = None,  # noqa: A002 (the API's word)
        name: str = "",
        notify: bool = False,
        key: str = "",
    ) -> Json:
        """Launch; returns as soon as it is queued. The same `key` never launches twice.

        Raises Denied with the Verdict.
        """
        body = {"offer": offer, "set": dict(set or {}), "name": name, "notify": notify}
        return self._seen(self._transport.post("/workloads", body, key=key or uuid.uuid4().hex))

    def workloads(
        self, state: str = "active", *, cursor: str | None = None, limit: int | None = None
    ) -> Page:
        """A page of the person's workloads; `state` is active, ended or all."""
        page = _page(self._transport.get("/workloads", state=state, cursor=cursor, limit=limit))
        return {"items": [self._seen(item) for item in page["items"]], "next": page["next"]}

    def workload(self, id: str) -> Json:
        """One workload by its id."""
        return self._seen(self._transport.get(f"/workloads/{_part(id)}"))

    def find(self, name: str) -> Json:
        """One workload by its id, a unique name, or the beginning of its id.

        What is active comes before what ended. Raises NotFound, or BadValue naming the candidates.
        """
        if _LOOKS_LIKE_ID.fullmatch(name):
            try:
                return self.workload(name)
            except NotFound:
                pass
        for state in ("active", "ended"):
            if found := _the_one(name, list(self._every_workload(state))):
                return found
        raise NotFound(
            f"no workload of yours is called {name!r} or has an id that begins so",
            next="`perijove ps --all` lists them",
        )

    def stop(self, id: str) -> Json:
        """Ask it to end; returns at once."""
        return self._act(id, "stop", {})

    def extend(self, id: str, by: str = "1h") -> Json:
        """A longer lease. Raises Denied, or Conflict where somebody waits."""
        return self._act(id, "extend", {"by": by})

    def relaunch(
        self,
        id: str,
        *,
        set: Answers | None = None,  # noqa: A002 (the API's word)
        key: str = "",
    ) -> Json:
        """The same again, with changed answers; a new workload. Raises Denied."""
        return self._act(id, "relaunch", {"set": dict(set or {})}, key=key or uuid.uuid4().hex)

    def accept(self, id: str) -> Json:
        """Take the turn that is held for this workload."""
        return self._act(id, "accept", {})

    def notify(self, id: str, *, on: bool = True) -> Json:
        """Hold my turn and tell me, or start at once."""
        return self._act(id, "notify", {"on": on})

    def events(self, id: str) -> Iterator[Json]:
        """Its history, then what happens, until it ended. A broken stream is taken up again."""
        return follow(self._transport, f"/workloads/{_part(id)}/events")

    def logs(self, id: str, *, tail: int = 200) -> str:
        """The last lines that it printed."""
        return str(self._transport.get(f"/workloads/{_part(id)}/logs", tail=tail).get("text", ""))

    # Administration

    def people(self, cursor: str | None = None) -> Page:
        """People that this person may see."""
        return _page(self._transport.get("/people", cursor=cursor))

    def set_active(self, login: str, *, active: bool) -> Json:
        """Let a person in again, or sign them out everywhere and stop what they run."""
        act = "activate" if active else "deactivate"
        return self._transport.post(f"/people/{_part(login)}/{act}")

    def grant(self, login: str, credits: str) -> Json:  # noqa: A002 (the API's word)
        """Give credits to a person."""
        return self._transport.post(f"/people/{_part(login)}/grant", {"credits": credits})

    def accounts(self) -> Page:
        """What the tenants that this person administers have."""
        return _page(self._transport.get("/accounts"))

    def grant_tenant(self, tenant: str, credits: str, *, key: str = "") -> Page:  # noqa: A002 (the API's word)
        """Give credits to a tenant, once for each key."""
        path, body = f"/tenants/{_part(tenant)}/grant", {"credits": credits}
        return _page(self._transport.post(path, body, key=key or uuid.uuid4().hex))

    def transfer(
        self, source: Mapping[str, str], target: Mapping[str, str], credits: str, *, key: str = ""  # noqa: A002 (the API's word)
    ) -> Page:  # fmt: skip
        """Move credits, once for each key; a side is ``{"tenant": ID}`` or ``{"person": LOGIN}``."""
        body = {"from": dict(source), "to": dict(target), "credits": credits}
        answer = self._transport.post("/credits/transfer", body, key=key or uuid.uuid4().hex)
        return _page(answer)

    def set_price(self, offer: str, per_hour: str, begins: str = "") -> Page:
        """Change a price from a time on, or from now."""
        body = {"offer": offer, "per_hour": per_hour, "from": begins}
        return _page(self._transport.put("/prices", body))

    def invite(self, *, tenant: str = "main", role: str = "member", email: str = "") -> Json:
        """A one-time link that makes an account: ``{"url", "expires_at"}``."""
        body = {"tenant": tenant, "role": role, "email": email}
        answer = self._transport.post("/invitations", body)
        return answer | {"url": self._absolute(str(answer.get("url", "")))}

    def tenants(self) -> Page:
        """The tenants that this person may see."""
        return _page(self._transport.get("/tenants"))

    def quotas(self) -> Page:
        """The limits that are set."""
        return _page(self._transport.get("/quotas"))

    def add_tenant(self, tenant: str, name: str, parent: str, kind: str) -> Json:
        """A tenant below another; the same again changes nothing."""
        body = {"id": tenant, "name": name, "parent": parent, "kind": kind}
        return self._transport.post("/tenants", body)

    def change_tenant(self, tenant: str, name: str | None, parent: str | None) -> Json:
        """Rename or move it; None stays."""
        return self._transport.put(f"/tenants/{_part(tenant)}", {"name": name, "parent": parent})

    def set_quota(
        self, dimension: str, limit: str | None, *, tenant: str = "main", person: str = "",
        period: str = "",
    ) -> Json:  # fmt: skip
        """Set a limit, which begins anew each `period` (day, week, month); None removes it."""
        body = {"tenant": tenant, "person": person, "dimension": dimension, "limit": limit}
        body |= {"period": period}
        return self._transport.put("/quotas", body)

    def guarantee(self, tenant: str, dimension: str, amount: str) -> Json:
        """Guarantee a tenant a part of the site; "0" for nothing any more."""
        body = {"tenant": tenant, "dimension": dimension, "amount": amount}
        return self._transport.put("/quotas/guaranteed", body)

    def reload_menu(self) -> Json:
        """Read the menu file again. Raises BadSetup naming the mistake; the old menu stays."""
        return self._transport.post("/menu/reload")

    # Nodes

    def nodes(self) -> Page:
        """Nodes as placement sees them."""
        return _page(self._transport.get("/nodes"))

    def drain(self, node: str, by: str, reason: str = "") -> Json:
        """Take a node out of service; `by` is like ``"2h"`` or a time with its zone."""
        return self._transport.post(f"/nodes/{_part(node)}/drain", {"by": by, "reason": reason})

    def drain_all(self, at_most: float, each: str, reason: str = "") -> Page:
        """Take all nodes out, one after another, at most this part of the GPUs at any time."""
        body = {"at_most": at_most, "each": each, "reason": reason}
        return _page(self._transport.post("/nodes/drain", body))

    def resume(self, node: str) -> Json:
        """Put a node back in service."""
        return self._transport.post(f"/nodes/{_part(node)}/resume")

    def resume_all(self) -> Page:
        """Put every node back in service."""
        return _page(self._transport.post("/nodes/resume"))

    def release_device(self, device: str) -> Json:
        """End the quarantine of a device."""
        return self._transport.post(f"/devices/{_part(device)}/release")

    def saved(self, id: str) -> Json:
        """Say that the work of a workload is saved as of now."""
        return self._act(id, "saved", {})

    # Reservations

    def reservations(self, state: str = "active", cursor: str | None = None) -> Page:
        """Reservations that this person may use or administer; `state` is active, ended or all."""
        return _page(self._transport.get("/reservations", state=state, cursor=cursor))

    def reservation(self, id: str) -> Json:
        """One reservation with all its windows."""
        return self._transport.get(f"/reservations/{_part(id)}")

    def check_reservation(self, body: Mapping[str, Any]) -> Json:
        """Its windows, and what is in the way; nothing is held."""
        return self._transport.post("/reservations/check", dict(body))

    def reserve(self, body: Mapping[str, Any], *, key: str = "") -> Json:
        """Hold capacity. Raises Conflict with the window and the nearest free one, or Denied."""
        return self._transport.post("/reservations", dict(body), key=key or uuid.uuid4().hex)

    def cancel_reservation(self, id: str) -> Json:
        """Hold nothing of it any more; repeating it changes nothing."""
        return self._transport.delete(f"/reservations/{_part(id)}")

    def release_window(self, id: str, start: str) -> Json:
        """Give up one window by its id or its beginning; repeating it changes nothing."""
        path = f"/reservations/{_part(id)}/windows/{_part(start)}/release"
        return self._transport.post(path)

    def announcements(
        self, *, tenant: str = "", state: str = "", cursor: str | None = None
    ) -> Page:
        """What is announced to this person now; with a `state` (on, scheduled, over, all) or a
        `tenant`, what is announced to the people that they may tell something."""
        if not (tenant or state):
            return _page(self._transport.get("/announcements", cursor=cursor))
        found = self._transport.get(
            "/announcements/all", tenant=tenant, state=state or "all", cursor=cursor
        )
        return _page(found)

    def announce(self, body: Mapping[str, Any], *, key: str = "") -> Json:
        """Tell everybody of a tenant and below. Raises Forbidden, or NotFound for a stranger's."""
        return self._transport.post("/announcements", dict(body), key=key or uuid.uuid4().hex)

    def withdraw_announcement(self, id: str) -> Json:
        """Nobody sees it any more; repeating it changes nothing."""
        return self._transport.delete(f"/announcements/{_part(id)}")

    # Shared steps

    def _act(self, id: str, act: str, body: Json, *, key: str = "") -> Json:
        return self._seen(self._transport.post(f"/workloads/{_part(id)}/{act}", body, key=key))

    def _every_workload(self, state: str) -> Iterator[Json]:
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            page = self.workloads(state, cursor=cursor)
            yield from page["items"]
            cursor = page["next"]
            if cursor is None:
                return

    def _seen(self, workload: Any) -> Json:
        """A workload with an absolute address."""
        if not isinstance(workload, dict) or "id" not in workload:
            raise Unavailable(
                f"{self.url} answered something that is not a workload",
                next="the server may have another version: compare `perijove version`",
                code="not-the-api",
            )
        return workload | {"url": self._absolute(str(workload.get("url") or ""))}

    def _absolute(self, address: str) -> str:
        return urljoin(self.url + "/", address) if address else ""


def _part(text: str) -> str:
    """One part of a path: a slash or question mark in it cannot lead elsewhere."""
    return quote(text, safe="") if text not in {".", ".."} else "-"


def _page(document: Json) -> Page:
    items = document.get("items")
    if not isinstance(items, list):
        raise Unavailable(
            "the server answered something that is not a list",
            next="the server may have another version: compare `perijove version`",
            code="not-the-api",
        )
    return {"items": items, "next": document.get("next")}


def _the_one(name: str, workloads: list[Json]) -> Json | None:
    """The one that is meant by a name or the beginning of an id; a name comes first."""
    for found in (
        [w for w in workloads if w.get("name") == name],
        [w for w in workloads if name and str(w["id"]).startswith(name)],
    ):
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(str(w["id"]) for w in found[:5])
            raise BadValue(
                f"{name!r} means {len(found)} workloads: {ids}", next="give the id of one"
            )
    return None
