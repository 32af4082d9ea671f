"""Looks for new material in the background: when it is asked for, and before lab hours."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlmodel import Session, select

from hub import holds
from hub.control_context import Control
from hub.courses import material
from hub.courses.material_git import Bounds
from hub.store.course_tables import CourseRow
from quotas.windows import Window

log = logging.getLogger("perijove.material")

T = TypeVar("T")
LOOK_EVERY_S = 0.5
HOURS_EVERY = timedelta(minutes=1)
BEFORE_HOURS = timedelta(minutes=15)
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
        self._hours_at: datetime | None = None

    async def run(self) -> None:
        """Until cancelled. A look that fails is logged and the next one tries again."""
        await self._thread(material.interrupted, self._control)
        while True:
            try:
                await self.look()
            except Exception:  # a moment without a database must not end it
                log.exception("material-look-failed")
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Begin what is due; does not wait for it."""
        await self._thread(self._before_hours)
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

    async def _thread(self, act: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, act, *args)

    def _before_hours(self) -> None:
        now = self._control.clock.now()
        if self._hours_at is not None and now - self._hours_at < HOURS_EVERY:
            return
        self._hours_at = now
        with self._control.store.read() as session:
            soon = _hours_soon(session, Window(now, now + BEFORE_HOURS))
        material.make_due(self._control, soon)
        material.drop_unused(self._control)


def _hours_soon(session: Session, span: Window) -> list[str]:
    """Courses with material whose lab hours begin in `span`."""
    courses = set(session.exec(select(CourseRow.tenant_id).where(CourseRow.material_url != "")))
    return sorted(
        {
            row.tenant_id
            for row in holds.live_rows(session, span.starts_at)
            if row.tenant_id in courses
            and any(
                span.starts_at <= window.starts_at < span.ends_at
                for window in holds.windows_of_row(row)
            )
        }
    )
