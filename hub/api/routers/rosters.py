"""The people of a course: its roster, links for those who need one, and what is kept of their work."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse, Response

from hub.api import course_intake as intake
from hub.api import course_schema as schema
from hub.api import course_views as views
from hub.api.access import ActorArg, ControlArg, does
from hub.api.schema import Page
from hub.courses import access, exports, invitations, roster
from hub.courses.importing import take_in
from hub.policy import Action, absent

router = APIRouter()


@router.get("/courses/{course}/roster", **does(Action.READ_ROSTER))
def listing(
    course: str, control: ControlArg, actor: ActorArg,
    search: Annotated[str, Query(max_length=100)] = "",
    group: Annotated[str, Query(max_length=60)] = "",
    state: Literal["", "joined", "expected", "removed"] = "",
    cursor: Annotated[str, Query(max_length=60)] = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> schema.RosterPage:  # fmt: skip
    """Who is, should be, or was in the course, by name."""
    page = roster.page(
        control, actor, course, search=search, group=group, state=state, cursor=cursor, limit=limit
    )
    items = [views.entry_view(line) for line in page.lines]
    return schema.RosterPage(items=items, next=page.next or None, total=page.total)


@router.post("/courses/{course}/roster/check", **does(Action.MANAGE_COURSE))
def check(
    course: str, body: schema.RosterBody, control: ControlArg, actor: ActorArg
) -> schema.RosterCheck:
    """What a list would do, with every problem by line and column. Nothing is changed."""
    people = intake.people(body)
    with control.store.read() as session:
        row = access.find(session, actor, course, Action.MANAGE_COURSE)
        return views.roster_check(roster.look_at(control, session, row, people))


@router.post("/courses/{course}/roster", **does(Action.MANAGE_COURSE))
def take(
    course: str, body: schema.RosterBody, control: ControlArg, actor: ActorArg
) -> schema.RosterDone:
    """Put everybody of a list on the roster, or nobody. Nobody is taken off by it."""
    return views.roster_done(take_in(control, actor, course, intake.people(body)))


@router.get("/courses/{course}/roster/file", response_class=Response, **does(Action.READ_ROSTER))
def file(course: str, control: ControlArg, actor: ActorArg) -> Response:
    """The roster as CSV."""
    return _csv(roster.file(control, actor, course), f"{course}-roster")


@router.post(
    "/courses/{course}/roster/invitations", response_class=Response, **does(Action.MANAGE_COURSE)
)
def invite(course: str, control: ControlArg, actor: ActorArg) -> Response:
    """CSV with a fresh one-time link for each who is expected without a provider. It is shown once:
    asking again makes other links, and those from before work no more."""
    made = invitations.make(control, actor, course)
    return _csv(invitations.file(made), f"{course}-links")


@router.put("/courses/{course}/roster/{entry}", **does(Action.MANAGE_COURSE))
def change(
    course: str, entry: str, body: schema.RosterChange, control: ControlArg, actor: ActorArg
) -> schema.RosterEntry:
    """Another group or role for somebody."""
    line = roster.change(control, actor, course, entry, group=body.group, role=body.role)
    return views.entry_view(line)


@router.delete("/courses/{course}/roster/{entry}", **does(Action.MANAGE_COURSE))
def remove(course: str, entry: str, control: ControlArg, actor: ActorArg) -> schema.RosterEntry:
    """Take somebody out of the course. Repeat it as you like."""
    return views.entry_view(roster.remove(control, actor, course, entry))


@router.get("/courses/{course}/exports", **does(Action.MANAGE_COURSE))
def export_list(course: str, control: ControlArg, actor: ActorArg) -> Page[schema.ExportView]:
    """The archives of its students' work, made when a course that is over was cleaned up."""
    with control.store.read() as session:
        access.find(session, actor, course, Action.MANAGE_COURSE)
    found = exports.exported(control, course)
    items = [
        schema.ExportView(
            login=one.login, name=one.name, file=one.file, files=one.files, bytes=one.size,
            left_out=one.left_out, sha256=one.sha256,
        )
        for _, one in sorted(found.items())
    ]  # fmt: skip
    return Page(items=items, next=None)


@router.get(
    "/courses/{course}/exports/{login}", response_class=FileResponse, **does(Action.MANAGE_COURSE)
)
def export_file(course: str, login: str, control: ControlArg, actor: ActorArg) -> FileResponse:
    """One student's archive (tar.gz)."""
    with control.store.read() as session:
        access.find(session, actor, course, Action.MANAGE_COURSE)
    one = exports.exported(control, course).get(login)
    if one is None or not one.file:
        raise absent(f"archive of {login[:40]!r} in this course")
    path = exports.folder_of(control, course) / one.file
    if not path.is_file():
        raise absent(f"archive of {login[:40]!r} in this course")
    return FileResponse(path, media_type="application/gzip", filename=one.file)


def _csv(text: str, name: str) -> Response:
    headers = {
        "Content-Disposition": f'attachment; filename="{name}.csv"', "Cache-Control": "no-store",
    }  # fmt: skip
    return Response(text.encode("utf-8-sig"), media_type="text/csv; charset=utf-8", headers=headers)
