"""What is refused before any route sees it: bodies that are too large, and NUL characters, which
PostgreSQL cannot hold and no name needs."""

from urllib.parse import unquote_to_bytes

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from catalog.errors import BadValue
from hub.api import errors

MAX_BODY = 2**20
MAX_DROPPED = 64 * 2**20


class Intake:
    """Refuses bodies over 1 MiB before they are read into memory, with or without a length, and
    addresses with a NUL."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > MAX_BODY:
            await _drop(receive)
            await errors.answer(errors.too_large())(scope, receive, send)
        elif "\0" in scope["path"] or b"\0" in unquote_to_bytes(scope["query_string"]):
            await errors.answer(
                BadValue("the address has a NUL character in it", next="leave it out")
            )(scope, receive, send)
        else:
            await self._app(scope, _counted(receive), send)


def _counted(receive: Receive) -> Receive:
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > MAX_BODY:
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
