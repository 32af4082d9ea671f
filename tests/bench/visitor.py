"""A browser without a screen: it keeps cookies, follows redirects, and sends forms."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import unescape
from typing import Any, Self
from urllib.parse import urljoin

import aiohttp

_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')
_ACTION = re.compile(r'<form[^>]*action="([^"]*)"')
CONNECTIONS = 6
"""Of one browser to one host."""
CALL_S = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a browser ended up with, after every redirect."""

    status: int
    url: str
    text: str


@dataclass
class Tally:
    """What all visitors met. `errors` counts answers of 400 and more, by status and path."""

    requests: int = 0
    retries: int = 0
    errors: Counter[str] = field(default_factory=Counter[str])

    @property
    def faults(self) -> int:
        """Answers of 500 and more, and calls without any answer."""
        return sum(n for what, n in self.errors.items() if what[0] in "5n")


class Visitor:
    """One person's browser. Use it as an asynchronous context manager."""

    def __init__(self, base: str, tally: Tally) -> None:
        self._base = base
        self._tally = tally

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(
            cookie_jar=aiohttp.CookieJar(unsafe=True),  # it may keep those of an IP address
            connector=aiohttp.TCPConnector(limit=CONNECTIONS),
            timeout=aiohttp.ClientTimeout(total=CALL_S),
            headers={"Sec-Fetch-Site": "same-origin"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def page(self, address: str) -> Answer:
        """Open a page, as by a click."""
        return await self._call("GET", address, headers={"Accept": "text/html"})

    async def submit(self, page: Answer, **values: str) -> Answer:
        """Fill in the form of a page and send it."""
        form = {name: unescape(value) for name, value in _HIDDEN.findall(page.text)} | values
        action = _ACTION.search(page.text)
        to = urljoin(page.url, unescape(action[1])) if action else page.url
        return await self._call("POST", to, data=form, headers={"Accept": "text/html"})

    async def ask(
        self, method: str, address: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """What a page's script asks for."""
        return await self._call(
            method, address, json=body, headers={"X-Perijove-Page": "1", **(headers or {})}
        )

    def stream(self, address: str) -> Any:
        """An answer that does not end, as a context manager. Nothing of it is counted."""
        return self._http.get(
            urljoin(self._base, address), headers={"X-Perijove-Page": "1"},
            timeout=aiohttp.ClientTimeout(total=None),
        )  # fmt: skip

    async def _call(self, method: str, address: str, **rest: Any) -> Answer:
        """Status 0 where nobody answered."""
        url = urljoin(self._base, address)
        self._tally.requests += 1
        try:
            async with self._http.request(method, url, **rest) as got:
                answer = Answer(got.status, str(got.url), await got.text())
                self._tally.requests += len(got.history)
                if got.status >= 400:
                    self._tally.errors[f"{got.status} {got.url.path}"] += 1
                return answer
        except (aiohttp.ClientError, TimeoutError) as error:
            self._tally.errors[f"none {url.split('?')[0]}: {type(error).__name__}"] += 1
            return Answer(0, url, "")
