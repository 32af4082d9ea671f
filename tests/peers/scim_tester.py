"""PyPI `scim2-tester` as a peer: another reading of the standard, which checks ours."""

import asyncio
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
from scim2_client import BaseSyncSCIMClient

from hub.settings import SCIM_PREFIX
from tests.site import Site


class Client(BaseSyncSCIMClient):
    """Speaks to the app of a site from another thread than its loop's."""

    def __init__(self, site: Site, key: str, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._site, self._key, self._loop = site, key, loop

    def request(self, method: str, url: str, **given: Any) -> httpx.Response:
        return asyncio.run_coroutine_threadsafe(self._ask(method, url, **given), self._loop).result(
            timeout=30
        )

    async def _ask(
        self, method: str, url: str, *, params: Any = None, json: Any = None, content: Any = None,
        headers: Any = None,
    ) -> httpx.Response:  # fmt: skip
        path = urlsplit(urljoin(f"http://site{SCIM_PREFIX}/", url.lstrip("/"))).path
        return await self._site.raw(
            method, path, params=params, json=json, content=content,
            headers={"Authorization": f"Bearer {self._key}", **dict(headers or {})},
        )  # fmt: skip

    def _stays_under_base_url(self, endpoint: str) -> bool:
        return True

    def _parse_json(self, response: Any) -> Any:
        return response.json()
