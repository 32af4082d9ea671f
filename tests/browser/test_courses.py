"""A lab course as a campus runs it: made by its instructor from a list of 120, opened by a student,
run by an assistant, and not there for the department beside it."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.campus import PORTAL, STUDENTS, Campus, campus, roster
from tests.peers.oidc_provider.peer import INSTALLED, MISSING

pytestmark = pytest.mark.skipif(not INSTALLED, reason=MISSING)

COURSE = "physics-101-spring-2027"
MINUTES = 2


@pytest.fixture(scope="module")
def uni(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campus]:
    with campus(tmp_path_factory.mktemp("campus"), browser) as found:
        yield found


class Hands:
    """Clicks and keys of a person, counted."""

    def __init__(self, page: Page) -> None:
        self.page, self.count = page, 0

    def press(self, name: str) -> None:
        self.count += 1
        self.page.get_by_role("button", name=name, exact=True).click()

    def fill(self, label: str, text: str) -> None:
        self.count += 1
        self.page.get_by_label(label, exact=True).first.fill(text)


def make_course(page: Page, uni: Campus, folder: Path) -> int:
    """From the list of courses to the finished course; how many clicks and fields it took."""
    hands = Hands(page)
    page.get_by_role("link", name="New course").click()
    hands.fill("Name", "Physics 101")
    hands.fill("Term", "Spring 2027")
    hands.press("Next")
    page.get_by_label("CSV file").set_input_files(roster(folder))
    expect(page.get_by_text(f"{STUDENTS + 1} people on the list")).to_be_visible()
    page.get_by_label("Who are they?").select_option("uni")
    hands.press("Next")
    page.get_by_label("“Open lab” starts").select_option("gpu-quarter")
    hands.fill("Git repository", str(uni.material))
    hands.press("Next")
    page.get_by_role("group", name="All of them together").get_by_label("Credits").fill("1500")
    hands.press("Next")
    hands.press("Add lab hours")
    page.get_by_role("checkbox", name="Wednesday").check()
    page.get_by_label("Places").fill("4")
    hands.press("Next")
    expect(page.get_by_text("Everything is in order.")).to_be_visible()
    hands.press("Create the course")
    expect(page.get_by_role("heading", name="Physics 101 is ready")).to_be_visible()
    return hands.count + 6


def test_1_an_instructor_makes_a_course_of_120_within_two_minutes(
    uni: Campus, tmp_path: Path
) -> None:
    page = uni.open("ines", "courses")
    began = time.monotonic()
    acts = make_course(page, uni, tmp_path)
    assert time.monotonic() - began < MINUTES * 60
    assert acts < 25, "clicks and fields"
    page.get_by_role("link", name="People", exact=True).last.click()
    expect(page.get_by_text(f"1 to 50 of {STUDENTS + 2}")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("Student 017"))).to_contain_text("Expected")


def test_2_a_student_opens_the_lab_and_has_the_material(uni: Campus) -> None:
    page = uni.open("s001")
    card = page.get_by_role("article", name="Physics 101")
    expect(card).to_contain_text("credits left")
    card.get_by_role("link", name="Open lab: Physics 101").click()
    page.wait_for_url("**/user/**/lab**", wait_until="commit")
    expect(page.get_by_role("region", name="File Browser Section").first).to_be_visible()
    expect(page.get_by_text("README.md").first).to_be_visible()
    other = uni.open("s001")
    expect(other.get_by_role("article", name="Physics 101").first).to_contain_text("Running")
    other.goto(uni.site.url + PORTAL + f"courses/{COURSE}", wait_until="commit")
    expect(other.get_by_role("heading", name="Physics 101", level=1)).to_be_visible()
    expect(other.get_by_role("navigation", name="Course")).to_have_count(0)


def test_3_an_assistant_sees_the_room_and_extends_one_student(uni: Campus) -> None:
    page = uni.open("tara")
    page.get_by_role("link", name="Course console: Physics 101").click()
    room = page.frame_locator("iframe[title='Room']")
    row = room.get_by_role("row", name=re.compile("Student 001"))
    expect(row).to_contain_text("Running")
    expect(row).to_contain_text("1/4 GPU")
    before = _minutes(row.inner_text())
    room.get_by_role("checkbox", name="Choose Student 001").check()
    room.get_by_label("By").select_option("1 hour")
    room.get_by_role("button", name="Extend").click()
    expect(room.get_by_text("Extend: done for 1")).to_be_visible()
    expect(row).to_contain_text(re.compile(rf"{(before + 60) // 60} h"))
    expect(room.get_by_role("checkbox", name="Choose Student 001")).to_be_checked()
    expect(page.get_by_role("link", name="Settings")).to_have_count(0)


def test_4_the_department_beside_it_sees_nothing_of_it(uni: Campus) -> None:
    page = uni.open("omar")
    expect(page.get_by_role("button", name=re.compile("^Start"))).not_to_have_count(0)
    expect(page.get_by_role("heading", name="My courses")).to_be_hidden()
    for part in ("", "/people", "/settings", "/credits", "/attendance", "/open"):
        page.goto(uni.site.url + PORTAL + f"courses/{COURSE}{part}", wait_until="commit")
        expect(page.get_by_role("alert").filter(has_text="There is no course")).to_be_visible()
    page.goto(uni.site.url + PORTAL + "courses", wait_until="commit")
    expect(page.get_by_text("None yet. New course makes one")).to_be_visible()
    page.goto(uni.site.url + PORTAL + f"panels/room?course={COURSE}", wait_until="commit")
    expect(page.get_by_text(re.compile("there is no course", re.IGNORECASE))).to_be_visible()
    expect(page.get_by_text("Student 001")).to_have_count(0)


def test_5_a_link_lets_somebody_in_who_signs_in_on_the_way(uni: Campus) -> None:
    teacher = uni.open("ines", f"courses/{COURSE}/people")
    teacher.get_by_role("button", name="New link").click()
    teacher.get_by_role("button", name="Make the link").click()
    link = teacher.get_by_role("textbox", name="Join link").input_value()
    page = uni.context("zoe").new_page()
    page.goto(link, wait_until="commit")
    uni.sign_in(page, "zoe")
    page.get_by_role("button", name="Join the course").click()
    expect(page.get_by_role("heading", name="Welcome to Physics 101")).to_be_visible()
    page.get_by_role("link", name="Menu", exact=True).click()
    expect(page.get_by_role("article", name="Physics 101")).to_contain_text("10.00 credits left")


def test_6_a_visit_needs_the_students_word(uni: Campus) -> None:
    """On this site everybody trusts each other, so it is offered without subdomains."""
    teacher = uni.open("ines", f"courses/{COURSE}")
    room = teacher.frame_locator("iframe[title='Room']")
    room.get_by_role("button", name="Ask to open the server of Student 001").click()
    room.get_by_label("Why").fill("exercise 3")
    room.get_by_role("button", name="Ask Student 001").click()
    expect(room.get_by_text("has not answered yet")).to_be_visible()
    student = uni.open("s001")
    asked = student.get_by_role("region", name="Requests to open your server")
    expect(asked).to_contain_text("Ines Torres asks to open your server: exercise 3")
    asked.get_by_role("button", name="Allow: Ines Torres").click()
    expect(asked).to_contain_text("Ines Torres may open your server")
    link = room.get_by_role("link", name="open the server of Student 001")
    with teacher.context.expect_page() as opened:
        link.click()
    # The Hub asks whoever goes to another's server, and says whose it is.
    opened.value.get_by_role("button", name="Authorize").click()
    expect(opened.value.get_by_text("README.md").first).to_be_visible()


def _minutes(text: str) -> int:
    """Of "1 h 59 min" or "59 min" somewhere in a row."""
    hours = re.search(r"(\d+) h (\d+) min", text)
    if hours:
        return 60 * int(hours[1]) + int(hours[2])
    found = re.search(r"(\d+) min", text)
    assert found is not None, text
    return int(found[1])
