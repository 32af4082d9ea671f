"""Trips to a provider and back: bound to the browser that began them, short, and used once."""

import base64
import hashlib
import hmac
import json
import secrets
from collections import OrderedDict
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from authlib.oauth2.rfc7636 import create_s256_code_challenge

from hub.settings import PORTAL_PREFIX

TRIP_LIFE = timedelta(minutes=10)
MAX_NEXT = 1500
_MAX_SEALED = 4000
HOME_PAGE = f"{PORTAL_PREFIX}/"


@dataclass(frozen=True, slots=True)
class Trip:
    """What must be the same when the visitor comes back from the provider."""

    provider: str
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    next: str
    link: str = ""
    """The Hub's name of whoever links a second identity by this trip."""

    @classmethod
    def begin(cls, provider: str, next: str, *, link: str = "") -> "Trip":
        """A new trip that ends at `next`, if that is a page of this site."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        return cls(provider, state, nonce, verifier, own_path(next), link)

    @property
    def challenge(self) -> str:
        """Of PKCE, S256."""
        return create_s256_code_challenge(self.verifier)


def seal(trip: Trip, key: bytes, now: datetime) -> str:
    """A cookie's value: signed with its time. It is the browser's own, so nothing is hidden."""
    content = json.dumps({**asdict(trip), "at": now.timestamp()}).encode()
    return f"{_b64(content)}.{_b64(_sign(key, content))}"


def unseal(sealed: str, key: bytes, provider: str, now: datetime) -> Trip | None:
    """The trip to this provider that `seal` signed in the last ten minutes, else None."""
    try:
        content, signature = (_unb64(part) for part in sealed[:_MAX_SEALED].split("."))
    except ValueError:
        return None
    if not hmac.compare_digest(signature, _sign(key, content)):
        return None
    found = json.loads(content)
    age = now.timestamp() - found.pop("at")
    trip = Trip(**found)
    fresh = -1 <= age <= TRIP_LIFE.total_seconds()
    return trip if fresh and trip.provider == provider else None


def trip_key(cookie_secret: bytes) -> bytes:
    """The key of `seal`, made from the Hub's so that neither's signatures work for the other."""
    return hmac.digest(cookie_secret, b"perijove: trips to OpenID providers", "sha256")


def own_path(next: str) -> str:
    """`next` if it is a path on this very site, else the portal. Never elsewhere."""
    parts = urlsplit(next)
    plain = next.isascii() and next.isprintable() and not set(next) & {"\\", " "}
    inside = next.startswith("/") and not next.startswith("//") and not parts.netloc
    return next if plain and inside and len(next) <= MAX_NEXT else HOME_PAGE


class Once:
    """Says whether something is seen for the first time; bounded, the oldest is forgotten first.

    What it guards expires by itself sooner than `most` others can arrive and be checked.
    """

    def __init__(self, most: int = 20_000) -> None:
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self._most = most

    def first(self, *what: str) -> bool:
        """True the first time, False after that."""
        key = hashlib.sha256(json.dumps(what).encode()).digest()
        if key in self._seen:
            return False
        self._seen[key] = None
        while len(self._seen) > self._most:
            self._seen.popitem(last=False)
        return True


def _sign(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, content, "sha256")


def _b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
