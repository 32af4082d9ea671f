"""Launching from a learning system, with Open edX's own platform code, into a whole site."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from typing import Any

import httpx
import pytest
import yaml

from tests.e2e.conftest import Api
from tests.live import LiveSite, wait_for
from tests.peers.lti_platform.peer import INSTALLED, MISSING, Platform, running
from tests.peers.oidc_provider.peer import Visitor

pytestmark = pytest.mark.skipif(not INSTALLED, reason=MISSING)

PAGE = {"X-Perijove-Page": "1", "Sec-Fetch-Site": "same-origin"}
LTI = "LtiDeepLinkingRequest"


def person(name: str, role: str = "student", **more: Any) -> dict[str, Any]:
    return {"name": name, "email": f"{name.lower()}@example.org", "role": role, **more}


PEOPLE = {
    "1": person("Ada"),
    "2": person("Bob"),
    "3": person("Cy"),
    "9": person("Grace", "instructor"),
    "8": person("Tom", "Community TA"),
}
COURSE = {
    "id": "physics", "name": "Physics 101", "parent": "main", "first_day": "2026-01-01",
    "last_day": "2030-12-31", "lab": {"offer": "cpu"},
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
        assert me(visitor)["person"]["display_name"] == "Ada"
