"""Signing in through the Hub: OAuth with PKCE, the trip bound to the browser that began it."""

import base64
import hashlib
import secrets
from urllib.parse import urlencode

import aiohttp

from catalog.errors import NotSignedIn, Unavailable
from portal.config import PREFIX
from portal.door import COOKIE, HUB_COOKIE, Page, cookie_of, own_path, same_origin

CLIENT_ID = "service-portal"
CALLBACK = f"{PREFIX}oauth_callback"
BROWSER_COOKIE = "perijove-sign-in"
"""Binds a trip to the Hub to one browser; it opens nothing by itself."""


class SignInPage(Page):
    """Sends the visitor to the Hub, which asks for nothing if they are signed in there."""

    async def get(self) -> None:
        browser = self.own_cookie(BROWSER_COOKIE) or secrets.token_urlsafe(24)
        verifier = secrets.token_urlsafe(48)
        state = self.portal.sessions.begin_sign_in(
            browser, verifier, own_path(self.get_argument("next", PREFIX))
        )
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
        self.set_cookie_of_ours(BROWSER_COOKIE, browser, days=1 / 24)
        query = {
            "client_id": CLIENT_ID,
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "state": state,
            "code_challenge": challenge.rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        self.redirect(f"/hub/api/oauth2/authorize?{urlencode(query)}")


class CallbackPage(Page):
    """Where the Hub sends the visitor back, with a code that only the portal can turn in."""

    async def get(self) -> None:
        trip = self.portal.sessions.end_sign_in(
            self.get_argument("state", ""), self.own_cookie(BROWSER_COOKIE)
        )
        code = self.get_argument("code", "")
        if trip is None or not code:
            self.say(
                403,
                NotSignedIn(
                    "That sign-in did not come to an end here",
                    next="It may have taken too long, or begun in another browser. "
                    "Go to the menu to sign in again.",
                ),
            )
            return
        token = await self._token(code, trip.verifier)
        before = self.session()
        if before is not None:
            self.portal.sessions.close(before.key)
        cookie = self.portal.sessions.open(token, cookie_of(self.request, HUB_COOKIE))
        self.set_cookie_of_ours(COOKIE, cookie)
        self.redirect(trip.next)

    async def _token(self, code: str, verifier: str) -> str:
        """The visitor's Hub token. Raises NotSignedIn or Unavailable."""
        config = self.portal.config
        form = {
            "client_id": CLIENT_ID,
            "client_secret": config.client_secret,
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": verifier,
        }
        try:
            async with self.portal.http.post(
                f"{config.hub_url}/hub/api/oauth2/token",
                data=form,
                timeout=aiohttp.ClientTimeout(total=20),
            ) as answer:
                body = await answer.json(content_type=None) if answer.status == 200 else {}
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            self.set_status(503)
            raise Unavailable(
                "The sign-in service does not answer right now",
                next="Wait a few seconds and go to the menu again.",
            ) from error
        token = body.get("access_token") if isinstance(body, dict) else None
        if not isinstance(token, str):
            self.set_status(403)
            raise NotSignedIn(
                "The sign-in service did not accept that sign-in",
                next="Go to the menu to sign in again.",
            )
        return token

    def send_error(self, status_code: int = 500, **kwargs: object) -> None:
        """Keep the status that `_token` chose."""
        chosen = self.get_status()
        super().send_error(chosen if chosen != 200 else status_code, **kwargs)


class SignOutPage(Page):
    """Forgets the session here, then lets the Hub forget the visitor."""

    async def post(self) -> None:
        if not same_origin(self.portal.config, self.request):
            self.send_error(403)
            return
        session = self.session()
        if session is not None:
            self.portal.sessions.close(session.key)
        self.clear_cookie_of_ours(COOKIE)
        self.redirect("/hub/logout", status=303)
