"""OpenID Connect with one provider: authorization code with PKCE and nonce, logout both ways."""

import base64
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import quote_plus

from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from joserfc.jwk import Key

from catalog.clock import Clock
from catalog.errors import Forbidden, NotSignedIn, Unavailable
from hub.auth.discovery import Discovery, Metadata, fetch_json
from hub.auth.kept import Voucher
from hub.auth.providers import Provider
from hub.auth.tokens import (
    MAX_SUBJECT,
    LoggedOut,
    UnknownKey,
    read_id_token,
    read_logout_token,
    read_refreshed_id_token,
    untrue,
)
from hub.auth.trips import Once, Trip

MAX_HINT = 6000
"""A longer ID token is left out of the logout's address, which servers would refuse."""

_AUTHLIB_SAYS_GONE = ("invalid_request", "There is no 'user' for this token.")
"""Providers built on Authlib's server say this of somebody who was deleted or locked."""
_LINKING = {"prompt": "login"}
"""Who links a second identity types its password there: nobody else's open session will do."""

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
    claims: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)
    voucher: Voucher | None = field(default=None, repr=False)
    """With which the provider can be asked again."""
    sub: str = ""
    """What its logouts call them, where that is not `subject`."""

    def as_body(self) -> dict[str, Any]:
        """As control takes it."""
        return {
            "issuer": self.issuer, "subject": self.subject, "display_name": self.display_name,
            "email": self.email, "session_id": self.session_id, "claims": self.claims,
            "sub": self.sub,
        }  # fmt: skip


class NotAdmitted(Forbidden):
    """The provider vouches for somebody whom its rules here do not let in."""

    def __init__(self, provider: Provider, subject: str) -> None:
        super().__init__(
            f"{provider.title} knows you, but this site does not admit your account",
            next="ask your administrator, or sign in with another account",
        )
        self.subject = subject


class GivenUp(Exception):
    """The provider takes the refresh token no more."""


@dataclass(frozen=True, slots=True)
class _Tokens:
    """What the token end point gave; empty where there was none."""

    id_token: str
    access: str
    refresh: str


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
            **(self.provider.asked | (_LINKING if trip.link else {})),
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
        tokens = await self._turn_in(metadata, answer["code"], trip)
        claims = await self._with_keys(
            lambda keys: read_id_token(
                self.provider, tokens.id_token, keys, self._clock.now(), nonce=trip.nonce,
                access=tokens.access,
            )
        )  # fmt: skip
        subject = self._subject(claims)
        claims = await self._all_claims(metadata, claims["sub"], claims, tokens.access)
        return self._proof(claims, tokens, trip.nonce, subject)

    async def refresh(self, before: Voucher) -> Proof:
        """What the provider says now of somebody who signed in before.

        The proof holds the voucher for the next time: keep it at once, many providers take each
        only once. Raises GivenUp when the provider vouches for them no more; NotSignedIn when its
        answer does not hold, and Unavailable: both say nothing of the person.
        """
        metadata = await self._discovery.metadata()
        form = {"grant_type": "refresh_token", "refresh_token": before.refresh_token}
        found = await self._ask(metadata, form)
        if _says_gone(found):
            raise GivenUp
        if "error" in found:
            raise Unavailable(
                f"{self.provider.title} does not say whether somebody is still there:"
                f" {str(found['error'])[:80]!r}", next="look at the client's settings there",
            )  # fmt: skip
        tokens = _tokens(found)
        claims: dict[str, Any] = {}
        if tokens.id_token:
            claims = await self._with_keys(
                lambda keys: read_refreshed_id_token(
                    self.provider, tokens.id_token, keys, self._clock.now(), before=before,
                    access=tokens.access,
                )
            )  # fmt: skip
            if self._subject(claims) != before.known_as:
                raise untrue(self.provider, "it is about somebody else")
        claims = await self._all_claims(metadata, before.subject, claims, tokens.access)
        if not claims:
            raise untrue(self.provider, "it says nothing of the person")
        kept = replace(tokens, refresh=tokens.refresh or before.refresh_token)
        return self._proof(claims, kept, before.nonce, before.known_as)

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

    async def _turn_in(self, metadata: Metadata, code: str, trip: Trip) -> _Tokens:
        """The tokens that a code is good for."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._callback,
            "code_verifier": trip.verifier,
        }
        found = await self._ask(metadata, form)
        if "error" in found:
            log.warning("%s refused the code: %.80r", self.provider.name, found["error"])
            raise untrue(self.provider, "it refused to confirm the sign-in")
        if not isinstance(found.get("id_token"), str):
            raise untrue(self.provider, "it holds no ID token")
        return _tokens(found)

    async def _ask(self, metadata: Metadata, form: dict[str, str]) -> dict[str, Any]:
        """The token end point's answer, a refusal too."""
        headers: dict[str, str] = {}
        name, secret = self.provider.client_id, self.provider.client_secret
        if metadata.secret_in_body:
            form |= {"client_id": name, "client_secret": secret}
        else:
            pair = f"{quote_plus(name)}:{quote_plus(secret)}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        return await fetch_json(
            self.provider, metadata.token_endpoint, form=form, headers=headers, refusals=True
        )

    async def _all_claims(
        self, metadata: Metadata, subject: str, claims: dict[str, Any], access: str
    ) -> dict[str, Any]:
        """What the ID token says, and beside it what the userinfo end point adds."""
        if not metadata.userinfo_endpoint or not access:
            return claims
        bearer = {"Authorization": f"Bearer {access}"}
        more = await fetch_json(self.provider, metadata.userinfo_endpoint, headers=bearer)
        if more.get("sub") != subject:
            raise untrue(self.provider, "its userinfo is about somebody else")
        return more | claims

    def _subject(self, claims: dict[str, Any]) -> str:
        """Who an ID token is about. The signed token alone says it, not what is fetched beside it."""
        found = claims.get(self.provider.subject_claim)
        if (
            not isinstance(found, str)
            or not 0 < len(found) <= MAX_SUBJECT
            or not found.isprintable()
        ):
            raise untrue(self.provider, f"its {self.provider.subject_claim} names nobody")
        return found

    def _proof(
        self, claims: dict[str, Any], tokens: _Tokens, nonce: str, subject: str
    ) -> Proof:  # fmt: skip
        if not self.provider.admits(claims):
            raise NotAdmitted(self.provider, subject)
        voucher, other = None, "" if subject == claims["sub"] else subject
        if tokens.refresh and self.provider.refresh_span is not None:
            at = self._clock.now().timestamp()
            voucher = Voucher(tokens.refresh, claims["sub"], nonce, at, other)
        return Proof(
            self.provider.issuer,
            subject,
            _text(claims, self.provider.display_name_claim),
            _text(claims, "email"),
            _text(claims, "sid"),
            tokens.id_token,
            claims,
            voucher,
            claims["sub"] if other else "",
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


def _says_gone(found: dict[str, Any]) -> bool:
    """Whether a refused refresh is about the person. Any other error may be the client's own fault,
    or a passing one, and must throw nobody out."""
    said = (found.get("error"), found.get("error_description"))
    return said[0] == "invalid_grant" or said == _AUTHLIB_SAYS_GONE


def _tokens(found: dict[str, Any]) -> _Tokens:
    names = ("id_token", "access_token", "refresh_token")
    given = [value if isinstance(value := found.get(name), str) else "" for name in names]
    return _Tokens(*given)


def _other_trip() -> NotSignedIn:
    return NotSignedIn(
        "this sign-in did not begin in this browser, or it took too long",
        next="go to the menu and sign in again",
    )


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    return "".join(c for c in value if c.isprintable())[:200] if isinstance(value, str) else ""
