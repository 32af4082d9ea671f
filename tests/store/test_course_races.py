"""Many come into a course and open its lab at the same time, on both databases: each is in once,
paid once, and has one lab."""

from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from catalog.clock import ManualClock
from catalog.errors import Conflict
from catalog.units import MICRO
from hub import people, transfers
from hub.control_context import Control
from hub.courses import enrolment, lab, links, making
from hub.courses.wishes import Lab, NewCourse
from hub.policy import Actor
from hub.store import money
from hub.store.course_tables import RosterRow
from hub.store.tables import MembershipRow, PersonRow, WorkloadRow
from quotas.ledger import AccountKind, Owner
from tests.site import add_person, leaks
from tests.store.conftest import another
from tests.store.test_races import at_once

COURSE: dict[str, Any] = {
    "name": "Physics 101", "parent": "main", "first_day": "2026-01-05", "last_day": "2026-05-29",
    "lab": Lab("gpu-quarter", {}), "student_credits": "10",
}  # fmt: skip


def boss(control: Control) -> Actor:
    return people.actor_of(control, "admin")


def make(control: Control, credits_: str = "15") -> None:
    transfers.grant_to_tenant(control, boss(control), "main", 1000 * MICRO, "start")
    making.create(control, boss(control), NewCourse(id="phys", credits=credits_, **COURSE))


def balance(control: Control, person_id: str = "") -> int:
    with control.store.read() as session:
        return money.balance(session, Owner("phys", person_id), AccountKind.WALLET) // MICRO


@pytest.fixture
def other(control: Control, database: str, tmp_path: Path, clock: ManualClock) -> Any:
    """One more control on the same database."""
    built = another(database, tmp_path, clock)
    yield built
    built.store.close()


def test_of_the_same_course_made_twice_one_is(control: Control, other: Control) -> None:
    transfers.grant_to_tenant(control, boss(control), "main", 1000 * MICRO, "start")
    wanted = NewCourse(id="phys", credits="15", **COURSE)
    found = at_once(*(lambda c=c: making.create(c, boss(c), wanted) for c in (control, other)))
    assert {type(one) for one in found} == {str, Conflict}
    assert balance(control) == 15
    assert leaks(control) == []


def test_one_comes_in_by_many_ways_at_once_and_is_paid_once(
    control: Control, other: Control
) -> None:
    make(control)
    mia = add_person(control, "mia")

    def come(one: Control, source: str) -> None:
        with one.store.write() as session:
            person = session.get_one(PersonRow, mia.person_id)
            enrolment.enrol(one, session, "phys", person, role="member", source=source)

    ways = [(one, way) for one in (control, other) for way in ("lti:moodle", "rule:x", "roster")]
    assert at_once(*(lambda w=w: come(*w) for w in ways)) == [None] * 6
    assert (balance(control, mia.person_id), balance(control)) == (10, 5)
    with control.store.read() as session:
        lines = session.exec(select(RosterRow).where(RosterRow.person_id == mia.person_id)).all()
    assert len(lines) == 1
    assert leaks(control) == []


def test_the_last_place_of_a_link_and_the_last_credits_go_to_one(
    control: Control, other: Control
) -> None:
    make(control)
    row, url = links.make(control, boss(control), "phys", most=1, expires="1d", group_id="")
    secret = url.partition("token=")[2]
    both = [add_person(control, "mia"), add_person(control, "noa")]
    pairs = list(zip((control, other), both, strict=True))
    found = at_once(*(lambda p=p: links.join(p[0], p[1], secret) for p in pairs))
    assert sorted(str(one) for one in found if isinstance(one, str)) == ["phys"]
    assert {type(one) for one in found} == {str, Conflict}
    with control.store.read() as session:
        inside = session.exec(
            select(MembershipRow.person_id).where(
                MembershipRow.tenant_id == "phys",
                col(MembershipRow.person_id).in_([one.person_id for one in both]),
            )
        ).all()
    assert len(inside) == 1
    assert row.most == 1


def test_many_clicks_on_two_controls_open_one_lab(control: Control, other: Control) -> None:
    make(control)
    add_person(control, "mia")
    mia = people.actor_of(control, "mia")
    with control.store.write() as session:
        person = session.get_one(PersonRow, mia.person_id)
        enrolment.enrol(control, session, "phys", person, role="member", source="roster")
    mia = people.actor_of(control, "mia")
    clicks = [control, other] * 4
    found = at_once(*(lambda c=c: lab.open_lab(c, mia, "phys").id for c in clicks))
    assert len(set(found)) == 1
    with control.store.read() as session:
        assert len(session.exec(select(WorkloadRow)).all()) == 1
    assert leaks(control) == []
