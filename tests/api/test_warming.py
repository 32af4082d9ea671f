"""Before a class begins: its environment is made ready, its material fetched, its places held; its
teachers see that in the room, and are told in time of what is not."""

import json
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from catalog.asks import Ask
from hub import environments, people, reserving
from hub.courses import enrolment, material
from hub.courses.material_git import Bounds
from hub.courses.material_keeper import MaterialKeeper
from hub.store import money
from hub.store.course_tables import CourseRow
from hub.store.tables import PersonRow
from hub.warming import NOTICE, ClassWarmer, most_templates
from quotas import ledger
from quotas.windows import Rule
from tests.peers.git_http import Repository
from tests.site import Site, add_course, add_tenant

BEFORE = timedelta(minutes=30)
"""From now until the class."""
LENGTH = timedelta(hours=1)


@pytest.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    """With a course *blue*: three places are held for it, half an hour from now for an hour."""
    (tmp_path / "materials").mkdir()
    # pytest's folders are its own user's alone: git has to be that user here.
    monkeypatch.setattr(material, "git_uid", lambda _settings: None)
    async with Site(tmp_path, materials=tmp_path / "materials") as built:
        a_course(built, "blue")
        add_hours(built, "blue", BEFORE)
        for login, role in (("mia", "member"), ("noa", "member"), ("ian", "instructor")):
            built.person(login)
            enrol(built, "blue", login, role)
        yield built


def a_course(site: Site, name: str, **more: Any) -> None:
    add_tenant(site.control, name)
    add_course(site.control, name, **more)


def add_hours(site: Site, course: str, ahead: timedelta, places: int = 3) -> None:
    at = site.clock.now() + ahead
    rule = Rule(at.date(), at.date(), at.time(), LENGTH, UTC)
    ask = Ask(1000, 2 * 2**30, duration=LENGTH)
    margin = timedelta(minutes=5)
    wish = reserving.Wish(course, "Lab", places, ask, rule, "UTC", margin, LENGTH)
    reserving.reserve(site.control, people.actor_of(site.control, "admin"), wish)


def enrol(site: Site, course: str, login: str, role: str) -> None:
    with site.control.store.write() as session:
        person = session.exec(select(PersonRow).where(PersonRow.login == login)).one()
        enrolment.enrol(site.control, session, course, person, role=role, source="manual")
        cause = money.Cause(f"given:{login}", "test", site.clock.now(), "given")
        money.post(session, ledger.Owner(course, person.id), ledger.grant(10_000_000), cause)


def add_environment(site: Site, name: str, *, fork: bool) -> Path:
    folder = environments.folder_of(site.settings) / name
    folder.mkdir(parents=True)
    facts = {"python": sys.executable, "bin": f"/{name}/bin", "env": {"NAME": name}, "fork": fork}
    (folder / environments.RECORD).write_text(json.dumps(facts))
    return folder


def change(site: Site, course: str, **values: Any) -> None:
    with site.control.store.write() as session:
        row = session.get_one(CourseRow, course)
        for name, value in values.items():
            setattr(row, name, value)
        session.add(row)


def prepared(site: Site) -> list[str]:
    """The named environments that the engine is asked to have ready; "" is the site's own."""
    return [template.env.get("NAME", "") for template in site.engine.prepared]


async def ready(site: Site) -> dict[str, Any]:
    """What the room says, with its parts by name."""
    await site.beat()
    answer = await site.call("ian", "GET", "/courses/blue/room")
    assert answer.status == 200, answer.body
    found = answer.body["ready"]
    return found | {"parts": {one["name"]: one for one in found["parts"]}}


async def notices(site: Site) -> list[str]:
    """All that the instructor was ever told, read or not."""
    items = (await site.call("ian", "GET", "/notices")).body["items"]
    return [item["text"] for item in items if item["kind"] == NOTICE]


async def test_an_environment_is_ready_from_ten_minutes_before_until_the_class_is_over(
    site: Site,
) -> None:
    add_environment(site, "vision", fork=True)
    change(site, "blue", environment="vision")
    warmer = ClassWarmer(site.control)
    warmer.look()
    assert prepared(site) == []
    part = (await ready(site))["parts"]["environment"]
    assert (part["state"], part["text"][-19:]) == ("soon", "ready from 09:20 on"), part
    site.later(minutes=21)
    warmer.look()
    assert prepared(site) == ["vision"]
    assert (await ready(site))["parts"]["environment"]["state"] == "ready"
    await site.launch("mia", "cpu", tenant="blue")  # else nobody came, and it is given up
    site.later(minutes=20)
    warmer.look()
    assert prepared(site) == ["vision"]
    site.later(minutes=51)
    warmer.look()
    assert prepared(site) == []


async def test_what_cannot_be_imported_ahead_is_called_slow(site: Site) -> None:
    add_environment(site, "theirs", fork=False)
    change(site, "blue", environment="theirs")
    site.later(minutes=25)
    (found,) = ClassWarmer(site.control).look()
    assert prepared(site) == []
    assert found.state == "slow"
    assert found.text.startswith("Ready, but not at once, for")
    assert await notices(site) == []


async def test_an_environment_that_does_not_get_ready_is_called_slow(site: Site) -> None:
    site.later(minutes=21)
    (found,) = ClassWarmer(site.control, most=0).look()
    assert (found.state, "is being made ready" in found.text) == ("soon", True)
    site.later(minutes=2)
    (found,) = ClassWarmer(site.control, most=0).look()
    assert found.state == "slow"
    assert "is not ready (nobody has asked for it)" in found.text


async def test_of_many_environments_those_of_the_first_and_largest_classes_are_kept(
    site: Site,
) -> None:
    for name, ahead, places in (("late", 9, 2), ("large", 8, 3), ("small", 8, 1)):
        add_environment(site, name, fork=True)
        a_course(site, name, environment=name)
        add_hours(site, name, timedelta(minutes=ahead), places)
    ClassWarmer(site.control, most=2).look()
    assert prepared(site) == ["large", "small"]
    ClassWarmer(site.control, most=9).look()
    assert prepared(site) == ["large", "small", "late"]
    assert most_templates() >= 1


async def test_an_environment_that_is_gone_is_told_once_and_in_time(site: Site) -> None:
    change(site, "blue", environment="gone")
    warmer = ClassWarmer(site.control)
    warmer.look()
    assert await notices(site) == []
    site.later(minutes=22)
    await site.beat()
    warmer.look()
    (said,) = await notices(site)
    assert said.startswith("Blue: Not ready for")
    assert "gone is not on this site any more: choose another one" in said
    assert (await site.call("ian", "POST", "/notices/all/read", {})).status == 200
    site.later(minutes=1)
    warmer.look()
    ClassWarmer(site.control).look()  # control was started again
    assert await notices(site) == [said]
    found = await ready(site)
    assert (found["state"], f"Blue: {found['text']}") == ("wrong", said)


async def test_what_is_known_to_be_wrong_is_not_told_again_with_other_words(site: Site) -> None:
    site.later(minutes=21)
    change(site, "blue", environment="gone", material_url="/nowhere", material_commit="c",
           material_at=site.clock.now())  # fmt: skip
    await site.beat()
    warmer = ClassWarmer(site.control)
    warmer.look()
    (said,) = await notices(site)
    assert "material fetched at 09:21" in said
    assert (await site.call("ian", "POST", "/notices/all/read", {})).status == 200
    change(site, "blue", material_at=site.clock.now() + timedelta(minutes=1))
    site.later(minutes=1)
    (found,) = warmer.look()
    assert "material fetched at 09:22" in found.text
    assert await notices(site) == [said]
    change(site, "blue", material_error="it is not there")
    warmer.look()
    assert len(await notices(site)) == 2, "and what is new is told"


async def test_places_are_held_ahead_and_a_start_takes_one(site: Site) -> None:
    site.later(minutes=25)
    part = (await ready(site))["parts"]["places"]
    assert (part["state"], part["text"]) == ("ready", "3 places held")
    site.later(minutes=6)
    lab = await site.launch("mia", "cpu", tenant="blue")
    await site.until_status("mia", lab, "running")
    part = (await ready(site))["parts"]["places"]
    assert (part["state"], part["text"]) == ("ready", "2 places held, 1 in use")


async def test_places_that_are_lost_are_told(site: Site) -> None:
    site.later(minutes=22)
    site.engine.nodes = [replace(node, cpu_milli=2000) for node in site.engine.nodes]
    site.later(seconds=11)
    await site.beat()
    await site.beat()
    ClassWarmer(site.control).look()
    (said,) = await notices(site)
    assert "2 of 3 places can be held: the rest waits in the queue" in said


async def test_material_is_fetched_ahead_and_no_start_waits_for_it(site: Site) -> None:
    assert site.settings.materials is not None
    repository = Repository(site.settings.materials / "physics")
    repository.publish(a__txt="one\n")
    change(site, "blue", material_url=str(repository.folder))
    keeper, warmer = MaterialKeeper(site.control, Bounds(time_s=20)), ClassWarmer(site.control)

    async def look() -> str:
        await keeper.look()
        await keeper.settled()
        with site.control.store.read() as session:
            return session.get_one(CourseRow, "blue").material_commit

    await look()
    commit = repository.publish(a__txt="two\n")
    site.later(minutes=21)
    warmer.look()
    # It is due and nobody has looked yet: a start takes what is there.
    assert site.control.unhurried == {"blue"}
    material.freshen(site.control, "blue")
    assert await look() == commit
    assert site.control.unhurried == set()
    assert (await ready(site))["parts"]["material"]["text"] == "material fetched at 09:21"
    site.later(minutes=5)
    warmer.look()
    assert site.control.unhurried == set(), "it is recent"
    # Somebody of the staff wants it now: that is worth a wait.
    site.later(minutes=2)
    warmer.look()
    await site.call("ian", "POST", "/courses/blue/material/fetch", {})
    assert site.control.unhurried == set()


async def test_material_that_cannot_be_fetched_is_told(site: Site) -> None:
    change(site, "blue", material_url="/nowhere", material_error="it is not there",
           material_at=site.clock.now())  # fmt: skip
    site.later(minutes=22)
    await site.beat()
    ClassWarmer(site.control).look()
    (said,) = await notices(site)
    assert "the material could not be fetched: it is not there" in said


async def test_a_course_without_hours_to_come_says_nothing(site: Site) -> None:
    site.later(hours=3)
    await site.beat()
    assert (await site.call("ian", "GET", "/courses/blue/room")).body["ready"] is None
    assert ClassWarmer(site.control).look() == []
