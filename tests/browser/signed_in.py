"""Signed in as the first administrator, and in JupyterLab: what tests of several pages begin with."""

import re
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.live import LiveSite


def sign_in(page: Page, site: LiveSite) -> None:
    """As the first administrator, by a fresh link."""
    page.goto(site.cli("admin-link")["url"])
    page.get_by_role("button", name="Sign in as administrator").click()
    expect(page.get_by_role("heading", name="Start something")).to_be_visible()


def open_lab(page: Page, site: LiveSite, started: dict[str, Any]) -> None:
    """JupyterLab of this workload, with nothing left open in it."""
    sign_in(page, site)
    page.goto(started["url"] + "?reset")


def status_of(page: Page) -> Locator:
    """What JupyterLab's status bar says of its notebook."""
    return page.get_by_role("button", name=re.compile("^Perijove:"))


def toast(page: Page, text: str) -> Locator:
    return page.get_by_role("alert").filter(has_text=text)
