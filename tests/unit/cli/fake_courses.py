"""The stand-in's courses: one, whatever is asked."""

from typing import Any

from fastapi import FastAPI

from hub.api.course_schema import (
    CloneBody,
    CourseBody,
    CourseCheck,
    CourseView,
    GroupBody,
    LinkBody,
    LinkView,
    RosterBody,
    RosterCheck,
    RosterDone,
    RosterPage,
)

PATH = "/services/control/v1/courses"
COURSE = {
    "id": "phys-26", "name": "Physics 101", "parent": "science", "tenant_name": "Science",
    "term": "Spring", "first_day": "2030-01-14", "last_day": "2030-05-31",
    "time_zone": "Europe/Berlin", "state": "active", "role": "instructor", "place": "phys-26",
    "lab": {"offer": "gpu-quarter", "offer_title": "Quarter GPU", "set": {}, "workload": None,
            "status": "", "url": ""},
    "offers": [], "environment": "",
    "material": {"url": "", "branch": "", "folder": "", "commit": "", "at": None, "error": ""},
    "student": {"limits": {"gpu": "0.25"}, "credits": "10.00"}, "limits": {"gpu": "2"},
    "hours": [{"weekdays": [1], "starts": "09:00", "length": "2h", "places": 0, "held": 12,
               "name": "Lab", "reservation": "r-1"}],
    "groups": [], "rules": [], "members": 12, "staff": 2, "waiting_to_join": 3,
    "my_credits": "4.00", "course_credits": "88.00", "next_hours": None,
    "may": {"manage": True, "run": True}, "clean_up_days": 14, "cleans_up_on": "2030-06-15",
    "cloned_from": "", "version": 3,
}  # fmt: skip
GROUP = {"id": "phys-26-quiz", "name": "Quiz", "student_limits": {"gpu": "0"}, "members": 5}
TAKEN = {"rows": 2, "new": 1, "known": 1, "same": 0, "joined": 0, "problems": []}
WRONG = {"line": 3, "column": "e-mail", "message": "'x' is no e-mail address", "fatal": True}
ENTRY = {
    "id": "e-1", "key": "1", "name": "Ada", "email": "ada@x.edu", "role": "member",
    "group": "phys-26-quiz", "state": "joined", "login": "ada", "source": "csv", "joined_at": None,
}  # fmt: skip
LINK = {
    "id": "j-1", "url": "https://gpu.example.org/services/portal/join?token=abc", "group": "",
    "most": 30, "used": 0, "created_by": "ian", "created_at": "2030-01-01T08:00:00Z",
    "expires_at": "2030-01-15T08:00:00Z", "withdrawn_at": None,
}  # fmt: skip


LAB = {
    "id": "w-1", "name": "Physics 101", "status": "queued", "reason": "every device is held",
    "url": "http://gpu.example.org/user/ada/w-1/lab",
}  # fmt: skip


def add(app: FastAPI) -> None:
    """Its routes. Each list that is checked has a problem on line 3."""

    @app.get(PATH)
    async def _() -> Any:
        return {"items": [COURSE], "next": None}

    @app.post(PATH, status_code=201, response_model=CourseView)
    async def _(body: CourseBody) -> Any:
        return COURSE | {"id": body.id, "name": body.name}

    @app.post(f"{PATH}/check", response_model=CourseCheck)
    async def _(body: CourseBody) -> Any:
        wrong = {"field": "last_day", "message": "it is over", "next": "choose another"}
        problems = [wrong] if body.last_day < body.first_day else []
        return {"problems": problems, "roster": None, "hours": [], "summary": ["2 students"]}

    @app.get(f"{PATH}/{{id}}", response_model=CourseView)
    async def _(id: str) -> Any:
        return COURSE | {"id": id}

    @app.post(f"{PATH}/{{id}}/clone", status_code=201, response_model=CourseView)
    async def _(id: str, body: CloneBody) -> Any:
        return COURSE | {"id": body.id, "cloned_from": id}

    for act in ("end", "reopen"):

        @app.post(f"{PATH}/{{id}}/{act}", response_model=CourseView)
        async def _(id: str) -> Any:
            return COURSE | {"id": id}

    @app.post(f"{PATH}/{{id}}/lab", status_code=201)
    async def _(id: str) -> Any:
        return LAB

    _add_people(app)


def _add_people(app: FastAPI) -> None:
    @app.get(f"{PATH}/{{id}}/roster", response_model=RosterPage)
    async def _(id: str) -> Any:
        return {"items": [ENTRY], "next": None, "total": 1}

    @app.post(f"{PATH}/{{id}}/roster", response_model=RosterDone)
    async def _(id: str, body: RosterBody) -> Any:
        return TAKEN

    @app.post(f"{PATH}/{{id}}/roster/check", response_model=RosterCheck)
    async def _(id: str, body: RosterBody) -> Any:
        more = {"encoding": "utf-8", "delimiter": "comma", "columns": ["id"], "people": []}
        return TAKEN | more | {"problems": [WRONG]}

    @app.get(f"{PATH}/{{id}}/groups")
    async def _(id: str) -> Any:
        return {"items": [GROUP], "next": None}

    @app.post(f"{PATH}/{{id}}/groups", status_code=201)
    async def _(id: str, body: GroupBody) -> Any:
        return GROUP | {"name": body.name}

    @app.post(f"{PATH}/{{id}}/links", status_code=201, response_model=LinkView)
    async def _(id: str, body: LinkBody) -> Any:
        return LINK
