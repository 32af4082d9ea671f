"""Who is in a course: rosters, links, credits, the lab, and the end. 5 January 2026, 09:00."""

import asyncio
import tarfile
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from catalog.errors import PerijoveError
from hub import people
from hub.courses import clean_up, enrolment, invitations, lab
from hub.store import money
from hub.store.course_tables import CourseRow, RosterRow
from hub.store.tables import PersonRow, WorkloadRow
from quotas.ledger import AccountKind, Owner
from tests.api.test_courses import campus, enrol, make
from tests.site import Site

__all__ = ["campus"]
C = "/courses/phys-26"


def wallet(site: Site, course: str, login: str = "") -> int:
    with site.control.store.read() as session:
        id_ = ""
        if login:
            id_ = session.exec(select(PersonRow.id).where(PersonRow.login == login)).one()
        return money.balance(session, Owner(course, id_), AccountKind.WALLET) // 10**6


async def names(site: Site, **query: Any) -> list[str]:
    page = (await site.call("admin", "GET", f"{C}/roster", params=query)).body
    return [entry["name"] for entry in page["items"]]


async def test_a_list_taken_in_again_changes_what_changed(campus: Site) -> None:
    await make(campus)
    text = (
        "id,name,email,group\n1,Ada L,ada@x.edu,Projects\n2,Bob,bob@x.edu,\n3,=Eve,e@x.edu,Nope\n"
    )
    checked = (await campus.call("admin", "POST", f"{C}/roster/check", {"csv": text})).body
    assert (checked["new"], checked["known"], checked["same"]) == (1, 1, 1)
    assert {(one["line"], one["fatal"]) for one in checked["problems"]} == {(4, False)}
    taken = (await campus.call("admin", "POST", f"{C}/roster", {"csv": text})).body
    assert (taken["new"], taken["known"], taken["same"]) == (1, 1, 1)
    again = (await campus.call("admin", "POST", f"{C}/roster", {"csv": text})).body
    assert (again["new"], again["known"], again["same"]) == (0, 0, 3)
    wrong = await campus.call("admin", "POST", f"{C}/roster", {"csv": text + "4,Kim,nope,\n"})
    assert wrong.status == 422
    assert "line 5: email" in wrong.body["error"]["message"]
    assert await names(campus, state="expected") == ["=Eve", "Ada L", "Bob"]
    assert await names(campus, search="ADA@") == ["Ada L"]
    assert await names(campus, group="phys-26-projects") == ["Ada L"]
    first = (await campus.call("admin", "GET", f"{C}/roster", params={"limit": 2})).body
    rest = await names(campus, limit=2, cursor=first["next"])
    assert [entry["name"] for entry in first["items"]] + rest == await names(campus)
    assert first["total"] == 4  # and whoever made the course
    headers = {"Authorization": f"token {campus.token_of('admin')}"}
    file = await campus.raw("GET", f"/services/control/v1{C}/roster/file", headers=headers)
    assert "'=Eve" in file.content.decode("utf-8-sig")


async def test_an_invitation_is_an_account_in_the_course(campus: Site) -> None:
    await make(campus)
    headers = {"Authorization": f"token {campus.token_of('admin')}"}
    path = f"/services/control/v1{C}/roster/invitations"
    first = (await campus.raw("POST", path, headers=headers)).text
    second = (await campus.raw("POST", path, headers=headers)).text
    assert first.count("/hub/invitation?token=") == second.count("/hub/invitation?token=") == 2
    old = first.partition("token=")[2].partition(",")[0]
    ada = second.splitlines()[1]
    assert ada.startswith("1,Ada")
    token = ada.partition("token=")[2].partition(",")[0]
    with pytest.raises(PerijoveError, match="not known"):
        people.look_at_link(campus.control, "invitation", old)
    new = people.NewPerson("ada", "correct horse battery")
    then = invitations.arrived(campus.control)
    people.use_invitation(campus.control, people.SignIns(), token, new, then)
    entry = (await campus.call("admin", "GET", f"{C}/roster", params={"search": "ada"})).body[
        "items"
    ][0]
    assert (entry["state"], entry["login"], entry["group"]) == ("joined", "ada", "phys-26-quiz")
    assert wallet(campus, "phys-26", "ada") == 10  # and no starter credits of the site
    assert (await campus.call("ada", "GET", C)).body["place"] == "phys-26-quiz"


async def test_too_few_credits_let_people_in_and_tell_the_staff(campus: Site) -> None:
    await make(campus, credits="15")
    for login in ("mia", "noa"):
        await enrol(campus, login)
    assert (wallet(campus, "phys-26", "mia"), wallet(campus, "phys-26", "noa")) == (10, 0)
    told = (await campus.call("admin", "GET", "/notices")).body["items"]
    assert any(one["kind"] == "course-credits" for one in told)
    await campus.call("admin", "PUT", C, {"credits": "15"})
    assert (wallet(campus, "phys-26", "noa"), wallet(campus, "phys-26")) == (10, 10)


async def test_who_is_removed_gives_back_and_comes_back_by_the_roster_alone(campus: Site) -> None:
    await make(campus)
    await enrol(campus, "mia")
    (entry,) = (await campus.call("admin", "GET", f"{C}/roster", params={"search": "mia"})).body[
        "items"
    ]
    for _ in range(2):
        gone = await campus.call("admin", "DELETE", f"{C}/roster/{entry['id']}")
        assert gone.body["state"] == "removed"
    assert (wallet(campus, "phys-26"), wallet(campus, "phys-26", "mia")) == (100, 0)
    assert (await campus.call("mia", "GET", C)).status == 404
    link = (await campus.call("admin", "POST", f"{C}/links", {})).body["url"]
    token = link.partition("token=")[2]
    again = await campus.call("mia", "POST", "/courses/join", {"token": token})
    assert again.status == 409
    assert campus.leaks() == []


async def test_a_group_has_its_own_limits_and_place(campus: Site) -> None:
    await make(campus)
    await enrol(campus, "mia")
    (entry,) = (await campus.call("admin", "GET", f"{C}/roster", params={"search": "mia"})).body[
        "items"
    ]
    put = await campus.call("admin", "PUT", f"{C}/roster/{entry['id']}", {"group": "phys-26-quiz"})
    assert put.body["group"] == "phys-26-quiz"
    assert (await campus.call("mia", "GET", C)).body["place"] == "phys-26-quiz"
    denied = await campus.call("mia", "POST", f"{C}/lab")
    assert denied.status == 403
    assert "0 GPU" in denied.body["error"]["message"]
    await campus.call("admin", "PUT", f"{C}/roster/{entry['id']}", {"group": "phys-26-projects"})
    assert (await campus.call("mia", "POST", f"{C}/lab")).status == 201
    refused = await campus.call("admin", "DELETE", f"{C}/groups/phys-26-projects")
    assert (refused.status, refused.code) == (409, "conflict")
    assert (await campus.call("admin", "DELETE", f"{C}/groups/phys-26-quiz")).status == 200
    wrong = await campus.call("admin", "PUT", f"{C}/roster/{entry['id']}", {"group": "science"})
    assert wrong.status == 422


async def test_many_clicks_open_one_lab(campus: Site) -> None:
    await make(campus)
    await enrol(campus, "mia")
    mia = people.actor_of(campus.control, "mia")
    rows = await asyncio.gather(
        *(asyncio.to_thread(lab.open_lab, campus.control, mia, "phys-26") for _ in range(8))
    )
    assert len({row.id for row in rows}) == 1
    view = await campus.call("mia", "POST", f"{C}/lab")
    assert (view.body["id"], view.body["tenant"]) == (rows[0].id, "phys-26")
    await campus.until_status("mia", rows[0].id, "running")
    seen = (await campus.call("mia", "GET", C)).body["lab"]
    assert (seen["workload"], seen["status"]) == (rows[0].id, "running")
    assert seen["url"].endswith("/lab")


async def test_many_enrolments_at_once_pay_once(campus: Site) -> None:
    await make(campus)

    def come() -> None:
        with campus.control.store.write() as session:
            person = session.exec(select(PersonRow).where(PersonRow.login == "mia")).one()
            enrolment.enrol(
                campus.control, session, "phys-26", person, role="member", source="lti:moodle"
            )

    await asyncio.gather(*(asyncio.to_thread(come) for _ in range(8)))
    assert (wallet(campus, "phys-26", "mia"), wallet(campus, "phys-26")) == (10, 90)
    with campus.control.store.read() as session:
        lines = session.exec(select(RosterRow).where(RosterRow.source == "lti:moodle")).all()
    assert len(lines) == 1


async def test_nobody_launches_after_the_end_until_it_is_opened_again(campus: Site) -> None:
    made = await make(campus)
    await enrol(campus, "mia")
    running = (await campus.call("mia", "POST", f"{C}/lab")).body["id"]
    await campus.until_status("mia", running, "running")
    for _ in range(2):
        ended = await campus.call("admin", "POST", f"{C}/end")
        assert (ended.body["state"], ended.body["hours"]) == ("ended", [])
    with campus.control.store.read() as session:
        row = session.get_one(WorkloadRow, running)
        assert row.duration_s <= 15 * 60 + 5
    denied = await campus.call(
        "mia", "POST", "/workloads", {"offer": "gpu-quarter", "tenant": "phys-26"}
    )
    assert denied.status == 403
    assert denied.body["error"]["verdict"]["code"] == "ended"
    opened = await campus.call("admin", "POST", f"{C}/reopen")
    assert opened.body["state"] == "upcoming"
    assert [h["starts"] for h in opened.body["hours"]] == [h["starts"] for h in made["hours"]]


async def test_clean_up_packs_lets_go_and_gives_back_and_may_die_anywhere(
    campus: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make(campus, last_day="2026-01-20", clean_up_days=3, hours=[])
    for login in ("mia", "noa"):
        await enrol(campus, login)
    homes = campus.settings.spaces_dir / "homes"
    work = homes / "mia" / "phys-26" / "week1"
    work.mkdir(parents=True)
    (work / "lab.ipynb").write_text("{}")
    (work / "secret").symlink_to("/etc/passwd")
    monkeypatch.setattr("hub.courses.exports.LEAST_FREE", 0)
    with campus.control.store.write() as session:  # files of this process are theirs
        for person in session.exec(select(PersonRow)).all():
            person.uid = None
            session.add(person)
    campus.later(days=16)
    assert clean_up.keep(campus.control) == []
    campus.later(days=4)
    assert clean_up.keep(campus.control) == ["phys-26"]
    real, calls = clean_up.enrolment.leave_all, list[str]()

    def dies(*args: Any, **more: Any) -> None:
        calls.append("x")
        if len(calls) == 2:
            raise SystemError("killed")
        real(*args, **more)

    monkeypatch.setattr(clean_up.enrolment, "leave_all", dies)
    with pytest.raises(SystemError):
        clean_up.clean_up(campus.control, "phys-26")
    assert clean_up.clean_up(campus.control, "phys-26")
    assert clean_up.clean_up(campus.control, "phys-26")
    assert (wallet(campus, "phys-26"), wallet(campus, "science")) == (0, 1000)
    listed = (await campus.call("admin", "GET", f"{C}/exports")).body["items"]
    assert [(one["login"], one["files"], one["left_out"]) for one in listed] == [
        ("mia", 1, 1), ("noa", 0, 0),
    ]  # fmt: skip
    with tarfile.open(archive(campus.settings.spaces_dir, listed[0]["file"])) as packed:
        assert packed.getnames() == ["mia/week1/lab.ipynb"]
    assert (await campus.call("mia", "GET", C)).status == 404
    assert (await campus.call("admin", "GET", C)).body["state"] == "cleaned"
    with campus.control.store.read() as session:
        assert session.get_one(CourseRow, "phys-26").cleaned_at is not None
    assert campus.leaks() == []


def archive(spaces: Path, file: str) -> Path:
    return spaces / "exports" / "phys-26" / file
