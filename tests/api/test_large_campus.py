"""The administrator's desk with 500 tenants and 10,000 people: every page is a few statements,
however large the site."""

from pathlib import Path
from typing import Any

import pytest

from tests import campus
from tests.site import Site

MOST_STATEMENTS = 25


@pytest.fixture
async def site(tmp_path: Path):  # noqa: ANN201 (a fixture)
    async with Site(tmp_path) as site:
        with site.control.store.write() as session:
            campus.fill(session)
        site.person("dean", "school-07", "admin")
        yield site


READS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/quotas/tree", {}),
    ("/quotas/tree", {"parent": "main", "limit": 200}),
    ("/quotas/tree", {"parent": "school-07", "sort": "-used"}),
    ("/quotas/tree", {"search": "group", "sort": "-borrowed", "dimension": "cpu", "limit": 200}),
    ("/quotas/tree", {"search": "group", "sort": "limit", "cursor": 450}),
    ("/quotas", {"limit": 1000}),
    ("/quotas", {"search": "person07"}),
    ("/quotas/changes", {}),
    ("/quota-requests", {}),
    ("/tenants", {}),
)


async def test_every_page_of_the_desk_asks_the_database_a_few_times_only(
    site: Site, statements: list[str]
) -> None:
    for login in ("admin", "dean"):
        for path, params in READS:
            if login == "dean" and params.get("parent") == "main":
                continue
            statements.clear()
            answer = await site.call(login, "GET", path, params=params)
            assert answer.status == 200, answer.body
            assert len(statements) <= MOST_STATEMENTS, (path, params, len(statements))


async def test_a_change_is_previewed_made_and_taken_back(site: Site) -> None:
    body = {"changes": [{"tenant": "school-07", "dimension": "gpu", "limit": "4"}]}
    assert (await site.call("admin", "POST", "/quotas/preview", body)).status == 200
    (change,) = (await site.call("admin", "POST", "/quotas/changes", body)).body["items"]
    undone = await site.call("admin", "POST", f"/quotas/changes/{change['id']}/undo")
    assert undone.status == 200, undone.body


async def test_everything_is_reached_page_by_page(site: Site) -> None:
    seen: list[str] = []
    cursor: str | None = "0"
    while cursor is not None:
        page = await site.call(
            "admin", "GET", "/quotas/tree", params={"search": "group", "cursor": cursor}
        )
        seen += [one["tenant"] for one in page.body["items"]]
        cursor = page.body["next"]
    assert len(seen) == len(set(seen)) == campus.SCHOOLS * campus.GROUPS
    limits: list[tuple[str, str, str]] = []
    after: str | None = ""
    while after is not None:
        page = await site.call("admin", "GET", "/quotas", params={"cursor": after, "limit": 300})
        limits += [(one["tenant"], one["person"], one["dimension"]) for one in page.body["items"]]
        after = page.body["next"]
    assert len(limits) == len(set(limits)) > 2 * campus.SCHOOLS * campus.GROUPS
