"""The Hub's pages of OpenID Connect: to a provider, back from it, and its word of a logout."""

import json
from typing import Any, ClassVar

from jupyterhub.handlers.base import BaseHandler

from catalog.clock import Clock, SystemClock
from catalog.errors import NotSignedIn, PerijoveError, Unavailable
from hub.auth.oidc import OpenIdClient, Proof
from hub.auth.trips import TRIP_LIFE, Trip, seal, trip_key, unseal

_COOKIE = "perijove-trip"
_STATUS = {"unavailable": 503, "not-signed-in": 403, "forbidden": 403}


class ProviderPage(BaseHandler):
    """A page below `/hub/oidc/NAME/`."""

    clock: ClassVar[Clock] = SystemClock()
    answer: dict[str, list[bytes]]

    def initialize(self) -> None:
        """The query carries codes: it is taken out before anything can log the address."""
        self.answer = dict(self.request.query_arguments)
        self.request.uri, self.request.query = self.request.path, ""

    def client(self, name: str) -> OpenIdClient | None:
        """The client of a provider of that name."""
        return self.settings["authenticator"].clients.get(name)

    async def say(self, error: PerijoveError) -> None:
        """A page with the error in plain words."""
        self.set_status(_STATUS.get(error.code, 403))
        self.set_header("Referrer-Policy", "no-referrer")
        self.finish(
            await self.render_template("notice.html", heading=error.message, text=error.next)
        )

    async def say_unknown(self) -> None:
        self.set_status(404)
        page = self.render_template(
            "notice.html", heading="there is no such way to sign in", text="start from the menu"
        )
        self.finish(await page)

    def one(self, name: str) -> str | None:
        """A parameter of the query; given twice it counts as absent."""
        values = self.answer.get(name, [])
        return values[0].decode(errors="replace") if len(values) == 1 else None

    @property
    def _door(self) -> Any:
        return self.settings["authenticator"].door

    @property
    def trip_key(self) -> bytes:
        return trip_key(self.settings["cookie_secret"])


class SignInPage(ProviderPage):
    """Off to the provider."""

    async def get(self, name: str) -> None:
        client = self.client(name)
        if client is None:
            await self.say_unknown()
            return
        trip = Trip.begin(name, self.one("next") or "")
        try:
            address = await client.begin(trip)
        except Unavailable as error:
            await self.say(error)
            return
        self.set_cookie(
            _COOKIE,
            seal(trip, self.trip_key, self.clock.now()),
            path=client.path,
            max_age=int(TRIP_LIFE.total_seconds()),
            httponly=True,
            samesite="Lax",
            secure=client.site.startswith("https:"),
        )
        self.set_header("Cache-Control", "no-store")
        self.redirect(address)


class CallbackPage(ProviderPage):
    """Back from the provider: the same browser, the same trip, and a person that it vouches for."""

    async def get(self, name: str) -> None:
        client = self.client(name)
        if client is None:
            await self.say_unknown()
            return
        sealed = self.get_cookie(_COOKIE, "")
        self.clear_cookie(_COOKIE, path=client.path)
        self.set_header("Cache-Control", "no-store")
        trip = unseal(sealed, self.trip_key, name, self.clock.now())
        answer = {key: value for key in self.answer if (value := self.one(key)) is not None}
        try:
            if trip is None:
                raise NotSignedIn(
                    "this sign-in did not begin in this browser, or it took too long",
                    next="go to the menu and sign in again",
                )
            proof = await client.finish(trip, answer)
            found = await self._person(proof)
        except PerijoveError as error:
            self.log.warning("sign-in through %s refused: %s", name, error.message)
            await self.say(error)
            return
        kept = {"provider": name, "id_token": proof.id_token}
        user = await self.auth_to_user(
            {"name": found["hub_name"], "admin": False, "auth_state": kept}
        )
        self._jupyterhub_user = user
        self.set_login_cookie(user)
        self.redirect(trip.next)

    async def _person(self, proof: Proof) -> dict[str, Any]:
        body = {
            "issuer": proof.issuer,
            "subject": proof.subject,
            "display_name": proof.display_name,
            "email": proof.email,
            "session_id": proof.session_id,
        }
        return await self._door.call("POST", "/identities/sign-in", body)


class BackChannelLogout(ProviderPage):
    """The provider says that somebody signed out there: their sessions here end too."""

    def check_xsrf_cookie(self) -> None:
        """No browser posts here; the provider's signature is the proof, on this path alone."""

    async def post(self, name: str) -> None:
        self.set_header("Cache-Control", "no-store")
        client = self.client(name)
        if client is None:
            self.set_status(404)
            return
        try:
            tokens = self.get_body_arguments("logout_token")
            gone = await client.read_logout(tokens[0] if len(tokens) == 1 else "")
            body = {
                "issuer": client.provider.issuer,
                "subject": gone.subject,
                "session_id": gone.session_id,
            }
            ended = await self._door.call("POST", "/identities/sign-out", body)
        except PerijoveError as error:
            self.log.warning("logout by %s refused: %s", name, error.message)
            self.set_status(503 if error.code == "unavailable" else 400)
            self._say_json({"error": "invalid_request", "error_description": error.message})
            return
        self.log.info("logout by %s ended the sessions of %s", name, ended["ended"])
        self._say_json({})

    def _say_json(self, content: dict[str, str]) -> None:
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(content))


HANDLERS: list[tuple[str, Any]] = [
    (r"/oidc/([a-z0-9-]+)/sign-in", SignInPage),
    (r"/oidc/([a-z0-9-]+)/callback", CallbackPage),
    (r"/oidc/([a-z0-9-]+)/backchannel-logout", BackChannelLogout),
]
