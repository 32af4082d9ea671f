"""One Tornado server: the shell at once, Panel as soon as it is imported."""

import asyncio
import json
import logging
import sys
from collections.abc import Awaitable, Callable
from typing import TextIO

import aiohttp
from tornado.httpserver import HTTPServer
from tornado.routing import PathMatches, Rule
from tornado.web import Application, RequestHandler

from catalog.clock import Clock, SystemClock
from catalog.errors import BadSetup
from portal.config import PREFIX, PortalConfig
from portal.door import NoSuchPage, Page, Portal
from portal.forward import BODY_LIMIT, ApiPage
from portal.handbook import HelpImage, HelpPage
from portal.lab_assets import BUILD, LabAhead, LabAsset
from portal.layout import Layout
from portal.sessions import Sessions
from portal.shell import PAGES, AssetPage, HealthPage, ShellPage
from portal.signin import CallbackPage, SignInPage, SignOutPage

log = logging.getLogger("portal")
NOT_FOUND = 404


def log_access(handler: RequestHandler, out: TextIO = sys.stderr) -> None:
    """One JSON line a request, without the query: codes and states are in there. JupyterLab's
    files, dozens a start and the same for everybody, are left out when they were there."""
    request = handler.request
    served = isinstance(handler, LabAsset) and handler.get_status() < NOT_FOUND
    if served or request.path == f"{PREFIX}healthz":
        return
    line = {
        "event": "request",
        "method": request.method,
        "path": request.path,
        "status": handler.get_status(),
        "ms": round(1000 * request.request_time(), 1),
    }
    out.write(json.dumps(line) + "\n")


class Later(Page):
    """Stands where Panel will be: the frame tries again by itself."""

    async def get(self) -> None:
        self.set_status(503)
        self.set_header("Retry-After", "1")
        self.finish({"status": "starting"})


def routes(portal: Portal) -> list[Rule]:
    """Every address of the portal but Panel's."""
    table: list[tuple[str, type[RequestHandler]]] = [
        (rf"{PREFIX}healthz", HealthPage),
        (rf"{PREFIX}sign-in", SignInPage),
        (rf"{PREFIX}oauth_callback", CallbackPage),
        (rf"{PREFIX}sign-out", SignOutPage),
        (rf"{PREFIX}static/([0-9a-f]+)/([\w.\-]+)", AssetPage),
        (rf"{PREFIX}lab/ahead\.json", LabAhead),
        (rf"{PREFIX}lab/({BUILD})/([\w.\-]+)", LabAsset),
        (rf"{PREFIX}api/v1/(.*)", ApiPage),
        (rf"{PREFIX}help/images/([\w.\-]+)", HelpImage),
        (rf"{PREFIX}help/([\w\-/]*)", HelpPage),
        *((rf"{PREFIX}{page}/?" if page else PREFIX, ShellPage) for page in PAGES),
    ]
    return [Rule(PathMatches(path), handler, {"portal": portal}) for path, handler in table]


class Server:
    """Listens on 127.0.0.1 as soon as `start` returns; Panel's pages follow within seconds."""

    def __init__(self, config: PortalConfig, clock: Clock | None = None) -> None:
        self._config = config
        self.sessions = Sessions(clock or SystemClock())
        self.panel_ready = asyncio.Event()
        self._http: aiohttp.ClientSession | None = None
        self._server: HTTPServer | None = None
        self._close_panel: Callable[[], Awaitable[None]] | None = None

    async def start(self) -> None:
        """Raises BadSetup when the port is taken."""
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=True,
        )
        self.portal = Portal(self._config, self.sessions, Layout(), self._http)
        self._app = Application(
            routes(self.portal),  # type: ignore[arg-type]
            default_handler_class=NoSuchPage,
            default_handler_args={"portal": self.portal},
            log_function=log_access,
            compress_response=True,
        )
        self._later = Rule(PathMatches(rf"{PREFIX}panels/.*"), Later, {"portal": self.portal})
        self._app.wildcard_router.add_rules([self._later])
        self._server = server = HTTPServer(self._app, xheaders=True, max_body_size=BODY_LIMIT)
        try:
            server.listen(self._config.port, "127.0.0.1")
        except OSError as error:
            await self._http.close()
            raise BadSetup(
                f"port {self._config.port} on 127.0.0.1 is not free for the portal",
                next="end the program that uses it; `perijove up` then picks the port again",
            ) from error

    async def open_panel(self) -> None:
        """Import Panel in a thread, then serve its pages; the shell answers all the while."""
        try:
            mount = await asyncio.to_thread(_import_mount)
            panels, self._close_panel = mount(self.portal)
        except Exception:
            log.exception("panel.start_failed")  # the shell goes on without its frames
            return
        self._app.wildcard_router.rules.remove(self._later)
        self._app.wildcard_router.add_rules([Rule(PathMatches(rf"{PREFIX}panels/.*"), panels)])
        self.panel_ready.set()

    async def close(self) -> None:
        """Stop listening and let every visitor go."""
        if self._close_panel is not None:
            await self._close_panel()
        if self._server is not None:
            self._server.stop()
            await self._server.close_all_connections()
        if self._http is not None:
            await self._http.close()


def _import_mount():  # noqa: ANN202 (naming the type would import Panel, which takes a second)
    from portal.panels.mount import mount

    return mount
