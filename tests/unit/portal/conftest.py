from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.unit.portal.peers import Running, running_portal

PAGE = {"X-Perijove-Page": "1", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    async with running_portal() as portal:
        yield portal


@pytest.fixture
async def browser(running: Running) -> AsyncIterator[aiohttp.ClientSession]:
    """Keeps cookies, and has signed in."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(running.url, cookie_jar=jar) as http:
        async with http.get("/services/portal/") as answer:
            assert answer.status == 200
        yield http


@pytest.fixture
def page() -> dict[str, Any]:
    return dict(PAGE)
