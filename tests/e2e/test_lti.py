"""Launching from a learning system, with Open edX's own platform code, into a whole site."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from playwright.sync_api import expect, sync_playwright

from tests.e2e.conftest import Api
from tests.live import LiveSite
from tests.peers.lti_platform.peer import INSTALLED, MISSING, Platform, running
from tests.peers.oidc_provider.peer import Visitor

pytestmark = pytest.mark.skipif(not INSTALLED, reason=MISSING)

PAGE = {"X-Perijove-Page": "1", "Sec-Fetch-Site": "same-origin"}
LINKING = "LtiDeepLinkingRequest"


def person(name: str, role: str = "student", **more: Any) -> dict[str, Any]:
    return {"name": name, "email": f"{name.lower()}@example.org", "role": role, **more}


PEOPLE = {
    "1": person("Ada"),
    "2": person("Bob"),
    "3": person("Cy"),
    "9": person("Grace", "instructor"),
    "8": person("Tom", "Community TA"),
}
TODAY = datetime.now(UTC).date()
COURSE = {
    "id": "physics", "name": "Physics 101", "parent": "main",
    "first_day": str(TODAY - timedelta(days=1)), "last_day": str(TODAY + timedelta(days=90)),
    "lab": {"offer": "cpu"}, "student": {"credits": "1"}, "credits": "0",
}  # fmt: skip


@dataclass
class Campus:
    site: LiveSite
    platform: Platform
    api: Api

    def visitor(self) -> Visitor:
        return Visitor(self.site.url)

    def come(self, visitor: Visitor, user: str, course: str = "c1", **more: str) -> httpx.Response:
        """Click on the link in the course, and let the pages of the platform go on."""
        page = visitor.get(self.platform.link(user, course, **more))
        return visitor.submit(page)


@pytest.fixture(scope="module")
def campus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campus]:
    site = LiveSite(tmp_path_factory.mktemp("site"), {"PERIJOVE_TRUST_EVERYONE": "true"})
    site.home.mkdir(mode=0o700)
    with running("campus", site.url, PEOPLE) as platform:
        (site.home / "lti.yaml").write_text(
            yaml.safe_dump({"platforms": [platform.entry(home="main")]})
        )
        try:
            site.start()
            api = Api(site)
            api.post("/courses", COURSE)
            yield Campus(site, platform, api)
        finally:
            site.stop()


def me(visitor: Visitor) -> dict[str, Any]:
    """Who the portal's session is, by the API on the visitor's behalf."""
    answer = visitor.get("/services/portal/api/v1/me", headers=PAGE)
    assert answer.is_success, answer.text
    return answer.json()


def linked(campus: Campus, course: str = "physics") -> None:
    """The learning system's course leads into ours: an instructor came, an administrator links."""
    with campus.visitor() as visitor:
        campus.come(visitor, "9")
    found = campus.api.get("/lti/contexts")["items"]
    for context in found:
        if context["title"] == "Course c1":
            campus.api.post(f"/courses/{course}/lti", {"context": context["id"]})
    assert campus.api.get(f"/courses/{course}/lti")["items"]


def test_a_launch_lands_in_the_course_with_no_second_sign_in(campus: Campus) -> None:
    linked(campus)
    with campus.visitor() as visitor:
        page = campus.come(visitor, "1")
        assert page.status_code == 200, page.text
        assert str(page.url) == f"{campus.site.url}/services/portal/courses/physics/open"
        found = me(visitor)["person"]
        assert found["display_name"] == "Ada"
        roles = {m["tenant"]: m["role"] for m in found["memberships"]}
        assert roles["physics"] == "member"
        assert not any("ada" in found[name] for name in ("login", "hub_name"))


def test_a_learner_reaches_jupyterlab_by_the_launch_alone(campus: Campus) -> None:
    linked(campus)
    campus.api.post("/tenants/main/grant", {"credits": "50"})
    with campus.visitor() as visitor:
        campus.come(visitor, "2")
        login = me(visitor)["person"]["login"]
        campus.api.post(
            "/credits/transfer",
            {"from": {"tenant": "main"}, "to": {"tenant": "physics"}, "credits": "20"},
        )
        campus.api.post("/courses/physics/room/credits", {"people": [login], "credits": "5"})
        opened = visitor.post(
            "/services/portal/api/v1/courses/physics/lab", json={},
            headers={**PAGE, "Origin": campus.site.url},
        )  # fmt: skip
        assert opened.is_success, opened.text
        lab = campus.api.until(opened.json()["id"], "running")
        page = visitor.get(lab["url"])
        assert page.status_code == 200
        assert "JupyterLab" in page.text


def test_staff_land_on_the_course(campus: Campus) -> None:
    linked(campus)
    for user, role in (("9", "instructor"), ("8", "assistant")):
        with campus.visitor() as visitor:
            page = campus.come(visitor, user)
            assert page.url.path == "/services/portal/courses/physics"
            roles = {m["tenant"]: m["role"] for m in me(visitor)["person"]["memberships"]}
            assert roles["physics"] == role


def test_a_course_that_is_not_linked_says_so(campus: Campus) -> None:
    with campus.visitor() as visitor:
        page = campus.come(visitor, "1", "c2")
        assert page.status_code == 403
        assert "This course is not ready here yet" in page.text
        assert visitor.get("/services/portal/api/v1/me", headers=PAGE).status_code == 401


def test_an_instructor_of_a_new_course_links_it_to_one_of_theirs(campus: Campus) -> None:
    linked(campus)
    with campus.visitor() as visitor:
        page = campus.come(visitor, "9", "c3")
        assert page.url.path == "/hub/lti/link"
        assert "Course c3 is new here" in page.text
        assert "/services/portal/courses/new?lti=" in page.text
        page = visitor.submit(page, course="physics")
        assert page.url.path == "/services/portal/courses/physics"
    with campus.visitor() as student:
        assert campus.come(student, "1", "c3").url.path == "/services/portal/courses/physics/open"


def test_the_roster_comes_in_pages_and_who_leaves_is_out(campus: Campus) -> None:
    linked(campus)
    with campus.visitor() as visitor:
        campus.come(visitor, "1")
        login = me(visitor)["person"]["login"]
    (found,) = campus.api.post("/courses/physics/lti/sync")["items"]
    assert (found["members"], found["error"]) == (5, "")
    listed = {
        line["name"]: line["state"] for line in campus.api.get("/courses/physics/roster")["items"]
    }
    assert listed["Cy"] == "expected"
    assert listed["Ada"] == "joined"
    try:
        campus.platform.has({key: who for key, who in PEOPLE.items() if key != "1"})
        (found,) = campus.api.post("/courses/physics/lti/sync")["items"]
        assert (found["members"], found["left"]) == (4, 1)
        room = campus.api.get("/courses/physics/room")["people"]
        assert login not in {who["login"] for who in room}
    finally:
        campus.platform.has(PEOPLE)


def test_a_score_reaches_the_gradebook(campus: Campus) -> None:
    linked(campus)
    with campus.visitor() as visitor:
        campus.come(visitor, "1")
        login = me(visitor)["person"]["login"]
    for score in (7, 9.5):
        campus.api.post(
            "/courses/physics/lti/score",
            {"login": login, "score": score, "max": 10, "comment": "well done"},
        )
    seen = campus.platform.seen()
    assert [(s["userId"], s["scoreGiven"], s["scoreMaximum"]) for s in seen["scores"]] == [
        ("1", 7.0, 10.0), ("1", 9.5, 10.0),
    ]  # fmt: skip
    assert sum(len(lines) for lines in seen["lines"].values()) == 1


def test_an_instructor_puts_a_link_into_the_course(campus: Campus) -> None:
    linked(campus)
    with campus.visitor() as visitor:
        page = campus.come(visitor, "9", kind=LINKING)
        assert "Which course does the link open?" in page.text
        page = visitor.submit(page, course="physics")
        page = visitor.submit(page)
        assert "The link was added" in page.text
    ((link,),) = campus.platform.seen()["picked"]
    assert link["type"] == "ltiResourceLink"
    assert link["title"] == "Physics 101"
    assert link["custom"] == {"perijove_course": "physics"}


def test_a_learner_makes_no_links(campus: Campus) -> None:
    with campus.visitor() as visitor:
        page = campus.come(visitor, "1", kind=LINKING)
        assert page.status_code == 403
        assert "made by instructors" in page.text


def posted(campus: Campus, visitor: Visitor, user: str) -> tuple[str, dict[str, str]]:
    """The launch that the platform would post, and where to."""
    page = visitor.get(campus.platform.link(user, "c1"))
    address = re.search(r'action="([^"]+)"', page.text)
    assert address is not None, page.text
    fields = re.findall(r'name="(\w+)" value="([^"]+)"', page.text)
    return unescape(address[1]), {name: unescape(value) for name, value in fields}


def test_a_launch_works_once_and_in_its_own_browser_only(campus: Campus) -> None:
    linked(campus)
    with campus.visitor() as visitor, campus.visitor() as thief:
        address, fields = posted(campus, visitor, "1")
        thief.get(campus.platform.link("2", "c1"))  # a trip of its own does not help it
        stolen = thief.post(address, data=fields)
        assert stolen.status_code == 403
        assert "did not begin in this browser" in stolen.text
        assert visitor.post(address, data=fields).status_code == 200
        again = visitor.post(address, data=fields)
        assert again.status_code == 403
        assert "did not begin in this browser" in again.text
    noted = campus.api.get("/audit?action=sign-in-refused")["items"]
    assert [line["object"] for line in noted[:2]] == ["lti:campus", "lti:campus"]
    assert "did not begin in this browser" in noted[0]["detail"]["why"]


def test_in_a_frame_the_lab_is_offered_in_a_window_of_its_own(campus: Campus) -> None:
    with campus.visitor() as visitor:
        page = visitor.get(campus.platform.link("1", "c1"), headers={"Sec-Fetch-Dest": "iframe"})
        assert "Open in a new window" in page.text
        policy = page.headers["Content-Security-Policy"]
        assert campus.platform.issuer in policy
        linked(campus)
        page = visitor.submit(visitor.submit(page))
        assert page.url.path == "/services/portal/courses/physics/open"


def test_who_is_signed_in_may_say_that_it_is_the_same_person(campus: Campus) -> None:
    linked(campus)
    with campus.visitor() as visitor:
        link = campus.site.cli("admin-link")["url"]
        visitor.submit(visitor.get(link))
        assert me(visitor)["person"]["login"] == "admin"
        page = campus.come(visitor, "3")
        assert "You are new here from Campus Courses" in page.text
        page = visitor.submit(page, choice="mine")
        assert page.url.path.startswith("/services/portal/courses/physics")
        assert me(visitor)["person"]["login"] == "admin"
    with campus.visitor() as later:
        campus.come(later, "3")
        assert me(later)["person"]["login"] == "admin"


def test_the_keys_are_published_and_turn(campus: Campus) -> None:
    linked(campus)
    with campus.visitor() as visitor:
        before = [key["kid"] for key in visitor.get("/hub/lti/jwks").json()["keys"]]
        turned = campus.site.cli("lti", "rotate-key")
        after = visitor.get("/hub/lti/jwks").json()["keys"]
    assert [key["kid"] for key in after] == [turned["current"], before[0]]
    assert not any("d" in key for key in after)
    (found,) = campus.api.post("/courses/physics/lti/sync")["items"]
    assert found["error"] == ""


def test_in_a_real_browser_from_inside_of_the_learning_system(
    campus: Campus, chromium: Path
) -> None:
    linked(campus)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(30_000)
        page.goto(f"{campus.platform.issuer}/frame/1/c1", wait_until="commit")
        frame = page.frame_locator("iframe[title=tool]")
        with page.context.expect_page() as opened:
            frame.get_by_role("button", name="Open in a new window").click()
        lab = opened.value
        lab.wait_for_url(f"{campus.site.url}/services/portal/courses/physics/open")
        page.goto(campus.platform.link("9", "c1", LINKING), wait_until="commit")
        page.get_by_role("radio", name="Physics 101").check()
        page.get_by_role("button", name="Add the link").click()
        expect(page.get_by_role("heading", name="The link was added")).to_be_visible()
        browser.close()
