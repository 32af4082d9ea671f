"""The Hub's Authenticator: control knows every person and decides who may sign in."""

from typing import TYPE_CHECKING, Any, ClassVar

from jupyterhub.auth import Authenticator
from jupyterhub.handlers.base import BaseHandler
from jupyterhub.user import User
from tornado import web
from tornado.ioloop import PeriodicCallback

from catalog.errors import AccountClosed, NotSignedIn, PerijoveError, Unavailable
from hub.auth import pages, script_tokens
from hub.control_door import ControlDoor
from hub.settings import Settings

if TYPE_CHECKING:
    from hub.auth.lti_pages import LtiDesk
    from hub.auth.oidc import OpenIdClient  # a site without providers starts without them
    from hub.auth.refreshing import Refresher

ROUND_MS = 15_000
"""How often the Hub looks whether it is time to ask about people who are at work."""


class PerijoveAuthenticator(Authenticator):
    """Passwords of local accounts go to control; links and providers have pages of their own."""

    door: ClassVar[ControlDoor]
    settings: ClassVar[Settings]
    lti: ClassVar["LtiDesk | None"] = None
    """The pages of learning systems, where there are any."""
    clients: ClassVar["dict[str, OpenIdClient]"] = {}
    """By the name of the OpenID provider, in the order in which the sign-in page lists them."""
    refresher: ClassVar["Refresher"]
    """There where `clients` are."""

    @property
    def providers(self) -> list[dict[str, str]]:
        """The buttons of the sign-in page: `title` and `login_url`."""
        return [
            {"title": client.provider.title, "login_url": f"{client.path}/sign-in"}
            for client in self.clients.values()
        ]

    async def authenticate(self, handler: BaseHandler, data: dict[str, str]) -> Any:  # noqa: ARG002
        """A local account by name and password. The message of a refusal is for the person."""
        body = {"login": data.get("username", ""), "password": data.get("password", "")}
        try:
            found = await self.door.call("POST", "/sign-in", body)
        except Unavailable as error:
            raise web.HTTPError(503, log_message="control is away", reason=None) from error
        except PerijoveError as error:
            refused = web.HTTPError(403, log_message=error.message)
            refused.jupyterhub_message = f"{error.message}; {error.next}"  # type: ignore[attr-defined]
            raise refused from error
        return auth_model(found)

    async def refresh_user(
        self,
        user: User,
        handler: BaseHandler | None = None,  # noqa: ARG002
    ) -> Any:
        """False ends the session: control no longer lets this person in. Their providers are asked
        first, if it is time."""
        if self.clients:
            them: Any = user
            await self.refresher.look(them)
        try:
            await self.door.call("GET", f"/persons/{user.name}", patience_s=20)
        except (NotSignedIn, AccountClosed):
            return False
        except PerijoveError:
            # Control is away: nobody is thrown out for that. The API answers 503 by itself.
            return True
        return True

    def normalize_username(self, username: str) -> str:
        """Names are control's; nothing is changed in them."""
        return username

    def get_handlers(self, app: Any) -> list[tuple[str, Any]]:
        """Before JupyterHub's own, so that these win."""
        handlers = [*pages.HANDLERS, *script_tokens.HANDLERS, *super().get_handlers(app)]
        if self.clients:
            from hub.auth import oidc_pages

            handlers = [*oidc_pages.HANDLERS, *handlers]
            self._rounds = PeriodicCallback(lambda: self.look_after_workers(app.users), ROUND_MS)
            self._rounds.start()
        if self.lti:
            from hub.auth import lti_pages

            handlers = [*lti_pages.HANDLERS, *handlers]
        return handlers

    async def look_after_workers(self, users: Any) -> None:
        """Whoever has work here that goes on while they are away is asked about as well."""
        try:
            found = await self.door.call("GET", "/identities/at-work")
        except PerijoveError:
            return  # control is away; the next round is soon
        await self.refresher.look_after(found["people"], lambda name: _known(users, name))

    async def logout_elsewhere(self, kept: dict[str, Any] | None) -> dict[str, str]:
        """Where to end the provider's session too: `title` and `address`, or nothing.

        `kept` is what the sign-in left of itself.
        """
        client = self.clients.get((kept or {}).get("provider", ""))
        address = await client.logout_url(str((kept or {}).get("id_token", ""))) if client else None
        return {"title": client.provider.title, "address": address} if client and address else {}


def _known(users: Any, name: str) -> Any:
    try:
        return users[name]
    except KeyError:
        return None


def auth_model(found: dict[str, Any]) -> dict[str, Any]:
    """What control says of a person, as JupyterHub wants it. Nobody is an administrator of the Hub:
    its admin pages would go around control."""
    return {"name": found["hub_name"], "admin": False}
