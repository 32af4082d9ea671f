"""What a provider signed: ID tokens and logout tokens, believed only after every check."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from authlib.oidc.core import CodeIDToken
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key

from catalog.errors import NotSignedIn
from hub.auth.kept import Voucher
from hub.auth.providers import Provider

LEEWAY_S = 60
"""How far a provider's clock may be from ours."""
LOGOUT_LIFE = timedelta(minutes=10)
MAX_TOKEN = 64 * 2**10
MAX_KEYS = 100
MAX_SUBJECT = 255
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"

# Public keys only: with a shared or absent key anybody who knows the provider's public one, or
# nobody at all, could have signed.
ALGORITHMS = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
    "EdDSA": "OKP",
}
"""Algorithm → type of its keys."""

log = logging.getLogger(__name__)


class UnknownKey(Exception):
    """None of the provider's keys that are known here signed it; there may be newer ones."""


@dataclass(frozen=True, slots=True)
class LoggedOut:
    """Whom a logout token is about: a subject, a session of the provider's, or both."""

    subject: str
    session_id: str
    token_id: str


def read_id_token(
    provider: Provider, token: str, keys: list[Key], now: datetime, *, nonce: str, access: str
) -> dict[str, Any]:
    """The claims of an ID token of the code flow that fits this client, nonce and access token.

    Raises NotSignedIn with the reason, or UnknownKey.
    """
    _, found = _verified(provider, token, keys)
    return _claims_of(provider, found, now, nonce=nonce, access=access)


def _claims_of(
    provider: Provider, found: jwt.Token, now: datetime, *, nonce: str | None, access: str
) -> dict[str, Any]:
    claims = CodeIDToken(
        found.claims,
        found.header,
        options={
            "iss": {"essential": True, "values": [provider.issuer]},
            "aud": {"essential": True, "values": [provider.client_id]},
        },
        params={"nonce": nonce, "client_id": provider.client_id, "access_token": access},
    )
    try:
        claims.validate(int(now.timestamp()), LEEWAY_S)
    except JoseError as error:
        raise untrue(provider, _words(error)) from error
    _check_subject(provider, claims["sub"])
    return dict(found.claims)


def read_refreshed_id_token(
    provider: Provider, token: str, keys: list[Key], now: datetime, *, before: Voucher, access: str
) -> dict[str, Any]:
    """As `read_id_token`, for one that came with a refresh: about the same subject, and with the
    nonce of the sign-in or none (OpenID Connect Core 12.2).

    Raises NotSignedIn with the reason, or UnknownKey.
    """
    _, found = _verified(provider, token, keys)
    said = found.claims.get("nonce")
    if said is not None and said != before.nonce:
        raise untrue(provider, _CLAIMS["nonce"])
    claims = _claims_of(provider, found, now, nonce=said, access=access)
    if claims["sub"] != before.subject:
        raise untrue(provider, "it is about somebody else")
    return claims


def read_logout_token(provider: Provider, token: str, keys: list[Key], now: datetime) -> LoggedOut:
    """Whom the provider signed out. The caller refuses a `token_id` that came before.

    Raises NotSignedIn with the reason, or UnknownKey.
    """
    header, found = _verified(provider, token, keys)
    if str(header.get("typ", "")).lower().removeprefix("application/") != "logout+jwt":
        raise untrue(provider, "it is no logout token")
    at = int(now.timestamp())
    registry = jwt.JWTClaimsRegistry(
        at,
        LEEWAY_S,
        iss={"essential": True, "value": provider.issuer},
        aud={"essential": True, "value": provider.client_id},
        iat={"essential": True},
        exp={"essential": True},
        jti={"essential": True},
        events={"essential": True},
    )
    try:
        registry.validate(found.claims)
    except JoseError as error:
        raise untrue(provider, _words(error)) from error
    return _logged_out(provider, found.claims, at)


def read_keys(documents: list[Any]) -> list[Key]:
    """The public signing keys among a provider's; others, and unknown ones, are left out."""
    keys: list[Key] = []
    for document in documents[:MAX_KEYS]:
        try:
            if document.get("kty") in set(ALGORITHMS.values()) and document.get("use") != "enc":
                keys.append(JWKRegistry.import_key(document))
        except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
            log.warning("a key of a provider cannot be used: %s", type(error).__name__)
    return keys


def untrue(provider: Provider, why: str) -> NotSignedIn:
    """What to raise when something that a provider seems to have signed does not hold."""
    return NotSignedIn(
        f"the answer of {provider.title} does not hold: {why}",
        next="sign in again; if it stays, tell your administrator",
    )


def _verified(provider: Provider, token: str, keys: list[Key]) -> tuple[dict[str, Any], jwt.Token]:
    if len(token) > MAX_TOKEN:
        raise untrue(provider, "it is too large")
    try:
        header = dict(jws.extract_compact(token.encode()).headers())
    except (JoseError, ValueError) as error:
        raise untrue(provider, "it is no signed token") from error
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise untrue(provider, f"it is signed with {str(algorithm)[:20]!r}, which proves nothing")
    for key in _candidates(keys, header, algorithm):
        try:
            return header, jwt.decode(token, key, algorithms=[algorithm])
        except (JoseError, ValueError) as error:
            log.debug("a key does not fit: %s", type(error).__name__)
    raise UnknownKey


def _candidates(keys: list[Key], header: dict[str, Any], algorithm: str) -> list[Key]:
    kid = header.get("kid")
    return [
        key
        for key in keys
        if key.key_type == ALGORITHMS[algorithm]
        and key.get("alg") in {None, algorithm}
        and (kid is None or key.get("kid") in {None, kid})
    ]


def _logged_out(provider: Provider, claims: dict[str, Any], now: int) -> LoggedOut:
    events = claims["events"]
    if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
        raise untrue(provider, "its events do not name a logout")
    if "nonce" in claims:
        raise untrue(provider, "it has a nonce, so it is an ID token")
    if now - claims["iat"] > LOGOUT_LIFE.total_seconds() + LEEWAY_S:
        raise untrue(provider, "it is too old")
    subject, session_id = claims.get("sub", ""), claims.get("sid", "")
    if subject:
        _check_subject(provider, subject)
    if not isinstance(session_id, str) or not (subject or session_id):
        raise untrue(provider, "it names neither a person nor a session")
    return LoggedOut(subject, session_id, claims["jti"])


def _check_subject(provider: Provider, subject: Any) -> None:
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT:
        raise untrue(provider, "its subject is empty or too long")


_CLAIMS = {
    "iss": "it comes from another issuer",
    "aud": "it was made for another site",
    "azp": "it was made for another site",
    "exp": "it has expired",
    "iat": "it was made in the future",
    "nonce": "it belongs to another sign-in (nonce)",
    "at_hash": "it belongs to another access token",
}


def _words(error: JoseError) -> str:
    claim = str(getattr(error, "claim", "") or "")
    if error.error == "missing_claim":
        return f"it has no {claim or 'claims'}"
    return _CLAIMS.get(claim, f"its {claim or 'content'} is wrong")
