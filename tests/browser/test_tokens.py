"""Tokens for scripts: made on a page of ours, used at the API, revoked, refused."""

from typing import Literal

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.live import LiveSite

TOKENS = "/hub/token"
API = "/services/control/v1/me"


@pytest.fixture
def page(admin: Page, site: LiveSite) -> Page:
    """The page as the account menu opens it."""
    admin.set_viewport_size({"width": 1280, "height": 900})
    admin.emulate_media(color_scheme="light")
    admin.goto(f"{site.url}/services/portal/")
    admin.get_by_role("button", name="Your account").click()
    admin.get_by_role("link", name="Tokens for scripts").click()
    expect(admin.get_by_role("heading", name="Tokens for scripts")).to_be_visible()
    admin.wait_for_load_state()  # what is routed while a page loads, Playwright may not see
    return admin


def make(page: Page, note: str) -> str:
    page.get_by_label("Note").fill(note)
    page.get_by_role("button", name="Make a token").click()
    shown = page.get_by_role("textbox", name="Your new token")
    expect(shown).not_to_have_value("")
    expect(page.get_by_role("row", name=note)).to_be_visible()
    return shown.input_value()


def revoke(page: Page, note: str) -> None:
    page.get_by_role("button", name=f"Revoke: {note}").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("row", name=note)).to_have_count(0)


def test_a_token_is_made_used_and_revoked(page: Page, site: LiveSite) -> None:
    expect(page.get_by_role("region", name="Your tokens").get_by_text("None yet.")).to_be_visible()
    page.get_by_label("Ends after").select_option("1 hour")
    token = make(page, "nightly training")
    assert site.get(API, token)[0] == 200
    assert site.get("/hub/api/users/admin/tokens", token)[0] == 403, "more than Perijove's API"
    row = page.get_by_role("row", name="nightly training")
    expect(row).to_contain_text("Perijove's API")

    page.reload()
    expect(row).to_be_visible()
    assert token not in page.content()
    page.get_by_role("button", name="Revoke: nightly training").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert site.get(API, token)[0] == 200
    revoke(page, "nightly training")
    assert site.get(API, token)[0] == 401
    expect(page.get_by_text("None yet.")).to_be_visible()
    page.reload()
    expect(page.get_by_text("None yet.")).to_be_visible()


def test_a_token_that_may_do_everything_says_so(page: Page, site: LiveSite) -> None:
    page.get_by_label("It may").select_option("do all that you may do")
    token = make(page, "<b>all & sundry</b>")
    row = page.get_by_role("row", name="<b>all & sundry</b>")
    expect(row).to_contain_text("All that you may do")
    assert site.get("/hub/api/users/admin/tokens", token)[0] == 200
    page.reload()
    expect(row).to_contain_text("All that you may do")
    revoke(page, "<b>all & sundry</b>")


def test_it_is_copied_and_all_is_done_with_keys(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_label("Note").focus()
    page.keyboard.type("by keys")
    page.keyboard.press("Enter")
    shown = page.get_by_role("textbox", name="Your new token")
    expect(shown).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The token is copied.")).to_be_attached()
    assert page.evaluate("navigator.clipboard.readText()") == shown.input_value()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Revoke: by keys")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.get_by_role("row", name="by keys")).to_have_count(0)
    expect(page.get_by_role("heading", name="Your tokens")).to_be_focused()


def test_it_fits_a_phone_in_the_dark(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="dark")
    make(page, "a rather long note about what this token is for")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 17, 26)"
    revoke(page, "a rather long note about what this token is for")


@pytest.mark.parametrize(
    ("theme", "system", "paper"),
    [("Dark", "light", "rgb(18, 17, 26)"), ("Light", "dark", "rgb(246, 245, 249)")],
)
def test_it_has_the_theme_that_was_chosen_in_the_portal(
    page: Page, site: LiveSite, theme: str, system: Literal["light", "dark"], paper: str
) -> None:
    page.emulate_media(color_scheme=system)
    for chosen, alike in ((theme, True), ("System", False)):
        page.goto(f"{site.url}/services/portal/")
        page.get_by_role("button", name="Your account").click()
        page.get_by_role("radio", name=chosen).check()
        page.goto(f"{site.url}{TOKENS}")
        found = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (found == paper) is alike


def test_an_application_is_listed(page: Page) -> None:
    apps = page.get_by_role("region", name="Applications")
    expect(apps.get_by_role("row", name="Perijove's portal")).to_be_visible()


def test_who_is_signed_out_meanwhile_is_told(page: Page) -> None:
    page.route("**/hub/api/users/*/tokens*", lambda route: route.fulfill(status=403, body="{}"))
    page.get_by_label("Note").fill("too late")
    page.get_by_role("button", name="Make a token").click()
    expect(page.get_by_role("alert")).to_contain_text("Load this page again")
    expect(page.get_by_text("None yet.")).to_be_visible()
    page.unroute("**/hub/api/users/*/tokens*")


def test_each_has_its_lines_in_the_audit(page: Page, site: LiveSite) -> None:
    for note, may in (("for the API", "use Perijove's API"), ("for all", "do all that you may do")):
        page.get_by_label("It may").select_option(may)
        make(page, note)
    revoke(page, "for all")
    lines = site.cli("audit", "list")["items"]
    told = [(line["action"], line["detail"]) for line in lines if "note" in line["detail"]]
    acts = {(act, detail["note"], detail.get("may")) for act, detail in told}
    assert acts >= {
        ("token-issued", "for the API", "custom:perijove:api"),
        ("token-issued", "for all", "all that the person may"),
        ("token-revoked", "for all", None),
    }


def test_a_stranger_learns_nothing_of_who_is_here(site: LiveSite) -> None:
    answers = {
        login: httpx.delete(f"{site.url}/hub/api/users/{login}/tokens/a1")
        for login in ("admin", "nobody")
    }
    assert {answer.status_code for answer in answers.values()} == {403}
    assert len({answer.json()["message"] for answer in answers.values()}) == 1
