"""Looks for new material in the background, whoever asked for it (`hub.warming` does before classes)."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any, TypeVar

from hub.control_context import Control
from hub.courses import material
from hub.courses.material_git import Bounds
from hub.rounds import again

log = logging.getLogger("perijove.material")

T = TypeVar("T")
LOOK_EVERY_S = 0.5
TIDY_EVERY = timedelta(minutes=1)
AT_ONCE = 2
"""Repositories that are fetched at the same time."""


class MaterialKeeper:
    """One for a control process; `run()` in its event loop."""

    def __init__(self, control: Control, bounds: Bounds | None = None) -> None:
        self._control = control
        self._bounds = bounds or Bounds()
        self._room = asyncio.Semaphore(AT_ONCE)
        # Its own threads: those of the loop may all wait, at the start of labs, for what is done here.
        self._threads = ThreadPoolExecutor(AT_ONCE + 1, "material")
        self._tasks: set[asyncio.Task[None]] = set()
        self._tidied_at: datetime | None = None

    async def run(self) -> None:
        """Until cancelled."""
        await self._thread(material.interrupted, self._control)
        await again(self.look, LOOK_EVERY_S, log, "material-look-failed")

    async def look(self) -> None:
        """Begin what is due; does not wait for it."""
        await self._thread(self._tidy)
        for course_id in await self._thread(material.claim_due, self._control):
            task = asyncio.create_task(self._fetch(course_id))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def settled(self) -> None:
        """Wait until everything that has begun has ended."""
        await asyncio.gather(*self._tasks)

    async def _fetch(self, course_id: str) -> None:
        try:
            async with self._room:
                await self._thread(material.fetch, self._control, course_id, self._bounds)
        except Exception:  # of one course: the others go on
            log.exception("material-fetch-failed course=%s", course_id)
        finally:
            self._control.fetching.discard(course_id)
            self._control.unhurried.discard(course_id)

    async def _thread(self, act: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, act, *args)

    def _tidy(self) -> None:
        now = self._control.clock.now()
        if self._tidied_at is None or now - self._tidied_at >= TIDY_EVERY:
            self._tidied_at = now
            material.drop_unused(self._control)
