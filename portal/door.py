"""What every answer of the portal has in common: headers, the visitor, errors in plain words."""

import json
from dataclasses import dataclass
from html import escape
from http.cookies import Morsel
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
from tornado.httputil import HTTPServerRequest
from tornado.web import RequestHandler

from catalog.errors import PerijoveError
from portal.config import PREFIX, PortalConfig
from portal.layout import Layout
from portal.sessions import Session, Sessions

COOKIE = "perijove-portal"
HUB_COOKIE = "jupyterhub-session-id"
"""Set by the Hub, renewed at each sign-in and cleared at sign-out: it ends our session too."""

SHELL_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)


@dataclass(slots=True)
class Portal:
    """What the handlers share."""

    config: PortalConfig
    sessions: Sessions
    layout: Layout
    http: aiohttp.ClientSession


def cookie_of(request: HTTPServerRequest, name: str) -> str:
    """A cookie's value, or nothing."""
    morsel: Morsel[str] | None = request.cookies.get(name)
    return "" if morsel is None else morsel.value


def visitor(portal: Portal, request: HTTPServerRequest) -> Session | None:
    """Whose request this is, by the portal's own cookie and the Hub's sign-in behind it."""
    name, _ = portal.config.cookie(COOKIE)
    return portal.sessions.find(cookie_of(request, name), cookie_of(request, HUB_COOKIE))


def same_origin(config: PortalConfig, request: HTTPServerRequest) -> bool:
    """Whether a page of this very site sent it: `Origin`, or what the browser says of it.

    A request that says neither is refused: every browser that keeps cookies sends one of them.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site != "same-origin":
        return False
    origin = request.headers.get("Origin")
    if origin is None:
        return site == "same-origin"
    host = urlsplit(origin).netloc.lower()
    return bool(host) and host in {request.host.lower(), config.public_host}


def own_path(next: str) -> str:
    """Where to go after signing in: a path of the portal, or its first page. Never elsewhere."""
    parts = urlsplit(next)
    plain = not parts.scheme and not parts.netloc and not set(next) & set("\\\r\n\t")
    inside = parts.path.startswith(PREFIX) and ".." not in parts.path and "%" not in parts.path
    return next if plain and inside else PREFIX


class Page(RequestHandler):
    """A handler of the portal. Subclasses find what they share in `portal`."""

    portal: Portal

    def initialize(self, portal: Portal) -> None:
        self.portal = portal

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        self.set_header("Content-Security-Policy", SHELL_POLICY)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "same-origin")
        self.set_header("Cross-Origin-Opener-Policy", "same-origin")
        self.set_header("Cache-Control", "no-store")

    def check_xsrf_cookie(self) -> None:
        """Nothing: every unsafe request is judged by `same_origin` instead."""

    def session(self) -> Session | None:
        """The visitor, or None."""
        return visitor(self.portal, self.request)

    def own_cookie(self, name: str) -> str:
        """The value of a cookie of ours, or nothing."""
        return cookie_of(self.request, self.portal.config.cookie(name)[0])

    def sign_in_url(self) -> str:
        """Where to sign in and come back to this page."""
        return f"{PREFIX}sign-in?next={quote(self.request.uri or PREFIX, safe='')}"

    def set_cookie_of_ours(self, name: str, value: str, *, days: float | None = None) -> None:
        """HttpOnly, and nobody else's to read or to set."""
        config = self.portal.config
        name, path = config.cookie(name)
        self.set_cookie(
            name, value, path=path, httponly=True, samesite="Lax", secure=config.secure,
            expires_days=days,
        )  # fmt: skip

    def clear_cookie_of_ours(self, name: str) -> None:
        """The browser forgets it."""
        config = self.portal.config
        name, path = config.cookie(name)
        self.clear_cookie(name, path=path, secure=config.secure)

    def say(self, status: int, error: PerijoveError) -> None:
        """A page that says what happened and what helps."""
        self.set_status(status)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        main = (
            '<section class="blank"><h1>' + escape(error.message) + "</h1>"
            f"<p>{escape(error.next)}</p>"
            f'<p><a class="button primary" href="{PREFIX}">Go to the menu</a></p></section>'
        )
        self.finish(self.portal.layout.page("Perijove", main, live=False))

    def say_json(self, status: int, error: PerijoveError, **more: Any) -> None:
        """The API's one error shape."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps({"error": {**error.as_dict(), **more}}))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Never a trace: plain words, whatever went wrong."""
        told = kwargs.get("exc_info", (None, None))[1]
        if isinstance(told, PerijoveError):
            self.say(status_code, told)
            return
        message, next_step = _WORDS.get(status_code, _WORDS[500])
        self.say(status_code, PerijoveError(message, next=next_step))


_WORDS = {
    400: ("That address does not make sense here", "Go back, or start from the menu."),
    403: ("That is not allowed from there", "Open the page from the menu and try again."),
    404: ("There is no such page", "It may have moved: start from the menu."),
    405: ("That cannot be done with this page", "Start from the menu."),
    500: ("Something went wrong on our side", "Try again; if it stays, tell your administrator."),
}


class NoSuchPage(Page):
    """Whatever nobody serves."""

    def prepare(self) -> None:
        self.send_error(404)
