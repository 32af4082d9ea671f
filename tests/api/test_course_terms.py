"""A course from term to term: what is over, goes on, is cloned, grows. 5 January 2026, 09:00."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from catalog.clock import ManualClock
from hub.courses import clean_up, hours
from hub.store.course_tables import CourseHoursRow, CourseRow
from hub.store.desk_tables import QuotaChangeRow
from hub.store.tables import PersonRow, QuotaRow, ReservationRow
from tests.api.test_courses import campus, enrol, make, refused
from tests.site import Site

__all__ = ["campus"]
C = "/courses/phys-26"


class Running(ManualClock):
    """A clock that goes on while somebody looks."""

    def now(self) -> datetime:
        return self.advance(timedelta(microseconds=7))


def starts(course: dict[str, Any]) -> list[str]:
    return [one["starts"] for one in course["hours"]]


async def over(site: Site, **changes: Any) -> None:
    """A course whose last day has passed, as the reconciler leaves it."""
    await make(site, last_day="2026-01-20", **changes)
    site.later(days=17)
    clean_up.keep(site.control)
    ended = (await site.call("admin", "GET", C)).body
    assert (ended["state"], ended["hours"]) == ("ended", [])


async def test_lab_hours_come_back_on_a_clock_that_goes_on(
    campus: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make(campus)
    monkeypatch.setattr(campus.control, "clock", Running(campus.clock.now()))
    assert (await campus.call("admin", "POST", f"{C}/end")).body["hours"] == []
    assert starts((await campus.call("admin", "POST", f"{C}/reopen")).body) == ["09:00"]


async def test_a_course_that_is_over_is_cloned_with_its_lab_hours(campus: Site) -> None:
    await over(campus)
    body = {"id": "phys-27", "first_day": "2026-02-02", "last_day": "2026-03-02", "credits": "50"}
    cloned = await campus.call("admin", "POST", f"{C}/clone", body)
    assert cloned.status == 201, cloned.body
    assert starts(cloned.body) == ["09:00"]


async def test_a_later_last_day_brings_the_lab_hours_back(campus: Site) -> None:
    await over(campus)
    renamed = (await campus.call("admin", "PUT", C, {"name": "Physics"})).body
    assert (renamed["state"], renamed["hours"]) == ("ended", [])
    wrong = {"hours": [{"weekdays": ["mon"], "starts": "09:00", "length": "1h"}]}
    answer = await campus.call("admin", "PUT", C, wrong)
    assert (answer.status, answer.body["error"]["next"]) == (
        409, "choose a later last day first",
    )  # fmt: skip
    longer = await campus.call("admin", "PUT", C, {"last_day": "2026-03-01"})
    assert (longer.body["state"], starts(longer.body)) == ("active", ["09:00"])


async def test_lab_hours_that_were_given_up_during_the_term_stay_so(campus: Site) -> None:
    await make(campus)
    assert (await campus.call("admin", "PUT", C, {"hours": []})).body["hours"] == []
    campus.later(hours=1)
    await campus.call("admin", "POST", f"{C}/end")
    assert (await campus.call("admin", "POST", f"{C}/reopen")).body["hours"] == []


async def test_an_environment_that_there_is_not_is_named(campus: Site) -> None:
    answer = await refused(campus, environment="torch-9")
    assert "environment: there is no 'torch-9'" in answer.body["error"]["message"]
    body = (await make(campus)) and {"environment": "../../etc"}
    answer = await campus.call("admin", "PUT", C, body)
    assert answer.status == 422
    assert "environment" in answer.body["error"]["message"]
    assert (await campus.call("admin", "GET", C)).body["environment"] == ""


async def test_a_limit_of_the_site_is_no_word_for_more_in_a_course(campus: Site) -> None:
    with campus.control.store.write() as session:
        for person, limit in (("", 8000), ("*", 1000)):
            row = session.get(QuotaRow, ("main", person, "gpu"))
            row = row or QuotaRow(tenant_id="main", person_id=person, dimension="gpu")
            row.limit = limit
            session.add(row)
    await make(campus, "prof", limits={}, hours=[], credits="0", student={})
    more = {"student": {"limits": {"gpu": "4"}, "credits": "0"}}
    assert (await campus.call("prof", "PUT", C, more)).status == 403
    desk = {"changes": [{"tenant": "phys-26", "person": "*", "dimension": "gpu", "limit": "4"}]}
    assert (await campus.call("prof", "POST", "/quotas/changes", desk)).status == 422
    assert (await campus.call("dean", "PUT", C, {"limits": {"gpu": "6"}})).status == 200
    assert (await campus.call("prof", "PUT", C, more)).status == 200


async def test_limits_of_a_course_have_a_history_and_can_be_taken_back(campus: Site) -> None:
    await make(campus)
    changed = await campus.call("admin", "PUT", C, {"limits": {"gpu": "1"}})
    assert changed.body["limits"] == {"gpu": "1"}
    page = await campus.call("admin", "GET", "/quotas/changes", params={"tenant": "phys-26"})
    newest = page.body["items"][0]
    assert (newest["before"], newest["after"], newest["by"]) == ("2 GPUs", "1 GPU", "admin")
    undone = await campus.call("admin", "POST", f"/quotas/changes/{newest['id']}/undo")
    assert undone.status == 200, undone.body
    assert (await campus.call("admin", "GET", C)).body["limits"] == {"gpu": "2"}
    assert (await campus.call("admin", "DELETE", f"{C}/groups/phys-26-quiz")).status == 200
    with campus.control.store.read() as session:
        left = select(QuotaChangeRow.id).where(QuotaChangeRow.tenant_id == "phys-26-quiz")
        assert session.exec(left).all() == []


async def test_lab_hours_grow_with_the_roster_once_they_can(campus: Site) -> None:
    hour = {"weekdays": ["tue"], "starts": "09:00", "length": "2h"}
    await make(campus, hours=[hour])
    with campus.control.store.read() as session:
        assert [row.count for _, row in hours.of_course(session, "phys-26")] == [2]
    await enrol(campus, "mia")
    clean_up.keep(campus.control)
    with campus.control.store.read() as session:
        assert [row.count for _, row in hours.of_course(session, "phys-26")] == [3]
    text = "id,name\n" + "".join(f"s{n},Student {n}\n" for n in range(400))
    taken = await campus.call("admin", "POST", f"{C}/roster", {"csv": text})
    assert taken.status == 200, taken.body
    for _ in range(2):
        clean_up.keep(campus.control)
    with campus.control.store.read() as session:
        rows = session.exec(
            select(ReservationRow)
            .join(CourseHoursRow, col(CourseHoursRow.reservation_id) == ReservationRow.id)
            .where(col(ReservationRow.cancelled_at).is_(None))
        ).all()
        assert [row.count for row in rows] == [3]  # what cannot be held stays as it was
    told = (await campus.call("admin", "GET", "/notices")).body["items"]
    (notice,) = [one for one in told if one["kind"] == "course-hours"]
    assert "too few places" in notice["text"]


async def test_after_the_last_day_all_winds_down_and_the_archives_can_be_had(
    campus: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the reconciler alone."""
    monkeypatch.setattr("hub.courses.exports.LEAST_FREE", 0)
    await make(campus, first_day="2026-01-05", last_day="2026-01-05", clean_up_days=0, hours=[])
    await enrol(campus, "mia")
    running = (await campus.call("mia", "POST", f"{C}/lab")).body["id"]
    await campus.until_status("mia", running, "running")
    with campus.control.store.write() as session:
        for person in session.exec(select(PersonRow)).all():
            person.uid = None  # files of this process are theirs
            session.add(person)
    work = campus.settings.spaces_dir / "homes" / "mia" / "phys-26"
    work.mkdir(parents=True)
    (work / "lab.ipynb").write_text("{}")
    campus.later(hours=14, minutes=1)  # 23:01 UTC: midnight has passed in Berlin

    def cleaned() -> bool:
        with campus.control.store.read() as session:
            return session.get_one(CourseRow, "phys-26").cleaned_at is not None

    for _ in range(10):
        await campus.beat()
        await campus.settled()
        if cleaned():
            break
        campus.later(minutes=20)
    assert cleaned()
    assert campus.row(running).status == "stopped"
    headers = {"Authorization": f"token {campus.token_of('admin')}"}
    path = f"/services/control/v1{C}/exports/"
    archive = await campus.raw("GET", f"{path}mia", headers=headers)
    assert (archive.status_code, archive.content[:2]) == (200, b"\x1f\x8b")
    for login in ("noa", "nobody", "..%2Fmanifest.json"):
        assert (await campus.raw("GET", path + login, headers=headers)).status_code == 404
    for login in ("mia", "otto"):
        headers = {"Authorization": f"token {campus.token_of(login)}"}
        assert (await campus.raw("GET", f"{path}mia", headers=headers)).status_code == 404
    assert campus.leaks() == []


async def test_a_wallet_in_a_course_has_a_statement_and_gives_back(campus: Site) -> None:
    await make(campus)
    await enrol(campus, "mia")
    one = {"person": "mia", "in": "phys-26"}
    back = {"from": one, "to": {"tenant": "phys-26"}, "credits": "4"}
    path = "/credits/transfer"
    for stranger in ("otto", "noa", "mia"):
        assert (await campus.call(stranger, "POST", path, back)).status in {403, 404}
    wrong = back | {"from": {"person": "noa", "in": "phys-26"}}
    assert (await campus.call("admin", "POST", path, wrong)).status == 404
    given = await campus.call("admin", "POST", path, back)
    assert given.status in {200, 201}, given.body
    usage = (await campus.call("mia", "GET", "/usage", params={"tenant": "phys-26"})).body
    assert usage["balance"] == "6.00"
    assert [line["amount"] for line in usage["items"]][:2] == ["-4.00", "10.00"]
    other = await campus.call("noa", "GET", "/usage", params={"tenant": "phys-26"})
    assert other.status == 404


async def test_a_course_and_its_groups_stay_where_they_belong(campus: Site) -> None:
    await make(campus)
    await make(campus, id="chem-26", credits="0", hours=[], roster=None, groups=[])
    for tenant, parent in (
        ("phys-26-quiz", "science"), ("phys-26-quiz", "chem-26"), ("phys-26", "chem-26"),
        ("arts", "phys-26"),
    ):  # fmt: skip
        moved = await campus.call("admin", "PUT", f"/tenants/{tenant}", {"parent": parent})
        assert moved.status == 422, (tenant, parent)
        assert "course" in moved.body["error"]["message"]
    assert (await campus.call("admin", "PUT", "/tenants/phys-26", {"parent": "arts"})).status == 200


async def test_the_queue_is_a_state_of_its_own(campus: Site) -> None:
    await make(campus)
    await enrol(campus, "mia")
    running = (await campus.call("mia", "POST", f"{C}/lab")).body["id"]
    await campus.until_status("mia", running, "running")
    body = {"offer": "gpu-quarter", "tenant": "phys-26"}
    waiting = (await campus.call("mia", "POST", "/workloads", body)).body["id"]
    seen: dict[str, list[str]] = {}
    for login in ("mia", "admin", "prof", "otto", "noa"):
        for state in ("queued", "active"):
            query = {"state": state, "everybody": "true", "limit": 1}
            page = (await campus.call(login, "GET", "/workloads", params=query)).body
            seen[f"{login} {state}"] = [one["id"] for one in page["items"]]
    assert seen["mia queued"] == seen["admin queued"] == seen["prof queued"] == [waiting]
    assert seen["otto active"] == seen["noa active"] == []
