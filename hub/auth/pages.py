"""Pages of the Hub that are ours: links for the first administrator and for invited people,
signing out for good, and the way from the Hub's own pages to the portal."""

from typing import Any, ClassVar
from urllib.parse import quote

from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.handlers.base import BaseHandler, UserUrlHandler
from jupyterhub.handlers.login import LogoutHandler
from jupyterhub.scopes import needs_scope
from jupyterhub.utils import get_accepted_mimetype, new_token
from tornado import web

from catalog.errors import PerijoveError
from hub.auth.kept import without_session
from hub.settings import API_SCOPE, PORTAL_PREFIX


class LinkHandler(BaseHandler):
    """A one-time link: GET only shows a form, POST uses the link up and signs in."""

    purpose: ClassVar[str]
    template: ClassVar[str]
    fields: ClassVar[tuple[str, ...]]
    ends_sessions: ClassVar[bool] = False
    """Sessions of before end when it is used."""

    async def get(self) -> None:
        token = self.get_argument("token", "")
        try:
            found = await self._door.call("POST", "/links/look", self._link(token))
        except PerijoveError as error:
            await self._refuse(error)
            return
        await self._form(token, found)

    async def post(self) -> None:
        token = self.get_body_argument("token", "")
        given = {name: self.get_body_argument(name, "", strip=False) for name in self.fields}
        try:
            if given["password"] != self.get_body_argument("password_again", "", strip=False):
                await self._form(token, given, "the two passwords are not the same")
                return
            body = self._link(token) | given
            found = await self._door.call("POST", "/links/use", body)
        except PerijoveError as error:
            if error.code in {"bad-value", "conflict"}:
                await self._form(token, given, f"{error.message}; {error.next}")
            else:
                await self._refuse(error)
            return
        user: Any = await self.auth_to_user({"name": found["hub_name"], "admin": False})
        if self.ends_sessions:
            end_sessions(self.db, user.orm_user)
        self.set_login_cookie(user)
        self.redirect(f"{PORTAL_PREFIX}/")

    async def _form(self, token: str, values: dict[str, Any], problem: str = "") -> None:
        if problem:
            self.set_status(400)
        self.set_header("Referrer-Policy", "no-referrer")
        xsrf: Any = self.xsrf_token
        safe = {name: value for name, value in values.items() if name != "password"}
        page = self.render_template(
            self.template, token=token, values=safe, problem=problem, form_xsrf=xsrf.decode("ascii")
        )
        self.finish(await page)

    async def _refuse(self, error: PerijoveError) -> None:
        self.set_status(503 if error.code == "unavailable" else 404)
        self.finish(
            await self.render_template("notice.html", heading=error.message, text=error.next)
        )

    def _link(self, token: str) -> dict[str, str]:
        return {"purpose": self.purpose, "token": token}

    @property
    def _door(self) -> Any:
        return self.settings["authenticator"].door


class WelcomeHandler(LinkHandler):
    """The first administrator's link."""

    purpose, template, fields = "admin", "welcome.html", ("password",)


class InvitationHandler(LinkHandler):
    """An invited person makes an account."""

    purpose, template = "invitation", "invitation.html"
    fields = ("login", "display_name", "email", "password")


class PasswordHandler(LinkHandler):
    """Somebody sets a new password by an administrator's link; whoever knew the old one is out."""

    purpose, template, fields = "password", "password.html", ("password",)
    ends_sessions = True


class EndingLogoutHandler(LogoutHandler):
    """Signing out ends the session itself, not only this browser's copy of its cookie."""

    _elsewhere: dict[str, str]

    async def handle_logout(self) -> None:
        """Runs after the browser's cookies were cleared."""
        user: Any = self._jupyterhub_user
        self._elsewhere = {}
        if user:
            kept = await user.get_auth_state()
            await user.save_auth_state(without_session(kept))
            end_sessions(self.db, user.orm_user)
            self._elsewhere = await self.settings["authenticator"].logout_elsewhere(kept)

    async def render_logout_page(self) -> None:
        """To the sign-in page; or a page that leads on to the provider, because a browser lets no
        form of ours (the portal's "Sign out") be redirected to another site."""
        if not self._elsewhere:
            self.redirect(self.settings["login_url"], permanent=False)
            return
        self.set_header("Cache-Control", "no-store")
        self.set_header("Referrer-Policy", "no-referrer")
        leads_to: Any = self._elsewhere
        self.finish(await self.render_template("signed_out.html", **leads_to))


class EndSessionsHandler(APIHandler):
    """For control: every session of a person ends now, and with ``{"tokens": true}`` every token,
    those of their servers too."""

    @needs_scope("admin:users")
    def post(self, name: str) -> None:
        user = self.find_user(name)
        if user is None:
            raise web.HTTPError(404)
        asked = self.get_json_body() or {}
        end_sessions(self.db, user.orm_user, tokens=asked.get("tokens", True) is True)
        self.set_status(204)


class EndTokensHandler(APIHandler):
    """For control: every token of a person that reaches its API, but for browser sessions."""

    @needs_scope("admin:users")
    def post(self, name: str) -> None:
        user = self.find_user(name)
        if user is None:
            raise web.HTTPError(404)
        for token in list(user.orm_user.api_tokens):
            if not token.session_id and {API_SCOPE, "inherit"} & set(token.scopes or []):
                self.db.delete(token)
        self.db.commit()
        self.set_status(204)


def end_sessions(db: Any, user: Any, *, tokens: bool = False) -> None:
    """No cookie of before is accepted any more, and what came from a browser session is gone;
    with `tokens`, every API token too."""
    user.cookie_id = new_token()
    for token in list(user.api_tokens):
        if tokens or token.session_id:
            db.delete(token)
    db.commit()


class ToPortalHandler(BaseHandler):
    """The Hub's home and spawn pages: the portal has better ones."""

    def get(self, *_: str) -> None:
        self.redirect(f"{PORTAL_PREFIX}/")


class ToWorkloadHandler(BaseHandler):
    """The Hub's progress page of one server, and where JupyterLab's *Restart* leads."""

    def get(self, _user: str, server: str) -> None:
        self.redirect(f"{PORTAL_PREFIX}/{_page_of(server, 'lab')}")


class NotRunningHandler(UserUrlHandler):
    """The address of a server that does not run leads to its page in the portal."""

    @web.authenticated
    async def get(self, user_name: str, user_path: str | None) -> None:
        server, _, place = (user_path or "/").lstrip("/").partition("/")
        mine = self.current_user and self.current_user.name == user_name
        if mine and self._wants_a_page(user_path or "") and not self._is_ready(server):
            self.redirect(f"{PORTAL_PREFIX}/{_page_of(server, place)}")
            return
        page: Any = super().get(user_name, user_path)  # a coroutine, which its decorator hides
        await page

    def _wants_a_page(self, path: str) -> bool:
        accepted = get_accepted_mimetype(
            self.request.headers.get("Accept", ""), choices=["application/json", "text/html"]
        )
        return accepted == "text/html" and "api" not in path.split("/")

    def _is_ready(self, server: str) -> bool:
        user: Any = self.current_user
        return server in user.orm_user.orm_spawners and user.spawners[server].ready


def _page_of(server: str, place: str = "") -> str:
    """A workload's page below the portal; `place` is where in JupyterLab its person was, and is led back
    to when it is started again: an address, where a file's name may have any character."""
    if not server.startswith("w-"):
        return ""
    back = f"?back={quote(quote(place), safe='')}" if place.partition("/")[0] == "lab" else ""
    return f"workloads/{quote(server, safe='')}{back}"


HANDLERS: list[tuple[str, Any]] = [
    (r"/welcome", WelcomeHandler),
    (r"/invitation", InvitationHandler),
    (r"/password", PasswordHandler),
    (r"/logout", EndingLogoutHandler),
    (r"/home", ToPortalHandler),
    (r"/spawn", ToPortalHandler),
    (r"/spawn/([^/]+)", ToPortalHandler),
    (r"/spawn/([^/]+)/([^/]+)", ToWorkloadHandler),
    (r"/spawn-pending/([^/]+)", ToPortalHandler),
    (r"/spawn-pending/([^/]+)/([^/]+)", ToWorkloadHandler),
    (r"/user/(?P<user_name>[^/]+)(?P<user_path>/.*)?", NotRunningHandler),
    (r"/api/perijove/end-sessions/([^/]+)", EndSessionsHandler),
    (r"/api/perijove/end-tokens/([^/]+)", EndTokensHandler),
]
