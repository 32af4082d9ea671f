"""The ways to sign in, in the account menu, and what a closed account sees."""

import re
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.browser.test_portal_pages import behind, browser, page, site
from tests.unit.portal.canned import Site
from tests.unit.portal.canned_learning import identity

__all__ = ["behind", "browser", "page", "site"]  # fixtures; found by their names

PORTAL = "/services/portal/"


def menu(page: Page) -> Locator:
    page.goto(PORTAL, wait_until="commit")
    page.get_by_role("button", name="Your account").click()
    return page.get_by_role("region", name="Your account").or_(page.locator("#person-menu")).first


def test_another_sign_in_is_linked_from_the_account_menu(page: Page, site: Site) -> None:
    site.courses.learning.providers.append(
        {"name": "lab", "title": "The Laboratory", "roster_claim": "email"}
    )
    site.courses.learning.identities.append(
        identity("i-1", "uni", "The University", removable=False)
    )
    box = menu(page)
    link = box.get_by_role("link", name="Link another sign-in: The Laboratory")
    expect(link).to_have_attribute("href", "/hub/oidc/lab/link")
    expect(box.get_by_role("link", name=re.compile("Link another sign-in"))).to_have_count(1)
    expect(box.get_by_text("You sign in with")).to_be_visible()
    expect(box.get_by_role("button", name=re.compile("^Unlink"))).to_have_count(0)


def test_a_sign_in_is_given_up_after_one_more_question(page: Page, site: Site) -> None:
    known = site.courses.learning
    known.identities += [
        identity("i-1", "uni", "The <University>", removable=True),
        identity("i-2", "", "Password", removable=True),
    ]
    box = menu(page)
    box.get_by_role("button", name="Unlink: The <University>").click()
    page.get_by_role("dialog").get_by_role("button", name="Unlink").click()
    expect(page.get_by_text("The <University> is unlinked")).to_be_visible()
    assert [one["id"] for one in known.identities] == ["i-2"]


def test_a_site_without_providers_shows_nothing_of_it(page: Page, site: Site) -> None:
    site.courses.learning.providers.clear()
    box = menu(page)
    expect(box.get_by_role("link", name="Tokens for scripts")).to_be_visible()
    expect(box.get_by_text("sign in with")).to_have_count(0)


def test_a_closed_account_is_told_so_and_led_to_the_sign_in(
    page: Page, behind: Any, site: Site
) -> None:
    page.goto(PORTAL, wait_until="commit")
    expect(page.get_by_role("heading", name="Start something")).to_be_visible()
    site.closed = True
    page.goto(PORTAL + "usage", wait_until="commit")
    told = page.get_by_role("alert").filter(has_text="This account is closed")
    expect(told).to_contain_text("Ask an administrator")
    expect(page.get_by_role("navigation", name="Main")).to_be_hidden()
    with page.expect_request(re.compile("/sign-out$")) as sent:
        told.get_by_role("button", name="Go to the sign-in").click()
    assert sent.value.method == "POST"
