"""The administrator's console in a real Chromium, on a site with 500 tenants and 10,000 people."""

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from tests import campus
from tests.browser.test_screenshots import DOCS
from tests.live import LiveSite

PORTAL = "/services/portal/"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    trusted = {"PERIJOVE_TRUST_EVERYONE": "true"}  # a second person, without root too
    live = LiveSite(tmp_path_factory.mktemp("site"), trusted)
    try:
        live.start()
        campus.main(live.home / "control.sqlite")
        yield live
    finally:
        live.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where pictures go."""
    return DOCS if os.environ.get("PERIJOVE_WRITE_IMAGES") == "1" else tmp_path


def desk(page: Page, site: LiveSite) -> FrameLocator:
    """The quota desk, with the tree drawn."""
    page.goto(f"{site.url}{PORTAL}help/", wait_until="commit")
    page.goto(f"{site.url}{PORTAL}console", wait_until="commit")
    frame = page.frame_locator("iframe[title='Quotas of tenants and people']")
    expect(frame.get_by_role("button", name="Open School 1", exact=True)).to_be_visible()
    return frame


def part(page: Page, site: LiveSite, name: str) -> Any:
    page.goto(f"{site.url}{PORTAL}help/", wait_until="commit")
    page.goto(f"{site.url}{PORTAL}console#{name.lower()}", wait_until="commit")
    found = page.get_by_role("region", name=name)
    expect(found).to_be_visible()
    return found


def limit_of(site: LiveSite, tenant: str) -> list[int | None]:
    found = site.cli("quota", "tree", "--search", tenant)["items"]
    return [one["dimensions"]["gpu"]["limit"] for one in found if one["tenant"] == tenant]


def test_the_tree_is_there_found_and_sorted(admin: Page, site: LiveSite) -> None:
    frame = desk(admin, site)
    frame.get_by_label("Find", exact=True).fill("group 7 of 1")
    row = frame.get_by_role("row").filter(has_text=re.compile(r"Group 7 of 1Main . School 1"))
    expect(row.first).to_be_visible()
    expect(frame.get_by_role("button", name="Open School 1", exact=True)).to_be_hidden()
    frame.get_by_label("Find", exact=True).fill("no such tenant")
    expect(frame.get_by_text("No tenant is called that.")).to_be_visible()
    frame.get_by_label("Find", exact=True).fill("")
    frame.get_by_role("button", name="Tenant").click()
    expect(frame.get_by_role("columnheader", name="Tenant")).to_have_attribute(
        "aria-sort", "descending"
    )
    for dimension, word in (("cpu", "CPU"), ("gpu-hours", "GPU-hours"), ("storage", "Storage")):
        frame.get_by_label("Of what").select_option(dimension)
        expect(frame.get_by_text(f"{word} of tenants.")).to_be_visible()


def test_a_limit_is_edited_previewed_applied_and_taken_back_by_keyboard(
    admin: Page, site: LiveSite, folder: Path
) -> None:
    frame = desk(admin, site)
    frame.get_by_role("button", name="Open School 1", exact=True).press("Enter")
    cell = frame.get_by_role("button", name=re.compile(r"^At most, GPU of Group 3 of 1:"))
    cell.press("Enter")
    box = frame.get_by_role("textbox", name="At most, GPU of Group 3 of 1")
    expect(box).to_be_focused()
    box.fill("nonsense")
    box.press("Enter")
    expect(frame.get_by_role("alert")).to_contain_text("nonsense")
    before = limit_of(site, "school-01-group-03")
    cell.press("Enter")
    box.fill("2.5")
    box.press("Enter")
    dialog = frame.get_by_role("dialog", name="Change the limit?")
    expect(dialog).to_contain_text("→ 2.5 GPU")
    expect(dialog).to_contain_text("nothing is stopped")
    admin.screenshot(path=folder / "console-preview.png")
    dialog.get_by_role("button", name="Apply").press("Enter")
    undo = frame.get_by_role("button", name="Undo", exact=True).first
    expect(undo).to_be_visible()
    assert limit_of(site, "school-01-group-03") == [2500]
    undo.press("Enter")
    expect(frame.get_by_text("is again").first).to_be_visible()
    assert limit_of(site, "school-01-group-03") == before
    cell.press("Enter")
    box.fill("9")
    box.press("Escape")
    expect(cell).to_be_focused()
    expect(dialog).to_be_hidden()


def test_a_person_is_given_a_limit_of_their_own(admin: Page, site: LiveSite) -> None:
    frame = desk(admin, site)
    frame.get_by_role("button", name="People of School 0", exact=True).click()
    people = frame.get_by_role("region", name="Limits of people")
    expect(people.get_by_text("Nothing is set here")).to_be_visible()
    people.get_by_label("Person", exact=True).fill("person00001")
    people.get_by_label("GPU at most").fill("1/2")
    people.get_by_role("button", name="Set a limit").click()
    frame.get_by_role("dialog").get_by_role("button", name="Apply").click()
    expect(people.get_by_role("row", name=re.compile("person00001"))).to_contain_text("1/2 GPU")
    people.get_by_role("button", name="Remove the limit on GPU of person00001").click()
    frame.get_by_role("dialog").get_by_role("button", name="Apply").click()
    expect(people.get_by_text("Nothing is set here")).to_be_visible()


def test_a_request_is_made_and_approved(admin: Page, site: LiveSite, folder: Path) -> None:
    site.cli("quota", "set", "--tenant", "main", "--person", "admin", "--dimension", "gpu",
             "--limit", "1")  # fmt: skip
    requests = part(admin, site, "Requests")
    requests.get_by_role("button", name="Ask for more").click()
    form = admin.get_by_role("dialog")
    form.get_by_label("How much in all").fill("2")
    form.get_by_label("What for").fill("two models side by side")
    form.get_by_role("button", name="Ask").click()
    row = requests.get_by_role("row", name=re.compile("two models side by side"))
    expect(row).to_contain_text("Open")
    expect(row).to_contain_text("of GPU, has 1 GPU")
    admin.screenshot(path=folder / "console-requests.png")
    row.get_by_role("button", name=re.compile("^Approve")).click()
    admin.get_by_role("dialog").get_by_label("Amount").fill("1.5")
    admin.get_by_role("dialog").get_by_role("button", name="Approve").click()
    expect(requests.get_by_text("Nobody asks for more.")).to_be_visible()
    requests.get_by_label("Show").select_option("approved")
    expect(row).to_contain_text("1.5 GPU, by admin")


def test_every_part_opens_and_ten_thousand_people_are_found(
    admin: Page, site: LiveSite, folder: Path
) -> None:
    people = part(admin, site, "People")
    people.get_by_label("Find").fill("person01234")
    expect(people.get_by_role("row", name=re.compile("person01234"))).to_be_visible()
    expect(people.get_by_role("row")).to_have_count(2)
    expect(part(admin, site, "Queue")).to_contain_text("Nothing waits.")
    devices = part(admin, site, "Devices").frame_locator("iframe")
    expect(devices.locator("main")).to_be_visible()
    site.cli("people", "grant", "admin", "5")
    audit = part(admin, site, "Audit")
    expect(audit.get_by_role("cell", name="set-quota").first).to_be_visible()
    expect(audit.get_by_role("row", name=re.compile("grant-credits"))).to_contain_text(
        "amount: 5.00 credits"
    )
    asked = audit.get_by_role("row", name=re.compile("ask-quota"))
    expect(asked).to_contain_text("of what: GPU · amount: 2 GPUs")
    expect(audit.get_by_text("000000")).to_have_count(0)
    audit.get_by_label("From").fill("2026-01-01")
    audit.get_by_label("Act", exact=True).fill("sign-in")
    expect(audit.get_by_role("cell", name="set-quota")).to_have_count(0)
    expect(audit.get_by_role("cell", name="sign-in", exact=True).first).to_be_visible()
    audit.get_by_label("Who").fill("nobody")
    expect(audit.get_by_text("Nothing like that happened.")).to_be_visible()
    news = part(admin, site, "Announcements")
    news.get_by_label("What people read").fill("New driver on Monday")
    monday = datetime.now(UTC) + timedelta(days=7)
    news.get_by_label("From").fill(f"{monday:%Y-%m-%d}T09:00")
    news.get_by_label("Until").fill(f"{monday:%Y-%m-%d}T12:00")
    news.get_by_role("button", name="Announce").click()
    expect(news.get_by_role("row", name=re.compile("New driver"))).to_contain_text("Scheduled")
    news.get_by_role("button", name=re.compile("^Withdraw")).click()
    expect(news.get_by_role("row", name=re.compile("New driver"))).to_contain_text("Withdrawn")


def test_a_tenants_administrator_sees_their_own_part_alone(
    browser: Browser, site: LiveSite
) -> None:
    link = site.cli("invite", "--tenant", "school-03", "--role", "admin")["url"]
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(link)
    page.get_by_label(re.compile("name to sign in|login", re.IGNORECASE)).fill("dean")
    page.get_by_label(re.compile("your name|display|shown", re.IGNORECASE)).fill("Dean")
    for box in page.get_by_label(re.compile("password|same again", re.IGNORECASE)).all():
        box.fill("correct horse battery")
    page.get_by_role("button").last.click()
    page.get_by_role("link", name="Console").click()
    frame = page.frame_locator("iframe[title='Quotas of tenants and people']")
    expect(frame.get_by_role("button", name="Close School 3", exact=True)).to_be_visible()
    expect(frame.get_by_text("Main", exact=True)).to_be_hidden()
    expect(
        frame.get_by_role("button", name=re.compile("GPU of Group 1 of 3:")).first
    ).to_be_visible()
    above = re.compile("At most, GPU of School 3:")  # it bounds them: set from above
    expect(frame.get_by_role("button", name=above)).to_be_hidden()
    frame.get_by_label("Find", exact=True).fill("of 4")
    expect(frame.get_by_text("No tenant is called that.")).to_be_visible()
    context.close()


@pytest.mark.parametrize(
    ("name", "width", "scheme"),
    [("console", 1280, "light"), ("console-dark", 1280, "dark"), ("console-phone", 390, "light")],
)
def test_it_fits_a_desk_and_a_phone_in_light_and_dark(
    admin: Page,
    browser: Browser,
    site: LiveSite,
    folder: Path,
    tmp_path: Path,
    name: str,
    width: int,
    scheme: Any,
) -> None:
    state = admin.context.storage_state()
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, storage_state=state
    )
    page = context.new_page()
    frame = desk(page, site)
    frame.get_by_role("button", name="Open School 1", exact=True).click()
    expect(frame.get_by_role("button", name="Close School 1", exact=True)).to_be_visible()
    page.screenshot(path=(folder if name == "console" else tmp_path) / f"{name}.png")
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, "the page scrolls sideways"
    context.close()
