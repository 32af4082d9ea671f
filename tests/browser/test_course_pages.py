"""The pages of courses in a real Chromium, with canned answers: what each step keeps and says."""

import json
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import FrameLocator, Page, Route, expect

from tests.browser.test_portal_pages import behind, browser, page, site
from tests.unit.portal.canned import Site, workload
from tests.unit.portal.canned_courses import course, seat

__all__ = ["behind", "browser", "page", "site"]  # fixtures; found by their names

PORTAL = "/services/portal/"


def at(page: Page, path: str) -> None:
    page.goto(PORTAL + path, wait_until="commit")


def room(page: Page) -> FrameLocator:
    at(page, "courses/phys")
    inside = page.frame_locator("iframe[title='Room']")
    expect(inside.get_by_role("checkbox", name="Choose Alan Turing")).to_be_visible()
    return inside


def student(site: Site) -> None:
    """Ada takes the course and teaches none."""
    site.admin = False
    site.courses.items[:] = [
        course("phys", "Physics 101", "member", may={"manage": False, "run": False})
    ]


# ---- students ------------------------------------------------------------------------------------


def test_a_course_is_on_top_of_the_menu_with_one_button(page: Page, site: Site) -> None:
    student(site)
    at(page, "")
    card = page.get_by_role("article", name="Physics 101")
    expect(card).to_contain_text("Next lab hours")
    expect(card).to_contain_text("7.50 credits left")
    expect(card.get_by_role("link")).to_have_count(1)
    card.get_by_role("link", name="Open lab: Physics 101").click()
    expect(page).to_have_url(re.compile("/courses/phys/open$"))


def test_a_lab_that_runs_shows_its_state_on_the_card(page: Page, site: Site) -> None:
    site.workloads.append(workload("w-lab", "running", tenant="phys"))
    at(page, "")
    expect(page.get_by_role("article", name="Physics 101")).to_contain_text("Running")


def test_open_lab_waits_with_its_place_and_goes_there_by_itself(
    page: Page, behind: Any, site: Site
) -> None:
    student(site)
    at(page, "courses/phys")
    page.get_by_role("link", name="Open lab: Physics 101").click()
    expect(page.get_by_text("No. 2")).to_be_visible()
    expect(page.get_by_text("JupyterLab opens by itself")).to_be_visible()
    site.workloads[0].update(status="running", url="/user/ada/w-lab/lab")
    behind.do(site.tell, "workloads")
    expect(page.get_by_role("heading", name="JupyterLab")).to_be_visible()
    page.go_back()  # not into the page that would go forward again
    expect(page).to_have_url(re.compile("/courses/phys$"))


def test_a_lab_that_is_refused_says_why_and_what_helps(page: Page, site: Site) -> None:
    site.courses.refuse_lab = True
    at(page, "courses/phys/open")
    expect(page.get_by_role("alert").filter(has_text="The course has ended")).to_contain_text(
        "Ask your instructor"
    )
    site.courses.refuse_lab = False
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("No. 2")).to_be_visible()


def test_an_alternative_to_a_lab_starts_in_the_course(page: Page, site: Site) -> None:
    at(page, "courses/phys/open")
    with page.expect_request(lambda r: r.method == "POST" and r.url.endswith("/workloads")) as sent:
        page.get_by_role("button", name="1/8 GPU notebook starts now").click()
    assert json.loads(sent.value.post_data or "{}")["tenant"] == "phys"


def test_a_link_joins_only_when_its_button_is_pressed(page: Page, site: Site) -> None:
    student(site)
    at(page, "join?token=good")
    button = page.get_by_role("button", name="Join the course")
    expect(button).to_be_visible()
    assert "courses/join" not in site.courses.sent
    button.press("Enter")
    expect(page.get_by_role("heading", name="Welcome to Chemistry 1")).to_be_visible()
    expect(page.get_by_role("link", name="Open lab: Chemistry 1")).to_be_focused()
    assert "token" not in page.url, "a used invitation does not stay in the history"


def test_a_link_that_is_over_says_so(page: Page) -> None:
    at(page, "join?token=old")
    page.get_by_role("button", name="Join the course").click()
    expect(page.get_by_text("This link is not valid any more")).to_be_visible()


@pytest.mark.parametrize(("answer", "state"), [("Allow", "granted"), ("Refuse", "denied")])
def test_a_visit_is_asked_on_every_page_and_answered_there(
    page: Page, site: Site, answer: str, state: str
) -> None:
    site.courses.visits.append(
        {"id": "v-9", "course": "phys", "course_name": "Physics 101", "workload": "w-run",
         "student": "ada", "visitor": "grace", "visitor_name": "Grace Hopper",
         "reason": "exercise <3>", "state": "asked", "asked_at": "2027-01-01T00:00:00Z",
         "ends_at": None, "url": "", "mine_to_answer": True}
    )  # fmt: skip
    at(page, "usage")
    box = page.get_by_role("region", name="Requests to open your server")
    expect(box).to_contain_text("Grace Hopper asks to open your server: exercise <3>.")
    box.get_by_role("button", name=f"{answer}: Grace Hopper").click()
    if answer == "Allow":
        expect(box).to_contain_text("Grace Hopper may open your server")
        box.get_by_role("button", name="End it now: Grace Hopper").click()
        state = "ended"
    expect(box).to_be_hidden()
    assert site.courses.visits[0]["state"] == state


def test_material_that_is_not_here_yet_is_not_said_to_be(page: Page, site: Site) -> None:
    student(site)
    card = page.get_by_role("region", name="Material")
    at(page, "courses/phys")
    expect(card).to_contain_text("It is in the folder material of your lab")
    site.courses.items[0]["material"]["commit"] = ""
    at(page, "courses/phys")
    expect(card).to_contain_text("It could not be fetched yet")
    expect(card).not_to_contain_text("It is in the folder")


def test_students_see_nothing_of_teaching(page: Page, site: Site) -> None:
    student(site)
    for path in ("courses/phys", "courses/phys/people", "courses/phys/settings"):
        at(page, path)
        expect(page.get_by_role("heading", name="Physics 101", level=1)).to_be_visible()
        expect(page.get_by_role("navigation", name="Course")).to_have_count(0)
    at(page, "courses")
    expect(page.get_by_role("row", name=re.compile("Physics 101"))).to_be_visible()
    expect(page.get_by_role("link", name="New course")).to_be_hidden()
    at(page, "courses/new")
    expect(page.get_by_role("alert").first).to_contain_text("You teach no course here yet")


def test_who_has_no_course_sees_no_way_to_any(page: Page, site: Site) -> None:
    site.admin = False
    site.courses.items.clear()
    at(page, "")
    expect(page.get_by_role("button", name="Your account: Ada Lovelace")).to_be_visible()
    expect(page.get_by_role("button", name="Start: CPU notebook")).to_be_visible()
    expect(page.get_by_role("link", name="Courses")).to_be_hidden()
    expect(page.get_by_role("heading", name="My courses")).to_be_hidden()
    at(page, "courses/phys")
    expect(page.get_by_role("alert").first).to_contain_text("There is no such course")


# ---- the wizard ----------------------------------------------------------------------------------


def begin(page: Page) -> None:
    at(page, "courses/new")
    page.get_by_label("Name", exact=True).fill("Physics 102")
    page.get_by_label("Term").fill("Spring 2027")
    expect(page.get_by_label("Short name")).to_have_value("physics-102-spring-2027")


def test_a_course_is_made_from_a_list(page: Page, site: Site, tmp_path: Path) -> None:
    begin(page)
    page.get_by_role("button", name="Next").click()
    roster = tmp_path / "roster.csv"
    roster.write_text("id,name\n" + "".join(f"s{n},Student {n}\n" for n in range(120)))
    page.get_by_label("CSV file").set_input_files(roster)
    expect(page.get_by_text("120 people on the list")).to_be_visible()
    page.get_by_label("Who are they?").select_option("uni")
    for title in ("Lab", "Limits and credits", "Lab hours"):
        page.get_by_role("button", name="Next").click()
        expect(page.get_by_role("heading", name=title, level=2)).to_be_visible()
    page.get_by_role("button", name="Add lab hours").click()
    page.get_by_role("checkbox", name="Wednesday").check()
    expect(page.get_by_text("30 lab hours are held")).to_be_visible()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("Everything is in order.")).to_be_visible()
    page.get_by_role("button", name="Create the course").click()
    expect(page.get_by_role("heading", name="Physics 102 is ready")).to_be_focused()
    sent = site.courses.sent["courses"]
    assert (sent["id"], sent["roster"]["provider"]) == ("physics-102-spring-2027", "uni")
    assert sent["hours"] == [
        {"weekdays": [0, 2], "starts": "09:00", "length": "2h", "places": 0, "name": ""}
    ]
    assert not set(sent) & {"own_id", "with_link"}
    page.get_by_role("link", name="Open the course console").click()
    expect(page.get_by_role("heading", name="Physics 102", level=1)).to_be_visible()


def test_back_forward_and_reload_keep_what_was_typed(page: Page) -> None:
    begin(page)
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("heading", name="People", level=2)).to_be_visible()
    page.get_by_role("link", name="Limits and credits").click()
    page.get_by_label("GPU", exact=True).first.fill("0.5")
    page.reload()
    expect(page.get_by_label("GPU", exact=True).first).to_have_value("0.5")
    page.go_back()
    expect(page.get_by_role("heading", name="People", level=2)).to_be_visible()
    page.go_back()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Physics 102")
    page.go_forward()
    expect(page.get_by_role("heading", name="People", level=2)).to_be_visible()
    page.get_by_role("button", name="Start over").click()
    page.get_by_role("dialog").get_by_role("button", name="Start over").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("")


def test_errors_stand_beside_their_fields_and_have_the_focus(page: Page, site: Site) -> None:
    at(page, "courses/new")
    page.get_by_role("button", name="Next").click()
    name = page.get_by_label("Name", exact=True)
    expect(name).to_be_focused()
    expect(name).to_have_attribute("aria-invalid", "true")
    name.fill("Physics 102")
    expect(name).not_to_have_attribute("aria-invalid", "true")
    page.get_by_label("First day").fill("2027-05-01")
    page.get_by_label("Last day").fill("2027-02-01")
    page.get_by_role("button", name="Next").press("Enter")
    expect(page.get_by_label("Last day")).to_be_focused()
    expect(page.get_by_label("Last day")).to_have_accessible_description(
        "It is before the first day. Choose a later one."
    )
    page.get_by_role("link", name="Review").click()
    expect(page.get_by_text("This must be put right first")).to_be_visible()
    expect(
        page.get_by_role("listitem").filter(has=page.get_by_role("link", name="Basics"))
    ).not_to_have_count(0)


def test_problems_of_a_list_are_told_by_line(page: Page) -> None:
    at(page, "courses/new#people")
    page.get_by_text("Or paste the list here").click()
    page.get_by_label("List as text").fill("id\ntwice\ntwice")
    page.get_by_label("List as text").blur()
    expect(page.get_by_text("1 line needs a look")).to_be_visible()
    expect(page.get_by_text("Line 3, column id: It is there twice.")).to_be_visible()


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "is empty"), (b"x" * 800_000, "that is no roster")]
)
def test_a_file_that_is_no_roster_is_refused_at_once(
    page: Page, tmp_path: Path, content: bytes, words: str
) -> None:
    at(page, "courses/new#people")
    file = tmp_path / "roster.csv"
    file.write_bytes(content)
    page.get_by_label("CSV file").set_input_files(file)
    expect(page.get_by_text(words)).to_be_visible()
    expect(page.get_by_label("Who are they?")).to_have_count(0)


def test_what_comes_in_does_not_move_the_button_that_is_being_pressed(page: Page) -> None:
    """Half a second after a change the hours are looked at: often just when Next is pressed."""
    held: list[Route] = []
    seen = threading.Event()

    def hold(route: Route) -> None:
        if seen.is_set():
            route.continue_()
        else:
            held.append(route)

    # Before the page is asked for: what is routed while a page loads, Playwright may not see at all.
    page.route("**/courses/check", hold)
    at(page, "courses/new#hours")
    page.get_by_role("button", name="Add lab hours").wait_for()
    next_ = page.get_by_role("button", name="Next")
    with page.expect_request("**/courses/check"):
        page.get_by_role("button", name="Add lab hours").click()
    before = next_.bounding_box()
    seen.set()
    for route in held:
        route.continue_()
    expect(page.get_by_text("30 lab hours are held")).to_be_visible()
    assert next_.bounding_box() == before


def test_the_wizard_works_without_a_mouse(page: Page, site: Site) -> None:
    begin(page)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="People", level=2)).to_be_visible()
    for title in ("Lab", "Limits and credits", "Lab hours", "Review"):
        page.get_by_role("button", name="Next").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name=title, level=2)).to_be_visible()
    page.get_by_role("button", name="Create the course").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Physics 102 is ready")).to_be_visible()


def test_a_join_link_made_with_the_course_is_shown_once(page: Page) -> None:
    begin(page)
    page.get_by_role("button", name="Next").click()
    page.get_by_label("Make a link when the course is made").check()
    page.get_by_role("link", name="Review").click()
    page.get_by_role("button", name="Create the course").click()
    shown = page.get_by_role("dialog", name="Join link")
    expect(shown.get_by_label("Join link")).to_have_value(re.compile("token=good"))


# ---- after it was made ---------------------------------------------------------------------------


def test_last_terms_course_is_cloned_from_the_list(page: Page, site: Site) -> None:
    at(page, "courses")
    page.get_by_role("button", name="Clone: Physics 101").click()
    form = page.get_by_role("dialog")
    expect(form.get_by_label("Term")).to_have_value("Spring 2028")
    expect(form.get_by_label("First day")).to_have_value("2028-01-31")  # a Monday, as before
    form.get_by_role("button", name="Clone").click()
    expect(page.get_by_role("heading", name="People")).to_be_visible()
    assert site.courses.sent["courses/phys/clone"]["id"] == "phys-spring-2028"


def test_a_section_of_the_settings_is_saved_by_itself(page: Page, site: Site) -> None:
    at(page, "courses/phys/settings")
    limits = page.get_by_role("form", name="Limits and groups")
    expect(limits.get_by_role("button", name="Save")).to_be_disabled()
    limits.get_by_label("GPU", exact=True).first.fill("0.5")
    limits.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Limits and groups: saved")).to_be_visible()
    sent = site.courses.sent["courses/phys"]
    assert set(sent) == {"student", "version"}, "what did not change is not sent"
    assert sent["student"]["limits"] == {"gpu": "0.5", "gpu-hours": "20"}
    basics = page.get_by_role("form", name="Basics")
    basics.get_by_label("Last day").fill("2020-01-01")
    basics.get_by_role("button", name="Save").click()
    expect(basics.get_by_label("Last day")).to_have_attribute("aria-invalid", "true")


def test_two_who_change_a_course_do_not_overwrite_each_other(page: Page, site: Site) -> None:
    at(page, "courses/phys/settings")
    basics = page.get_by_role("form", name="Basics")
    basics.get_by_label("Term").fill("Fall 2027")
    site.courses.items[0]["version"] = 7
    basics.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Somebody else changed the course")).to_be_visible()


def test_the_roster_is_searched_paged_and_changed(page: Page, site: Site) -> None:
    at(page, "courses/phys/people")
    expect(page.get_by_text("1 to 50 of 120")).to_be_visible()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("51 to 100 of 120")).to_be_visible()
    page.get_by_label("Find").fill("student 119")
    expect(page.get_by_text("1 to 1 of 1")).to_be_visible()
    page.get_by_label("Group of Student 119").select_option("phys-quiz")
    expect(page.get_by_text("Student 119: Quiz")).to_be_visible()
    assert site.courses.roster[119]["group"] == "phys-quiz"


# ---- the room ------------------------------------------------------------------------------------


def test_the_room_keeps_what_is_chosen_while_it_changes(page: Page, site: Site) -> None:
    inside = room(page)
    expect(inside.get_by_role("row", name=re.compile("Alan Turing"))).to_contain_text("1/4 GPU")
    expect(inside.get_by_role("row", name=re.compile("Emmy"))).to_contain_text("No. 2 in the queue")
    expect(inside.get_by_text("Kurt <b>Gödel</b>")).to_be_visible()
    inside.get_by_role("checkbox", name="Choose Emmy Noether").check()
    expect(inside.get_by_text("For the 1 person chosen")).to_be_visible()
    site.courses.room[2] = seat("emmy", "Emmy Noether", "running")
    expect(inside.get_by_role("row", name=re.compile("Emmy"))).to_contain_text("Running")
    expect(inside.get_by_role("checkbox", name="Choose Emmy Noether")).to_be_checked()
    expect(inside.get_by_role("checkbox", name="Choose Emmy Noether")).to_be_focused()


def test_acts_are_for_the_chosen_or_all_and_tell_each_result(page: Page, site: Site) -> None:
    inside = room(page)
    inside.get_by_role("button", name="Start the lab").click()
    expect(inside.get_by_text("Start the lab: done for 2")).to_be_visible()
    expect(inside.get_by_text("nothing of theirs runs")).to_be_visible()
    assert site.courses.sent["courses/phys/room/start"] == {"people": ["*"]}
    inside.get_by_role("checkbox", name="Choose Alan Turing").check()
    inside.get_by_label("By").select_option("1 hour")
    inside.get_by_role("button", name="Extend").click()
    expect(inside.get_by_text("Extend: done for 1")).to_be_visible()
    assert site.courses.sent["courses/phys/room/extend"] == {"people": ["alan"], "by": "1h"}
    inside.get_by_role("button", name="Stop the lab").click()
    assert "courses/phys/room/stop" not in site.courses.sent, "one press stops nothing"
    inside.get_by_role("button", name="Yes, stop 1 person").click()
    expect(inside.get_by_text("Stop the lab: done for 1")).to_be_visible()


def test_a_visit_is_asked_for_with_a_reason_and_opens_when_allowed(page: Page, site: Site) -> None:
    inside = room(page)
    inside.get_by_role("button", name="Ask to open the server of Alan Turing").click()
    inside.get_by_label("Why").fill("exercise 3")
    inside.get_by_role("button", name="Ask Alan Turing").click()
    expect(inside.get_by_text("has not answered yet")).to_be_visible()
    assert site.courses.sent["courses/phys/visits"] == {"login": "alan", "reason": "exercise 3"}
    site.courses.visits[0].update(state="granted", url="/user/alan/w-alan/lab")
    link = inside.get_by_role("link", name="open the server of Alan Turing")
    expect(link).to_have_attribute("href", "/user/alan/w-alan/lab")


def test_assistants_run_the_room_without_visits_and_credits(page: Page, site: Site) -> None:
    site.courses.items[:] = [course("phys", "Physics 101", "assistant")]
    inside = room(page)
    expect(inside.get_by_role("button", name="Extend")).to_be_visible()
    expect(inside.get_by_role("button", name="Give credits")).to_be_hidden()
    expect(inside.get_by_role("button", name=re.compile("^Ask to open"))).to_have_count(0)
    expect(page.get_by_role("link", name="Settings")).to_have_count(0)


def test_everybody_is_told_something(page: Page, site: Site) -> None:
    at(page, "courses/phys")
    page.get_by_text("Tell everybody something").click()
    page.get_by_label("Message").fill("We begin <now>")
    page.get_by_role("button", name="Send to everybody").click()
    expect(page.get_by_text("It appears on their pages and in their notebooks")).to_be_visible()
    sent = site.courses.sent["announcements"]
    assert (sent["tenant"], sent["text"], sent["level"]) == ("phys", "We begin <now>", "info")


def test_credits_and_attendance_open_in_their_frames(page: Page) -> None:
    at(page, "courses/phys/credits")
    burn = page.frame_locator("iframe[title='Burn-down of credits']")
    expect(burn.locator("canvas").first).to_be_visible()
    expect(burn.get_by_text("used up on 20 April 2027")).to_be_visible()
    at(page, "courses/phys/attendance")
    there = page.frame_locator("iframe[title='Attendance']")
    expect(there.get_by_role("row", name=re.compile("Alan Turing"))).to_contain_text("95 min")
    expect(there.get_by_role("row", name=re.compile("Emmy Noether"))).to_contain_text("0 of 2")


@pytest.mark.parametrize(
    "path",
    ["", "courses", "courses/new", "courses/new#limits", "courses/new#hours", "courses/phys",
     "courses/phys/people", "courses/phys/settings", "courses/phys/open", "join?token=good"],
)  # fmt: skip
def test_nothing_sticks_out_on_a_phone(page: Page, path: str) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    at(page, path)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_role("note")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
