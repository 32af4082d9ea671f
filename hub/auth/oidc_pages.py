"""The Hub's pages of OpenID Connect: to a provider, back from it, and its word of a logout."""

import json
from typing import Any, ClassVar

from jupyterhub.handlers.base import BaseHandler
from tornado import web

from catalog.clock import Clock, SystemClock
from catalog.errors import NotSignedIn, PerijoveError, Unavailable
from hub.auth import kept
from hub.auth.oidc import NotAdmitted, OpenIdClient, Proof
from hub.auth.refreshing import Refresher
from hub.auth.trips import TRIP_LIFE, Trip, own_path, seal, trip_key, unseal
from hub.control_door import ControlDoor

_COOKIE = "perijove-trip"
_STATUS = {"unavailable": 503, "conflict": 409}
"""All others are refusals."""


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

    async def begin(self, client: OpenIdClient, trip: Trip) -> None:
        """Off to the provider; the way back is for this browser alone."""
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

    @property
    def door(self) -> ControlDoor:
        return self.settings["authenticator"].door

    @property
    def refresher(self) -> Refresher:
        return self.settings["authenticator"].refresher

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
        await self.begin(client, Trip.begin(name, self.one("next") or ""))


class LinkPage(ProviderPage):
    """A second way to sign in, for somebody who is signed in: asked first, so that no other site's
    page can begin it."""

    @property
    def me(self) -> str:
        """The Hub's name of whoever is signed in; the pages below let in nobody else."""
        user: Any = self.current_user
        return user.name

    @web.authenticated
    async def get(self, name: str) -> None:
        client = self.client(name)
        if client is None:
            await self.say_unknown()
            return
        self.set_header("Cache-Control", "no-store")
        try:
            found = await self.door.call("GET", f"/persons/{self.me}")
        except PerijoveError as error:
            await self.say(error)
            return
        xsrf: Any = self.xsrf_token
        page = self.render_template(
            "link.html", title=client.provider.title, form_xsrf=xsrf.decode("ascii"),
            account=found["display_name"] or found["login"], next=own_path(self.one("next") or ""),
        )  # fmt: skip
        self.finish(await page)

    @web.authenticated
    async def post(self, name: str) -> None:
        client = self.client(name)
        if client is None:
            await self.say_unknown()
            return
        back = self.get_body_argument("next", "")
        await self.begin(client, Trip.begin(name, back, link=self.me))


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
            if trip.link:
                await self._link(client, trip, proof)
            else:
                await self._sign_in(client, proof)
        except PerijoveError as error:
            self.log.warning("sign-in through %s refused: %s", name, error.message)
            if isinstance(error, NotAdmitted):
                await self._out(client, error.subject)
            await self._note_refused(client, error)
            await self.say(error)
            return
        self.redirect(trip.next)

    async def _sign_in(self, client: OpenIdClient, proof: Proof) -> None:
        found = await self.door.call("POST", "/identities/sign-in", proof.as_body())
        name = client.provider.name
        state = kept.of_sign_in(name, proof.id_token, proof.voucher)
        user = await self.auth_to_user(
            {"name": found["hub_name"], "admin": False, "auth_state": state}
        )
        self._jupyterhub_user = user
        self.set_login_cookie(user)

    async def _link(self, client: OpenIdClient, trip: Trip, proof: Proof) -> None:
        """Both are proved in this browser: the first by its session, the second just now."""
        user = self.current_user
        if user is None or user.name != trip.link:
            raise NotSignedIn(
                "you are not signed in any more as who began this", next="sign in and link it again"
            )
        await self.door.call("POST", "/identities/link", {"hub_name": user.name, **proof.as_body()})
        if proof.voucher:
            before = await user.get_auth_state()
            await user.save_auth_state(
                kept.with_voucher(before, client.provider.name, proof.voucher)
            )

    async def _note_refused(self, client: OpenIdClient, error: PerijoveError) -> None:
        """For the audit; that nobody answered says nothing of anybody."""
        if error.code == "unavailable":
            return
        try:
            body = {"how": client.provider.issuer, "why": error.message[:1000]}
            await self.door.call("POST", "/identities/not-let-in", body)
        except PerijoveError as failed:
            self.log.warning("a refused sign-in was not noted: %s", failed.message)

    async def _out(self, client: OpenIdClient, subject: str) -> None:
        """Whom the rules do not admit any more is out, on every device."""
        body = {"issuer": client.provider.issuer, "subject": subject}
        try:
            await self.door.call("POST", "/identities/refused", body)
        except PerijoveError as error:
            self.log.warning("an account could not be closed: %s", error.message)


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
            ended = await self.door.call("POST", "/identities/sign-out", body)
        except PerijoveError as error:
            self.log.warning("logout by %s refused: %s", name, error.message)
            self.set_status(503 if error.code == "unavailable" else 400)
            self._say_json({"error": "invalid_request", "error_description": error.message})
            return
        self.log.info("logout by %s ended the sessions of %s", name, len(ended["people"]))
        for person in ended["people"]:
            self.refresher.soon(self._still_there(client, person["hub_name"], gone.subject))
        self._say_json({})

    async def _still_there(self, client: OpenIdClient, hub_name: str, subject: str) -> None:
        """Signed out, or gone for good? The provider knows."""
        user = self.find_user(hub_name)
        name = client.provider.name
        if user is not None and await self.refresher.ask(user, now=name):
            return
        if client.provider.logout_ends == "account" and subject:
            body = {"issuer": client.provider.issuer, "subject": subject, "by_logout": True}
            await self.door.call("POST", "/identities/refused", body)

    def _say_json(self, content: dict[str, str]) -> None:
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(content))


HANDLERS: list[tuple[str, Any]] = [
    (r"/oidc/([a-z0-9-]+)/sign-in", SignInPage),
    (r"/oidc/([a-z0-9-]+)/callback", CallbackPage),
    (r"/oidc/([a-z0-9-]+)/link", LinkPage),
    (r"/oidc/([a-z0-9-]+)/backchannel-logout", BackChannelLogout),
]
