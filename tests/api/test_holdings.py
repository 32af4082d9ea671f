"""What tenants hold and have borrowed, through the API; and the mark on what may have to go."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from tests.site import Site, add_tenant


@pytest.fixture
async def site(tmp_path: Path):  # noqa: ANN201 (a fixture)
    async with Site(tmp_path) as site:
        for tenant in ("art", "bio"):
            add_tenant(site.control, tenant)
            site.person(f"of-{tenant}", tenant)
            site.person(f"head-of-{tenant}", tenant, "admin")
        body = {"tenant": "main", "dimension": "gpu", "amount": "2"}
        for tenant, amount in (("main", "2"), ("art", "1/2"), ("bio", "1")):
            body = {"tenant": tenant, "dimension": "gpu", "amount": amount}
            assert (await site.call("admin", "PUT", "/quotas/guaranteed", body)).status == 200
        yield site


async def gpu_use(site: Site, login: str = "admin") -> dict[str, dict[str, Any]]:
    answer = await site.call(login, "GET", "/quotas/use")
    assert answer.status == 200, answer.body
    return {one["tenant"]: one for one in answer.body["items"] if one["dimension"] == "gpu"}


async def test_what_is_borrowed_is_told_to_administrators_and_to_who_holds_it(site: Site) -> None:
    own = await site.run("of-art", "gpu-half")
    site.later(minutes=1)
    lent = await site.run("of-art", "gpu-quarter")
    found = await gpu_use(site)
    assert found["art"]["text"] == (
        "0.75 GPU held, 1/2 GPU guaranteed, no limit, 1/4 GPU borrowed"
    )  # fmt: skip
    assert (found["art"]["used"], found["art"]["borrowed"]) == (750, 250)
    assert (found["bio"]["used"], found["bio"]["borrowed"]) == (0, 0)
    assert (found["main"]["used"], found["main"]["borrowed"]) == (750, 0)
    assert not (await site.view("of-art", own))["borrowed"]
    assert (await site.view("of-art", lent))["borrowed"]
    await site.call("of-art", "POST", f"/workloads/{own}/stop")
    await site.until_status("of-art", own, "stopped")
    assert (await gpu_use(site))["art"]["borrowed"] == 0
    assert not (await site.view("of-art", lent))["borrowed"]


async def test_an_administrator_sees_their_own_tenant_alone(site: Site) -> None:
    await site.run("of-bio", "gpu-half")
    assert set(await gpu_use(site, "head-of-art")) == {"art"}
    assert (await site.call("of-art", "GET", "/quotas/use")).status == 403


@pytest.mark.parametrize("path", ["/quotas/use", "/accounts", "/statement?tenant=main"])
async def test_a_tree_of_many_tenants_is_asked_for_no_more_often_than_a_small_one(
    site: Site, path: str
) -> None:
    asked: list[str] = []
    event.listen(
        site.control.store.engine, "before_cursor_execute",
        lambda _c, _u, sql, *_: asked.append(sql) if "FROM tenant" in sql else None,
    )  # fmt: skip
    assert (await site.call("admin", "GET", path)).status == 200
    few = len(asked)
    for tenant in [f"t{number}" for number in range(5)]:
        add_tenant(site.control, tenant)
        body = {"tenant": tenant, "dimension": "gpu", "amount": "0"}
        await site.call("admin", "PUT", "/quotas/guaranteed", body)
    asked.clear()
    assert (await site.call("admin", "GET", path)).status == 200
    assert len(asked) == few
