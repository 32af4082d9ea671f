"""Ways to sign in, and courses of learning systems, for the portal's stand-in."""

from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

BASE = "/services/control/v1"


def identity(id: str, provider: str, title: str, *, removable: bool) -> dict[str, Any]:
    return {
        "id": id, "provider": provider, "title": title, "issuer": f"https://{provider}.example.org",
        "subject": "s-1", "created_at": "2027-01-01T00:00:00Z", "removable": removable,
    }  # fmt: skip


def context(id: str, title: str, course: str | None, **more: Any) -> dict[str, Any]:
    return {
        "id": id, "platform": "moodle", "title": title, "course": course, "roster": True,
        "grades": True, "synced_at": None, "error": "", **more,
    }  # fmt: skip


@dataclass
class Learning:
    """`providers` and `identities` of the visitor; `contexts` by their id."""

    providers: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {"name": "uni", "title": "The University", "roster_claim": "email"}
        ]
    )
    identities: list[dict[str, Any]] = field(default_factory=list)
    contexts: dict[str, dict[str, Any]] = field(default_factory=dict)
    refuse_link: bool = False

    def routes(self) -> list[web.RouteDef]:
        course = f"{BASE}/courses/{{id}}/lti"
        return [
            web.get(f"{BASE}/providers", self.all_providers),
            web.get(f"{BASE}/identities", self.mine),
            web.delete(f"{BASE}/identities/{{id}}", self.unlink),
            web.get(f"{BASE}/lti/contexts", self.open),
            web.get(f"{BASE}/lti/contexts/{{id}}", self.one),
            web.get(course, self.linked),
            web.post(course, self.link),
            web.delete(f"{course}/{{context}}", self.end),
            web.post(f"{course}/sync", self.sync),
        ]

    async def all_providers(self, _: web.Request) -> web.Response:
        return _page(self.providers)

    async def mine(self, _: web.Request) -> web.Response:
        return _page(self.identities)

    async def unlink(self, request: web.Request) -> web.Response:
        self.identities = [i for i in self.identities if i["id"] != request.match_info["id"]]
        return _page(self.identities)

    async def open(self, _: web.Request) -> web.Response:
        return _page([one for one in self.contexts.values() if one["course"] is None])

    async def one(self, request: web.Request) -> web.Response:
        found = self.contexts.get(request.match_info["id"])
        return (
            _problem(404, "not-found", "there is no such course") if found is None else _say(found)
        )

    async def linked(self, request: web.Request) -> web.Response:
        course = request.match_info["id"]
        return _page([one for one in self.contexts.values() if one["course"] == course])

    async def link(self, request: web.Request) -> web.Response:
        if self.refuse_link:
            return _problem(409, "conflict", "it is linked to another course already")
        found = self.contexts[(await request.json())["context"]]
        found["course"] = request.match_info["id"]
        return _say(found)

    async def end(self, request: web.Request) -> web.Response:
        self.contexts[request.match_info["context"]]["course"] = None
        return web.Response(status=204)

    async def sync(self, _: web.Request) -> web.Response:
        for one in self.contexts.values():
            one.update(error="", synced_at="2027-01-01T00:00:00Z")
        line = {"platform": "moodle", "members": 31, "joined": 2, "left": 1, "error": ""}
        return _page([line])


def _page(items: list[Any]) -> web.Response:
    return web.json_response({"items": items, "next": None})


def _say(item: dict[str, Any]) -> web.Response:
    return web.json_response(item)


def _problem(status: int, code: str, message: str) -> web.Response:
    error = {"code": code, "message": message, "next": "look at it there"}
    return web.json_response({"error": error}, status=status)
