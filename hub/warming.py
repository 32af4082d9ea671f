"""Makes classes ready before they begin: their environments imported, their material fetched, their
teachers told of what is wrong while there is still time.

Nothing depends on it but speed: a start finds for itself whatever is not ready. Places need no
warming. They are found at each beat of the reconciler (`hub.holds`), and a start in lab hours takes
one of them.
"""

import asyncio
import logging
import os
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial

from sqlmodel import Session, select

from catalog.units import MIB
from hub import templates
from hub.bus import Hint
from hub.control_context import Control
from hub.courses import material, readiness
from hub.courses.notices import tell_staff, worded
from hub.courses.readiness import Class, Readiness, State
from hub.rounds import again
from hub.store.tables import NoticeRow
from hub.world import Limits, read_world
from spawners.engine import Template

log = logging.getLogger("perijove.warming")

BEAT_S = 20.0
NOTICE = "class-start"
"""The kind of notice that says what is not ready for a class."""
TEMPLATE_BYTES = 256 * MIB
"""What a process with an environment imported may take."""
PART_OF_MEMORY = 16
"""Such processes take this part of the machine's memory at the most, and one may always be there."""
LOOK_AFTER = timedelta(minutes=6)
"""Material that was looked for longer ago is looked for again: always before a start would find it
old (`material.FRESH_FOR`)."""


class ClassWarmer:
    """One for a control process; `run()` in its event loop."""

    def __init__(self, control: Control, most: int | None = None) -> None:
        self._control = control
        self._most = most_templates() if most is None else most
        self._known: dict[str, frozenset[str]] = {}
        """Of each class that is near, what is wrong and its instructors were told."""

    async def run(self) -> None:
        """Until cancelled. Where a look fails, classes start without it, and later."""
        await again(partial(asyncio.to_thread, self.look), BEAT_S, log, "warming-failed")

    def look(self) -> list[Readiness]:
        """Look once; what was found of each class that is on or comes soon."""
        control = self._control
        now = control.clock.now()
        with control.store.read() as session:
            until = now + control.settings.warm_ahead_span
            soon: list[Class] = []
            if readiness.any_window(session, now, until):
                claims = read_world(control, session, Limits(session)).running
                soon = readiness.classes(control, session, claims, until)
        control.engine.prepare(self._templates(soon))
        material.refresh(control, {one.course.tenant_id for one in soon}, LOOK_AFTER)
        found = [readiness.look(control, one) for one in soon]
        near = {one.booking.key for one in soon}
        self._known = {key: names for key, names in self._known.items() if key in near}
        for one in found:
            self._tell(one, now)
        return found

    def _templates(self, soon: Iterable[Class]) -> list[Template]:
        """Of the classes that begin first; another's is made when its first student comes."""
        names = dict.fromkeys(one.course.environment for one in soon)
        found = [templates.named(self._control.settings, name) for name in names]
        return [template for template in found if template is not None][: self._most]

    def _tell(self, found: Readiness, now: datetime) -> None:
        """Once for each class and each thing, to its instructors."""
        # By name: the words change with every place that is found and every look at the material.
        wrong = frozenset(part.name for part in found.parts if part.state is State.WRONG)
        known = self._known.get(found.lesson.booking.key, frozenset[str]())
        if wrong <= known or found.lesson.window.starts_at <= now:
            return
        course_id, control = found.lesson.course.tenant_id, self._control
        since = found.lesson.window.starts_at - control.settings.warm_ahead_span
        with control.store.read() as session:
            told = _told(session, course_id, found.text, since)  # before a restart
        if not told:
            with control.store.write() as session:
                tell_staff(control, session, course_id, NOTICE, found.text)
            control.bus.tell(Hint("notices"))
        self._known[found.lesson.booking.key] = known | wrong


def most_templates() -> int:
    """How many environments may be kept ready for classes on this machine."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, memory // PART_OF_MEMORY // TEMPLATE_BYTES)


def _told(session: Session, course_id: str, text: str, since: datetime) -> bool:
    query = select(NoticeRow.id).where(
        NoticeRow.tenant_id == course_id, NoticeRow.kind == NOTICE, NoticeRow.at >= since,
        NoticeRow.text == worded(session, course_id, text),
    )  # fmt: skip
    return session.exec(query.limit(1)).first() is not None
