"""What is refused before any route sees it: bodies that are too large, and NUL characters, which
PostgreSQL cannot hold and no name needs."""

import re
from urllib.parse import unquote_to_bytes

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from catalog.errors import BadValue, TooLarge
from hub.api import errors
from hub.settings import CONTROL_PREFIX

MAX_BODY = 2**20
MAX_ROSTER = 5 * 2**20
"""Of what carries a list of people: 2 MiB as JSON writes them."""
_WITH_ROSTER = re.compile(r"/v1/courses(/check|/[^/]+/roster(/check)?)?")
MAX_DROPPED = 64 * 2**20


class Intake:
    """Refuses bodies over 1 MiB (5 MiB with a list of people) before they are read into memory,
    with or without a length, and addresses with a NUL."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        most = _most(scope)
        if not length.isdigit() or int(length) > most:
            await _drop(receive)
            error = errors.too_large() if most == MAX_BODY else _too_long_a_list()
            await errors.answer(error)(scope, receive, send)
        elif "\0" in scope["path"] or b"\0" in unquote_to_bytes(scope["query_string"]):
            await errors.answer(
                BadValue("the address has a NUL character in it", next="leave it out")
            )(scope, receive, send)
        else:
            await self._app(scope, _counted(receive, most), send)


def _most(scope: Scope) -> int:
    path = scope["path"].removeprefix(CONTROL_PREFIX)
    carries_list = scope["method"] == "POST" and _WITH_ROSTER.fullmatch(path) is not None
    return MAX_ROSTER if carries_list else MAX_BODY


def _too_long_a_list() -> TooLarge:
    return TooLarge(
        "the list of people is larger than 2 MiB",
        next="leave out the columns that say nothing about who they are",
    )


def _counted(receive: Receive, most: int) -> Receive:
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            await _drop(receive)
            # The one class that FastAPI lets through while it reads a body.
            raise HTTPException(413)
        return message

    return counted


async def _drop(receive: Receive) -> None:
    """Take in what is still being sent, keeping nothing: many clients read no answer before they
    have sent all, and the proxy in between would stop taking it. More than `MAX_DROPPED` is left.
    """
    dropped = 0
    while dropped <= MAX_DROPPED:
        message = await receive()
        dropped += len(message.get("body", b""))
        if not message.get("more_body"):
            return
