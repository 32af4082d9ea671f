"""The API for the page's JavaScript: passed on to control with the visitor's own token."""

import asyncio
import contextlib
import re
from collections.abc import Awaitable
from http import HTTPStatus
from urllib.parse import unquote

import aiohttp
from tornado.iostream import StreamClosedError
from tornado.web import stream_request_body
from yarl import URL

from catalog.errors import BadValue, Busy, Forbidden, NotSignedIn, TooLarge, Unavailable
from portal.config import PREFIX
from portal.door import COOKIE, Page, same_origin
from portal.sessions import Session

BODY_LIMIT = 2**20
"""Bytes of a request's body."""
STREAMS = 24
"""Open event streams of one visitor: several tabs, not a flood."""
PAGE_HEADER = "X-Perijove-Page"
"""Only a page of ours can send it: other sites would need a permission that is never given."""

_REQUEST_HEADERS = ("Accept", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match",
                    "Last-Event-ID")  # fmt: skip
_ANSWER_HEADERS = ("Content-Type", "ETag", "Retry-After", "Location")
_PATH = re.compile(r"[\w\-.~@:+%/]+", re.ASCII)


@stream_request_body
class ApiPage(Page):
    """``api/v1/*`` → control's ``v1/*``. Cookies stay here; event streams are passed on live."""

    SUPPORTED_METHODS = ("GET", "POST", "PUT", "DELETE")

    async def prepare(self) -> None:
        """Judge before a byte of the body is taken."""
        self._body = bytearray()
        self._upstream: asyncio.Task[None] | None = None
        with contextlib.suppress(AttributeError):
            self.request.connection.set_max_body_size(2**40)  # type: ignore[union-attr]
        if int(self.request.headers.get("Content-Length") or 0) > BODY_LIMIT:
            self._refuse_body()
        elif not self._from_our_page():
            self.say_json(
                403,
                Forbidden(
                    "this address serves the portal's own pages only",
                    next="use the API at /services/control/v1 with a token of yours",
                ),
            )
        elif self.session() is None:
            self._signed_out()

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Collect the body, up to the limit."""
        if self._finished:
            return
        if len(self._body) + len(chunk) > BODY_LIMIT:
            self._refuse_body()
            return
        self._body += chunk

    async def get(self, path: str) -> None:
        await self._pass_on(path)

    async def post(self, path: str) -> None:
        await self._pass_on(path)

    async def put(self, path: str) -> None:
        await self._pass_on(path)

    async def delete(self, path: str) -> None:
        await self._pass_on(path)

    def on_connection_close(self) -> None:
        """The visitor is gone: let control's stream go too."""
        if self._upstream is not None:
            self._upstream.cancel()

    async def _pass_on(self, path: str) -> None:
        session = self.session()
        if session is None:
            self._signed_out()
            return
        if not _PATH.fullmatch(path) or not _stays_inside(path):
            self.say_json(400, BadValue("that is no address of the API", next="see /help"))
            return
        if session.streams >= STREAMS and _is_stream(path):
            self.say_json(429, Busy("too many open tabs", next="close some of them"))
            return
        self._upstream = asyncio.ensure_future(self._fetch(session, path))
        with contextlib.suppress(asyncio.CancelledError, StreamClosedError):
            await self._upstream

    async def _fetch(self, session: Session, path: str) -> None:
        query = f"?{self.request.query}" if self.request.query else ""
        url = URL(f"{self.portal.config.control_url}/services/control/v1/{path}{query}",
                  encoded=True)  # fmt: skip
        headers = {
            n: self.request.headers[n] for n in _REQUEST_HEADERS if n in self.request.headers
        }
        headers["Authorization"] = f"token {session.token}"
        stream = _is_stream(path)
        session.streams += stream
        try:
            async with self.portal.http.request(
                self.request.method or "GET", url, headers=headers, allow_redirects=False,
                data=bytes(self._body) or None,
                timeout=aiohttp.ClientTimeout(total=None if stream else 60, sock_connect=5),
            ) as answer:  # fmt: skip
                await self._answer(session, answer)
        except (aiohttp.ClientError, TimeoutError):
            if not self._headers_written:
                self.say_json(
                    503,
                    Unavailable(
                        "Perijove is starting or restarting",
                        next="wait a few seconds: this page tries again by itself",
                    ),
                )
        finally:
            session.streams -= stream

    async def _answer(self, session: Session, answer: aiohttp.ClientResponse) -> None:
        if answer.status == HTTPStatus.UNAUTHORIZED:
            self.portal.sessions.close(session.key)
            self._signed_out()
            return
        self.set_status(answer.status)
        self.clear_header("Content-Type")
        for name in _ANSWER_HEADERS:
            if name in answer.headers:
                self.set_header(name, answer.headers[name])
        if answer.content_type == "text/event-stream":
            self.set_header("X-Accel-Buffering", "no")
            await self.flush()
            async for chunk in answer.content.iter_any():
                self.write(chunk)
                await self.flush()
        elif answer.status not in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}:
            self.write(await answer.read())
        await self.finish()

    def _from_our_page(self) -> bool:
        if self.request.headers.get(PAGE_HEADER) != "1":
            return False
        if self.request.method == "GET":
            return self.request.headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"
        return same_origin(self.portal.config, self.request)

    def _signed_out(self) -> None:
        self.clear_cookie_of_ours(COOKIE)
        self.say_json(
            401,
            NotSignedIn("your sign-in has ended", next="sign in again"),
            sign_in=f"{PREFIX}sign-in",
        )

    def _refuse_body(self) -> None:
        self.set_header("Connection", "close")
        self.say_json(
            413, TooLarge("that is more than 1 MiB", next="send less than 1 MiB in one request")
        )


def _stays_inside(path: str) -> bool:
    """No segment climbs out of control's prefix, however it is written."""
    return all(
        unquote(segment) not in {"", ".", ".."} and "/" not in unquote(segment)
        for segment in path.split("/")
    )


def _is_stream(path: str) -> bool:
    return path == "stream" or path.endswith("/events")
