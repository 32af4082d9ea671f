"""Courses through the API: made in one act, changed, cloned, ended. Monday 5 January 2026, 09:00."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from catalog.units import MICRO
from hub import people, transfers
from hub.policy import Actor
from hub.store.course_tables import CourseRow
from hub.store.tables import TenantRow
from tests.site import Answer, Site

PHYSICS = {
    "id": "phys-26", "name": "Physics 101", "parent": "science", "term": "Spring 2026",
    "first_day": "2026-01-12", "last_day": "2026-05-29", "time_zone": "Europe/Berlin",
    "lab": {"offer": "gpu-quarter", "set": {}},
    "student": {"limits": {"gpu": "0.25", "workloads": "2"}, "credits": "10"},
    "limits": {"gpu": "2"}, "credits": "100",
    "hours": [{"weekdays": ["tue"], "starts": "09:00", "length": "2h", "places": 2}],
    "groups": [{"name": "Quiz", "student_limits": {"gpu": "0"}}, {"name": "Projects"}],
    "roster": {"csv": "id,name,email,group\n1,Ada,ada@x.edu,Quiz\n2,Bob,bob@x.edu,\n"},
}  # fmt: skip


def admin(site: Site) -> Actor:
    return people.actor_of(site.control, "admin")


@pytest.fixture
async def campus(tmp_path: Path) -> AsyncIterator[Site]:
    async with Site(tmp_path) as site:
        with site.control.store.write() as session:
            for tenant in ("science", "arts"):
                session.add(
                    TenantRow(
                        id=tenant, parent_id="main", name=tenant.title(), kind="department",
                        created_at=site.clock.now(),
                    )
                )  # fmt: skip
        for login, tenant, role in (
            ("dean", "science", "admin"), ("prof", "science", "instructor"),
            ("otto", "arts", "admin"), ("mia", "main", "member"), ("noa", "main", "member"),
        ):  # fmt: skip
            site.person(login, tenant, role)
        transfers.grant_to_tenant(site.control, admin(site), "science", 1000 * MICRO, "start")
        yield site


async def make(site: Site, login: str = "admin", **changes: Any) -> dict[str, Any]:
    answer = await site.call(login, "POST", "/courses", PHYSICS | changes)
    assert answer.status == 201, answer.body
    return answer.body


async def refused(site: Site, login: str = "admin", **changes: Any) -> Answer:
    before = tenants(site)
    answer = await site.call(login, "POST", "/courses", PHYSICS | changes)
    assert answer.status >= 400, answer.body
    assert tenants(site) == before
    assert answer.body["error"]["next"]
    return answer


def tenants(site: Site) -> list[str]:
    with site.control.store.read() as session:
        assert len(session.exec(select(CourseRow)).all()) < 10
        return sorted(session.exec(select(TenantRow.id)).all())


async def test_a_course_is_made_with_all_that_belongs_to_it(campus: Site) -> None:
    made = await make(campus)
    assert (made["id"], made["state"], made["role"], made["place"]) == (
        "phys-26", "upcoming", "instructor", "phys-26",
    )  # fmt: skip
    assert made["student"] == {"limits": {"gpu": "0.25", "workloads": "2"}, "credits": "10.00"}
    assert made["limits"] == {"gpu": "2"}
    assert made["course_credits"] == "100.00"
    assert [(g["id"], g["student_limits"]) for g in made["groups"]] == [
        ("phys-26-projects", {}), ("phys-26-quiz", {"gpu": "0"}),
    ]  # fmt: skip
    assert (made["members"], made["staff"], made["waiting_to_join"]) == (0, 1, 2)
    (held,) = made["hours"]
    assert (held["weekdays"], held["starts"], held["held"]) == ([1], "09:00", 2)
    assert made["next_hours"]["starts_at"] == "2026-01-13T08:00:00Z"
    assert campus.leaks() == []


async def test_students_and_strangers_see_what_is_theirs(campus: Site) -> None:
    await make(campus)
    await enrol(campus, "mia")
    seen = (await campus.call("mia", "GET", "/courses/phys-26")).body
    assert (seen["role"], seen["my_credits"], seen["may"]) == (
        "member", "10.00", {"manage": False, "run": False},
    )  # fmt: skip
    assert (seen["course_credits"], seen["groups"], seen["limits"]) == ("", [], {})
    assert (await campus.call("mia", "GET", "/me")).body["wallets"] == [
        {"course": "phys-26", "name": "Physics 101", "balance": "10.00", "held": "0.00", "spent": "0.00"}
    ]  # fmt: skip
    for stranger in ("noa", "otto"):
        assert (await campus.call(stranger, "GET", "/courses")).body["items"] == []
        for method, path in (
            ("GET", ""), ("PUT", ""), ("POST", "/end"), ("POST", "/lab"), ("GET", "/roster"),
            ("GET", "/groups"), ("POST", "/links"), ("GET", "/exports"),
        ):  # fmt: skip
            real = await campus.call(stranger, method, f"/courses/phys-26{path}", {})
            none = await campus.call(stranger, method, f"/courses/no-such{path}", {})
            assert real.status == none.status == 404, path
            assert str(real.body).replace("phys-26", "X") == str(none.body).replace("no-such", "X")
    for method, path in (("PUT", ""), ("POST", "/end"), ("GET", "/roster"), ("POST", "/links")):
        assert (await campus.call("mia", method, f"/courses/phys-26{path}", {})).status == 403


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"last_day": "2026-01-01"}, "before it begins"),
        ({"last_day": "2028-01-01"}, "more than a year"),
        ({"first_day": "2025-01-06", "last_day": "2025-05-29"}, "over already"),
        ({"first_day": "12.1.2026"}, "first_day: '12.1.2026' is not a day"),
        ({"time_zone": "Europe/Atlantis"}, "there is no 'Europe/Atlantis'"),
        ({"id": "Phys 26"}, "is not an id"), ({"id": "science"}, "there is a tenant 'science'"),
        ({"name": " "}, "name:"), ({"parent": "nowhere"}, "there is no tenant 'nowhere'"),
        ({"lab": {"offer": "none"}}, "lab: there is no offer 'none'"),
        ({"lab": {"offer": "gpu-quarter", "set": {"gpu": "9"}}}, "lab: gpu"),
        ({"offers": ["cpu"]}, "not among the offers"), ({"limits": {"hats": "1"}}, "no 'hats'"),
        ({"student": {"limits": {"gpu": "1/3"}}}, "student.limits.gpu"),
        ({"student": {"credits": "-4"}}, "student.credits"), ({"credits": "5000"}, "credits"),
        ({"material": {"url": "file:///etc"}}, "material"),
        ({"groups": [{"name": "A"}, {"name": "a"}]}, "groups[1]: there is a group 'A'"),
        ({"rules": [{"provider": "x", "claim": "g", "value": "v"}]}, "no identity provider 'x'"),
        ({"hours": [{"weekdays": ["mon"], "starts": "9am", "length": "2h"}]}, "hours[0]"),
        ({"hours": [{"weekdays": ["mon"], "starts": "09:00", "length": "2h", "places": 400}]},
         "hours[0]: nothing here is large enough"),
        ({"roster": {"csv": "id,email\n1,nope\n"}}, "roster: line 2: email: 'nope' is no e-mail"),
        ({"roster": {"csv": ""}}, "roster: it is empty"),
        ({"roster": {"file": "UEsDBA=="}}, "workbook"), ({"roster": {"file": "?"}}, "not base64"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_said_and_nothing_is_made(
    campus: Site, changes: dict[str, Any], said: str
) -> None:
    answer = await refused(campus, **changes)
    assert said in answer.body["error"]["message"]
    assert campus.leaks() == []


async def test_a_check_tells_all_at_once(campus: Site) -> None:
    wrong = {"lab": {"offer": "none"}, "credits": "5000", "groups": [{"name": ""}]}
    found = (await campus.call("admin", "POST", "/courses/check", PHYSICS | wrong)).body
    assert [one["field"] for one in found["problems"]][:3] == ["lab", "credits", "groups[0]"]
    assert all(one["next"] for one in found["problems"])
    good = (await campus.call("admin", "POST", "/courses/check", PHYSICS)).body
    assert good["problems"] == []
    assert (good["roster"]["new"], good["roster"]["people"][0]["group"]) == (2, "Quiz")
    assert [one["possible"] for one in good["hours"]] == [True]
    assert good["summary"][:2] == [
        "2 students on the roster",
        "10.00 credits for each: 20.00 in all",
    ]
    assert "phys-26" not in tenants(campus)


async def test_a_list_of_10_mb_is_refused_early(campus: Site) -> None:
    huge = {"csv": "id,name\n" + "1,a\n" * 2_600_000}
    answer = await campus.call("admin", "POST", "/courses", PHYSICS | {"roster": huge})
    assert (answer.status, answer.code) == (413, "too-large")
    assert "2 MiB" in answer.body["error"]["message"]
    above = {"csv": "id,name\n" + "1,aaaa\n" * 400_000}
    answer = await campus.call("admin", "POST", "/courses", PHYSICS | {"roster": above})
    assert answer.status == 422
    assert "phys-26" not in tenants(campus)


async def test_each_part_needs_its_right_and_one_refused_refuses_all(campus: Site) -> None:
    for part in ({"limits": {"gpu": "2"}}, {"student": {"limits": {"gpu": "4"}}}):
        bare = {"limits": {}, "credits": "0", "hours": [], "student": {}}
        answer = await refused(campus, "prof", **bare | part)
        assert answer.status == 403
    answer = await refused(campus, "dean", parent="arts")
    assert answer.status == 404
    made = await make(campus, "prof", limits={}, hours=[], student={"limits": {"gpu": "1"}})
    assert (made["role"], made["course_credits"]) == ("instructor", "100.00")


async def test_clone_carries_everything_but_people(campus: Site) -> None:
    before = await make(campus)
    await enrol(campus, "mia")
    body = {"id": "phys-27", "term": "Spring 2027", "first_day": "2027-01-11", "credits": "50"}
    cloned = await campus.call("prof", "POST", "/courses/phys-26/clone", body)
    assert cloned.status == 201, cloned.body
    after = cloned.body
    assert (after["last_day"], after["cloned_from"]) == ("2027-05-28", "phys-26")
    for same in ("name", "lab", "student", "limits", "offers", "time_zone", "parent"):
        assert after[same] == before[same], same
    assert [(g["id"], g["student_limits"]) for g in after["groups"]] == [
        ("phys-27-projects", {}), ("phys-27-quiz", {"gpu": "0"}),
    ]  # fmt: skip
    assert (after["members"], after["staff"], after["waiting_to_join"]) == (0, 1, 0)
    assert after["course_credits"] == "50.00"
    assert after["next_hours"]["starts_at"] == "2027-01-12T08:00:00Z"
    again = await campus.call("prof", "POST", "/courses/phys-26/clone", body | {"id": "phys-28"})
    assert again.status == 403  # a second one would have the limits twice


async def test_lab_hours_stay_at_their_local_time_when_the_clocks_change(campus: Site) -> None:
    made = await make(campus)
    reservation = made["hours"][0]["reservation"]
    windows = (await campus.call("admin", "GET", f"/reservations/{reservation}")).body["windows"]
    starts = {window["starts_at"][:10]: window["starts_at"][11:16] for window in windows}
    assert (starts["2026-03-24"], starts["2026-03-31"]) == ("08:00", "07:00")
    assert all("09:00-11:00" in window["text"] for window in windows)


async def test_a_change_is_all_or_nothing(campus: Site) -> None:
    made = await make(campus)
    wrong = {"name": "New", "term": "Autumn", "lab": {"offer": "none"}}
    answer = await campus.call("admin", "PUT", "/courses/phys-26", wrong)
    assert answer.status == 404
    now = (await campus.call("admin", "GET", "/courses/phys-26")).body
    assert now == made
    hours = [{"weekdays": [3], "starts": "14:00", "length": "1h", "places": 1}]
    changed = await campus.call(
        "admin", "PUT", "/courses/phys-26", {"name": "New", "hours": hours, "version": 1}
    )
    assert changed.status == 200, changed.body
    assert (changed.body["name"], changed.body["version"]) == ("New", 2)
    assert [(h["weekdays"], h["starts"]) for h in changed.body["hours"]] == [([3], "14:00")]
    stale = await campus.call("admin", "PUT", "/courses/phys-26", {"name": "Old", "version": 1})
    assert stale.status == 409


async def enrol(site: Site, login: str, course: str = "phys-26") -> None:
    """By a join link."""
    link = await site.call("admin", "POST", f"/courses/{course}/links", {})
    token = link.body["url"].partition("token=")[2]
    joined = await site.call(login, "POST", "/courses/join", {"token": token})
    assert joined.status == 200, joined.body
    assert joined.body["role"] == "member"
