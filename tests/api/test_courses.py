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
