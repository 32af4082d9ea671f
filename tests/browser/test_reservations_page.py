"""Reserving and giving up in a real Chromium, with canned answers."""

import json
import re

from playwright.sync_api import Page, expect

from tests.browser.test_portal_pages import behind, browser, page, site
from tests.unit.portal.canned import Site

__all__ = ["behind", "browser", "page", "site"]  # fixtures; found by their names

PAGE = "/services/portal/reservations"


def fill(page: Page, starts: str) -> None:
    form = page.get_by_role("dialog", name="Reserve")
    form.get_by_label("Name").fill("Lab B")
    form.get_by_label("Places").fill("4")
    form.get_by_label("First day").fill("2030-02-04")
    form.get_by_label("From").fill(starts)
    form.get_by_role("button", name="Reserve").click()


def test_what_is_held_is_shown_with_what_is_missing(page: Page) -> None:
    page.goto(PAGE, wait_until="commit")
    lab = page.get_by_role("region", name="Lab A")
    expect(lab).to_contain_text("4 × 1/8 GPU, 0.5 CPU, 1 GiB for Main")
    expect(lab).to_contain_text("Mon 4 Feb 2030 09:00-11:00 UTC")
    expect(lab).to_contain_text("1 place is missing")
    expect(page.get_by_role("link", name="Reservations")).to_have_attribute("aria-current", "page")


def test_a_conflict_is_shown_with_the_nearest_free_window_and_that_is_taken(
    page: Page, site: Site
) -> None:
    page.goto(PAGE, wait_until="commit")
    page.get_by_role("button", name="Reserve").click()
    fill(page, "10:00")
    form = page.get_by_role("dialog", name="Reserve")
    expect(form.get_by_role("status")).to_contain_text("1 of 1 window cannot be held")
    expect(form.get_by_role("status")).to_contain_text("because of the reservation 'Lab A'")
    form.get_by_role("button", name="Take it: Mon 4 Feb 2030 11:00-13:00 UTC").click()
    expect(form.get_by_label("From")).to_have_value("11:00")
    form.get_by_role("button", name="Reserve").press("Enter")
    expect(form).to_be_hidden()
    expect(page.get_by_role("region", name="Lab B")).to_be_visible()
    asked = json.loads(next(body for body in reversed(site.bodies) if body))
    assert (asked["starts"], asked["count"], asked["weekdays"]) == ("11:00", 4, [])
    assert asked["time_zone"]


def test_a_window_is_given_up_and_a_reservation_cancelled(page: Page) -> None:
    page.goto(PAGE, wait_until="commit")
    lab = page.get_by_role("region", name="Lab A")
    lab.get_by_text("All windows").click()
    lab.get_by_role("button", name=re.compile("Give up: Mon 4 Feb")).click()
    page.get_by_role("dialog").get_by_role("button", name="Give up").click()
    expect(lab).to_contain_text("Given up by ada")
    lab.get_by_role("button", name="Cancel: Lab A").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel it").click()
    expect(lab).to_be_hidden()
    expect(page.get_by_text("Nothing is held for you or your people.")).to_be_visible()


def test_who_may_not_reserve_sees_no_link_and_no_button(page: Page, site: Site) -> None:
    site.admin = False
    page.goto(PAGE, wait_until="commit")
    expect(page.get_by_role("region", name="Lab A")).to_be_visible()
    expect(page.get_by_role("button", name="Reserve")).to_be_hidden()
    expect(page.get_by_role("link", name="Reservations")).to_be_hidden()


def test_it_fits_on_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(PAGE, wait_until="commit")
    page.get_by_role("button", name="Reserve").click()
    form = page.get_by_role("dialog", name="Reserve")
    expect(form).to_be_visible()
    assert form.evaluate("box => box.scrollWidth <= box.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
