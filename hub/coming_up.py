"""Servers that were launched and do not listen yet: one look for all of them, however many come."""

import asyncio
import contextlib
import logging
import time

from catalog.errors import PerijoveError, Unavailable
from hub import starting
from hub.control_context import Control
from hub.starting import Started

log = logging.getLogger("perijove.starting")

LOOK_EVERY_S = 0.02
REST = 4
"""After a look that took long, this many times as long nothing is looked at: when a class arrives,
the machine has better things to do."""


class ComingUp:
    """For one event loop."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._waiting: dict[str, set[asyncio.Future[Started]]] = {}
        self._looking: asyncio.Task[None] | None = None

    async def up(self, attempt_id: str, within_s: float) -> Started | None:
        """As soon as it listens; None when it does not in time. Raises Unavailable when it ended."""
        mine: asyncio.Future[Started] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(attempt_id, set()).add(mine)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_until_all_are_up())
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    return await mine
            return None
        finally:
            if waiting := self._waiting.get(attempt_id):
                waiting.discard(mine)
                if not waiting:
                    del self._waiting[attempt_id]

    async def _look_until_all_are_up(self) -> None:
        while self._waiting:
            begun = time.monotonic()
            found = await asyncio.to_thread(self._look, list(self._waiting))
            for attempt_id, what in found.items():
                for mine in self._waiting.pop(attempt_id, ()):
                    _answer(mine, what)
            took = time.monotonic() - begun
            await asyncio.sleep(max(LOOK_EVERY_S, REST * took))

    def _look(self, attempt_ids: list[str]) -> dict[str, Started | PerijoveError]:
        """Those that listen, and those that never will."""
        found: dict[str, Started | PerijoveError] = {}
        for attempt_id in attempt_ids:
            try:
                started = starting.started(self._control, attempt_id)
            except PerijoveError as error:
                found[attempt_id] = error
            except Exception:  # whoever waits for this one is told; the others wait on
                log.exception("look-failed attempt=%s", attempt_id)
                found[attempt_id] = Unavailable("it cannot be looked at", next="try again")
            else:
                if started is not None:
                    found[attempt_id] = started
        return found


def _answer(mine: asyncio.Future[Started], what: Started | PerijoveError) -> None:
    if mine.done():  # who waited has gone
        return
    if isinstance(what, PerijoveError):
        mine.set_exception(what)
    else:
        mine.set_result(what)
