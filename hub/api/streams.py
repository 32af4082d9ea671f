"""Server-sent events: what happens is told as it happens, for as long as the listener may hear it.

A stream outlives the request that was judged, so it is judged again at each heartbeat: it ends when
its token was revoked, its person was deactivated, or its object is not theirs to see any more.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

from fastapi import Request
from sqlmodel import col, select

from catalog.errors import PerijoveError, Unavailable
from hub.api import schema
from hub.api.access import actor_of, control_of
from hub.control_context import Control
from hub.lifecycle import Status
from hub.policy import Actor
from hub.store.tables import EventRow, WorkloadRow

HEARTBEAT_S = 15.0
_BEAT = ": still here\n\n"
_END = "event: end\ndata: {}\n\n"


class Listener:
    """Whoever reads a stream. `may` raises when an actor may not."""

    def __init__(self, request: Request, may: Callable[[Actor], object]) -> None:
        self._request = request
        self._may = may
        self._judged_at = asyncio.get_running_loop().time()

    async def listens(self) -> bool:
        """Whether to go on: somebody is there, and may still hear it."""
        if await self._request.is_disconnected():
            return False
        now = asyncio.get_running_loop().time()
        if now - self._judged_at < HEARTBEAT_S:
            return True
        self._judged_at = now
        try:
            actor = await actor_of(self._request, self._request.headers.get("authorization", ""))
            await asyncio.to_thread(self._may, actor)
        except Unavailable:
            return True  # the Hub is away for a moment: nothing new is known of the token
        except PerijoveError:
            return False
        return True


async def history(
    request: Request, workload_id: str, last: int, may: Callable[[Actor], object]
) -> AsyncIterator[str]:
    """The events of a workload after `last`, then the new ones; says `end` when it has ended."""
    control, listener = control_of(request), Listener(request, may)
    with control.bus.listen() as hints:
        while await listener.listens():
            found, live = await asyncio.to_thread(_events_after, control, workload_id, last)
            for event in found:
                last = event.id
                yield f"id: {event.id}\ndata: {event.model_dump_json()}\n\n"
            if not live:
                yield _END
                return
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    while (await hints.get()).workload_id != workload_id:
                        pass
            except TimeoutError:
                yield _BEAT


async def hints(
    request: Request, actor: Actor, may: Callable[[Actor], object]
) -> AsyncIterator[str]:
    """That something changed which `actor` may care for; what, the listener reads for itself."""
    control, listener = control_of(request), Listener(request, may)
    with control.bus.listen() as heard:
        yield ": hello\n\n"
        while await listener.listens():
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    hint = await heard.get()
            except TimeoutError:
                yield _BEAT
                continue
            if hint.person_id in {None, actor.person_id}:
                yield f'data: {{"kind": "{hint.kind}"}}\n\n'


def _events_after(control: Control, workload_id: str, last: int) -> tuple[list[schema.Event], bool]:
    with control.store.read() as session:
        rows = session.exec(
            select(EventRow)
            .where(EventRow.workload_id == workload_id, col(EventRow.id) > last)
            .order_by(col(EventRow.id))
        ).all()
        row = session.get_one(WorkloadRow, workload_id)
    found = [schema.Event(id=e.id or 0, at=e.at, status=e.status, text=e.text) for e in rows]
    return found, Status(row.status).live
