"""What labs run in, and a look for new course material."""

from fastapi import APIRouter

from hub import environments
from hub.api import schema
from hub.api.access import ActorArg, ControlArg, does
from hub.api.course_schema import MaterialView
from hub.api.material_schema import EnvironmentView
from hub.courses import material
from hub.policy import ANYBODY, Action, require

router = APIRouter()


@router.get("/environments", **does(Action.READ_MENU))
def every_environment(control: ControlArg, actor: ActorArg) -> schema.Page[EnvironmentView]:
    """Notebook environments of this site that a course may choose; the first is the site's own."""
    require(actor, Action.READ_MENU, ANYBODY)
    items = [
        EnvironmentView(
            name=found.name, python=found.python, packages=found.packages, made_at=found.made_at
        )
        for found in environments.every(control.settings)
    ]
    return schema.Page(items=items, next=None)


@router.post("/courses/{course}/material/fetch", **does(Action.RUN_ROOM))
def fetch(course: str, control: ControlArg, actor: ActorArg) -> MaterialView:
    """Look for new material now. It begins within a second: ask for the course to see how it went.
    Repeat as you like."""
    row = material.request(control, actor, course)
    return MaterialView(
        url=row.material_url, branch=row.material_branch, folder=material.folder_of(row),
        commit=row.material_commit, at=row.material_at, error=row.material_error,
    )  # fmt: skip
