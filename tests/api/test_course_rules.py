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


async def test_who_fits_comes_in_at_once_and_leaves_with_the_rule(site: Site) -> None:
    provider = next(iter(site.control.providers.values())).name
    scim = Service(site)
    ada, bob = (await scim.user("ada"))["id"], (await scim.user("bob"))["id"]
    await scim.group("phys101", ada)
    group = await scim.group("tutors", bob)
    students: dict[str, Any] = {"provider": provider, "claim": "groups", "value": "phys101"}
    tutors: dict[str, Any] = students | {"value": "tutors", "role": "assistant"}
    for rule in (students, tutors):
        for _ in range(2):
            assert (await site.call("admin", "POST", f"{C}/rules", rule)).status == 201
    assert (role(site, ada, "phys-26"), role(site, bob, "phys-26")) == ("member", "assistant")
    # Whom the provider takes out of the group, the course lets go, without a sign-in.
    gone = await scim.ask("DELETE", f"/Groups/{group['id']}")
    assert gone.status_code == 204
    assert role(site, bob, "phys-26") == ""
    assert role(site, ada, "phys-26") == "member"
    query = {key: students[key] for key in ("provider", "claim", "value")}
    for stranger in ("otto",):
        denied = await site.call(stranger, "DELETE", f"{C}/rules", params=query)
        assert denied.status == 404
    removed = await site.call("admin", "DELETE", f"{C}/rules", params=query)
    assert [one["value"] for one in removed.body["items"]] == ["tutors"]
    assert role(site, ada, "phys-26") == ""
    assert site.leaks() == []
