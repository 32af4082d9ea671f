"""Inside a real JupyterLab: time left, the warning with its one click, messages, a control that is
away. Leases are short by a menu of the test's own, so that nobody waits for a warning."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.signed_in import open_lab, status_of, toast
from tests.live import LiveSite, wait_for

SECONDS = 18_000
"""Of what is told at once, in ms: less than the 20 s after which JupyterLab asks again unasked."""


@pytest.fixture(scope="module")
def short_leases(site: LiveSite) -> LiveSite:
    menu = site.home / "menu.yaml"
    menu.write_text(menu.read_text().replace("min: 15m", "min: 1m"))
    assert site.run("menu", "reload").returncode == 0
    return site


@pytest.fixture
def lab(short_leases: LiveSite, page: Page) -> Iterator[tuple[Page, dict[str, Any]]]:
    """JupyterLab on a quarter of a GPU that ends in three minutes, and its workload."""
    site = short_leases
    started = site.cli(
        "run", "--offer", "gpu-quarter", "--name", "my lab", "--set", "duration=3m", "--wait"
    )
    open_lab(page, site, started)
    expect(status_of(page)).to_be_visible()
    yield page, started
    site.cli("stop", started["id"], "--wait")


def ends_at(site: LiveSite, workload: str) -> datetime:
    (found,) = (one for one in site.cli("ps")["items"] if one["id"] == workload)
    return datetime.fromisoformat(found["lease_ends_at"])


def test_time_runs_out_and_one_click_extends(
    lab: tuple[Page, dict[str, Any]], short_leases: LiveSite
) -> None:
    page, workload = lab
    status = status_of(page)
    expect(status).to_contain_text("1/4 of Emulated 24G, 6 GiB, emulated")
    expect(status).to_contain_text(re.compile(r"\d min \d\d s left"))
    expect(status).to_contain_text(re.compile(r"\d+ MiB of 2 GiB"))
    expect(status).to_contain_text(re.compile(r"[\d.]+ credits left"))
    warning = toast(page, "This notebook ends in")
    expect(warning).to_contain_text("save your work")
    before = ends_at(short_leases, workload["id"])

    warning.get_by_role("button", name="Extend by 1 hour").click()

    expect(toast(page, "This notebook now ends at")).to_be_visible(timeout=SECONDS)
    expect(warning).to_have_count(0)
    expect(status).to_contain_text(re.compile(r"1 h 0\d min left"))
    longer = ends_at(short_leases, workload["id"]) - before
    assert longer.total_seconds() == 3600


def test_a_message_comes_within_seconds_and_stays_until_it_is_put_away(
    lab: tuple[Page, dict[str, Any]], short_leases: LiveSite
) -> None:
    page, _ = lab
    text = "Please <b>save</b> [now](javascript:alert(1)) & submit **exercise 3**."
    short_leases.cli("announce", text, "--level", "warning")
    message = toast(page, "exercise 3")
    expect(message).to_be_visible(timeout=SECONDS)
    expect(message).to_contain_text(text)  # as it was typed: no markup of any kind
    expect(status_of(page)).to_contain_text("1 message")

    status_of(page).press("Enter")
    panel = page.get_by_role("dialog", name="Perijove: this notebook")
    expect(panel.get_by_text(text)).to_be_visible()
    expect(panel).to_be_focused()
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    expect(status_of(page)).to_be_focused()

    page.keyboard.press("Enter")
    panel.get_by_role("button", name="Got it").press("Enter")
    expect(panel.get_by_text(text)).to_have_count(0)
    expect(message).to_have_count(0)
    expect(panel).to_be_visible()
    assert short_leases.cli("announcement", "list")["items"] == []
    (known,) = short_leases.cli("announcement", "list", "--state", "on")["items"]
    assert known["seen_by"] == 1
    short_leases.cli("announcement", "withdraw", known["id"])


def test_the_portal_says_it_on_every_page(page: Page, site: LiveSite) -> None:
    page.goto(site.cli("admin-link")["url"])
    page.get_by_role("button", name="Sign in as administrator").click()
    expect(page.get_by_role("heading", name="Start something")).to_be_visible()
    site.cli("announce", "Line one <i>\nline two")
    told = page.get_by_role("region", name="Announcements")
    expect(told.get_by_text("Line one <i>")).to_be_visible(timeout=SECONDS)
    page.get_by_role("link", name="Usage").click()
    expect(told.get_by_text("line two")).to_be_visible()
    told.get_by_role("button", name="Got it").press("Enter")
    expect(told).to_be_hidden()
    page.reload()
    expect(page.get_by_role("heading", name="Usage")).to_be_visible()
    expect(told).to_be_hidden()
    assert site.cli("announcement", "list")["items"] == []


def test_what_is_withdrawn_goes_by_itself(
    lab: tuple[Page, dict[str, Any]], short_leases: LiveSite
) -> None:
    page, _ = lab
    made = short_leases.cli("announce", "A mistake")
    expect(toast(page, "A mistake")).to_be_visible(timeout=SECONDS)
    short_leases.cli("announcement", "withdraw", made["id"])
    expect(toast(page, "A mistake")).to_have_count(0, timeout=SECONDS)


def test_control_is_away_for_a_moment(
    lab: tuple[Page, dict[str, Any]], short_leases: LiveSite
) -> None:
    page, _ = lab
    short_leases.kill("control")
    expect(status_of(page)).to_contain_text("Perijove does not answer now")
    expect(status_of(page)).to_contain_text("left")  # what was known still counts down
    wait_for("control is back", short_leases.is_ready)
    expect(status_of(page)).to_contain_text("credits left")


def test_only_the_owners_own_page_may_ask(
    lab: tuple[Page, dict[str, Any]], short_leases: LiveSite
) -> None:
    page, workload = lab
    address = workload["url"].removesuffix("lab") + "perijove/"
    forged = page.evaluate(
        "address => fetch(address, {method: 'POST', body: '{}'}).then(answer => answer.status)",
        address + "extend",
    )
    assert forged == 403  # signed in by the cookie, but without Jupyter's own token of the page
    path = address.removeprefix(short_leases.url)
    assert short_leases.get(path + "inside")[0] == 403
    before = ends_at(short_leases, workload["id"])
    assert (before - datetime.fromisoformat(workload["lease_ends_at"])).total_seconds() == 0
