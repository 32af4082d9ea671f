"""The pictures of "Teach a course", of a real site. `PERIJOVE_WRITE_IMAGES=1` puts them into
docs/images."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.campus import PORTAL, STUDENTS, Campus, campus, roster
from tests.browser.test_screenshots import DOCS, Camera
from tests.live import wait_for
from tests.peers.oidc_provider.peer import INSTALLED, MISSING

pytestmark = pytest.mark.skipif(not INSTALLED, reason=MISSING)

COURSE = "physics-101-spring-2027"
PICTURES = ("people", "limits", "hours", "review", "student", "lab", "room", "phone")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return DOCS if os.environ.get("PERIJOVE_WRITE_IMAGES") == "1" else tmp_path


@pytest.fixture
def uni(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campus]:
    with campus(tmp_path_factory.mktemp("campus"), browser) as found:
        yield found


def test_every_picture_of_teach_a_course(uni: Campus, folder: Path, tmp_path: Path) -> None:
    _make(uni, folder, tmp_path)
    _students(uni, folder)
    _console(uni, folder)
    _phone(uni, folder)
    assert {path.stem for path in folder.glob("teach-*.png")} >= {f"teach-{n}" for n in PICTURES}


def _take(page: Page, folder: Path, name: str) -> None:
    Camera(page, folder).take(f"teach-{name}")


def _next(page: Page) -> None:
    page.get_by_role("button", name="Next", exact=True).click()


def _make(uni: Campus, folder: Path, tmp_path: Path) -> None:
    page = uni.open("ines", "courses/new")
    page.get_by_label("Name", exact=True).fill("Physics 101")
    page.get_by_label("Term").fill("Spring 2027")
    _next(page)
    page.get_by_label("CSV file").set_input_files(roster(tmp_path))
    expect(page.get_by_text(f"{STUDENTS + 1} people on the list")).to_be_visible()
    page.get_by_label("Who are they?").select_option("uni")
    expect(page.get_by_text(f"{STUDENTS + 1} people on the list")).to_be_visible()
    _take(page, folder, "people")
    _next(page)
    page.get_by_label("“Open lab” starts").select_option("gpu-quarter")
    page.get_by_label("Git repository").fill(str(uni.material))
    _next(page)
    page.get_by_role("group", name="Each student").get_by_label("GPU", exact=True).fill("0.25")
    page.get_by_role("group", name="All of them together").get_by_label("Credits").fill("1500")
    page.get_by_role("button", name="Add a group").click()
    page.get_by_role("group", name="Group 1").get_by_label("Name").fill("Quiz")
    page.get_by_role("group", name="Group 1").get_by_label("GPU", exact=True).fill("0")
    page.get_by_role("button", name="Next", exact=True).scroll_into_view_if_needed()
    _take(page, folder, "limits")
    _next(page)
    page.get_by_role("button", name="Add lab hours").click()
    page.get_by_role("checkbox", name="Wednesday").check()
    page.get_by_label("Places").fill("4")
    expect(
        page.get_by_role("status").filter(has_text=re.compile("lab hours|windows|held"))
    ).to_be_visible()
    _take(page, folder, "hours")
    _next(page)
    expect(page.get_by_text("Everything is in order.")).to_be_visible()
    _take(page, folder, "review")
    page.get_by_role("button", name="Create the course").click()
    expect(page.get_by_role("heading", name="Physics 101 is ready")).to_be_visible()


def _students(uni: Campus, folder: Path) -> None:
    """Three are in, two of them have their labs open."""
    uni.open("s000")
    for login in ("s002", "s001"):
        page = uni.open(login)
        card = page.get_by_role("article", name="Physics 101")
        expect(card).to_be_visible()
        expect(page.get_by_role("button", name=re.compile("^Start: Whole GPU"))).to_be_visible()
        if login == "s001":
            _take(page, folder, "student")
        card.get_by_role("link", name="Open lab: Physics 101").click()
        page.wait_for_url("**/user/**/lab**", wait_until="commit")
    expect(page.get_by_text("README.md").first).to_be_visible()
    expect(page.get_by_text(re.compile("left")).first).to_be_visible()
    _take(page, folder, "lab")


def _console(uni: Campus, folder: Path) -> None:
    page = uni.open("ines", f"courses/{COURSE}")
    room = page.frame_locator("iframe[title='Room']")
    expect(room.get_by_role("row", name=re.compile("Student 001"))).to_contain_text("Running")
    expect(room.get_by_role("button", name="Give credits")).to_be_visible()
    _take(page, folder, "room")


def _phone(uni: Campus, folder: Path) -> None:
    page = uni.open("s000")
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(uni.site.url + PORTAL, wait_until="commit")
    expect(page.get_by_role("article", name="Physics 101")).to_be_visible()
    expect(page.get_by_role("group", name="Your quota")).to_contain_text("credits")
    wait_for("nothing sticks out", lambda: _width(page) <= 390)
    _take(page, folder, "phone")


def _width(page: Page) -> int:
    return page.evaluate("document.documentElement.scrollWidth")
