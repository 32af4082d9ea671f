"""Control's client of the Hub's REST API. Every call is safe to repeat."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote

import aiohttp

from catalog.errors import NotSignedIn, Unavailable
from hub.settings import API_SCOPE

_SHORT = aiohttp.ClientTimeout(total=30, connect=5)
_STREAM = aiohttp.ClientTimeout(total=None, connect=5, sock_read=120)


@dataclass(frozen=True, slots=True)
class StartOutcome:
    """How a start through the Hub went."""

    ready: bool
    message: str = ""


class HubApi:
    """One per event loop; `url` is the Hub's own address, `token` control's service token."""

    def __init__(self, url: str, token: str) -> None:
        self._url = f"{url}/hub/api"
        self._headers = {"Authorization": f"token {token}"}
        self._session: aiohttp.ClientSession | None = None
        self._asked: dict[str, asyncio.Task[str]] = {}
        """Whose token it is: the question under way, and the one after it."""
        self._next: dict[str, asyncio.Task[str]] = {}

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=200)
        self._session = aiohttp.ClientSession(connector=connector)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def alive(self) -> bool:
        """Whether the Hub answers."""
        try:
            await self._call("GET", "/", None)
        except Unavailable:
            return False
        return True

    async def owner_of(self, token: str) -> str:
        """The Hub name behind a person's token that has the API's scope; asked anew each time. Those
        who come while it is being asked share the next question: it begins after they came.

        Raises NotSignedIn, or Unavailable while the Hub is down.
        """
        question = self._next.get(token)
        if question is None:
            before = self._asked.get(token)
            question = asyncio.create_task(self._owner_after(before, token))
            self._next[token] = question
            question.add_done_callback(lambda done: done.cancelled() or done.exception())
        # One of those who share it may go away; the others still want to know.
        return await asyncio.shield(question)

    async def _owner_after(self, before: asyncio.Task[str] | None, token: str) -> str:
        if before is not None:
            await asyncio.wait([before])
        mine = self._asked[token] = self._next.pop(token)
        try:
            return await self._owner_now(token)
        finally:
            if self._asked.get(token) is mine:
                del self._asked[token]

    async def _owner_now(self, token: str) -> str:
        status, body = await self._call("GET", "/user", None, token=token)
        if status not in {200, 401, 403, 404}:
            raise Unavailable("the sign-in service (the Hub) is in trouble", next="try again")
        if status != 200 or body.get("kind") != "user" or API_SCOPE not in body.get("scopes", ()):
            raise NotSignedIn(
                "this token is not valid here, or has expired",
                next="sign in again, or mint a new token with `perijove token`",
            )
        return str(body["name"])

    async def ensure_user(self, name: str) -> None:
        """The Hub knows this person."""
        status, body = await self._call("POST", f"/users/{quote(name)}", {})
        if status not in {201, 409}:
            raise Unavailable(f"the Hub refused the user: {_said(status, body)}")

    async def start(self, name: str, server: str) -> None:
        """Ask the Hub to start a named server; asking again while it starts or runs is fine."""
        path = f"/users/{quote(name)}/servers/{quote(server)}"
        status, body = await self._call("POST", path, {"user_options": {}})
        if status == 404:
            await self.ensure_user(name)
            status, body = await self._call("POST", path, {"user_options": {}})
        running_or_pending = status == 400 and (
            "already running" in str(body) or "pending" in str(body)
        )
        if status not in {201, 202} and not running_or_pending:
            if status in {429, 503}:
                raise Unavailable(f"the Hub is busy: {_said(status, body)}")
            raise StartRefused(_said(status, body))

    async def follow_start(self, name: str, server: str) -> StartOutcome:
        """Wait until the Hub calls the server ready or failed. Raises Unavailable when the stream
        breaks before that: ask again."""
        path = f"/users/{quote(name)}/servers/{quote(server)}/progress"
        async for event in self._events(path):
            if event.get("ready"):
                return StartOutcome(ready=True)
            if event.get("failed"):
                return StartOutcome(ready=False, message=str(event.get("message", "")))
        raise Unavailable("the Hub closed its progress stream")

    async def is_ready(self, name: str, server: str) -> bool:
        """Whether the Hub has the server running with a route to it."""
        status, body = await self._call("GET", f"/users/{quote(name)}", None)
        servers = body.get("servers") or {}
        return status == 200 and bool(servers.get(server, {}).get("ready"))

    async def knows(self, name: str, server: str) -> bool:
        """Whether the Hub has this server running, or is starting or stopping it."""
        status, body = await self._call("GET", f"/users/{quote(name)}", None)
        if status not in {200, 404}:
            raise Unavailable(f"the Hub does not tell its servers: {_said(status, body)}")
        return server in (body.get("servers") or {})

    async def ready_servers(self) -> set[str]:
        """Names of all servers that the Hub has a route to."""
        status, body = await self._call("GET", "/users?state=ready&limit=10000", None)
        if status != 200:
            raise Unavailable(f"the Hub does not list its servers: {_said(status, body)}")
        users = body.get("items", [])
        return {n for u in users for n, s in (u.get("servers") or {}).items() if s.get("ready")}

    async def remove(self, name: str, server: str) -> None:
        """The server is stopped and forgotten; unknown ones are fine."""
        path = f"/users/{quote(name)}/servers/{quote(server)}"
        status, body = await self._call("DELETE", path, {"remove": True})
        if status not in {202, 204, 404, 400}:
            raise Unavailable(f"the Hub did not remove the server: {_said(status, body)}")

    async def new_token(self, name: str, note: str, expires_s: int) -> str:
        """A token for a person's scripts, with the API's scope only; shown once."""
        await self.ensure_user(name)
        status, body = await self._call(
            "POST",
            f"/users/{quote(name)}/tokens",
            {"note": note, "expires_in": expires_s, "scopes": [API_SCOPE]},
        )
        if status not in {200, 201}:
            raise Unavailable(f"the Hub gave no token: {_said(status, body)}")
        return str(body["token"])

    async def share(self, owner: str, server: str, visitor: str) -> None:
        """Let another person open a running server; again is fine."""
        await self.ensure_user(visitor)
        path = f"/shares/{quote(owner)}/{quote(server)}"
        status, body = await self._call("POST", path, {"user": visitor})
        if status not in {200, 404}:
            raise Unavailable(f"the Hub did not share the server: {_said(status, body)}")

    async def unshare(self, owner: str, server: str, visitor: str) -> None:
        """Let them in no more; again, or for a server that is gone, is fine."""
        path = f"/shares/{quote(owner)}/{quote(server)}"
        status, body = await self._call("PATCH", path, {"user": visitor})
        if status not in {200, 404}:
            raise Unavailable(f"the Hub did not end the share: {_said(status, body)}")

    async def end_sessions(self, name: str, *, tokens: bool = True) -> None:
        """Every browser session of a person ends now, and with `tokens` every token of theirs:
        those for scripts, and those of their servers, which cannot go on without."""
        path = f"/perijove/end-sessions/{quote(name)}"
        status, body = await self._call("POST", path, {"tokens": tokens})
        if status not in {204, 404}:
            raise Unavailable(f"the Hub did not end the sessions: {_said(status, body)}")

    async def end_tokens(self, name: str) -> None:
        """Every token of a person for scripts ends now. Their servers and browser sessions go on:
        those may do no more than control lets them."""
        status, body = await self._call("POST", f"/perijove/end-tokens/{quote(name)}", {})
        if status not in {204, 404}:
            raise Unavailable(f"the Hub did not end the tokens: {_said(status, body)}")

    async def _call(
        self, method: str, path: str, body: dict[str, Any] | None, *, token: str = ""
    ) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"token {token}"} if token else self._headers
        try:
            async with self._live.request(
                method, self._url + path, json=body, headers=headers, timeout=_SHORT
            ) as answer:
                text = await answer.text()
                return answer.status, _json(text)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(
                "the sign-in service (the Hub) does not answer", next="try again in a few seconds"
            ) from error

    async def _events(self, path: str) -> AsyncIterator[dict[str, Any]]:
        headers = self._headers | {"Accept": "text/event-stream"}
        try:
            async with self._live.get(self._url + path, headers=headers, timeout=_STREAM) as answer:
                async for line in answer.content:
                    if line.startswith(b"data:"):
                        yield _json(line[5:].decode())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable("the Hub's progress stream broke") from error

    @property
    def _live(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("use HubApi with `async with`")
        return self._session


class StartRefused(Exception):
    """The Hub will not start it; the message is for a person."""


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {"items": found}


def _said(status: int, body: dict[str, Any]) -> str:
    return str(body.get("message") or f"status {status}")
