"""A Hub in memory with the methods of `hub.hub_api.HubApi`.

It starts and stops servers as the real one does: through control's inner door. What it should do
wrong is set on it; time is control's clock.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import httpx
from fastapi import FastAPI

from catalog.clock import Clock
from catalog.errors import NotSignedIn, Unavailable
from hub.hub_api import StartOutcome, StartRefused


class FakeHub:
    """`down` makes every call Unavailable; `refuses` is what the next starts are refused with;
    `gives_up_after` is the Hub's own limit for a start."""

    def __init__(self, clock: Clock) -> None:
        self.inner: FastAPI | None = None
        """Control's inner door; a restarted control brings a new one."""
        self.tokens: dict[str, str] = {}
        self.scopeless: set[str] = set()
        self.users: set[str] = set()
        self.ready: set[tuple[str, str]] = set()
        self.ended_sessions: list[str] = []
        self.shares: set[tuple[str, str, str]] = set()
        """Owner, server, visitor."""
        self.starts: list[str] = []
        self.down = False
        self.asked_of_tokens = 0
        """How often somebody asked whose token something is."""
        self.refuses = ""
        self.gives_up_after: timedelta | None = timedelta(seconds=120)
        self._clock = clock
        self._pending: dict[tuple[str, str], asyncio.Task[StartOutcome]] = {}
        self._issued = 0

    async def alive(self) -> bool:
        return not self.down

    async def owner_of(self, token: str) -> str:
        self.asked_of_tokens += 1
        self._answer()
        if token not in self.tokens or token in self.scopeless:
            raise NotSignedIn("this token is not valid here, or has expired", next="sign in again")
        return self.tokens[token]

    async def ensure_user(self, name: str) -> None:
        self._answer()
        self.users.add(name)

    async def start(self, name: str, server: str) -> None:
        self._answer()
        if self.refuses:
            raise StartRefused(self.refuses)
        key = (name, server)
        if key not in self.ready and key not in self._pending:
            self.starts.append(server)
            self._pending[key] = asyncio.create_task(self._spawn(name, server))

    async def follow_start(self, name: str, server: str) -> StartOutcome:
        self._answer()
        key = (name, server)
        if key in self.ready:
            return StartOutcome(ready=True)
        if key not in self._pending:
            raise Unavailable("the Hub closed its progress stream")
        task = self._pending[key]
        while not task.done():
            self._answer()
            await asyncio.sleep(0.002)
        return task.result()

    async def is_ready(self, name: str, server: str) -> bool:
        self._answer()
        return (name, server) in self.ready

    async def knows(self, name: str, server: str) -> bool:
        self._answer()
        return (name, server) in self.ready or (name, server) in self._pending

    async def ready_servers(self) -> set[str]:
        self._answer()
        return {server for _, server in self.ready}

    async def remove(self, name: str, server: str) -> None:
        self._answer()
        if (name, server) in self.ready:
            self.ready.discard((name, server))
            await self._stop(name, server)

    async def new_token(self, name: str, note: str, expires_s: int) -> str:
        self._answer()
        self._issued += 1
        token = f"token-{self._issued}"
        self.tokens[token] = name
        return token

    async def share(self, owner: str, server: str, visitor: str) -> None:
        self._answer()
        self.shares.add((owner, server, visitor))

    async def unshare(self, owner: str, server: str, visitor: str) -> None:
        self._answer()
        self.shares.discard((owner, server, visitor))

    async def end_sessions(self, name: str, *, tokens: bool = True) -> None:
        self._answer()
        self.ended_sessions.append(name)
        if tokens:
            self.tokens = {t: owner for t, owner in self.tokens.items() if owner != name}

    async def end_tokens(self, name: str) -> None:
        self._answer()
        self.tokens = {t: owner for t, owner in self.tokens.items() if owner != name}

    def forget_everything(self) -> None:
        """The Hub's database was lost: it knows no server any more."""
        self.ready.clear()

    async def quit(self) -> None:
        """Nothing is left running."""
        for task in self._pending.values():
            task.cancel()
        await asyncio.gather(*self._pending.values(), return_exceptions=True)

    def _answer(self) -> None:
        if self.down:
            raise Unavailable("the sign-in service (the Hub) does not answer", next="try again")

    async def _spawn(self, name: str, server: str) -> StartOutcome:
        """`PerijoveSpawner.start` behind the Hub, which stops what lives after a failed start."""
        key, began = (name, server), self._clock.now()
        try:
            said = await self._until_up(name, server, began)
            if said and await self._alive(name, server):
                await self._stop(name, server)
            if said:
                return StartOutcome(ready=False, message=said)
            self.ready.add(key)
            return StartOutcome(ready=True)
        finally:
            self._pending.pop(key, None)

    async def _until_up(self, name: str, server: str, began: datetime) -> str:
        """Empty when it listens, else why it will not."""
        body = {"person": name, "server": server, "args": [], "env": {"JUPYTERHUB_API_TOKEN": "t"}}
        status, found = await self._call("POST", "/internal/servers/start", body)
        while status == 200 and not found.get("url"):
            limit = self.gives_up_after
            if limit is not None and self._clock.now() - began > limit:
                return "it did not come up in time"
            path = f"/internal/servers/attempts/{found['attempt']}"
            status, found = await self._call("GET", path, None)
            await asyncio.sleep(0.002)
        return "" if status == 200 else f"{found['error']['message']} ({found['error']['code']})"

    async def _alive(self, name: str, server: str) -> bool:
        _, found = await self._call("GET", f"/internal/servers/{name}/{server}", None)
        return bool(found["alive"])

    async def _stop(self, name: str, server: str) -> None:
        await self._call("POST", f"/internal/servers/{name}/{server}/stop", {})

    async def _call(
        self, method: str, path: str, body: dict[str, Any] | None
    ) -> tuple[int, dict[str, Any]]:
        assert self.inner is not None
        transport = httpx.ASGITransport(self.inner, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://control") as client:
            answer = await client.request(method, path, json=body)
        return answer.status_code, answer.json()
