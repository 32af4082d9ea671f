"""Staff in a student's server, on a real Hub: shut, open by consent, shut again."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.conftest import Api, Visitor
from tests.live import LiveSite, wait_for


@pytest.fixture(scope="module")
def site(make_site: Callable[..., LiveSite]) -> LiveSite:
    # One address for all is for sites where everybody trusts each other.
    return make_site(PERIJOVE_TRUST_EVERYONE="true").start()


def course(admin: Api) -> None:
    today = datetime.now(UTC).date()
    admin.post("/tenants/main/grant", {"credits": "100"})
    admin.post(
        "/courses",
        {
            "id": "lab101", "name": "Lab 101", "first_day": today.isoformat(),
            "last_day": (today + timedelta(days=90)).isoformat(), "time_zone": "UTC",
            "lab": {"offer": "cpu", "set": {}}, "credits": "50", "student": {"credits": "5"},
        },
    )  # fmt: skip


def newcomer(site: LiveSite, login: str, role: str) -> Visitor:
    link = site.cli("invite", "--tenant", "lab101", "--role", role)["url"]
    visitor = Visitor(site)
    page = visitor.accept_invitation(link, login)
    assert page.status_code == 200, page.text[:500]
    return visitor


def test_a_visitor_comes_in_while_the_student_agrees_and_not_before_or_after(
    site: LiveSite,
) -> None:
    course(Api(site))
    newcomer(site, "mia", "member")
    teacher = newcomer(site, "ian", "instructor")
    student, staff = Api(site, "mia"), Api(site, "ian")
    lab = student.post("/courses/lab101/lab")["id"]
    url = student.until(lab, "running")["url"]
    assert teacher.http.get(url).status_code in {403, 404}

    visit = staff.post("/courses/lab101/visits", {"login": "mia", "reason": "your question"})
    assert teacher.http.get(url).status_code in {403, 404}
    student.post(f"/visits/{visit['id']}/answer", {"allow": True})
    door = wait_for("the door opens", lambda: staff.get("/visits")["items"][0]["url"], 20)
    page = wait_for("JupyterLab", lambda: _page(teacher, door), 20)
    assert "jupyter" in page.lower()

    student.post(f"/visits/{visit['id']}/end")
    # The server asks the Hub again after ten seconds at the latest.
    wait_for("the door is shut", lambda: not _page(teacher, door), 40, every_s=1)
    actions = {line["action"] for line in Api(site).get("/audit")["items"]}
    assert {"ask-visit", "allow-visit", "end-visit"} <= actions


def _page(visitor: Visitor, url: str) -> str:
    answer = visitor.http.get(url)
    if answer.status_code == 200 and "/oauth2/authorize" in str(answer.url):
        # The Hub asks whoever comes to another person's server whether they mean to.
        answer = visitor.submit(answer)
    return answer.text if answer.status_code == 200 and "/lab" in str(answer.url) else ""
