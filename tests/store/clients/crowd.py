"""64 clients that ask, extend, accept, cancel, stop, grant, transfer and drain at random, and hang up
in between."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.store.clients.ground import NODES, OFFERS
from tests.store.clients.process import TOKEN_PREFIX

V1 = "/services/control/v1"
AWAY = (httpx.TransportError,)
REFUSALS = {400, 402, 403, 404, 409, 422}
"""What a client may be told: no, in words. 503 is a database or a control that is just away."""
LIVE_EACH = 2
ENOUGH = 30
"""Launches without which a crowd has shown nothing: on a machine with little to spare it goes on
for up to three times its time to get there."""


@dataclass
class Seen:
    """What the clients were told, to be held against the database."""

    workloads_of_key: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    granted: set[str] = field(default_factory=set[str])
    """Keys of grants that were acknowledged."""
    wrong: list[str] = field(default_factory=list[str])
    """Answers that nobody should get."""
    done: Counter[str] = field(default_factory=Counter[str])

    def over(self, begun: float, seconds: float) -> bool:
        passed = time.monotonic() - begun
        return passed > seconds and (self.done["launch 201"] >= ENOUGH or passed > 3 * seconds)


class Client:
    """One person at work, with a connection of their own to one of the controls."""

    def __init__(self, name: str, urls: list[str], seen: Seen, seed: int) -> None:
        self.name, self._seen = name, seen
        self._random = random.Random(seed)
        self._keys = 0
        self._seed = seed
        self._unsure: tuple[str, dict[str, Any]] | None = None
        """A launch that was never answered; it is tried again with its key."""
        self._http = httpx.AsyncClient(
            base_url=self._random.choice(urls) + V1, trust_env=False, timeout=20,
            headers={"Authorization": f"token {TOKEN_PREFIX}{name}"},
        )  # fmt: skip

    async def work(self, seconds: float, names: list[str]) -> None:
        """Act until the time is over."""
        begun = time.monotonic()
        while not self._seen.over(begun, seconds):
            act = self._choose()
            try:
                await act(names)
            except AWAY:
                self._seen.done["away"] += 1
                await asyncio.sleep(1)  # a control that begins needs the processor more
            await asyncio.sleep(self._random.expovariate(1 / 0.15))
        await self._http.aclose()

    def _choose(self) -> Callable[[list[str]], Awaitable[None]]:
        if self.name == "admin":
            acts = [self._grant, self._transfer, self._drain, self._launch]
            return self._random.choice(acts)
        acts = [self._launch, self._touch, self._drop, self._meddle]
        return self._random.choices(acts, weights=[4, 6, 2, 1])[0]

    # ---- acts -------------------------------------------------------------------------------

    async def _launch(self, _: list[str]) -> None:
        if self._unsure is None and len(await self._live()) >= LIVE_EACH:
            return
        key, body = self._unsure or (self._key(), self._wish())
        self._unsure = (key, body)
        answer = await self._call("POST", "/workloads", body, key)
        if answer.status_code == 503:
            return
        self._unsure = None
        if answer.status_code == 201:
            told = self._seen.workloads_of_key.setdefault((self.name, key), set())
            told.add(answer.json()["id"])
            if self._random.random() < 0.2:
                self._unsure = (key, body)  # as if the answer had been lost

    async def _touch(self, _: list[str]) -> None:
        """Extend, stop, cancel or accept something of one's own."""
        if not (live := await self._live()):
            return
        mine = self._random.choice(live)
        path = f"/workloads/{mine['id']}"
        if mine["status"] == "offered":
            await self._call("POST", f"{path}/accept")
        elif self._random.random() < 0.5:
            key, by = self._key(), f"{self._random.randint(1, 8)}m"
            for _again in range(self._random.choice([1, 1, 2])):
                await self._call("POST", f"{path}/extend", {"by": by}, key)
        elif self._random.random() < 0.7:
            await self._call("POST", f"{path}/stop")
        else:
            await asyncio.gather(
                self._call("POST", f"{path}/stop"),
                self._call("POST", f"{path}/extend", {"by": "2m"}, self._key()),
            )

    async def _drop(self, names: list[str]) -> None:
        """Hang up in the middle of something."""
        act = self._random.choice([self._launch, self._touch])
        try:
            await asyncio.wait_for(act(names), self._random.uniform(0.001, 0.08))
        except TimeoutError:
            self._seen.done["dropped"] += 1

    async def _meddle(self, _: list[str]) -> None:
        """Try to stop what is not one's own, or is not there."""
        told = [next(iter(ids)) for ids in list(self._seen.workloads_of_key.values())]
        other = self._random.choice(told) if told else "w-nothing"
        if self.name != "admin" and not self._is_mine(other):
            answer = await self._call("POST", f"/workloads/{other}/stop")
            if answer.status_code == 200:
                self._seen.wrong.append(f"{self.name} stopped {other}, which is not theirs")

    async def _transfer(self, _: list[str]) -> None:
        """Down the tree and back, twice with one key; often more than there is."""
        pair = self._random.choice([("main", "physics"), ("physics", "optics"), ("optics", "main")])
        source, target = ({"tenant": tenant} for tenant in pair)
        key, amount = self._key(), f"{self._random.randint(1, 400) / 100:.2f}"
        if self._random.random() < 0.4:
            await self._call("POST", "/tenants/main/grant", {"credits": amount}, self._key())
        body = {"from": source, "to": target, "credits": amount}
        calls = [self._call("POST", "/credits/transfer", body, key) for _ in range(2)]
        for answer in await asyncio.gather(*calls):
            if answer.status_code == 200:
                self._seen.granted.add(key)

    async def _drain(self, _: list[str]) -> None:
        """Take a node out of service or put it back: what runs there waits again."""
        node = NODES[0].name  # the other one always stays
        if self._random.random() < 0.5:
            await self._call("POST", f"/nodes/{node}/drain", {"by": "1m", "reason": "new fans"})
        else:
            await self._call("POST", f"/nodes/{node}/resume")

    async def _grant(self, names: list[str]) -> None:
        """Twice with one key; the second may come while the first is under way."""
        who, key = self._random.choice(names), self._key()
        body = {"credits": f"{self._random.randint(1, 300) / 100:.2f}"}
        calls = [self._call("POST", f"/people/{who}/grant", body, key) for _ in range(2)]
        for answer in await asyncio.gather(*calls):
            if answer.status_code == 200:
                self._seen.granted.add(key)

    # ---- the API ----------------------------------------------------------------------------

    async def _live(self) -> list[dict[str, Any]]:
        answer = await self._call("GET", "/workloads")
        return answer.json()["items"] if answer.status_code == 200 else []

    def _is_mine(self, workload: str) -> bool:
        told = self._seen.workloads_of_key
        return any(who == self.name and workload in ids for (who, _), ids in told.items())

    async def _call(
        self, method: str, path: str, body: dict[str, Any] | None = None, key: str = ""
    ) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        answer = await self._http.request(method, path, json=body, headers=headers)
        kind = path.rsplit("/", 1)[-1] if path.count("/") > 1 else "launch"
        if method == "POST":
            self._seen.done[f"{kind} {answer.status_code}"] += 1
        if not answer.is_success and answer.status_code not in REFUSALS | {503}:
            self._seen.wrong.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
        return answer

    def _key(self) -> str:
        self._keys += 1
        return f"{self.name}-{self._seed}-{self._keys}"

    def _wish(self) -> dict[str, Any]:
        chosen = {"duration": f"{self._random.choice([1, 2, 5, 10, 30])}m"}
        if self._random.random() < 0.3:
            chosen["cpu"] = self._random.choice(["0.5", "2", "4"])
        return {
            "offer": self._random.choice(OFFERS), "set": chosen,
            "notify": self._random.random() < 0.15,
        }  # fmt: skip


async def crowd(urls: list[str], names: list[str], seconds: float, seed: int) -> Seen:
    """Everybody works for `seconds`; what they were told."""
    seen = Seen()
    clients = [Client(name, urls, seen, seed * 1000 + n) for n, name in enumerate(names)]
    await asyncio.gather(*(client.work(seconds, names) for client in clients))
    return seen


async def stop_all(url: str, names: list[str]) -> None:
    """Everybody stops what they have; repeated until nothing is live. Fails after a minute."""
    end = time.monotonic() + 60
    async with httpx.AsyncClient(base_url=url + V1, trust_env=False, timeout=30) as http:
        for name in sorted(set(names)):
            headers = {"Authorization": f"token {TOKEN_PREFIX}{name}"}
            while live := (await http.get("/workloads", headers=headers)).json()["items"]:
                for workload in live:
                    await http.post(f"/workloads/{workload['id']}/stop", headers=headers)
                assert time.monotonic() < end, f"{name} still has {live}"
