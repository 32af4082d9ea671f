"""A real site and a real Chromium."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, Page, expect, sync_playwright

from tests.browser.signed_in import sign_in
from tests.live import LiveSite

PATIENCE_MS = 60_000
"""Of a real JupyterLab on two busy cores; a page that is there is not waited for."""
expect.set_options(timeout=PATIENCE_MS)

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[Any]:
    """Playwright says what the page showed when a test failed; this adds what its frames did."""
    report = yield
    pages = [one for one in getattr(item, "funcargs", {}).values() if isinstance(one, Page)]
    if report.when == "call" and report.failed:
        for frame in (frame for page in pages for frame in page.frames[1:]):
            with contextlib.suppress(Error):
                shown = frame.locator("body").aria_snapshot(timeout=5_000)
                report.sections.append((f"Frame {frame.url}", shown))
    return report


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    live = LiveSite(tmp_path_factory.mktemp("site"))
    try:
        yield live.start()
    finally:
        live.stop()


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def admin(browser: Browser, site: LiveSite) -> Iterator[Page]:
    """One page for all tests of a module, of the first administrator."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(30_000)
    page = context.new_page()
    sign_in(page, site)
    yield page
    context.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()
