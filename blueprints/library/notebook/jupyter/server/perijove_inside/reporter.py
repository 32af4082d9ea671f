"""Tells control when this server was last at work: once a minute while it is, every five when not."""

import random
import time
from collections.abc import Callable
from typing import Any, Protocol

from tornado.ioloop import IOLoop, PeriodicCallback

from .upstream import Away, Refused

EVERY_S = 60.0
REMIND_S = 300.0
"""Also when nothing happened: control stops nothing that it does not hear of."""
SAME_S = 1.0


class LastWork(Protocol):
    def at(self) -> float: ...


class Posts(Protocol):
    async def post(self, path: str, body: dict[str, Any], key: str = "") -> dict[str, Any]: ...


class Reporter:
    """`look` is called every minute; `tell` by who knows that it matters now."""

    def __init__(
        self, activity: LastWork, upstream: Posts, now: Callable[[], float] = time.time
    ) -> None:
        self._activity, self._upstream, self._now = activity, upstream, now
        self._told = 0.0
        """Of which work control knows."""
        self._told_at = 0.0

    def begin(self, first: Callable[[], None]) -> None:
        """In the loop of the server, `first` and then the rounds, from some moment of the next minute
        on: a class starts at once."""
        rounds = PeriodicCallback(self.look, EVERY_S * 1000, jitter=0.1)

        def start() -> None:
            first()
            rounds.start()

        IOLoop.current().call_later(random.uniform(0, EVERY_S), start)  # noqa: S311 (no secret)

    async def look(self, *, at_once: bool = False) -> None:
        """Tell what is new, or that nothing is; while control is away, the next look tells it. Called
        more often it tells as rarely, unless it is to tell news `at_once`."""
        new = self._activity.at() > self._told + SAME_S
        since = self._now() - self._told_at
        if since >= (0.9 * EVERY_S if new else REMIND_S) or (new and at_once):
            try:
                await self.tell()
            except (Away, Refused):
                return

    async def tell(self) -> None:
        """Raises Refused or Away."""
        at = self._activity.at()
        idle_s = max(0, round(self._now() - at))
        await self._upstream.post("active", {"idle_s": idle_s})
        self._told, self._told_at = at, self._now()
