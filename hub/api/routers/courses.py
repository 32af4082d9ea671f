"""Courses: make, look, change, clone, end; groups, rules, join links, Open lab."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from sqlmodel import Session

from hub.api import course_intake as intake
from hub.api import course_schema as schema
from hub.api import course_views as views
from hub.api.access import ActorArg, ControlArg, does
from hub.api.routers.workloads import show_one
from hub.api.schema import Page, WorkloadView
from hub.control_context import Control
from hub.courses import (
    access,
    changing,
    cloning,
    ending,
    groups,
    lab,
    links,
    listing,
    making,
    rules,
)
from hub.courses.making import Made
from hub.courses.wishes import Rule
from hub.policy import Action, Actor
from hub.store.course_tables import CourseRow

router = APIRouter()

Cursor = Annotated[str, Query(max_length=60)]


@router.get("/courses", **does(Action.READ_COURSE))
def courses(
    control: ControlArg, actor: ActorArg,
    state: Literal["current", "over", "all"] = "all",
    cursor: Cursor = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Page[schema.CourseView]:  # fmt: skip
    """Courses that you are in or administer; those that end last come first."""
    with control.store.read() as session:
        rows, following = listing.page(control, session, actor, state, cursor=cursor, limit=limit)
        items = [views.course_view(control, session, actor, row) for row in rows]
    return Page(items=items, next=following or None)


@router.post("/courses", status_code=201, **does(Action.ADD_COURSE))
def create(body: schema.CourseBody, control: ControlArg, actor: ActorArg) -> schema.CourseView:
    """Make a course with all that belongs to it; when something is wrong, nothing is made."""
    return _view(control, actor, making.create(control, actor, intake.new_course(body)))


@router.post("/courses/check", **does(Action.ADD_COURSE))
def check(body: schema.CourseBody, control: ControlArg, actor: ActorArg) -> schema.CourseCheck:
    """Everything that is wrong with a course, and what making it would do. Nothing is made."""
    wanted = intake.new_course(body)
    made: Made = making.check(control, actor, wanted)
    return views.check_view(made, wanted)


@router.post("/courses/join", **does(Action.JOIN_COURSE))
def join(body: schema.JoinBody, control: ControlArg, actor: ActorArg) -> schema.CourseView:
    """Join the course of a link. Repeat it as you like."""
    course_id = links.join(control, actor, body.token)
    return _view(control, listing.as_now(control, actor), course_id)


@router.get("/courses/{course}", **does(Action.READ_COURSE))
def one(course: str, control: ControlArg, actor: ActorArg) -> schema.CourseView:
    """One course as you see it."""
    return _view(control, actor, course)


@router.put("/courses/{course}", **does(Action.MANAGE_COURSE))
def change(
    course: str, body: schema.CourseChange, control: ControlArg, actor: ActorArg
) -> schema.CourseView:
    """Change a course; what is left out stays. When something is wrong, nothing changes."""
    changing.change(control, actor, course, intake.change(body))
    return _view(control, actor, course)


@router.post("/courses/{course}/clone", status_code=201, **does(Action.ADD_COURSE))
def clone(
    course: str, body: schema.CloneBody, control: ControlArg, actor: ActorArg
) -> schema.CourseView:
    """The course for the next term: everything of this one but its people."""
    return _view(control, actor, cloning.clone(control, actor, course, intake.clone(body)))


@router.post("/courses/{course}/end", **does(Action.MANAGE_COURSE))
def end(course: str, control: ControlArg, actor: ActorArg) -> schema.CourseView:
    """End it now: what waits is cancelled, what runs ends soon. Repeat it as you like."""
    ending.end(control, actor, course)
    return _view(control, actor, course)


@router.post("/courses/{course}/reopen", **does(Action.MANAGE_COURSE))
def reopen(course: str, control: ControlArg, actor: ActorArg) -> schema.CourseView:
    """Go on until its last day, if it was ended before and is not cleaned up."""
    ending.reopen(control, actor, course)
    return _view(control, actor, course)


@router.post("/courses/{course}/lab", status_code=201, **does(Action.LAUNCH))
def open_lab(course: str, control: ControlArg, actor: ActorArg) -> WorkloadView:
    """Your lab of the course: the one that is there, or a new one. Repeat it as you like."""
    row = lab.open_lab(control, actor, course)
    return show_one(control, actor, row)


# ---- groups ------------------------------------------------------------------------------------


@router.get("/courses/{course}/groups", **does(Action.READ_ROSTER))
def group_list(course: str, control: ControlArg, actor: ActorArg) -> Page[schema.GroupView]:
    """Its groups, by name, with their limits."""
    with control.store.read() as session:
        access.find(session, actor, course, Action.READ_ROSTER)
        found = groups.of_course(session, course)
    return Page(items=[views.group_view(group) for group in found], next=None)


@router.post("/courses/{course}/groups", status_code=201, **does(Action.MANAGE_COURSE))
def add_group(
    course: str, body: schema.GroupBody, control: ControlArg, actor: ActorArg
) -> schema.GroupView:
    """A group with limits of its own for each of its people."""
    return views.group_view(groups.add(control, actor, course, intake.group(body)))


@router.put("/courses/{course}/groups/{group}", **does(Action.MANAGE_COURSE))
def change_group(
    course: str, group: str, body: schema.GroupBody, control: ControlArg, actor: ActorArg
) -> schema.GroupView:
    """Another name and other limits; its id stays."""
    return views.group_view(groups.change(control, actor, course, group, intake.group(body)))


@router.delete("/courses/{course}/groups/{group}", **does(Action.MANAGE_COURSE))
def remove_group(
    course: str, group: str, control: ControlArg, actor: ActorArg
) -> schema.GroupView:  # fmt: skip
    """Remove a group in which nothing was launched; its people stay in the course."""
    return views.group_view(groups.remove(control, actor, course, group))


# ---- ways in -----------------------------------------------------------------------------------


@router.get("/courses/{course}/links", **does(Action.MANAGE_COURSE))
def link_list(course: str, control: ControlArg, actor: ActorArg) -> Page[schema.LinkView]:
    """Join links, the newest first, without their addresses."""
    return Page(items=views.link_views(control, links.of_course(control, actor, course)), next=None)


@router.post("/courses/{course}/links", status_code=201, **does(Action.MANAGE_COURSE))
def add_link(
    course: str, body: schema.LinkBody, control: ControlArg, actor: ActorArg
) -> schema.LinkView:
    """A link by which many may join. Its address is shown now and never again."""
    row, url = links.make(
        control, actor, course, most=body.most, expires=body.expires, group_id=body.group
    )
    return views.link_views(control, [row], url)[0]


@router.delete("/courses/{course}/links/{link}", **does(Action.MANAGE_COURSE))
def withdraw_link(
    course: str, link: str, control: ControlArg, actor: ActorArg
) -> schema.LinkView:  # fmt: skip
    """Nobody joins by it any more. Repeat it as you like."""
    return views.link_views(control, [links.withdraw(control, actor, course, link)])[0]


@router.get("/courses/{course}/rules", **does(Action.MANAGE_COURSE))
def rule_list(course: str, control: ControlArg, actor: ActorArg) -> Page[schema.RuleView]:
    """Of whom providers say what, so that they belong to the course."""
    with control.store.read() as session:
        access.find(session, actor, course, Action.MANAGE_COURSE)
        return Page(items=views.rule_views(control, session, course), next=None)


@router.post("/courses/{course}/rules", status_code=201, **does(Action.MANAGE_COURSE))
def add_rule(
    course: str, body: schema.RuleBody, control: ControlArg, actor: ActorArg
) -> Page[schema.RuleView]:
    """Let everybody in of whom a provider says this: now, or at their next sign-in."""
    rules.add(control, actor, course, intake.rule(body))
    return rule_list(course, control, actor)


@router.delete("/courses/{course}/rules", **does(Action.MANAGE_COURSE))
def remove_rule(
    course: str, control: ControlArg, actor: ActorArg,
    provider: Annotated[str, Query(max_length=60)] = "",
    claim: Annotated[str, Query(max_length=200)] = "",
    value: Annotated[str, Query(max_length=500)] = "",
) -> Page[schema.RuleView]:  # fmt: skip
    """Take a rule back, and with it whom it alone let in."""
    rules.remove(control, actor, course, Rule(provider, claim, value))
    return rule_list(course, control, actor)


def _view(control: Control, actor: Actor, course_id: str) -> schema.CourseView:
    """As the actor sees it now; who has just made it has a role in it."""
    actor = listing.as_now(control, actor)
    with control.store.read() as session:
        row = _find(session, actor, course_id)
        return views.course_view(control, session, actor, row)


def _find(session: Session, actor: Actor, course_id: str) -> CourseRow:
    return access.find(session, actor, course_id, Action.READ_COURSE)
