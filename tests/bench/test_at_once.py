"""Many at once, against a Hub that is only pretended: who counts as there, and from when on."""

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.bench.at_once import Moment
from tests.bench.target import Member, Target


class PretendedHub:
    """Starts a server for everybody but "no"; `late` says ready a while before its page answers."""

    name = "pretended"

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []
        self.looked = 0

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/start/{name}", self._start)
        app.router.add_get("/hub/api/users", self._users)
        app.router.add_get("/user/{name}/lab", self._lab)
        return app

    def wish(self, member: Member) -> tuple[str, dict[str, Any]]:
        return f"/start/{member.name}", {}

    def path_of(self, member: Member, answer: Any) -> str:
        return answer["path"]

    def hub_token(self) -> str:
        return "of the hub"

    async def _start(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name == "no":
            return web.Response(status=429, text="too many")
        self.asked.append(name)
        return web.json_response({"path": f"/user/{name}/"})

    async def _users(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "token of the hub"
        return web.json_response(
            [{"servers": {"": {"url": f"/user/{name}/", "ready": True}}} for name in self.asked]
        )

    async def _lab(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        assert request.headers["Authorization"] == f"token of {name}"
        self.looked += name == "late"
        return web.Response(status=503 if name == "late" and self.looked < 3 else 200)


@pytest.fixture
async def hub() -> AsyncIterator[PretendedHub]:
    found = PretendedHub()
    async with TestServer(found.application()) as server:
        found.url = str(server.make_url("")).rstrip("/")
        yield found


async def test_each_is_there_when_their_page_answers(hub: PretendedHub) -> None:
    members = [Member(name, f"of {name}") for name in ("ada", "no", "late")]
    ada, no, late = await Moment(cast("Target", hub), 20).all(members)
    assert no is None
    assert ada is not None
    assert late is not None
    assert (ada.path, late.path) == ("/user/ada/", "/user/late/")
    assert hub.looked == 3
    assert 0 < late.seconds <= late.at


async def test_who_is_never_ready_has_failed(
    hub: PretendedHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "path_of", lambda *_: "/user/somebody-else/")
    assert await Moment(cast("Target", hub), 0.3).all([Member("ada", "of ada")]) == [None]
    assert hub.asked == ["ada"]
