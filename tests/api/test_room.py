"""A course's console: the room, acts for one and for all, attendance, spending, visits."""

from collections.abc import AsyncIterator
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from catalog.asks import Ask
from hub import people, reserving
from hub.courses import enrolment, visits
from hub.store import audit
from hub.store.tables import AuditRow, NoticeRow, PersonRow
from quotas.windows import Rule
from tests.site import Site, add_course, add_tenant

STUDENTS = ("mia", "max", "nia")
COURSE = "/courses/lab101"


def course(site: Site, **changes: Any) -> None:
    """*lab101* with two groups, an instructor, an assistant and three students."""
    add_tenant(site.control, "lab101")
    for group in ("quiz", "projects"):
        site_group(site, group)
    add_course(site.control, "lab101", **({"lab_offer": "gpu-quarter"} | changes))
    for login, role in (
        ("ian", "instructor"),
        ("ana", "assistant"),
        *((s, "member") for s in STUDENTS),
    ):
        site.person(login)
        enrol(site, login, role, "projects" if login == "nia" else "")


def site_group(site: Site, group: str) -> None:
    from hub.store.tables import TenantRow

    with site.control.store.write() as session:
        session.add(
            TenantRow(
                id=group, parent_id="lab101", name=group.title(), kind="group",
                created_at=site.clock.now(),
            )
        )  # fmt: skip


def enrol(site: Site, login: str, role: str, group: str = "") -> None:
    with site.control.store.write() as session:
        person = session.exec(select(PersonRow).where(PersonRow.login == login)).one()
        enrolment.enrol(
            site.control, session, "lab101", person, role=role, source="manual", group_id=group
        )


def hours(site: Site, starts_in: timedelta, length: timedelta = timedelta(hours=1)) -> None:
    """One lab session of the course."""
    at = site.clock.now() + starts_in
    rule = Rule(at.date(), at.date(), at.time(), length, UTC)
    wish = reserving.Wish(
        "lab101", "Lab", 3, Ask(1, 0), rule, "UTC", timedelta(minutes=5), timedelta(minutes=55)
    )
    reserving.reserve(site.control, people.actor_of(site.control, "admin"), wish)


async def fund(site: Site, credits_: str = "1000") -> None:
    answer = await site.call("admin", "POST", "/tenants/lab101/grant", {"credits": credits_})
    assert answer.status < 300, answer.body


async def act(site: Site, login: str, what: str, *names: str, **more: Any) -> dict[str, Any]:
    """By login: whether it was done, and what was said."""
    answer = await site.call(
        login, "POST", f"{COURSE}/room/{what}", {"people": list(names), **more}
    )
    assert answer.status == 200, answer.body
    return {one["login"]: (one["done"], one["message"]) for one in answer.body["items"]}


async def seats(site: Site, login: str = "ana") -> dict[str, dict[str, Any]]:
    answer = await site.call(login, "GET", f"{COURSE}/room")
    assert answer.status == 200, answer.body
    return {seat["login"]: seat for seat in answer.body["people"]}


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Site]:
    async with Site(tmp_path, subdomains=True, public_url="http://hub.example.edu:8000") as site:
        course(site)
        await fund(site)
        await act(site, "ian", "credits", "*", credits="50")
        yield site


async def test_everybody_of_the_course_and_nobody_else_is_in_the_room(room: Site) -> None:
    room.person("stranger")
    found = await seats(room)
    assert list(found) == ["ana", "ian", "max", "mia", "nia"]
    assert found["nia"]["group_name"] == "Projects"
    assert {seat["status"] for seat in found.values()} == {"away"}
    view = (await room.call("ana", "GET", f"{COURSE}/room")).body
    assert view["counts"] == {"running": 0, "starting": 0, "waiting": 0, "away": 3}
    assert found["mia"]["credits"] == "50.00"


async def test_an_assistant_starts_for_one_and_the_room_shows_it(room: Site) -> None:
    assert (await act(room, "ana", "start", "mia"))["mia"][0]
    lab = (await seats(room))["mia"]["workload"]
    await room.until_status("mia", lab, "running")
    seat = (await seats(room))["mia"]
    assert (seat["status"], seat["share"]["milli"], seat["idle_s"]) == ("running", 250, None)
    assert (await room.call("mia", "POST", f"/workloads/{lab}/active")).status == 200
    assert (await seats(room))["mia"]["idle_s"] == 0
    assert seat["gpu_use"] is None
    room.engine.gpu_percent = 17
    assert (await seats(room))["mia"]["gpu_use"] == 17
    assert (await seats(room))["max"]["gpu_use"] is None
    assert room.row(lab).tenant_id == "lab101"
    with room.control.store.read() as session:
        (line,) = session.exec(select(AuditRow).where(AuditRow.action == "start-for")).all()
        assert audit.first_broken(session) is None
    assert line.object == lab
    # Once more: it runs already, and nothing new begins.
    assert (await act(room, "ana", "start", "mia"))["mia"] == (True, "it runs")
    assert (await seats(room))["mia"]["workload"] == lab


async def test_work_in_a_group_counts_there_and_pays_from_the_course(room: Site) -> None:
    await act(room, "ian", "start", "nia")
    lab = (await seats(room))["nia"]["workload"]
    row = room.row(lab)
    assert (row.tenant_id, row.payer) == ("projects", "lab101")


async def test_start_and_stop_for_all_tell_of_each(room: Site) -> None:
    started = await act(room, "ian", "start", "*")
    assert sorted(started) == sorted(STUDENTS)
    assert all(done for done, _ in started.values())
    await room.settled()
    view = (await room.call("ian", "GET", f"{COURSE}/room")).body
    assert view["counts"]["running"] + view["counts"]["waiting"] == 3
    stopped = await act(room, "ian", "stop", "*")
    assert all(done for done, _ in stopped.values())
    await room.settled()
    await room.beat()
    assert {seat["status"] for seat in (await seats(room)).values()} == {"away"}
    assert (await act(room, "ian", "stop", "*"))["mia"] == (True, "nothing ran")


async def test_extend_says_for_whom_it_could_not(room: Site) -> None:
    await act(room, "ana", "start", "mia")
    lab = (await seats(room))["mia"]["workload"]
    before = (await room.until_status("mia", lab, "running"))["lease_ends_at"]
    room.later(minutes=30)
    found = await act(room, "ana", "extend", "mia", "max", by="15m")
    assert found["mia"] == (True, "15m longer")
    assert not found["max"][0]
    assert "no lab of theirs runs" in found["max"][1]
    assert (await room.view("mia", lab))["lease_ends_at"] > before


async def test_credits_go_to_each_until_the_course_has_none(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        course(site)
        await fund(site, "25")
        given = await act(site, "ian", "credits", "*", credits="10")
        assert sorted(done for done, _ in given.values()) == [False, True, True]
        body = {"people": ["*"], "credits": "1"}
        path = f"{COURSE}/room/credits"
        for _ in range(2):  # repeated, as a browser does that heard no answer
            await site.call("ian", "POST", path, body, key="once")
        found = [seat["credits"] for seat in (await seats(site)).values()]
        assert sorted(found) == ["0.00", "0.00", "1.00", "11.00", "11.00"]
        assert (await site.call("ana", "POST", path, body)).status == 403


async def test_nobody_acts_for_who_is_not_in_the_course(room: Site) -> None:
    room.person("stranger")
    answer = await room.call("ana", "POST", f"{COURSE}/room/stop", {"people": ["stranger"]})
    assert (answer.status, answer.code) == (404, "not-found")
    nobody = await room.call("ana", "POST", f"{COURSE}/room/stop", {"people": ["nobody"]})
    assert str(nobody.body).replace("nobody", "X") == str(answer.body).replace("stranger", "X")
    assert (await room.call("ana", "POST", f"{COURSE}/room/stop", {"people": []})).status == 422


async def test_attendance_is_who_was_up_during_the_session(room: Site) -> None:
    hours(room, timedelta(hours=1))
    await act(room, "ian", "start", "mia")
    lab = (await seats(room))["mia"]["workload"]
    await room.until_status("mia", lab, "running")
    assert (await room.call("ana", "GET", f"{COURSE}/attendance")).body["sessions"] == []
    room.later(minutes=80)  # twenty minutes into it
    await room.beat()
    await act(room, "ian", "start", "max")
    await room.settled()
    room.later(minutes=10)
    found = (await room.call("ana", "GET", f"{COURSE}/attendance")).body
    (session,) = found["sessions"]
    minutes = {line["login"]: line["minutes"].get(session["key"], 0) for line in found["people"]}
    assert minutes["max"] == 10
    assert minutes["nia"] == 0
    assert minutes["mia"] in {30, 20}, "its lease may have ended"
    view = (await room.call("ana", "GET", f"{COURSE}/room")).body
    assert view["session"]["key"] == session["key"]
    assert {s["login"] for s in view["people"] if s["attended"]} == {"mia", "max"}
    one = await room.call("ana", "GET", f"{COURSE}/attendance", params={"window": "r-none@x"})
    assert one.body["sessions"] == []


async def test_the_files_hold_no_formula(room: Site) -> None:
    with room.control.store.write() as session:
        person = session.exec(select(PersonRow).where(PersonRow.login == "mia")).one()
        person.display_name = "=HYPERLINK(1)"
        session.add(person)
    headers = {"Authorization": f"token {room.token_of('ian')}"}
    for what in ("room/file", "attendance/file"):
        path = f"/services/control/v1{COURSE}/{what}"
        answer = await room.raw("GET", path, headers=headers)
        assert answer.headers["content-type"].startswith("text/csv")
        assert "'=HYPERLINK(1)" in answer.text
        assert ",=HYPERLINK" not in answer.text


async def test_spending_adds_up_to_what_came_in(room: Site) -> None:
    await act(room, "ian", "start", "mia")
    lab = (await seats(room))["mia"]["workload"]
    await room.until_status("mia", lab, "running")
    room.later(minutes=30)
    await act(room, "ian", "stop", "mia")
    await room.settled()
    found = (await room.call("ana", "GET", f"{COURSE}/spending")).body
    assert found["budget"] == "1000.00"
    assert float(found["spent"]) > 0
    assert float(found["points"][-1]["left"]) == pytest.approx(1000 - float(found["spent"]))
    assert found["forecast_empty_on"] is not None


# ---- visits --------------------------------------------------------------------------------------


async def running_lab(site: Site, login: str = "mia") -> str:
    await act(site, "ian", "start", login)
    lab = (await seats(site))[login]["workload"]
    await site.until_status(login, lab, "running")
    return lab


async def ask(site: Site, login: str = "mia") -> dict[str, Any]:
    answer = await site.call(
        "ian", "POST", f"{COURSE}/visits", {"login": login, "reason": "your question"}
    )
    assert answer.status == 201, answer.body
    return answer.body


async def visit_of(site: Site, login: str) -> dict[str, Any]:
    (found,) = (await site.call(login, "GET", "/visits")).body["items"]
    return found


async def test_a_visit_opens_when_the_student_agrees_and_ends_after_its_hour(room: Site) -> None:
    lab = await running_lab(room)
    asked = await ask(room)
    assert (asked["state"], asked["url"]) == ("asked", "")
    await room.beat()
    assert room.hub.shares == set()
    answer = await room.call("mia", "POST", f"/visits/{asked['id']}/answer", {"allow": True})
    assert answer.body["state"] == "granted"
    await room.beat()
    hub_names = [people.by_login(room.control, who).hub_name for who in ("mia", "ian")]
    assert room.hub.shares == {(hub_names[0], lab, hub_names[1])}
    assert (await visit_of(room, "ian"))["url"] == f"/user/{hub_names[0]}/{lab}/lab"
    assert (await visit_of(room, "mia"))["url"] == ""
    room.clock.advance(visits.LENGTH)
    await room.beat()
    assert room.hub.shares == set()
    with room.control.store.read() as session:
        lines = [row.action for row in session.exec(select(AuditRow)) if "visit" in row.action]
        told = session.exec(select(NoticeRow).where(NoticeRow.kind == "visit")).all()
    assert lines == ["ask-visit", "allow-visit"]
    assert [notice.text for notice in told] == ["ian asks to look into your lab: your question"]


async def test_a_refused_visit_never_opens_and_only_the_student_answers(room: Site) -> None:
    await running_lab(room)
    asked = await ask(room)
    path = f"/visits/{asked['id']}/answer"
    assert (await room.call("ian", "POST", path, {"allow": True})).status == 403
    assert (await room.call("ana", "POST", path, {"allow": True})).status == 404
    assert (await room.call("mia", "POST", path, {"allow": False})).body["state"] == "denied"
    late = await room.call("mia", "POST", path, {"allow": True})
    assert (late.status, late.code) == (409, "conflict")
    await room.beat()
    assert room.hub.shares == set()


async def test_a_question_lapses_and_can_be_asked_again(room: Site) -> None:
    await running_lab(room)
    first = await ask(room)
    assert (await ask(room))["id"] == first["id"]
    room.clock.advance(visits.PATIENCE + timedelta(seconds=1))
    late = await room.call("mia", "POST", f"/visits/{first['id']}/answer", {"allow": True})
    assert late.status == 409
    assert (await ask(room))["id"] != first["id"]


async def test_the_door_closes_with_the_lab_and_when_either_ends_the_visit(room: Site) -> None:
    for way in ("student", "staff", "lab"):
        lab = await running_lab(room)
        asked = await ask(room)
        await room.call("mia", "POST", f"/visits/{asked['id']}/answer", {"allow": True})
        await room.beat()
        assert len(room.hub.shares) == 1
        if way == "lab":
            await room.call("mia", "POST", f"/workloads/{lab}/stop")
            await room.settled()
        else:
            who = "mia" if way == "student" else "ian"
            await room.call(who, "POST", f"/visits/{asked['id']}/end")
        await room.beat()
        await room.beat()
        assert room.hub.shares == set(), way


async def test_a_hub_that_is_away_is_asked_again(room: Site) -> None:
    await running_lab(room)
    asked = await ask(room)
    await room.call("mia", "POST", f"/visits/{asked['id']}/answer", {"allow": True})
    room.hub.down = True
    await room.beat()
    room.hub.down = False
    await room.crash()
    await room.beat()
    assert len(room.hub.shares) == 1


async def test_without_subdomains_nobody_visits(tmp_path: Path) -> None:
    async with Site(tmp_path, trust_everyone=False) as site:
        course(site)
        answer = await site.call("ian", "POST", f"{COURSE}/visits", {"login": "mia"})
        assert (answer.status, answer.code) == (409, "conflict")
        assert "PERIJOVE_SUBDOMAINS" in answer.body["error"]["next"]


async def test_who_has_no_lab_cannot_be_visited(room: Site) -> None:
    answer = await room.call("ian", "POST", f"{COURSE}/visits", {"login": "mia"})
    assert (answer.status, answer.body["error"]["message"]) == (409, "no lab of theirs runs")
    assert (await room.call("ian", "POST", f"{COURSE}/visits", {"login": "ian"})).status == 422
