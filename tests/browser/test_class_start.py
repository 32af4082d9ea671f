"""Before lab hours an instructor sees in the room of the course that the class is being made ready."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from tests.e2e.conftest import PASSWORD, Api
from tests.live import ROOT, LiveSite

COURSE = "vision-1"
PLACES = 3
SOON_MS = 120_000
"""Of an environment that is imported ahead: a look every 20 s, a beat, and the imports."""


@pytest.fixture
def admin(site: LiveSite) -> Api:
    """Of a site that has the environment *vision*, whose notebooks may be forked."""
    build = site.spaces / "environments" / "vision@1"
    build.mkdir(parents=True)
    record = json.loads((ROOT / ".envs" / "notebook" / "perijove-env.json").read_text())
    # With a variable of its own, so that the site's own process does not do for it.
    facts = record | {"fork": True, "env": {"OF_THE_CLASS": "vision"}}
    (build / "perijove-env.json").write_text(json.dumps(facts))
    (build.parent / "vision").symlink_to(build)
    return Api(site)


@pytest.fixture
def instructor(site: LiveSite, admin: Api, browser: Browser) -> Iterator[Page]:
    """A course whose lab hours begin in 40 minutes, and its instructor, signed in."""
    today = datetime.now(UTC).date()
    admin.post(
        "/courses",
        {
            "id": COURSE, "name": "Vision", "time_zone": "UTC", "environment": "vision",
            "first_day": str(today - timedelta(days=1)), "last_day": str(today + timedelta(days=9)),
            "lab": {"offer": "cpu", "set": {}}, "hours": hours(40),
        },
    )  # fmt: skip
    link = site.cli("invite", "--tenant", COURSE, "--role", "instructor")["url"]
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(link)
    page.get_by_label(re.compile("name to sign in", re.IGNORECASE)).fill("ines")
    for box in page.get_by_label(re.compile("password|same again", re.IGNORECASE)).all():
        box.fill(PASSWORD)
    page.get_by_role("button").last.click()
    page.wait_for_url("**/services/portal/**")
    yield page
    context.close()


def hours(minutes: int) -> list[dict[str, Any]]:
    """Lab hours that begin in so many minutes, on the day that this is then."""
    at = datetime.now(UTC) + timedelta(minutes=minutes)
    day = at.strftime("%a").lower()
    return [{"weekdays": [day], "starts": f"{at:%H:%M}", "length": "1h", "places": PLACES}]


def room(page: Page, site: LiveSite) -> FrameLocator:
    page.goto(f"{site.url}/services/portal/courses/{COURSE}", wait_until="commit")
    return page.frame_locator("iframe[title='Room']")


def test_the_room_says_what_is_made_ready_and_then_that_it_is(
    site: LiveSite, admin: Api, instructor: Page
) -> None:
    shown = room(instructor, site)
    expect(shown.get_by_text("No lab hours now.")).to_be_visible()
    later = re.compile(
        rf"Getting ready for .* the environment vision is made ready from .* on, {PLACES} places held"
    )
    expect(shown.get_by_text(later)).to_be_visible(timeout=SOON_MS)

    changed = admin.http.put(f"/courses/{COURSE}", json={"hours": hours(8)})
    assert changed.is_success, changed.text
    ready = re.compile(rf"^Ready for .* environment vision ready, {PLACES} places held\.$")
    expect(shown.get_by_text(ready)).to_be_visible(timeout=SOON_MS)
