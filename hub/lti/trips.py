"""Launches on their way: the state that goes to a platform and back, bound to a browser, and what
waits for a choice of the visitor's."""

import hashlib
import hmac
import json
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tornado.web import create_signed_value, decode_signed_value

from catalog.clock import Clock
from hub.lti.messages import Launch

TRIP_LIFE = timedelta(minutes=10)
WAIT_LIFE = timedelta(minutes=15)
MAX_STATE = 2000
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Trip:
    """What has to be the same when the visitor comes back from the platform."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)


class Seals:
    """The states of trips: signed with a key made from the Hub's, and kept nowhere. One browser may
    have several trips under way: a page of a learning system can hold more than one link."""

    def __init__(self, cookie_secret: bytes, clock: Clock) -> None:
        self._key = hmac.digest(cookie_secret, b"perijove: launches by learning systems", "sha256")
        self._clock = clock

    def begin(self, platform: str, browser: str) -> Trip:
        """A new trip to a platform, of the browser that holds the secret `browser`."""
        nonce = secrets.token_urlsafe(24)
        facts = json.dumps({"nonce": nonce, "browser": _digest(browser)})
        at = self._clock.now().timestamp
        sealed = create_signed_value(self._key, _name(platform), facts, clock=at)
        return Trip(sealed.decode(), nonce)

    def back(self, platform: str, state: str, browser: str) -> Trip | None:
        """The trip that this browser began in the last ten minutes, else None."""
        if not browser or not state.isascii() or len(state) > MAX_STATE:
            return None
        at, life = self._clock.now().timestamp, TRIP_LIFE / _DAY
        found = decode_signed_value(self._key, _name(platform), state, life, clock=at)
        facts = json.loads(found) if found else {}
        if not hmac.compare_digest(facts.get("browser", ""), _digest(browser)):
            return None
        return Trip(state, facts["nonce"])


@dataclass(frozen=True, slots=True)
class Waiting:
    """A launch that holds, and who it is, where that is known: they have something to choose."""

    launch: Launch
    hub_name: str = ""
    context: str = ""


class WaitingRoom:
    """Bounded, the oldest is forgotten first; whoever has the ticket is served, once."""

    def __init__(self, clock: Clock, most: int = 2000) -> None:
        self._clock = clock
        self._most = most
        self._kept: OrderedDict[str, tuple[datetime, Waiting]] = OrderedDict()

    def enter(self, waiting: Waiting) -> str:
        """The ticket."""
        ticket = secrets.token_urlsafe(32)
        self._kept[ticket] = (self._clock.now(), waiting)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return ticket

    def look(self, platform: str, ticket: str) -> Waiting | None:
        """Who waits with this ticket, for a quarter of an hour at most."""
        at, waiting = self._kept.get(ticket, (None, None))
        if at is None or waiting is None or waiting.launch.platform != platform:
            return None
        if self._clock.now() - at > WAIT_LIFE:
            return None
        return waiting

    def leave(self, ticket: str) -> None:
        """The ticket is used up."""
        self._kept.pop(ticket, None)


def _name(platform: str) -> str:
    return f"lti-state:{platform}"


def _digest(browser: str) -> str:
    return hashlib.sha256(browser.encode()).hexdigest()
