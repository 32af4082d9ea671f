"""Courses of learning systems: a new course from one, links, rosters. And a message with a time."""

import re
from datetime import datetime, timedelta

from playwright.sync_api import Page, expect

from tests.browser.test_portal_pages import behind, browser, page, site
from tests.unit.portal.canned import Site
from tests.unit.portal.canned_courses import course
from tests.unit.portal.canned_learning import context

__all__ = ["behind", "browser", "page", "site"]  # fixtures; found by their names

PORTAL = "/services/portal/"


def at(page: Page, path: str) -> None:
    page.goto(PORTAL + path, wait_until="commit")


def make(page: Page) -> None:
    at(page, "courses/new?lti=lc-1")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Optics <II>")
    expect(page.get_by_label("Short name")).to_have_value("optics-ii")
    expect(page.get_by_text("in your learning system: who opens")).to_be_visible()
    page.goto(f"{PORTAL}courses/new?lti=lc-1#review")
    page.get_by_role("button", name="Create the course").click()


def test_a_course_from_a_learning_system_is_named_and_linked(page: Page, site: Site) -> None:
    site.courses.learning.contexts["lc-1"] = context("lc-1", "Optics <II>", None)
    make(page)
    expect(page.get_by_text("It is linked with Optics <II>")).to_be_visible()
    assert site.courses.learning.contexts["lc-1"]["course"]


def test_a_link_that_fails_is_said_and_the_course_is_there(page: Page, site: Site) -> None:
    site.courses.learning.contexts["lc-1"] = context("lc-1", "Optics <II>", None)
    site.courses.learning.refuse_link = True
    make(page)
    expect(page.get_by_role("heading", name=re.compile("is ready"))).to_be_visible()
    expect(page.get_by_role("alert").filter(has_text="not linked")).to_contain_text(
        "It is linked to another course already"
    )


def test_a_learning_system_that_is_linked_leads_to_its_course(page: Page, site: Site) -> None:
    site.courses.learning.contexts["lc-1"] = context("lc-1", "Optics", "phys")
    at(page, "courses/new?lti=lc-1")
    expect(page.get_by_role("heading", name="Physics 101")).to_be_visible()


def test_a_strange_learning_system_is_no_dead_end(page: Page) -> None:
    at(page, "courses/new?lti=lc-nobodys")
    expect(page.get_by_text("There is no such course")).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_be_visible()


def test_what_was_typed_is_on_the_last_page(page: Page) -> None:
    at(page, "courses/new")
    page.get_by_label("Name", exact=True).fill("Waves <1>")
    page.goto(f"{PORTAL}courses/new#lab")
    page.get_by_label("Git repository").fill("https://git.example.org/waves.git")
    page.goto(f"{PORTAL}courses/new#review")
    expect(page.get_by_text("Material: https://git.example.org/waves.git")).to_be_visible()
    expect(page.get_by_text(re.compile("Waves <1>, of "))).to_be_visible()
    expect(page.get_by_text(re.compile("“Open lab” starts: "))).to_be_visible()


def test_rosters_show_why_they_failed_and_are_looked_at_now(page: Page, site: Site) -> None:
    site.courses.learning.contexts["lc-1"] = context("lc-1", "Optics", "phys", error="no answer")
    site.courses.learning.contexts["lc-2"] = context("lc-2", "Waves", None)
    at(page, "courses/phys/people")
    box = page.get_by_role("region", name="Learning systems")
    expect(box.get_by_role("row", name=re.compile("Optics"))).to_contain_text("No answer")
    box.get_by_role("button", name="Sync now").click()
    expect(page.get_by_text("31 on the list of moodle: 2 changed, 1 left")).to_be_visible()
    expect(box.get_by_role("row", name=re.compile("Optics"))).to_contain_text("Roster taken over")
    box.get_by_role("button", name="Link: Waves").click()
    expect(box.get_by_role("button", name="End the link: Waves")).to_be_visible()
    box.get_by_role("button", name="End the link: Waves").click()
    page.get_by_role("dialog").get_by_role("button", name="End the link").click()
    expect(box.get_by_role("button", name="Link: Waves")).to_be_visible()


def test_without_a_learning_system_the_page_says_nothing_of_it(page: Page) -> None:
    at(page, "courses/phys/people")
    expect(page.get_by_role("heading", name="Join links")).to_be_visible()
    expect(page.get_by_role("heading", name="Learning systems")).to_have_count(0)


def test_a_message_may_begin_later(page: Page, site: Site) -> None:
    at(page, "courses/phys")
    page.get_by_text("Tell everybody something").click()
    page.get_by_label("Message").fill("The lab moves to room 3")
    begins = datetime.now() + timedelta(days=1)  # noqa: DTZ005 (the field takes the browser's clock)
    page.get_by_label("From (empty: now)").fill(f"{begins:%Y-%m-%dT%H:%M}")
    page.get_by_role("button", name="Send to everybody").click()
    expect(page.get_by_text("It will appear at")).to_be_visible()
    sent = site.courses.sent["announcements"]
    length = datetime.fromisoformat(sent["ends_at"]) - datetime.fromisoformat(sent["starts_at"])
    assert length == timedelta(hours=2)


def test_an_instructor_is_not_offered_limits_that_are_set_from_above(
    page: Page, site: Site
) -> None:
    site.admin = False
    site.courses.items[:] = [course("phys", "Physics 101", "instructor")]
    at(page, "courses/phys/settings")
    group = page.get_by_role("group", name="All of them together")
    expect(group).to_contain_text("At most at a time: GPU 4.")
    expect(group.get_by_role("textbox")).to_have_count(0)
