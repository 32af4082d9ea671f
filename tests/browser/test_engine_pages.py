"""What people see of placement, quotas and healing: in a real Chromium, with canned answers."""

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_portal_pages import behind, browser, page, site
from tests.unit.portal.canned import Site, soon, workload

__all__ = ["behind", "browser", "page", "site"]  # fixtures; found by their names

HOME = "/services/portal/"


def test_work_that_has_to_go_says_when_why_and_what_then(page: Page, site: Site) -> None:
    site.workloads[:] = [
        workload("w-go", "running", "Long sweep", goes_at=soon(minutes=1, seconds=40),
                 goes_why="its place goes to real-time work", saved_at=soon(minutes=-3)),
    ]  # fmt: skip
    page.goto(HOME, wait_until="commit")
    card = page.get_by_role("article", name="Long sweep")
    for words in ("It goes at", "Its place goes to real-time work.", "Save your work",
                  "waits again by itself", "until it goes", "said that it saved at"):  # fmt: skip
        expect(card).to_contain_text(words)
    above = page.get_by_role("region", name="Time that runs out")
    expect(above).to_contain_text("Long sweep has to go in 1 min")
    expect(above).to_contain_text("Its place goes to real-time work. Save your work")
    page.goto(f"{HOME}usage", wait_until="commit")
    expect(above).to_contain_text("Long sweep has to go in 1 min")


def test_work_that_may_have_to_go_is_marked(page: Page, site: Site) -> None:
    site.workloads[:] = [
        workload("w-1", "running", "Sweep", preemptible=True),
        workload("w-2", "running", "Loan", borrowed=True),
        workload("w-3", "queued", "Again", again="its node was taken out of service",
                 reason="its node was taken out of service"),
        workload("w-4", "running", "Mine"),
    ]  # fmt: skip
    page.goto(HOME, wait_until="commit")
    for name, mark in (("Sweep", "may have to go"), ("Loan", "borrowed"), ("Again", "waits again")):
        expect(page.get_by_role("article", name=name)).to_contain_text(mark)
    for mark in ("may have to go", "borrowed", "waits again"):
        expect(page.get_by_role("article", name="Mine")).not_to_contain_text(mark)


def test_a_node_is_drained_and_put_back(page: Page, site: Site) -> None:
    page.goto(f"{HOME}inventory", wait_until="commit")
    first = page.get_by_role("region", name="lab-1")
    expect(first).to_contain_text("In service")
    expect(first.get_by_role("button", name="Resume")).to_be_hidden()
    first.get_by_role("button", name="Drain: lab-1").click()
    form = page.get_by_role("dialog", name="Take lab-1 out of service")
    expect(form).to_contain_text("2 running there are told to go")
    form.get_by_label("Empty by").fill("yesterday")
    form.get_by_role("button", name="Drain").click()
    expect(page.get_by_text("Write it like 2h")).to_be_visible()
    first.get_by_role("button", name="Drain: lab-1").click()
    form.get_by_label("Why").fill("new power supply")
    form.get_by_role("button", name="Drain").click()
    expect(first).to_contain_text("Draining")
    expect(first).to_contain_text("why: new power supply; empty by")
    first.get_by_role("button", name="Resume: lab-1").click()
    page.get_by_role("dialog").get_by_role("button", name="Resume").click()
    expect(first).to_contain_text("In service")


def test_a_silent_node_says_so_and_offers_no_resume(page: Page) -> None:
    page.goto(f"{HOME}inventory", wait_until="commit")
    silent = page.get_by_role("region", name="lab-3")
    expect(silent).to_contain_text("It has not answered for 3 min")
    expect(silent.get_by_role("button", name="Resume")).to_be_hidden()


def test_a_quarantine_is_shown_and_ended(page: Page) -> None:
    page.goto(f"{HOME}inventory", wait_until="commit")
    first = page.get_by_role("region", name="lab-1")
    expect(first).to_contain_text("1 failed start")
    first.get_by_role("button", name="Release: gpu-2").click()
    page.get_by_role("dialog").get_by_role("button", name="Release").click()
    expect(first.get_by_role("button", name="Release: gpu-2")).to_be_hidden()


def test_all_nodes_are_drained_with_the_keyboard(page: Page, site: Site) -> None:
    page.goto(f"{HOME}inventory", wait_until="commit")
    expect(page.get_by_role("button", name="Drain all")).to_be_visible()
    page.get_by_role("button", name="Drain all").focus()
    page.keyboard.press("Enter")
    form = page.get_by_role("dialog", name="Drain all nodes, one after another")
    form.get_by_label("At most").fill("0.5")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The drain has begun")).to_be_visible()
    sent = [json.loads(body) for body in site.bodies if b"at_most" in body]
    assert sent[0] == {"at_most": 0.5, "each": "4h", "reason": ""}


def test_who_is_no_administrator_sees_the_inventory_without_its_handles(
    page: Page, site: Site
) -> None:
    site.admin = False
    page.goto(f"{HOME}inventory", wait_until="commit")
    expect(page.get_by_role("region", name="lab-1")).to_be_visible()
    expect(page.get_by_role("button", name="Drain")).to_have_count(0)


def test_the_statement_is_downloaded(page: Page, site: Site) -> None:
    page.goto(f"{HOME}usage", wait_until="commit")
    page.get_by_label("From").fill("2026-01-31")
    page.get_by_label("Until").fill("2026-02-01")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download CSV").click()
    assert waiting.value.suggested_filename == "statement_2026-01-31_2026-02-01.csv"
    assert Path(waiting.value.path()).read_bytes() == b"when,credits\r\n"
    [asked] = [one for one in site.seen if one.path.endswith("/statement/file")]
    query = parse_qs(urlsplit(str(asked.rel_url)).query)
    assert query["format"] == ["csv"]
    assert query["from"][0] < query["to"][0] <= "2026-02-03"


def test_groups_show_what_they_hold_and_have_borrowed(page: Page, site: Site) -> None:
    page.goto(f"{HOME}people", wait_until="commit")
    groups = page.get_by_role("region", name="What groups hold")
    expect(groups.get_by_role("row").nth(1)).to_contain_text("Main")
    names = [row.split("\t")[0].strip() for row in groups.get_by_role("row").all_inner_texts()]
    assert names == ["Group", "Main", "Main", "Main", "Chemistry", "Physics", "Optics"]
    physics = groups.get_by_role("row", name="Physics GPU")
    for words in ("2 GPUs", "4 GPUs", "3 GPUs", "1 GPU borrowed"):
        expect(physics).to_contain_text(words)
    physics.get_by_role("button", name="Guarantee: GPU of Physics").click()
    form = page.get_by_role("dialog", name="Guarantee for Physics")
    form.get_by_label("Guaranteed").fill("-1")
    form.get_by_role("button", name="Guarantee").click()
    expect(page.get_by_text("Use 0 or more")).to_be_visible()
    physics.get_by_role("button", name="Guarantee: GPU of Physics").click()
    form.get_by_label("Guaranteed").fill("3")
    form.get_by_role("button", name="Guarantee").click()
    expect(physics).not_to_contain_text("borrowed")


def test_who_waits_sees_their_own_share(page: Page, site: Site) -> None:
    site.workloads[:] = [
        workload("w-wait", "queued", "Sweep", reason="2 are ahead", reason_code="queue"),
        workload("w-full", "queued", "Limit", reason="your own limit", position=1),
    ]
    for path in ("", "workloads/w-wait"):
        page.goto(HOME + path, wait_until="commit")
        card = page.get_by_role("article", name="Sweep")
        expect(card).to_contain_text("You used 3.2 % of the site lately; Main used 50.0 %")
    page.goto(HOME, wait_until="commit")
    expect(page.get_by_role("article", name="Limit")).not_to_contain_text("lately")


@pytest.mark.parametrize(
    ("path", "last"),
    [
        ("", "It goes at"),
        ("usage", "Download CSV"),
        ("inventory", "How shares are kept apart"),
        ("people", "1 GPU borrowed"),
    ],
)
def test_nothing_of_it_sticks_out_on_a_phone(page: Page, site: Site, path: str, last: str) -> None:
    site.workloads[:] = [
        workload("w-go", "running", "Long sweep", goes_at=soon(minutes=1), preemptible=True,
                 borrowed=True, goes_why="its place goes to real-time work"),
    ]  # fmt: skip
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(HOME + path, wait_until="commit")
    expect(page.get_by_role("region", name="Time that runs out")).to_be_visible()
    expect(page.get_by_text(last)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
