"""OpenID Connect with one provider: authorization code with PKCE and nonce, logout both ways."""

import base64
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote_plus

from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from joserfc.jwk import Key

from catalog.clock import Clock
from catalog.errors import Forbidden, NotSignedIn, Unavailable
from hub.auth.discovery import Discovery, Metadata, fetch_json
from hub.auth.providers import Provider
from hub.auth.tokens import LoggedOut, UnknownKey, read_id_token, read_logout_token, untrue
from hub.auth.trips import Once, Trip

MAX_HINT = 6000
"""A longer ID token is left out of the logout's address, which servers would refuse."""

log = logging.getLogger(__name__)
Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Proof:
    """Who came back from a provider. Only `issuer` and `subject` say who it is."""

    issuer: str
    subject: str
    display_name: str
    email: str
    session_id: str
    id_token: str = field(repr=False)


class OpenIdClient:
    """This site as a client of one provider; `site` is the site's public address."""

    def __init__(self, provider: Provider, site: str, clock: Clock) -> None:
        self.provider = provider
        self.path = f"/hub/oidc/{provider.name}"
        self.site = site
        self._clock = clock
        self._discovery = Discovery(provider, clock)
        self._once = Once()

    async def begin(self, trip: Trip) -> str:
        """Where to send the visitor. Raises Unavailable."""
        metadata = await self._discovery.metadata()
        return prepare_grant_uri(
            metadata.authorization_endpoint,
            self.provider.client_id,
            "code",
            redirect_uri=self._callback,
            scope=self.provider.scopes,
            state=trip.state,
            nonce=trip.nonce,
            code_challenge=trip.challenge,
            code_challenge_method="S256",
        )

    async def finish(self, trip: Trip, answer: Mapping[str, str]) -> Proof:
        """Who the visitor is, from what the provider's redirect carried.

        `trip` is the one that this browser began. Works once for each trip. Raises NotSignedIn,
        Forbidden when this person may not sign in here, Unavailable.
        """
        if not answer.get("state") or answer["state"] != trip.state:
            raise _other_trip()
        if not self._once.first("state", trip.state):
            raise _other_trip()
        metadata = await self._discovery.metadata()
        issuer = answer.get("iss")
        if issuer != self.provider.issuer and (issuer is not None or metadata.says_issuer):
            raise untrue(self.provider, "it comes from another issuer")
        if "error" in answer:
            raise self._refusal(answer)
        if not answer.get("code"):
            raise untrue(self.provider, "it carries no code")
        id_token, access = await self._turn_in(metadata, answer["code"], trip)
        claims = await self._with_keys(
            lambda keys: read_id_token(
                self.provider, id_token, keys, self._clock.now(), nonce=trip.nonce, access=access
            )
        )
        return self._proof(await self._all_claims(metadata, claims, access), id_token)

    async def logout_url(self, id_token: str) -> str | None:
        """Where the browser ends its session at the provider; None where that cannot be asked."""
        try:
            metadata = await self._discovery.metadata()
        except Unavailable as error:
            log.warning("no logout at %s: %s", self.provider.name, error.message)
            return None
        if not metadata.end_session_endpoint:
            return None
        asked = {
            "client_id": self.provider.client_id,
            "post_logout_redirect_uri": f"{self.site}/hub/login",
        }
        if id_token and len(id_token) <= MAX_HINT:
            asked["id_token_hint"] = id_token
        return add_params_to_uri(metadata.end_session_endpoint, list(asked.items()))

    async def read_logout(self, token: str) -> LoggedOut:
        """Whom the provider signed out, once for each token. Raises NotSignedIn, Unavailable."""
        found = await self._with_keys(
            lambda keys: read_logout_token(self.provider, token, keys, self._clock.now())
        )
        if not self._once.first("logout", found.token_id):
            raise untrue(self.provider, "it came before")
        return found

    @property
    def _callback(self) -> str:
        return f"{self.site}{self.path}/callback"

    async def _turn_in(self, metadata: Metadata, code: str, trip: Trip) -> tuple[str, str]:
        """The ID token and the access token that a code is good for."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._callback,
            "code_verifier": trip.verifier,
        }
        headers: dict[str, str] = {}
        name, secret = self.provider.client_id, self.provider.client_secret
        if metadata.secret_in_body:
            form |= {"client_id": name, "client_secret": secret}
        else:
            pair = f"{quote_plus(name)}:{quote_plus(secret)}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        address = metadata.token_endpoint
        found = await fetch_json(self.provider, address, form=form, headers=headers, refusals=True)
        if "error" in found:
            log.warning("%s refused the code: %.80r", self.provider.name, found["error"])
            raise untrue(self.provider, "it refused to confirm the sign-in")
        id_token, access = found.get("id_token"), found.get("access_token", "")
        if not isinstance(id_token, str) or not isinstance(access, str):
            raise untrue(self.provider, "it holds no ID token")
        return id_token, access

    async def _all_claims(
        self, metadata: Metadata, claims: dict[str, Any], access: str
    ) -> dict[str, Any]:
        """What the ID token says, and beside it what the userinfo end point adds."""
        if not metadata.userinfo_endpoint or not access:
            return claims
        bearer = {"Authorization": f"Bearer {access}"}
        more = await fetch_json(self.provider, metadata.userinfo_endpoint, headers=bearer)
        if more.get("sub") != claims["sub"]:
            raise untrue(self.provider, "its userinfo is about somebody else")
        return more | claims

    def _proof(self, claims: dict[str, Any], id_token: str) -> Proof:
        if not self.provider.admits(claims):
            raise Forbidden(
                f"{self.provider.title} knows you, but this site does not admit your account",
                next="ask your administrator, or sign in with another account",
            )
        return Proof(
            self.provider.issuer,
            claims["sub"],
            _text(claims, self.provider.display_name_claim),
            _text(claims, "email"),
            _text(claims, "sid"),
            id_token,
        )

    async def _with_keys(self, read: Callable[[list[Key]], Read]) -> Read:
        """Read with the keys that are known, then with newer ones."""
        try:
            return read(await self._discovery.keys())
        except UnknownKey:
            pass
        try:
            return read(await self._discovery.keys(newer=True))
        except UnknownKey as error:
            raise untrue(self.provider, "its signature is not the provider's") from error

    def _refusal(self, answer: Mapping[str, str]) -> NotSignedIn:
        title = self.provider.title
        if answer["error"] == "access_denied":
            return NotSignedIn(
                f"{title} did not sign you in: it was cancelled, or not allowed there",
                next="try again, or sign in another way",
            )
        said = "".join(c for c in answer.get("error_description", "") if c.isprintable())[:200]
        return NotSignedIn(
            f"{title} did not sign you in: {said or answer['error'][:60]}",
            next="try again; if it stays, tell your administrator",
        )


def _other_trip() -> NotSignedIn:
    return NotSignedIn(
        "this sign-in did not begin in this browser, or it took too long",
        next="go to the menu and sign in again",
    )


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    return "".join(c for c in value if c.isprintable())[:200] if isinstance(value, str) else ""
