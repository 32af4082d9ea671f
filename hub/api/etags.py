"""ETags on every JSON answer to a GET: who polls pays for what changed only."""

import hashlib

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_OK = 200


class ETags:
    """Answers 304 to an `If-None-Match` that still holds. Streams pass through untouched."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        known = Headers(scope=scope).get("if-none-match", "")
        await self._app(scope, receive, _Tagging(send, known))


class _Tagging:
    """Holds a JSON answer back until its tag is known."""

    def __init__(self, send: Send, known: str) -> None:
        self._send, self._known = send, known
        self._start: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_json(message):
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._finish(self._start)

    async def _finish(self, start: Message) -> None:
        tag = f'"{hashlib.sha256(self._body).hexdigest()[:20]}"'
        headers = MutableHeaders(scope=start)
        headers["ETag"] = tag
        headers["Cache-Control"] = "private, no-cache"
        if tag in {part.strip().removeprefix("W/") for part in self._known.split(",")}:
            start["status"], self._body = 304, b""
            del headers["content-length"]
        await self._send(start)
        await self._send({"type": "http.response.body", "body": self._body})


def _is_json(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    return start["status"] == _OK and headers.get("content-type", "").startswith("application/json")
