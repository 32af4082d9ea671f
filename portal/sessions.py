"""Who is signed in, in memory: the browser holds an opaque id, the Hub token never leaves here."""

import hashlib
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from catalog.clock import Clock

IDLE = timedelta(hours=12)
PENDING = timedelta(minutes=10)
MOST = 10_000
"""The most sessions, sign-ins under way, or open pages; the one unused longest goes first."""


def digest(secret: str) -> str:
    """What is kept of an opaque id: finding one in memory does not let anybody in."""
    return hashlib.sha256(secret.encode()).hexdigest()


@dataclass(slots=True)
class Session:
    """One browser that signed in. `hub_session` binds it to the Hub's own sign-in."""

    key: str
    token: str = field(repr=False)
    hub_session: str
    used_at: datetime
    streams: int = 0


@dataclass(frozen=True, slots=True)
class SignIn:
    """A trip to the Hub under way; `browser` is the digest of the cookie that it must return to."""

    browser: str
    verifier: str
    next: str
    ends_at: datetime


class Sessions:
    """Sessions, trips to the Hub, and the ids of open Panel pages."""

    def __init__(self, clock: Clock, *, most: int = MOST) -> None:
        self._clock = clock
        self._most = most
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._sign_ins: OrderedDict[str, SignIn] = OrderedDict()
        self._pages: OrderedDict[str, str] = OrderedDict()

    def open(self, token: str, hub_session: str) -> str:
        """Begin a session; returns the id for the cookie, which is kept nowhere here."""
        cookie = secrets.token_urlsafe(32)
        key = digest(cookie)
        self._sessions[key] = Session(key, token, digest(hub_session), self._clock.now())
        self._cap(self._sessions)
        return cookie

    def find(self, cookie: str, hub_session: str) -> Session | None:
        """The session of a cookie, unless it idled for 12 hours or the Hub's sign-in changed."""
        session = self._sessions.get(digest(cookie)) if cookie else None
        if session is None:
            return None
        if not secrets.compare_digest(session.hub_session, digest(hub_session)):
            self.close(session.key)
            return None
        return self._fresh(session)

    def close(self, key: str) -> None:
        """Forget a session and the pages opened with it; repeating it costs nothing."""
        self._sessions.pop(key, None)
        for page in [page for page, owner in self._pages.items() if owner == key]:
            del self._pages[page]

    def mint_page(self, session: Session) -> str:
        """An id for one Panel page of this session. It proves nothing without the cookie."""
        page = secrets.token_urlsafe(24)
        self._pages[page] = session.key
        self._cap(self._pages)
        return page

    def of_page(self, page: str) -> Session | None:
        """The session that opened a page, while it lasts."""
        session = self._sessions.get(self._pages.get(page, ""))
        return None if session is None else self._fresh(session)

    def begin_sign_in(self, browser: str, verifier: str, next: str) -> str:
        """Remember a trip to the Hub; returns its `state`."""
        state = secrets.token_urlsafe(24)
        ends_at = self._clock.now() + PENDING
        self._sign_ins[digest(state)] = SignIn(digest(browser), verifier, next, ends_at)
        self._cap(self._sign_ins)
        return state

    def end_sign_in(self, state: str, browser: str) -> SignIn | None:
        """The trip that this browser began, once; None for another's, an old or a used one."""
        found = self._sign_ins.pop(digest(state), None)
        if found is None or found.ends_at < self._clock.now():
            return None
        return found if secrets.compare_digest(found.browser, digest(browser)) else None

    def _fresh(self, session: Session) -> Session | None:
        now = self._clock.now()
        if now - session.used_at > IDLE:
            self.close(session.key)
            return None
        session.used_at = now
        self._sessions.move_to_end(session.key)
        return session

    def _cap(
        self, table: OrderedDict[str, Session] | OrderedDict[str, SignIn] | OrderedDict[str, str]
    ) -> None:
        while len(table) > self._most:
            table.popitem(last=False)
