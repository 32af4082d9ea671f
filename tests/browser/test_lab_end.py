"""A notebook that ends or loses its place while JupyterLab is open: the page says what happened and leads
back. Only what control says counts: a network or a proxy that is away for a moment is no end."""

import os
import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.signed_in import open_lab, status_of, toast
from tests.e2e.conftest import server_of
from tests.live import LiveSite, wait_for

LEFT = "document.querySelector('.jp-perijove-left').textContent"
VISITOR = {"error": {"code": "forbidden", "message": "only the owner may", "next": "ask them"}}


@pytest.fixture
def lab(site: LiveSite, page: Page) -> Iterator[tuple[Page, dict[str, Any]]]:
    """JupyterLab in which nothing is open, and its workload."""
    started = site.cli("run", "--offer", "gpu-quarter", "--name", "my lab", "--wait")
    open_lab(page, site, started)
    expect(status_of(page)).to_be_visible()
    yield page, started
    for one in site.cli("ps")["items"]:
        site.cli("stop", one["id"], "--wait")


def wait_until_anew(page: Page, workload: dict[str, Any]) -> None:
    """JupyterLab of another notebook than this one, which has ended."""
    page.wait_for_url(re.compile(rf"/user/admin/(?!{workload['id']})w-[^/]+/lab"))


def test_the_end_is_told_and_one_press_leads_back(
    lab: tuple[Page, dict[str, Any]], site: LiveSite
) -> None:
    page, workload = lab
    page.get_by_role("button", name="Python 3").first.click()
    notebook = page.get_by_role("tab", name="Untitled.ipynb")
    expect(notebook).to_be_visible()

    site.cli("stop", workload["id"], "--wait")

    told = page.get_by_role("dialog", name="This notebook has ended")
    expect(told).to_be_visible()
    expect(told).to_contain_text("You stopped it.")
    expect(told).to_contain_text("Files in your home are kept")
    expect(page.get_by_role("dialog")).to_have_count(1)  # JupyterLab adds none of its own
    link = told.get_by_role("link", name="Its page in the portal")
    address = f"/services/portal/workloads/{workload['id']}?back=lab%2Ftree%2FUntitled.ipynb"
    expect(link).to_have_attribute("href", address)
    expect(told.get_by_role("button", name="Start again")).to_be_focused()

    page.keyboard.press("Escape")
    expect(told).to_have_count(0)
    expect(status_of(page)).to_contain_text("Ended: start it again")
    expect(status_of(page)).to_have_accessible_name("Perijove: Ended: start it again")
    status_of(page).press("Enter")
    told.get_by_role("button", name="Start again").press("Enter")

    wait_until_anew(page, workload)
    expect(notebook).to_be_visible()
    expect(status_of(page)).to_contain_text("credits left")


def test_a_visitor_is_told_the_end_and_no_more(
    lab: tuple[Page, dict[str, Any]], site: LiveSite
) -> None:
    page, workload = lab
    page.route("**/perijove/inside*", lambda route: route.fulfill(status=403, json=VISITOR))
    with page.expect_response("**/perijove/inside*"):
        page.reload()
    page.get_by_role("tab", name="Running").click()
    page.unroute("**/perijove/inside*")
    site.cli("stop", workload["id"], "--wait")
    page.get_by_role("button", name="Refresh List").click()  # JupyterLab asks its server
    told = page.get_by_role("dialog", name="This notebook has ended")
    expect(told).to_contain_text("only its owner starts it again")
    expect(told).not_to_contain_text("Files in your home")
    expect(told.get_by_role("button", name="Start again")).to_have_count(0)
    expect(told.get_by_role("link")).to_have_count(0)


def test_a_failure_is_told_with_what_helps(lab: tuple[Page, dict[str, Any]]) -> None:
    page, workload = lab
    os.kill(server_of(workload["id"]), signal.SIGKILL)
    told = page.get_by_role("dialog", name="This notebook has failed")
    expect(told).to_contain_text("Ended by signal 9 (Killed).")
    expect(told).to_contain_text("Relaunch it; files in your home are safe.")
    expect(told.get_by_role("button", name="Start again")).to_be_focused()


def test_after_too_little_memory_it_starts_with_more(
    lab: tuple[Page, dict[str, Any]], site: LiveSite
) -> None:
    page, workload = lab
    full = {
        **workload, "status": "failed", "reason": "it ran out of memory: it used 2 GiB of 2 GiB",
        "next": "relaunch it with more memory", "suggestion": {"memory": "3Gi"},
    }  # fmt: skip
    page.route("**/api/v1/workloads/*", lambda route: route.fulfill(json=full))
    site.cli("stop", workload["id"], "--wait")
    told = page.get_by_role("dialog", name="This notebook has failed")
    expect(told).to_contain_text("It ran out of memory: it used 2 GiB of 2 GiB.")
    expect(told.get_by_role("button", name="Same again")).to_be_visible()
    told.get_by_role("button", name="Start again with memory 3Gi").click()
    wait_until_anew(page, workload)
    (running,) = site.cli("ps")["items"]
    assert running["memory_mib"] == 3072


def test_what_cannot_be_started_again_says_why(
    lab: tuple[Page, dict[str, Any]], site: LiveSite
) -> None:
    page, workload = lab
    offer = {"error": {"code": "refused", "message": "there are no credits left", "next": "ask"}}
    page.route("**/relaunch", lambda route: route.fulfill(status=409, json=offer))
    site.cli("stop", workload["id"], "--wait")
    told = page.get_by_role("dialog", name="This notebook has ended")
    told.get_by_role("button", name="Start again").click()
    expect(told.get_by_role("alert")).to_have_text("There are no credits left. Ask.")
    page.unroute("**/relaunch")
    told.get_by_role("button", name="Start again").click()
    wait_until_anew(page, workload)


def test_where_the_portal_may_not_be_asked_a_link_leads_back(
    lab: tuple[Page, dict[str, Any]], site: LiveSite
) -> None:
    """As on a site with a host for each person, or where the sign-in has ended meanwhile."""
    page, workload = lab
    closed = {"error": {"code": "forbidden", "message": "not from there", "next": ""}}
    page.route("**/api/v1/workloads/*", lambda route: route.fulfill(status=403, json=closed))
    site.cli("stop", workload["id"], "--wait")
    link = page.get_by_role("link", name="Its page in the portal")
    expect(link).to_be_visible()
    with page.context.expect_page() as opened:
        link.click()
    opened.value.get_by_role("button", name="Relaunch: my lab").click()
    wait_until_anew(opened.value, workload)


def test_a_network_that_is_away_is_no_end(lab: tuple[Page, dict[str, Any]]) -> None:
    page, _ = lab
    page.context.set_offline(True)
    lost = toast(page, "The connection to this notebook is lost. This page tries again by itself.")
    expect(lost).to_be_visible()
    expect(status_of(page)).to_contain_text("Connection lost")
    expect(page.get_by_role("dialog")).to_have_count(0)

    page.context.set_offline(False)
    expect(lost).to_have_count(0)
    expect(status_of(page)).to_contain_text("credits left")


@pytest.mark.parametrize("process", ["proxy", "hub", "portal"])
def test_a_restart_of_ours_is_no_end(
    lab: tuple[Page, dict[str, Any]], site: LiveSite, process: str
) -> None:
    page, _ = lab
    site.kill(process)
    if process == "proxy":  # the others are not between this page and its server
        page.wait_for_function(f"{LEFT} === 'Connection lost'")
    wait_for("the site is ready", site.is_ready)
    page.evaluate("window.dispatchEvent(new Event('online'))")  # no need to wait for the next try
    expect(status_of(page)).to_contain_text("credits left")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_first_look_that_is_lost_while_control_is_away_is_no_end(
    lab: tuple[Page, dict[str, Any]], site: LiveSite
) -> None:
    """The server is asked again and answers at once, with nothing yet to show."""
    page, workload = lab
    site.cli("stop", workload["id"], "--wait")
    again = site.cli("run", "--offer", "gpu-quarter", "--name", "another", "--wait")
    page.goto(again["url"].removesuffix("lab") + "api/me")  # signed in there before control goes
    page.route("**/perijove/inside?mark=&wait=20*", lambda route: route.abort(), times=1)
    control = site.pid_of("control")
    os.kill(control, signal.SIGSTOP)
    try:
        with page.expect_response("**/perijove/inside?mark=&wait=0*"):
            page.goto(again["url"] + "?reset")
        expect(toast(page, "The connection to this notebook is lost")).to_have_count(0)
    finally:
        os.kill(control, signal.SIGCONT)
    expect(status_of(page)).to_contain_text("credits left")


def test_who_loses_the_place_is_told_that_it_waits_again(
    lab: tuple[Page, dict[str, Any]], site: LiveSite
) -> None:
    page, _ = lab
    (node,) = site.cli("node", "list")["items"]
    site.cli("node", "drain", node["name"], "--by", "1s", "--reason", "a new driver")
    try:
        told = page.get_by_role("dialog", name="This notebook waits again")
        expect(told).to_be_visible()
        expect(told).to_contain_text("a new driver")
        expect(told).to_contain_text("It starts again by itself")
        told.get_by_role("button", name="Close").click()
        expect(status_of(page)).to_have_text("Waits for a place")
        status_of(page).press("Enter")
        panel = page.get_by_role("dialog", name="Perijove: this notebook")
        expect(panel).to_contain_text("It starts again by itself")
        expect(panel).not_to_contain_text("It ends at")
        page.keyboard.press("Escape")
    finally:
        site.cli("node", "resume", node["name"])
    expect(toast(page, "This notebook runs again")).to_be_visible()
    toast(page, "This notebook runs again").get_by_role("button", name="Load the page anew").click()
    expect(status_of(page)).to_contain_text("credits left")
