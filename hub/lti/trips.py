"""Launches on their way: the state that goes to a platform and back, bound to a browser, and tickets
for the pages of ours in between. All signed, short, and kept nowhere but with the browser."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

from tornado.web import create_signed_value, decode_signed_value

from catalog.clock import Clock
from hub.lti.messages import Context, Launch, Linking, Services

TRIP_LIFE = timedelta(minutes=10)
TICKET_LIFE = timedelta(minutes=15)
_DAY = timedelta(days=1)
MAX_SEALED = 60_000


@dataclass(frozen=True, slots=True)
class Trip:
    """What has to be the same when the visitor comes back from the platform."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)


class Seals:
    """Signs and reads with a key made from the Hub's."""

    def __init__(self, cookie_secret: bytes, clock: Clock) -> None:
        self._key = hmac.digest(
            cookie_secret, b"perijove: launches from learning systems", "sha256"
        )
        self._clock = clock

    def begin(self, platform: str, browser: str) -> Trip:
        """A new trip to a platform, of the browser that holds the secret `browser`."""
        nonce = secrets.token_urlsafe(24)
        facts = {"nonce": nonce, "browser": _digest(browser), "one": secrets.token_urlsafe(12)}
        return Trip(self._seal(f"lti-state:{platform}", facts), nonce)

    def back(self, platform: str, state: str, browser: str) -> Trip | None:
        """The trip that this browser began in the last ten minutes, else None."""
        facts = self._open(f"lti-state:{platform}", state, TRIP_LIFE)
        if facts is None or not browser:
            return None
        if not hmac.compare_digest(str(facts.get("browser")), _digest(browser)):
            return None
        return Trip(state, str(facts["nonce"]))

    def ticket(self, purpose: str, launch: Launch, **more: str) -> str:
        """A verified launch, to be shown again by the same browser within a quarter of an hour."""
        facts = {"launch": asdict(launch), "one": secrets.token_urlsafe(12), **more}
        return self._seal(f"lti-{purpose}:{launch.platform}", facts)

    def launch_of(
        self, purpose: str, platform: str, ticket: str
    ) -> tuple[Launch, Mapping[str, Any]] | None:
        """The launch in a ticket, and what else was put into it."""
        facts = self._open(f"lti-{purpose}:{platform}", ticket, TICKET_LIFE)
        return (launch_from(facts["launch"]), facts) if facts else None

    def _seal(self, name: str, facts: Mapping[str, Any]) -> str:
        at = self._clock.now().timestamp
        return create_signed_value(self._key, name, json.dumps(facts), clock=at).decode()

    def _open(self, name: str, sealed: str, life: timedelta) -> dict[str, Any] | None:
        if not sealed.isascii() or len(sealed) > MAX_SEALED:
            return None
        at = self._clock.now().timestamp
        found = decode_signed_value(self._key, name, sealed, max_age_days=life / _DAY, clock=at)
        return json.loads(found) if found else None


def launch_from(facts: Mapping[str, Any]) -> Launch:
    """A launch from what `dataclasses.asdict` made of it."""
    context, linking = facts["context"], facts["linking"]
    services = {**facts["services"], "scopes": tuple(facts["services"]["scopes"])}
    return Launch(
        **{
            **facts,
            "context": Context(**context) if context else None,
            "linking": Linking(**linking) if linking else None,
            "services": Services(**services),
        }
    )


def _digest(browser: str) -> str:
    return hashlib.sha256(browser.encode()).hexdigest()
