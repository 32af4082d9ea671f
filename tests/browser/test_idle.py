"""A notebook that nobody uses: asked in JupyterLab and in the portal, stopped, and the layout is there
again after one press. Its menu has seconds, so that nobody waits for hours."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.signed_in import open_lab, status_of
from tests.live import LiveSite

IDLE_S = 25
SOON_MS = 180_000
"""Of what comes after some idle seconds, two minutes in which the server would tell of other work, a
minute over which processor time is averaged, and a look."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    live = LiveSite(tmp_path_factory.mktemp("idle"), settings={"PERIJOVE_IDLE": f"{IDLE_S}s"})
    try:
        yield live.start()
    finally:
        live.stop()


@pytest.fixture
def lab(site: LiveSite, page: Page) -> Iterator[tuple[Page, dict[str, Any]]]:
    """A notebook of the launcher, open in JupyterLab."""
    started = site.cli("run", "--offer", "gpu-quarter", "--name", "my lab", "--wait")
    open_lab(page, site, started)
    page.get_by_role("button", name="Python 3").first.click()
    expect(tab(page)).to_be_visible()
    expect(status_of(page)).to_be_visible()
    yield page, started
    for one in site.cli("ps")["items"]:
        site.cli("stop", one["id"], "--wait")


def tab(page: Page) -> Locator:
    return page.get_by_role("tab", name=re.compile(r"Untitled\d*\.ipynb"))


def question(page: Page) -> Locator:
    return page.get_by_role("alert").filter(has_text="This server stops at")


def test_it_is_asked_then_stopped_and_one_press_leads_back(
    lab: tuple[Page, dict[str, Any]], site: LiveSite
) -> None:
    page, workload = lab
    asked = question(page)
    expect(asked).to_contain_text("frees its GPU: files and open tabs stay", timeout=SOON_MS)
    expect(status_of(page)).to_contain_text("idle, stops at")

    asked.get_by_role("button", name="I am still working").click()
    expect(asked).to_have_count(0)
    expect(status_of(page)).not_to_contain_text("idle")
    (found,) = site.cli("ps")["items"]
    assert (found["id"], found["idle_stop_at"]) == (workload["id"], None)

    portal = page.context.new_page()
    portal.goto(f"{site.url}/services/portal/workloads/{workload['id']}")
    card = portal.get_by_role("article", name="my lab")
    expect(card.get_by_text("nothing has happened in it since")).to_be_visible(timeout=SOON_MS)
    expect(card.get_by_role("button", name="I am still working")).to_be_visible()
    expect(card.get_by_text("It was idle for")).to_be_visible(timeout=SOON_MS)
    portal.close()

    told = page.get_by_role("dialog", name="This notebook has ended")
    expect(told).to_contain_text("It was idle for")
    expect(told).to_contain_text("files in your home and open tabs stay")
    expect(question(page)).to_have_count(0)  # it is past

    page.reload()  # whoever comes back to the old tab
    card = page.get_by_role("article", name="my lab")
    expect(card.get_by_text("It was idle for")).to_be_visible()
    card.get_by_role("button", name="Start again").click()

    page.wait_for_url(re.compile(rf"/user/admin/(?!{workload['id']})w-[^/]+/lab"))
    expect(tab(page)).to_be_visible()
