"""Rules of a course about people whose groups are known without a sign-in: a provider provisions
them by SCIM."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.test_courses import PHYSICS
from tests.api.test_scim import RULES, Service, role
from tests.api.who_may import keys
from tests.site import Site, add_tenant

C = "/courses/phys-26"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Site(tmp_path) as made:
        keys.add_provider(made, RULES)
        for tenant in ("physics", "chemistry"):
            add_tenant(made.control, tenant)
        made.person("otto", "chemistry", "admin")
        body = PHYSICS | {"parent": "main", "credits": "0", "hours": [], "roster": None}
        answer = await made.call("admin", "POST", "/courses", body)
        assert answer.status == 201, answer.body
        yield made


async def test_who_leaves_the_group_leaves_the_course_at_once(site: Site) -> None:
    provider = next(iter(site.control.providers.values())).name
    scim = Service(site)
    ada = (await scim.user("ada"))["id"]
    group = await scim.group("phys101", ada)
    rule = {"provider": provider, "claim": "groups", "value": "phys101"}
    assert (await site.call("admin", "POST", f"{C}/rules", rule)).status == 201
    assert role(site, ada, "phys-26") == "member"
    left = await scim.patch(f"/Groups/{group['id']}", {"op": "remove", "path": "members"})
    assert left.status_code in {200, 204}, left.text
    assert role(site, ada, "phys-26") == ""


async def test_who_fits_comes_in_at_once_and_leaves_with_the_rule(site: Site) -> None:
    provider = next(iter(site.control.providers.values())).name
    scim = Service(site)
    ada, bob = (await scim.user("ada"))["id"], (await scim.user("bob"))["id"]
    await scim.group("phys101", ada)
    await scim.group("tutors", bob)
    students: dict[str, Any] = {"provider": provider, "claim": "groups", "value": "phys101"}
    tutors: dict[str, Any] = students | {"value": "tutors", "role": "assistant"}
    for rule in (students, tutors):
        for _ in range(2):
            assert (await site.call("admin", "POST", f"{C}/rules", rule)).status == 201
    assert (role(site, ada, "phys-26"), role(site, bob, "phys-26")) == ("member", "assistant")
    query = {key: students[key] for key in ("provider", "claim", "value")}
    assert (await site.call("otto", "DELETE", f"{C}/rules", params=query)).status == 404
    removed = await site.call("admin", "DELETE", f"{C}/rules", params=query)
    assert [one["value"] for one in removed.body["items"]] == ["tutors"]
    assert (role(site, ada, "phys-26"), role(site, bob, "phys-26")) == ("", "assistant")
    assert site.leaks() == []
