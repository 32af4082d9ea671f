"""A class that arrives: what one student's look costs does not grow with the class, and a shared
picture of the site never hides from anybody what they were told."""

from datetime import timedelta

import pytest

from hub.picture import look
from tests.site import Site, add_course, add_tenant

MOST_STATEMENTS = 22
PAGE = ("/me", "/offers", "/workloads?state=all&limit=50", "/notices", "/courses?limit=100",
        "/visits", "/announcements?limit=20")  # fmt: skip
"""What the portal's page asks for."""


@pytest.fixture
async def lesson(site: Site) -> list[str]:
    """The logins of a course in which everybody's lab runs."""
    add_tenant(site.control, "blue")
    add_course(site.control, "blue")
    site.person("tina", "main")
    logins = [f"s{n}" for n in range(6)]
    for login in logins:
        site.person(login, "blue")
    labs = [await site.launch(login, "cpu", tenant="blue") for login in logins]
    for login, lab in zip(logins, labs, strict=True):
        await site.until_status(login, lab, "running")
    return logins


async def test_a_page_asks_the_database_a_few_times_only(
    site: Site, lesson: list[str], statements: list[str]
) -> None:
    for path in PAGE:
        assert (await site.call(lesson[0], "GET", path)).status == 200
        statements.clear()
        assert (await site.call(lesson[1], "GET", path)).status == 200
        assert len(statements) <= MOST_STATEMENTS, (path, len(statements))


async def test_who_runs_what_is_read_once_for_all_who_look(
    site: Site, lesson: list[str], statements: list[str]
) -> None:
    for login in lesson:
        for path in ("/me", "/offers", "/workloads"):
            assert (await site.call(login, "GET", path)).status == 200
    everybody = [said for said in statements if "attempt.released_at IS NULL" in said]
    assert len(everybody) <= 3, everybody


async def test_what_was_written_is_seen_at_once_where_a_picture_may_not_be_old(site: Site) -> None:
    before = await held(site, "noa")
    await site.run("mia", "gpu-quarter")
    assert await held(site, "noa") > before


async def test_a_picture_that_may_be_old_shows_everybody_what_they_were_told(site: Site) -> None:
    site.control.look_apart = timedelta(hours=1)
    free = await held(site, "noa")
    await site.run("mia", "gpu-quarter")
    assert await own(site, "mia") == 250
    assert (await site.call("mia", "GET", "/workloads")).body["items"][0]["status"] == "running"
    other = look(site.control, site.person("ida"))
    assert look(site.control, site.person("pia")) is other
    site.later(seconds=1)  # and nobody sees an old one for long
    assert look(site.control, site.person("zoe")) is not other
    assert await held(site, "noa") == free + 250


async def test_what_waits_is_shown_with_its_place_right_after_it_was_asked_for(site: Site) -> None:
    site.control.look_apart = timedelta(hours=1)
    await site.call("mia", "GET", "/offers")
    made = await site.call("mia", "POST", "/workloads", {"offer": "gpu-quarter"})
    assert made.status == 201
    assert made.body["position"] == 1


async def test_a_part_of_a_picture_is_read_in_the_transaction_of_who_needs_it(site: Site) -> None:
    picture, store = look(site.control, site.person("ida")), site.control.store
    with store.read() as first:
        picture.limits(first)
    with store.read() as second:
        assert picture.outlook(second).world.capacity.nodes
    assert not first.in_transaction(), "whoever read the limits has gone"


async def own(site: Site, login: str) -> int:
    """Milli-GPU that they hold, by their own meter."""
    lines = (await site.call(login, "GET", "/me")).body["meter"]
    return next(line["used"] for line in lines if line["dimension"] == "gpu")


async def held(site: Site, login: str) -> int:
    """Milli-GPU that all hold, as somebody sees it."""
    nodes = (await site.call(login, "GET", "/inventory")).body["nodes"]
    return sum(device["held_milli"] for node in nodes for device in node["devices"])
