"""Panel's pages as a part of the portal's server: who may open one, and what its token says.

Bokeh signs the page's token. It carries an opaque id of this one page and the address's
arguments: no header, no cookie, no Hub token. The id alone opens nothing: the websocket must
also come with the cookie of the session that the id belongs to.
"""

import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from types import FunctionType
from typing import Any

from bokeh.application.handlers.handler import Handler
from bokeh.document import Document
from bokeh.server.auth_provider import AuthProvider
from bokeh.server.tornado import BokehTornado
from bokeh.util.token import check_token_signature, get_token_payload
from panel.io.application import build_applications
from tornado.httputil import HTTPServerRequest
from tornado.ioloop import IOLoop
from tornado.web import HTTPError, RequestHandler

from portal.config import PREFIX
from portal.door import Portal, same_origin, visitor
from portal.panels.attendance import attendance_page
from portal.panels.delivery import deliver_all
from portal.panels.desk import desk_page
from portal.panels.inventory import inventory_page
from portal.panels.launch import launch_page
from portal.panels.room import room_page
from portal.panels.spending import spending_page
from portal.panels.usage import usage_page
from portal.sessions import Session

PANELS = f"{PREFIX}panels"
POLICY = (
    # Bokeh starts its pages with an inline script and compiles its callbacks. A component of our
    # own (the room's table) is loaded as a blob that the page itself made.
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
_NOT_FROM_OUTSIDE = ("bokeh-session-id", "bokeh-token")


class Visitors(AuthProvider):
    """Lets in who has a session here. Pages of others, and forged ones, are refused."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        super().__init__()

    @property
    def get_user(self) -> Callable[[Any], Any]:  # type: ignore[override]
        return self._judge

    @property
    def get_user_async(self) -> None:
        return None

    @property
    def login_url(self) -> str:
        return "/sign-in"

    @property
    def get_login_url(self) -> None:
        return None

    @property
    def login_handler(self) -> None:
        return None

    @property
    def logout_url(self) -> None:
        return None

    @property
    def logout_handler(self) -> None:
        return None

    def _judge(self, handler: RequestHandler) -> str:
        """The session's key. Raises HTTPError 401 or 403: a frame is never sent to sign in."""
        request = handler.request
        handler.clear_header("Server")
        handler.set_header("Content-Security-Policy", POLICY)
        handler.set_header("X-Content-Type-Options", "nosniff")
        handler.set_header("Referrer-Policy", "same-origin")
        session = visitor(self._portal, request)
        if session is None:
            raise HTTPError(401)
        if "Bokeh-Session-Id" in request.headers or any(
            name in request.arguments for name in _NOT_FROM_OUTSIDE
        ):
            raise HTTPError(403)
        if request.path.endswith("/ws"):
            self._judge_socket(request, session)
        return session.key

    def _judge_socket(self, request: HTTPServerRequest, session: Session) -> None:
        if not same_origin_socket(self._portal, request):
            raise HTTPError(403)
        token = request.headers.get("Sec-WebSocket-Protocol", "").partition(",")[2].strip()
        secret = self._portal.config.page_secret.encode()
        page = None
        with contextlib.suppress(Exception):  # whatever is wrong with it, it is not ours
            if check_token_signature(token, secret_key=secret, signed=True):
                page = get_token_payload(token).get("page")
        owner = self._portal.sessions.of_page(page) if isinstance(page, str) else None
        if owner is None or owner.key != session.key:
            raise HTTPError(403)


def same_origin_socket(portal: Portal, request: HTTPServerRequest) -> bool:
    """A websocket always says where it comes from."""
    return "Origin" in request.headers and same_origin(portal.config, request)


class PageMark(Handler):
    """Puts the opaque id into the token of a page that is being opened."""

    def __init__(self, portal: Portal) -> None:
        super().__init__()
        self._portal = portal

    def modify_document(self, doc: Document) -> None:
        """Nothing: the application's own handler fills the page."""

    def process_request(self, request: HTTPServerRequest) -> dict[str, Any]:
        """One id a request, however often it is asked; a socket keeps that of its page."""
        if request.path.endswith("/ws"):
            return {}
        page = getattr(request, "perijove_page", None)
        if page is None:
            session = visitor(self._portal, request)
            if session is None:
                raise HTTPError(401)
            page = self._portal.sessions.mint_page(session)
            request.perijove_page = page  # type: ignore[attr-defined]
        return {"page": page}


def mount(portal: Portal) -> tuple[BokehTornado, Callable[[], Awaitable[None]]]:
    """The application to route `PANELS` to, running, and what ends it."""
    deliver_all()
    pages = {
        "/launch": launch_page, "/usage": usage_page, "/inventory": inventory_page,
        "/desk": desk_page,
        "/room": room_page, "/spending": spending_page, "/attendance": attendance_page,
    }  # fmt: skip
    applications = build_applications(
        {path: _function(partial(page, portal)) for path, page in pages.items()},
        title="Perijove",
        location=False,
    )
    for application in applications.values():
        application.add(PageMark(portal))
    panels = BokehTornado(
        applications,
        prefix=PANELS,
        auth_provider=Visitors(portal),
        extra_websocket_origins=["*"],  # `Visitors` judges the origin, against the address in use
        secret_key=portal.config.page_secret.encode(),
        sign_sessions=True,
        include_headers=[],
        include_cookies=[],
        use_index=False,
        redirect_root=False,
        check_unused_sessions_milliseconds=10_000,
        unused_session_lifetime_milliseconds=30_000,
    )
    panels.initialize(IOLoop.current())
    panels.start()

    async def close() -> None:
        panels.stop()

    return panels, close


def _function(page: Callable[[], Any]) -> FunctionType:
    """Panel calls only plain functions anew for each visitor."""

    def opened() -> Any:
        return page()

    return opened
