"""A class signs in one after another; whoever guesses at an account is not in their way."""

import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest

from catalog.errors import Busy
from hub.api import internal
from hub.people import SignIns
from tests.site import Site


class Full:
    """A line that has no place."""

    def __init__(self, *_: object) -> None:
        """Takes what a line takes."""

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        raise Busy("the line is full")
        yield


async def test_who_tried_too_often_takes_no_place_in_the_line(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(internal, "Line", Full)
    sign_ins = SignIns.__new__(SignIns)  # no password is looked at
    sign_ins._failures = {"mia": [site.clock.now()] * 8}
    app = internal.build(site.control, site.hub, sign_ins)  # type: ignore[arg-type]
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://control") as client:

        async def said(login: str) -> str:
            body = {"login": login, "password": "wrong"}
            answer = await client.post("/internal/sign-in", json=body)
            return answer.json()["error"]["message"]

        assert await said(" Mia ") == "too many wrong passwords for this account"
        assert await said("noa") == "the line is full"
