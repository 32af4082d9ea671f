"""What this site signs as a tool, and how it reads what a platform signed."""

import secrets
from datetime import datetime
from typing import Any

from joserfc import jwt
from joserfc.errors import MissingClaimError
from joserfc.jwk import Key, RSAKey

from catalog.errors import Forbidden, NotSignedIn
from hub.auth.tokens import read_id_token
from hub.lti.keys import name_of
from hub.lti.messages import CLAIM, COURSE_PARAMETER, LINKS, VERSION, Launch, Linking
from hub.lti.platforms import Platform

LIFE_S = 300


def read_message(
    platform: Platform, token: str, keys: list[Key], now: datetime, nonce: str
) -> dict[str, Any]:
    """The claims of a launch that the platform signed for this tool and this nonce.

    Raises NotSignedIn with the reason, Forbidden when it names nobody, or UnknownKey.
    """
    try:
        return read_id_token(platform.party, token, keys, now, nonce=nonce, access="")
    except NotSignedIn as error:
        cause: Any = error.__cause__
        if isinstance(cause, MissingClaimError) and cause.claim == "sub":
            raise Forbidden(
                f"{platform.title} did not say who you are, and nobody comes in without a name",
                next="sign in there; if it stays, ask your teacher to let the tool know its users",
            ) from error
        raise


def assertion(platform: Platform, key: RSAKey, now: datetime) -> str:
    """Proof for the platform's token end point that this tool asks. Good once, for five minutes."""
    return _signed(key, platform.client_id, platform.audience, now, {"sub": platform.client_id})


def links_response(
    platform: Platform, key: RSAKey, now: datetime, launch: Launch, items: list[dict[str, Any]]
) -> str:
    """The answer to a request for links: `items` go into the learning system's course."""
    linking = launch.linking or Linking("", "")
    claims: dict[str, Any] = {
        CLAIM + "message_type": "LtiDeepLinkingResponse",
        CLAIM + "version": VERSION,
        CLAIM + "deployment_id": launch.deployment,
        LINKS + "content_items": items,
        "nonce": secrets.token_urlsafe(16),
    }
    if linking.data:
        claims[LINKS + "data"] = linking.data
    return _signed(key, platform.client_id, platform.issuer, now, claims)


def course_item(course_id: str, title: str, address: str) -> dict[str, Any]:
    """A link to a course's lab, as a learning system keeps it."""
    return {
        "type": "ltiResourceLink",
        "title": title,
        "url": address,
        "custom": {COURSE_PARAMETER: course_id},
    }


def _signed(key: RSAKey, issuer: str, audience: str, now: datetime, claims: dict[str, Any]) -> str:
    at = int(now.timestamp())
    whole = {
        "iss": issuer, "aud": audience, "iat": at, "exp": at + LIFE_S,
        "jti": secrets.token_urlsafe(16), **claims,
    }  # fmt: skip
    header = {"alg": "RS256", "typ": "JWT", "kid": name_of(key)}
    return jwt.encode(header, whole, key, ["RS256"])
