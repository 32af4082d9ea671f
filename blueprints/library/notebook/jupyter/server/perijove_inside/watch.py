"""One look at control at a time, however many pages ask; none when nobody asks."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol

from .memory import used_mib
from .upstream import Away, Refused

WAIT_S = 25
"""How long control holds a look back that has nothing new."""
IDLE_S = 90.0
"""So long after the last page asked, control is asked no more."""
RETRY_S = 5.0


class Looks(Protocol):
    async def look(self, mark: str, wait_s: int) -> dict[str, Any]: ...


class Watch:
    """The newest that control said, and whether it answers."""

    def __init__(self, upstream: Looks, clock: Callable[[], float] = time.monotonic) -> None:
        self._upstream, self._clock = upstream, clock
        self._inside: dict[str, Any] | None = None
        self._refused: Refused | None = None
        self._reachable = True
        self._round = 0
        self._asked_at = 0.0
        self._turn = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    async def after(self, mark: str, wait_s: float) -> dict[str, Any]:
        """What a page should show: as soon as it differs from `mark`, or after `wait_s`. Raises
        Refused when control will not tell."""
        self._asked_at = self._clock()
        self._begin()
        try:
            async with asyncio.timeout(wait_s), self._turn:
                await self._turn.wait_for(lambda: self._known and self.mark != mark)
        except TimeoutError:
            pass
        self._asked_at = self._clock()
        if self._refused is not None:
            raise self._refused
        return self.page()

    def learn(self, inside: dict[str, Any]) -> dict[str, Any]:
        """Control has just said this, in answer to something else."""
        self._take(inside)
        self._round += 1
        return self.page()

    def page(self) -> dict[str, Any]:
        """As the page gets it."""
        return {"mark": self.mark, "reachable": self._reachable, "inside": self._inside}

    @property
    def mark(self) -> str:
        said = self._inside["mark"] if self._inside else ""
        return f"{said}.{int(self._reachable)}"

    @property
    def asks_idle(self) -> bool:
        """Whether the question is open if anybody still works."""
        return bool(self._inside and self._inside.get("idle"))

    @property
    def _known(self) -> bool:
        return self._inside is not None or self._refused is not None or not self._reachable

    def _begin(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        while self._clock() - self._asked_at < IDLE_S:
            pause, begun = 0.0, self._round
            said = self._inside["mark"] if self._inside and self._reachable else ""
            try:
                inside = await self._upstream.look(said, WAIT_S)
                if begun == self._round:  # else it may be older than what was learnt meanwhile
                    self._take(inside)
            except Refused as refused:
                self._refused, pause = refused, RETRY_S
            except Away:
                self._reachable, pause = False, RETRY_S
            async with self._turn:
                self._turn.notify_all()
            await asyncio.sleep(pause)

    def _take(self, inside: dict[str, Any]) -> None:
        if not inside["memory"]["used_mib"]:
            inside["memory"]["used_mib"] = used_mib()
        self._inside, self._refused, self._reachable = inside, None, True
