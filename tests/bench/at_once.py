"""Many different people ask for a server in the same moment, through the API."""

import asyncio
import contextlib
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import aiohttp
import httpx

from tests.bench.memory import crowd_pss_mib
from tests.bench.report import Series
from tests.bench.target import POLL_S, Member, StartFailedError, Target

SETTLE_S = 1.0
_LOOK_S = 0.25
"""Between two looks at everybody's servers. One list for all: looks by each person would be most of
what the Hub has to do."""
_CALL_S = 120.0
"""For one call; a Hub that is busy answers late."""


def limit_s(n: int) -> float:
    """A start among `n` that takes longer counts as failed."""
    return 60.0 + 2.0 * n


def at_once(target: Target, n: int) -> Series:
    """Let `n` people in, let all of them ask, and wait until each one's ``/lab`` answers 200."""
    series = Series(target.name, f"at-once-{n}", "none")
    try:
        members = target.admit(n)
        _measure(target, members, series)
        target.dismiss(members)
    except (StartFailedError, httpx.HTTPError) as error:
        sys.stderr.write(f"{target.name} {series.case}: {error}\n")
    series.failures = n - len(series.seconds)
    return series


def _measure(target: Target, members: list[Member], series: Series) -> None:
    landings = asyncio.run(Moment(target, limit_s(len(members))).all(members))
    came = [one for one in landings if one is not None]
    series.seconds = [one.seconds for one in came]
    series.last_s = max((one.at for one in came), default=None)
    time.sleep(SETTLE_S)
    if came:
        paths = {one.path for one in came}
        series.pss_mib = [crowd_pss_mib(paths, target.shared_processes()) / len(paths)]


@dataclass(frozen=True, slots=True)
class Landing:
    """One server that came: `seconds` after its own call, `at` after the first call of all."""

    path: str
    seconds: float
    at: float


class Moment:
    """One crowd at one server."""

    def __init__(self, target: Target, limit_s: float) -> None:
        self._target = target
        self._limit_s = limit_s
        self._ready: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._begun = 0.0

    async def all(self, members: list[Member]) -> list[Landing | None]:
        """What came of each; None for a failure, which is told on stderr."""
        timeout = aiohttp.ClientTimeout(total=_CALL_S)
        async with aiohttp.ClientSession(
            self._target.url, timeout=timeout, connector=aiohttp.TCPConnector(limit=0)
        ) as http:
            watch = asyncio.create_task(self._watch(http))
            self._begun = time.perf_counter()
            landings = await asyncio.gather(*(self._one(http, member) for member in members))
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
        return landings

    async def _one(self, http: aiohttp.ClientSession, member: Member) -> Landing | None:
        try:
            async with asyncio.timeout(self._limit_s):
                return await self._start(http, member)
        except (TimeoutError, aiohttp.ClientError, StartFailedError) as error:
            said = str(error) or f"not within {self._limit_s:.0f} s"
            sys.stderr.write(f"{self._target.name} {member.name}: {said}\n")
            return None

    async def _start(self, http: aiohttp.ClientSession, member: Member) -> Landing:
        headers = {"Authorization": f"token {member.token}"}
        address, body = self._target.wish(member)
        asked = time.perf_counter()
        async with http.post(address, json=body, headers=headers) as answer:
            text = await answer.text()
            if not answer.ok:
                raise StartFailedError(f"POST {address}: {answer.status} {text[:200]}")
            promised: Any = await answer.json() if text else None
        path = self._target.path_of(member, promised)
        await self._ready[path].wait()
        while not await self._answers(http, path, headers):  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(POLL_S)
        now = time.perf_counter()
        return Landing(path, now - asked, now - self._begun)

    async def _answers(
        self, http: aiohttp.ClientSession, path: str, headers: dict[str, str]
    ) -> bool:
        async with http.get(f"{path}lab", headers=headers, allow_redirects=False) as answer:
            await answer.read()
            return answer.status == 200

    async def _watch(self, http: aiohttp.ClientSession) -> None:
        """Which servers the Hub calls ready."""
        headers = {"Authorization": f"token {self._target.hub_token()}"}
        query = {"state": "ready", "limit": "200"}
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with http.get("/hub/api/users", params=query, headers=headers) as answer:
                    for person in await answer.json() if answer.ok else []:
                        for server in person["servers"].values():
                            if server["ready"]:
                                self._ready[server["url"]].set()
            await asyncio.sleep(_LOOK_S)
