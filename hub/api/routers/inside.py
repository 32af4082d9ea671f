"""What running work says and is told of itself, with the token that its server was started with."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request

from hub import announcements, idle, inside, workloads
from hub.announcements import HINT
from hub.api import schema
from hub.api.access import ControlArg, InsideArg, does, inside_of
from hub.api.announcement_schema import AnnouncementView, announcement_view
from hub.api.inside_schema import (
    ActiveBody,
    AnswerBody,
    Answered,
    InsideExtendBody,
    InsideView,
    Noted,
    inside_view,
)
from hub.api.routers.workloads import show_one
from hub.bus import Hint
from hub.control_context import Control
from hub.courses import visits
from hub.inside import Inside
from hub.policy import Action, Actor
from hub.store.ids import new_id

router = APIRouter()

LONGEST_WAIT_S = 30
Key = Annotated[str, Header(alias="Idempotency-Key", max_length=200)]


@router.post("/workloads/{workload_id}/saved", **does(Action.REPORT_SAVED))
def saved(workload_id: str, control: ControlArg, actor: InsideArg) -> schema.WorkloadView:
    """Its work is saved as of now: what comes before is not lost if it must go."""
    return show_one(control, actor, workloads.saved(control, actor, workload_id))


@router.get("/workloads/{workload_id}/inside", **does(Action.READ_SELF))
async def look(
    request: Request, workload_id: str, control: ControlArg, actor: InsideArg,
    mark: Annotated[str, Query(max_length=40)] = "",
    wait: Annotated[int, Query(ge=0, le=LONGEST_WAIT_S)] = 0,
) -> InsideView:  # fmt: skip
    """Time left, share, memory, cost, messages. With the `mark` of the last look it waits up to
    `wait` seconds until there is something that a person should see at once."""
    until = asyncio.get_running_loop().time() + wait
    with control.bus.listen() as hints:
        while True:
            found = await asyncio.to_thread(inside.look, control, actor, workload_id)
            view = _shown(control, found)
            if view.mark != mark or not wait:
                return view
            if not await _heard(hints, actor, workload_id, until):
                return _shown(control, await asyncio.to_thread(inside.with_memory, control, found))
            # A token that was good when the wait began may not be any more.
            actor = await inside_of(workload_id, request, request.headers.get("authorization", ""))


@router.post("/workloads/{workload_id}/inside/extend", **does(Action.EXTEND))
def extend(
    workload_id: str, body: InsideExtendBody, control: ControlArg, actor: InsideArg,
    idempotency_key: Key = "",
) -> InsideView:  # fmt: skip
    """A longer lease, where that delays nobody in the queue."""
    inside.own(control, actor, workload_id)
    key = idempotency_key or new_id("x")
    return _shown(control, inside.extend(control, actor, workload_id, body.by, key))


@router.post("/workloads/{workload_id}/inside/active", **does(Action.REPORT_ACTIVE))
def active(workload_id: str, body: ActiveBody, control: ControlArg, actor: InsideArg) -> Noted:
    """When its server was last at work. It tells so while it works, and every five minutes."""
    idle.report(control, actor, workload_id, body.idle_s)
    return Noted(id=workload_id)


@router.post(
    "/workloads/{workload_id}/inside/announcements/{announcement_id}/seen",
    **does(Action.READ_ANNOUNCEMENTS),
)
def put_away(
    workload_id: str, announcement_id: str, control: ControlArg, actor: InsideArg
) -> AnnouncementView:
    """You have read it, and see it no more here or in the portal; safe to repeat."""
    inside.own(control, actor, workload_id)
    return announcement_view(announcements.put_away(control, actor, announcement_id))


@router.post(
    "/workloads/{workload_id}/inside/visits/{visit_id}/answer", **does(Action.ANSWER_VISIT)
)
def answer(
    workload_id: str, visit_id: str, body: AnswerBody, control: ControlArg, actor: InsideArg
) -> Answered:
    """Let somebody of the staff open this server, or not."""
    inside.visit_of(control, actor, workload_id, visit_id)
    visits.answer(control, actor, visit_id, allow=body.allow)
    return Answered(id=visit_id, allowed=body.allow)


@router.post("/workloads/{workload_id}/inside/visits/{visit_id}/end", **does(Action.ANSWER_VISIT))
def end_visit(workload_id: str, visit_id: str, control: ControlArg, actor: InsideArg) -> Answered:
    """Whoever looks into this server leaves now; safe to repeat."""
    inside.visit_of(control, actor, workload_id, visit_id)
    visits.end(control, actor, visit_id)
    return Answered(id=visit_id, allowed=False)


def _shown(control: Control, found: Inside) -> InsideView:
    return inside_view(found, control.settings.url)


async def _heard(hints: asyncio.Queue[Hint], actor: Actor, workload_id: str, until: float) -> bool:
    """Whether something of this person or workload, or an announcement, came before `until` (seconds
    of the loop)."""
    try:
        async with asyncio.timeout_at(until):
            while True:
                hint = await hints.get()
                mine = hint.person_id == actor.person_id or hint.workload_id == workload_id
                if mine or (hint.kind == HINT.kind and hint.person_id is None):
                    return True
    except TimeoutError:
        return False
