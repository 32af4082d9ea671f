"""One student in the stampede: what their browser asks for, from the sign-in to JupyterLab."""

import asyncio
import contextlib
import json
import re
import time
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp

from tests.bench.accounts import PASSWORD
from tests.bench.course import COURSE
from tests.bench.target import StartFailedError
from tests.bench.visitor import Answer, Tally, Visitor

PORTAL = "/services/portal/"
MENU = (
    "me", "offers", "workloads?state=all&limit=50", "notices", "courses?limit=100", "visits",
    "announcements?limit=20",
)  # fmt: skip
"""What the script of the menu asks for; hub and portal agree in portal/static/store.js."""
OPENING = tuple(path for path in MENU if path != "offers")
"""What the page asks for that opens the lab: it shows no offers."""
BEAT_S = 3.0
"""How often a page looks at what is starting, when its stream says nothing."""
_TRIES = 5
_ASSET = re.compile(rf'(?:href|src)="({PORTAL}static/[^"]+)"')
_LAB = "jupyter-config-data"
_LIVE = ("queued", "offered", "starting", "running")


@dataclass
class Record:
    """What all students met."""

    tally: Tally = field(default_factory=Tally)
    sign_in_s: list[float] = field(default_factory=list[float])
    usable_s: list[float] = field(default_factory=list[float])
    shell_s: list[float] = field(default_factory=list[float])
    """How long the menu's static shell took, each time that somebody signed in asked for it."""
    problems: list[str] = field(default_factory=list[str])


class Student:
    """A browser of their own. Use it as an asynchronous context manager."""

    def __init__(self, base: str, login: str, record: Record) -> None:
        self._login = login
        self._record = record
        self._visitor = Visitor(base, record.tally)
        self._hint = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self._visitor.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._visitor.__aexit__()

    async def sign_in(self) -> None:
        """From the portal's address through the Hub's sign-in to the menu, with all that the menu
        loads. Raises StartFailedError."""
        begun = time.perf_counter()
        page = await self._visitor.page(PORTAL)
        for attempt in range(_TRIES):
            page = await self._visitor.submit(page, username=self._login, password=PASSWORD)
            if page.status == 200 and _path(page).startswith(PORTAL):
                break
            self._record.tally.retries += 1
            self._record.problems.append(f"{self._login}: {page.status} at {_path(page)}")
            await asyncio.sleep(2**attempt)
            page = await self._visitor.page(PORTAL)
        else:
            raise StartFailedError(f"{self._login} could not sign in: {page.status} {page.url}")
        await self._fill(page)
        self._record.sign_in_s.append(time.perf_counter() - begun)

    async def menu(self) -> None:
        """Load the static shell of the menu; how long it took is in the record."""
        await self._shell(PORTAL)

    async def open_lab(self) -> None:
        """From the press of *Open lab* until JupyterLab's page is there. Raises StartFailedError."""
        begun = time.perf_counter()
        await self._shell(f"{PORTAL}courses/{COURSE}/open")
        stream = asyncio.create_task(self._listen())
        try:
            _, made = await asyncio.gather(
                asyncio.gather(*(self._api(path) for path in OPENING)), self._press()
            )
            url = await self._running(made["id"])
        finally:
            stream.cancel()
            with contextlib.suppress(asyncio.CancelledError, aiohttp.ClientError):
                await stream
        await self._arrive(url)
        self._record.usable_s.append(time.perf_counter() - begun)

    async def _shell(self, address: str) -> None:
        begun = time.perf_counter()
        await self._visitor.page(address)
        self._record.shell_s.append(time.perf_counter() - begun)

    async def _fill(self, page: Answer) -> None:
        """What belongs to the menu: scripts and styles, and what the script asks for."""
        assets = sorted(set(_ASSET.findall(page.text)))
        await asyncio.gather(
            *(self._visitor.ask("GET", asset) for asset in assets),
            *(self._api(path) for path in MENU),
        )

    async def _press(self) -> dict[str, Any]:
        """As the page does: once more with the same key when it was told to try again."""
        key = {"Idempotency-Key": f"{self._login}-{time.time_ns()}"}
        address = f"{PORTAL}api/v1/courses/{COURSE}/lab"
        answer = await self._visitor.ask("POST", address, {}, key)
        for attempt in range(_TRIES - 1):
            if answer.status not in (0, 503):
                break
            self._record.tally.retries += 1
            await asyncio.sleep(0.4 * 2**attempt)
            answer = await self._visitor.ask("POST", address, {}, key)
        if answer.status not in (200, 201):
            raise StartFailedError(f"{self._login} got no lab: {answer.status} {answer.text[:200]}")
        return json.loads(answer.text)

    async def _running(self, workload: str) -> str:
        """Its address, as soon as the page hears of it: by the stream, or at the next beat."""
        while True:
            known = await self._api("workloads?state=all&limit=50")
            mine = next((one for one in known["items"] if one["id"] == workload), None)
            if mine and mine["status"] == "running" and mine["url"]:
                return mine["url"]
            if mine and mine["status"] not in _LIVE:
                raise StartFailedError(f"{self._login}: {mine['status']} {mine['reason']}")
            hinted = False
            with contextlib.suppress(TimeoutError):
                hinted = await asyncio.wait_for(self._hint.wait(), BEAT_S)
            self._hint.clear()
            if hinted:
                await self._api("me")

    async def _arrive(self, url: str) -> None:
        for attempt in range(_TRIES):
            page = await self._visitor.page(url)
            if page.status == 200 and _LAB in page.text:
                return
            self._record.tally.retries += 1
            self._record.problems.append(f"{self._login}: {page.status} at {_path(page)}")
            await asyncio.sleep(0.5 * 2**attempt)
        raise StartFailedError(f"{self._login} saw no JupyterLab at {url}")

    async def _api(self, path: str) -> dict[str, Any]:
        answer = await self._visitor.ask("GET", f"{PORTAL}api/v1/{path}")
        return json.loads(answer.text) if answer.status == 200 else {"items": []}

    async def _listen(self) -> None:
        async with self._visitor.stream(f"{PORTAL}api/v1/stream") as answer:
            async for line in answer.content:
                if line.startswith(b"data:") and b'"workloads"' in line:
                    self._hint.set()


def _path(page: Answer) -> str:
    return "/" + page.url.partition("//")[2].partition("/")[2].partition("?")[0]
