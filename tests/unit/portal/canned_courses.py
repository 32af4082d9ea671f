"""Courses for the portal's stand-in: one that Ada teaches and takes, with a room of a few people."""

import copy
import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.unit.portal.canned import Site, share, soon, workload
from tests.unit.portal.canned_learning import Learning

BASE = "/services/control/v1"


def course(id: str, name: str, role: str, **more: Any) -> dict[str, Any]:
    staff = role in {"assistant", "instructor"}
    return {
        "id": id, "name": name, "parent": "main", "tenant_name": "Main", "term": "Spring 2027",
        "first_day": "2027-02-01", "last_day": "2027-05-24", "time_zone": "Europe/Zurich",
        "state": "active", "role": role, "place": id,
        "lab": {"offer": "gpu-quarter", "offer_title": "1/4 GPU notebook", "set": {},
                "workload": None, "status": "", "url": ""},
        "offers": [], "environment": "",
        "material": {"url": "https://git.example.org/m.git", "branch": "", "folder": "material",
                     "commit": "0123456789abcdef", "at": soon(minutes=-5), "error": ""},
        "student": {"limits": {"gpu": "0.25", "gpu-hours": "20"}, "credits": "10"},
        "limits": {"gpu": "4"} if staff else {},
        "hours": [{"weekdays": [0, 2], "starts": "09:00", "length": "2h", "places": 0, "held": 30,
                   "name": "Lab", "reservation": "r-a"}] if staff else [],
        "groups": [{"id": f"{id}-quiz", "name": "Quiz", "student_limits": {"gpu": "0"},
                    "members": 2}] if staff else [],
        "rules": [], "members": 4, "staff": 1, "waiting_to_join": 2, "my_credits": "7.5",
        "course_credits": "930.25" if staff else "", "next_hours": {"starts_at": soon(hours=20),
                                                                    "ends_at": soon(hours=22)},
        "may": {"manage": role == "instructor", "run": staff}, "clean_up_days": 14,
        "cleans_up_on": "2027-06-07", "cloned_from": "", "version": 1, **more,
    }  # fmt: skip


def seat(login: str, name: str, status: str = "away", **more: Any) -> dict[str, Any]:
    here = status == "running"
    return {
        "login": login, "name": name, "role": "member", "group": "", "group_name": "",
        "workload": None if status == "away" else f"w-{login}", "status": status, "reason": "",
        "position": None, "starts_at": None, "share": None if status == "away" else share(250),
        "memory_mib": 1536 if here else 0, "memory_limit_mib": 4096, "idle_s": 40 if here else None,
        "lease_ends_at": soon(minutes=42) if here else None, "can_extend": here, "credits": "7.50",
        "attended": here, **more,
    }  # fmt: skip


def entry(id: str, name: str, state: str = "joined", **more: Any) -> dict[str, Any]:
    return {
        "id": id, "key": id, "name": name, "email": f"{id}@example.org", "role": "member",
        "group": "", "state": state, "login": id if state == "joined" else "", "source": "csv",
        "joined_at": soon(hours=-5) if state == "joined" else None, **more,
    }  # fmt: skip


def standard_room() -> list[dict[str, Any]]:
    return [
        seat("grace", "Grace Hopper", role="assistant"),
        seat("alan", "Alan Turing", "running"),
        seat("emmy", "Emmy Noether", "queued", position=2, starts_at=soon(minutes=12),
             reason="all devices are held"),
        seat("kurt", "Kurt <b>Gödel</b>", group="phys-quiz", group_name="Quiz"),
    ]  # fmt: skip


@dataclass
class Courses:
    """What courses there are. `sent` is every body that came, by path."""

    site: Site
    items: list[dict[str, Any]] = field(
        default_factory=lambda: [course("phys", "Physics 101", "instructor")]
    )
    room: list[dict[str, Any]] = field(default_factory=standard_room)
    visits: list[dict[str, Any]] = field(default_factory=list)
    roster: list[dict[str, Any]] = field(
        default_factory=lambda: [entry(f"s{n:03}", f"Student {n}") for n in range(120)]
    )
    sent: dict[str, Any] = field(default_factory=dict)
    refuse_lab: bool = False
    learning: Learning = field(default_factory=Learning)

    def routes(self) -> list[web.RouteDef]:
        one = f"{BASE}/courses/{{id}}"
        return [
            *self.learning.routes(),
            web.get(f"{BASE}/courses", self.listing),
            web.post(f"{BASE}/courses/check", self.check),
            web.post(f"{BASE}/courses/join", self.join),
            web.post(f"{BASE}/courses", self.add),
            web.get(f"{BASE}/visits", self.visits_list),
            web.post(f"{BASE}/visits/{{id}}/{{verb}}", self.answer),
            web.post(f"{BASE}/announcements", self.announce),
            web.get(one, self.single),
            web.put(one, self.change),
            web.post(f"{one}/lab", self.lab),
            web.post(f"{one}/clone", self.clone),
            web.get(f"{one}/room", self.look),
            web.post(f"{one}/room/{{verb}}", self.act),
            web.get(f"{one}/spending", self.spending),
            web.get(f"{one}/attendance", self.attendance),
            web.post(f"{one}/visits", self.ask),
            web.get(f"{one}/roster", self.people),
            web.post(f"{one}/roster/check", self.check_roster),
            web.put(f"{one}/roster/{{entry}}", self.change_entry),
            web.get(f"{one}/links", self.links),
            web.post(f"{one}/links", self.make_link),
        ]

    async def listing(self, _: web.Request) -> web.Response:
        return _page(self.items)

    async def single(self, request: web.Request) -> web.Response:
        return web.json_response(self._found(request))

    async def check(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        problems: list[dict[str, str]] = []
        if body["last_day"] < body["first_day"]:
            problems.append({"field": "last_day", "message": "it is before the first day",
                             "next": "choose a later one"})  # fmt: skip
        given = body.get("roster")
        roster = None if given is None else _roster_check(given)
        hours = [{"name": h["name"], "possible": True, "windows": 30, "text": "30 lab hours are held",
                  "first": None, "last": None} for h in body["hours"]]  # fmt: skip
        summary = [f"{body['name']} from {body['first_day']} to {body['last_day']}"]
        return web.json_response(
            {"problems": problems, "roster": roster, "hours": hours, "summary": summary}
        )

    async def add(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        made = course(
            body["id"], body["name"], "instructor", term=body["term"], waiting_to_join=120
        )
        self.items.append(made)
        return web.json_response(made, status=201)

    async def change(self, request: web.Request) -> web.Response:
        found, body = self._found(request), await self._body(request)
        if body.get("version") != found["version"]:
            return _problem(409, "conflict", "somebody else changed the course", "reload the page")
        if body.get("last_day", "9") < found["first_day"]:
            return _problem(422, "bad-value", "last_day: it is before the first day", "a later one")
        found.update({**body, "version": found["version"] + 1})
        return web.json_response(found)

    async def clone(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        made = copy.deepcopy(self._found(request)) | body | {"members": 0, "waiting_to_join": 0}
        self.items.append(made)
        return web.json_response(made, status=201)

    async def join(self, request: web.Request) -> web.Response:
        if (await self._body(request))["token"] != "good":
            return _problem(404, "not-found", "this link is not valid any more", "ask for another")
        self.items.append(course("chem", "Chemistry 1", "member", may={"manage": False,
                                                                        "run": False}))  # fmt: skip
        return web.json_response(self.items[-1])

    async def lab(self, request: web.Request) -> web.Response:
        found = self._found(request)
        if self.refuse_lab:
            return _problem(403, "denied", "the course has ended", "ask your instructor")
        for one in self.site.workloads:
            if one["tenant"] == found["place"] and one["status"] in {"queued", "running"}:
                return web.json_response(one)
        made = workload("w-lab", "queued", f"{found['name']} lab", tenant=found["place"])
        self.site.workloads.insert(0, made)
        return web.json_response(made, status=201)

    async def look(self, request: web.Request) -> web.Response:
        found = self._found(request)
        where = [one["status"] for one in self.room if one["role"] == "member"]
        counts = {"running": where.count("running"), "starting": 0,
                  "waiting": where.count("queued"), "away": where.count("away")}  # fmt: skip
        session = {"key": "r-a@1", "name": "Lab", "starts_at": soon(hours=-1),
                   "ends_at": soon(hours=1)}  # fmt: skip
        return web.json_response({"course": found["id"], "name": found["name"], "at": soon(),
                                  "session": session, "counts": counts,
                                  "people": self.room})  # fmt: skip

    async def act(self, request: web.Request) -> web.Response:
        people = (await self._body(request))["people"]
        students = [one["login"] for one in self.room if one["role"] == "member"]
        chosen = students if people == ["*"] else people
        verb = request.match_info["verb"]
        for one in self.room:
            if one["login"] in chosen and verb == "start":
                one.update(seat(one["login"], one["name"], "running"))
        return _page([{"login": login, "done": login != "kurt", "message": "it is so"
                       if login != "kurt" else "nothing of theirs runs"}
                      for login in chosen])  # fmt: skip

    async def ask(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        made = {"id": "v-1", "course": request.match_info["id"], "course_name": "Physics 101",
                "workload": "w-alan", "student": body["login"], "visitor": "ada",
                "visitor_name": "Ada Lovelace", "reason": body["reason"], "state": "asked",
                "asked_at": soon(), "ends_at": None, "url": "",
                "mine_to_answer": False}  # fmt: skip
        self.visits.append(made)
        return web.json_response(made, status=201)

    async def visits_list(self, _: web.Request) -> web.Response:
        return _page(self.visits)

    async def answer(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        found = next(one for one in self.visits if one["id"] == request.match_info["id"])
        ended = request.match_info["verb"] == "end"
        found.update(state="ended" if ended else "granted" if body["allow"] else "denied",
                     mine_to_answer=False)  # fmt: skip
        return web.json_response(found)

    async def announce(self, request: web.Request) -> web.Response:
        return web.json_response(await self._body(request), status=201)

    async def spending(self, _: web.Request) -> web.Response:
        points = [{"day": f"2027-02-{day:02}", "spent": "12.5", "left": f"{1000 - 12.5 * day}"}
                  for day in range(1, 20)]  # fmt: skip
        return web.json_response({"budget": "1000", "spent": "237.5", "held": "3", "points": points,
                                  "forecast_empty_on": "2027-04-20"})  # fmt: skip

    async def attendance(self, _: web.Request) -> web.Response:
        sessions = [{"key": f"r-a@{n}", "name": "Lab", "starts_at": f"2027-02-0{n}T08:00:00Z",
                     "ends_at": f"2027-02-0{n}T10:00:00Z"} for n in (1, 3)]  # fmt: skip
        people = [{"login": "alan", "name": "Alan Turing", "group": "", "minutes": {"r-a@1": 95}},
                  {"login": "emmy", "name": "Emmy Noether", "group": "", "minutes": {}}]  # fmt: skip
        return web.json_response({"sessions": sessions, "people": people})

    async def people(self, request: web.Request) -> web.Response:
        text, start = request.query.get("search", "").lower(), int(request.query.get("cursor", 0))
        found = [one for one in self.roster if text in one["name"].lower()]
        limit = int(request.query.get("limit", 50))
        rest = start + limit if start + limit < len(found) else None
        return web.json_response(
            {"items": found[start : start + limit], "next": None if rest is None else str(rest),
             "total": len(found)}
        )  # fmt: skip

    async def check_roster(self, request: web.Request) -> web.Response:
        return web.json_response(_roster_check(await self._body(request)))

    async def change_entry(self, request: web.Request) -> web.Response:
        found = next(one for one in self.roster if one["id"] == request.match_info["entry"])
        found.update(await self._body(request))
        return web.json_response(found)

    async def links(self, _: web.Request) -> web.Response:
        return _page([{"id": "l-1", "url": "", "group": "", "most": 200, "used": 3,
                       "created_by": "ada", "created_at": soon(hours=-3),
                       "expires_at": soon(days=10), "withdrawn_at": None}])  # fmt: skip

    async def make_link(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        return web.json_response(
            {"id": "l-2", "url": "http://127.0.0.1:8000/services/portal/join?token=good",
             "group": "", "most": body.get("most", 200), "used": 0, "created_by": "ada",
             "created_at": soon(), "expires_at": soon(days=14), "withdrawn_at": None}, status=201,
        )  # fmt: skip

    async def _body(self, request: web.Request) -> dict[str, Any]:
        body = await request.json()
        self.sent[request.path.removeprefix(f"{BASE}/")] = body
        return body

    def _found(self, request: web.Request) -> dict[str, Any]:
        for one in self.items:
            if one["id"] == request.match_info["id"]:
                return one
        text = json.dumps({"error": {"code": "not-found", "message": "there is no such course",
                                     "next": "check the name, or ask who may see it"}})  # fmt: skip
        raise web.HTTPNotFound(text=text, content_type="application/json")


def _roster_check(given: dict[str, str]) -> dict[str, Any]:
    bad = "twice" in given["csv"]
    problems = [{"line": 3, "column": "id", "message": "it is there twice", "fatal": False}]
    return {"rows": 120, "new": 118, "known": 0, "same": 2, "joined": 0, "encoding": "UTF-8",
            "delimiter": ",", "columns": ["id", "name"], "problems": problems if bad else [],
            "people": [{"key": "s000", "name": "Student 0", "email": "", "role": "member",
                        "group": ""}]}  # fmt: skip


def _page(items: list[Any]) -> web.Response:
    return web.json_response({"items": items, "next": None})


def _problem(status: int, code: str, message: str, next: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message, "next": next}},
                             status=status)  # fmt: skip
