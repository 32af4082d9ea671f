"""Whose token it is: those who ask together share a question, and it is never an old one."""

import asyncio

import pytest

from catalog.errors import NotSignedIn
from hub.hub_api import HubApi
from hub.settings import API_SCOPE


class Hub(HubApi):
    """Answers when the test says so."""

    def __init__(self) -> None:
        super().__init__("http://hub", "secret")
        self.asked = 0
        self.valid = True
        self.go = asyncio.Event()

    async def _call(self, *_: object, **__: object) -> tuple[int, dict[str, object]]:
        self.asked += 1
        valid = self.valid
        await self.go.wait()
        found = {"kind": "user", "name": "mia", "scopes": [API_SCOPE]}
        return (200, found) if valid else (403, {})


async def asking(hub: Hub, count: int) -> list["asyncio.Task[str]"]:
    tasks = [asyncio.create_task(hub.owner_of("t")) for _ in range(count)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_a_page_that_asks_seven_times_at_once_is_two_questions() -> None:
    hub = Hub()
    tasks = [*await asking(hub, 1), *await asking(hub, 6)]
    hub.go.set()
    assert await asyncio.gather(*tasks) == ["mia"] * 7
    assert hub.asked == 2


async def test_whoever_asks_later_is_asked_for_again() -> None:
    hub = Hub()
    hub.go.set()
    for _ in range(3):
        assert await hub.owner_of("t") == "mia"
    assert hub.asked == 3


async def test_a_token_that_is_revoked_while_it_is_asked_about_is_dead_to_who_comes_then() -> None:
    hub = Hub()
    (before,) = await asking(hub, 1)
    hub.valid = False
    (after,) = await asking(hub, 1)
    hub.go.set()
    assert await before == "mia"
    with pytest.raises(NotSignedIn):
        await after


async def test_one_who_goes_away_takes_the_answer_from_nobody() -> None:
    hub = Hub()
    first, second, third = await asking(hub, 3)
    second.cancel()
    hub.go.set()
    assert (await first, await third) == ("mia", "mia")
