"""What JupyterLab shows first: one launcher, without waiting for the workspace to be saved; and none over
what was left open or what the address names."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, Request, Response, Route, expect

from tests.browser.signed_in import sign_in
from tests.live import LiveSite

CARD = "Python 3 (ipykernel)"
WORKSPACE = "**/lab/api/workspaces/*"


@pytest.fixture
def lab(site: LiveSite, page: Page) -> Iterator[str]:
    """The address of JupyterLab, of a person who never opened one; `page` is signed in."""
    sign_in(page, site)
    started = site.cli("run", "--offer", "gpu-quarter", "--name", "my lab", "--wait")
    yield started["url"]
    site.cli("stop", started["id"], "--wait")


def launchers(page: Page) -> Locator:
    return page.get_by_role("tab", name="Launcher")


def notebook(page: Page) -> Locator:
    return page.get_by_role("tab", name=re.compile(r"Untitled\d*\.ipynb"))


def settled(page: Page) -> None:
    """JupyterLab has decided what it opens by itself: it takes this mark away just before."""
    expect(page.locator(".jp-FileBrowser").first).to_be_visible()
    expect(page.locator(".jp-FileBrowser.jp-mod-restoring")).to_have_count(0)


def saved_with(kind: str, request: Request) -> bool:
    return request.method == "PUT" and f'"{kind}:' in (request.post_data or "")


def began_a_kernel(answer: Response) -> bool:
    return answer.request.method == "POST" and urlsplit(answer.url).path.endswith("/api/sessions")


def test_one_launcher_before_the_workspace_is_saved_and_none_after(page: Page, lab: str) -> None:
    held: list[Route] = []
    holds = True

    def hold(route: Route) -> None:
        if holds and route.request.method == "PUT":
            held.append(route)
        else:
            route.continue_()

    page.route(WORKSPACE, hold)
    page.goto(lab)
    expect(page.get_by_title(CARD).first).to_be_visible()
    expect(page.locator(".jp-FileBrowser.jp-mod-restoring")).to_have_count(1)

    holds = False
    for route in held:
        route.continue_()
    settled(page)
    expect(launchers(page)).to_have_count(1)


def test_no_launcher_over_what_was_left_open_or_is_asked_for(page: Page, lab: str) -> None:
    page.goto(lab)
    with (
        page.expect_request(lambda request: saved_with("notebook", request)),
        # A notebook that has none when it is opened again asks for one.
        page.expect_response(began_a_kernel),
    ):
        page.get_by_title(CARD).first.click()
    expect(notebook(page)).to_be_visible()
    expect(launchers(page)).to_have_count(0)
    name = notebook(page).inner_text().strip()

    page.goto(lab)
    settled(page)
    expect(notebook(page)).to_be_visible()
    expect(launchers(page)).to_have_count(0)

    page.goto(f"{lab}/workspaces/other/tree/{name}")
    settled(page)
    expect(notebook(page)).to_be_visible()
    expect(launchers(page)).to_have_count(0)

    notebook(page).get_by_title(re.compile("^Close")).click()
    page.get_by_role("button", name="Discard").click()
    expect(launchers(page)).to_have_count(1)


def test_on_a_telephone_in_the_dark_it_has_the_whole_width_and_is_dark(
    browser: Browser, site: LiveSite, lab: str
) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
    page = context.new_page()
    try:
        sign_in(page, site)
        page.goto(f"{lab}/workspaces/phone")
        card = page.get_by_title(CARD).first
        expect(card).to_be_visible()
        expect(page.locator("body")).to_have_attribute("data-jp-theme-light", "false")
        expect(page.locator("#jp-left-stack")).to_be_hidden()
        shown = card.bounding_box()
        assert shown
        assert shown["x"] + shown["width"] <= 390
    finally:
        context.close()
