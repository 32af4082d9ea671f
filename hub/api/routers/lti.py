"""Learning systems (LTI 1.3): which of their courses lead into ours, rosters, scores."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from hub.api.access import ActorArg, ControlArg, does
from hub.api.lti_schema import (
    LtiContextView,
    LtiLinkBody,
    LtiScoreBody,
    LtiScoreView,
    LtiSyncView,
)
from hub.api.schema import Page
from hub.closing import in_thread
from hub.courses.people import place_of
from hub.lti import contexts, scores, sync
from hub.lti.services import LINE_SCOPE
from hub.lti.systems import Systems
from hub.policy import Action
from hub.store.access_tables import LtiContextRow

router = APIRouter()
COURSE = "/courses/{course}/lti"


def systems_of(request: Request, control: ControlArg) -> Systems:
    """One for the application: it keeps the tokens of platforms."""
    state = request.app.state
    if not hasattr(state, "lti"):
        state.lti = Systems(control.settings, control.clock)
    return state.lti


SystemsArg = Annotated[Systems, Depends(systems_of)]


@router.get("/lti/contexts", **does(Action.READ_SELF))
def unlinked(
    control: ControlArg, actor: ActorArg, cursor: Annotated[str, Query(max_length=60)] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Page[LtiContextView]:  # fmt: skip
    """Courses of learning systems that are linked to none of ours: those that you came from as their
    instructor; a platform administrator sees all."""
    with control.store.read() as session:
        rows = contexts.visible(session, actor, cursor, limit + 1)
    shown = rows[:limit]
    more = shown[-1].id if len(rows) > limit else None
    return Page(items=[_view(row) for row in shown], next=more)


@router.get("/lti/contexts/{context}", **does(Action.READ_SELF))
def one(context: str, control: ControlArg, actor: ActorArg) -> LtiContextView:
    """One of them, linked or not."""
    with control.store.read() as session:
        return _view(contexts.by_id(session, actor, context))


@router.get(COURSE, **does(Action.MANAGE_COURSE))
def links(course: str, control: ControlArg, actor: ActorArg) -> Page[LtiContextView]:
    """The courses of learning systems that lead into this one; there are only ever a few."""
    with control.store.read() as session:
        place_of(session, actor, course, Action.MANAGE_COURSE)
        rows = contexts.linked_to(session, course)
    return Page(items=[_view(row) for row in rows], next=None)


@router.post(COURSE, **does(Action.MANAGE_COURSE))
def link(course: str, body: LtiLinkBody, control: ControlArg, actor: ActorArg) -> LtiContextView:
    """Whoever comes from there comes into this course from now on. Again is fine."""
    return _view(contexts.link(control, actor, body.context, course))


@router.delete(COURSE + "/{context}", status_code=204, **does(Action.MANAGE_COURSE))
def unlink(course: str, context: str, control: ControlArg, actor: ActorArg) -> None:
    """End a link; whom that learning system alone had brought leaves the course."""
    contexts.unlink(control, actor, context, course)


@router.post(COURSE + "/sync", **does(Action.MANAGE_COURSE))
async def look(
    course: str, control: ControlArg, actor: ActorArg, systems: SystemsArg
) -> Page[LtiSyncView]:
    """Look at the rosters now; what went wrong with one is in its line."""
    rows = await in_thread(sync.demand_managed, control, actor, course)
    found = await sync.sync(control, systems, course, rows, actor.person_id)
    items = [
        LtiSyncView(
            platform=one.platform, members=one.members, joined=one.joined, left=one.left,
            kept_out=one.kept_out, error=one.error,
        )
        for one in found
    ]  # fmt: skip
    return Page(items=items, next=None)


@router.post(COURSE + "/score", **does(Action.MANAGE_COURSE))
async def score(
    course: str, body: LtiScoreBody, control: ControlArg, actor: ActorArg, systems: SystemsArg
) -> LtiScoreView:
    """A student's score into the gradebook of the learning system that they came from. Send it again
    as you like: the newest counts."""
    mark = scores.Mark(body.login, body.score, body.max, body.comment)
    return LtiScoreView(platform_title=await scores.post(control, systems, actor, course, mark))


def _view(row: LtiContextRow) -> LtiContextView:
    can_make = bool(row.line_items_url) and LINE_SCOPE in row.scopes.split()
    return LtiContextView(
        id=row.id, platform=row.platform, title=row.title, course=row.tenant_id,
        roster=bool(row.roster_url), grades=can_make or bool(row.line_item_url),
        synced_at=row.synced_at, error=row.sync_error,
    )  # fmt: skip
