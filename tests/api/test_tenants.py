"""The tree of tenants through the API: who may shape it, and what it refuses to become."""

from typing import Any

import pytest

from hub import invariants
from tests.site import Site, add_person, add_tenant


async def add(site: Site, who: str, status: int = 201, **body: Any) -> Any:
    answer = await site.call(who, "POST", "/tenants", body)
    assert answer.status == status, answer.body
    return answer.body


async def change(site: Site, who: str, tenant: str, status: int = 200, **body: Any) -> Any:
    answer = await site.call(who, "PUT", f"/tenants/{tenant}", body)
    assert answer.status == status, answer.body
    return answer.body


async def test_a_tenant_is_added_renamed_and_moved(site: Site) -> None:
    made = await add(site, "admin", id="physics", name="Physics", kind="department")
    assert made == {"id": "physics", "name": "Physics", "parent": "main", "kind": "department"}
    assert await add(site, "admin", id="physics", name="Physics", kind="department") == made
    await add(site, "admin", id="optics", parent="physics")
    await add(site, "admin", id="chemistry")
    assert (await change(site, "admin", "optics", name="Optics lab"))["name"] == "Optics lab"
    assert (await change(site, "admin", "optics", parent="chemistry"))["parent"] == "chemistry"
    tree = (await site.call("admin", "GET", "/tenants")).body["items"]
    assert {one["id"]: one["parent"] for one in tree} == {
        "main": None, "physics": "main", "optics": "chemistry", "chemistry": "main",
    }  # fmt: skip
    actions = [line["action"] for line in (await site.call("admin", "GET", "/audit")).body["items"]]
    assert actions.count("add-tenant") == 3
    assert actions.count("change-tenant") == 2


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"id": "Main"}, 422, "not an id of a tenant"),
        ({"id": "x"}, 422, "not an id of a tenant"),
        ({"id": "../x"}, 422, "not an id of a tenant"),
        ({"id": "lab", "kind": "planet"}, 422, "not a kind of tenant"),
        ({"id": "lab", "name": "  "}, 422, "1 to 80 characters"),
        ({"id": "lab", "name": "a\nb"}, 422, "1 to 80 characters"),
        ({"id": "lab", "parent": "nowhere"}, 404, "there is no tenant 'nowhere'"),
        ({"id": "main"}, 409, "there is a tenant 'main' already"),
    ],
)
async def test_what_cannot_be_one(site: Site, body: Any, status: int, said: str) -> None:
    error = (await add(site, "admin", status, **body))["error"]
    assert said in error["message"]
    assert error["next"]


async def test_no_tenant_becomes_its_own_parent(site: Site) -> None:
    await add(site, "admin", id="a1")
    await add(site, "admin", id="a2", parent="a1")
    await add(site, "admin", id="a3", parent="a2")
    for parent in ("a1", "a2", "a3"):
        error = (await change(site, "admin", "a1", 422, parent=parent))["error"]
        assert "its own parent" in error["message"]
    assert (
        "is the root" in (await change(site, "admin", "main", 422, parent="a1"))["error"]["message"]
    )
    with site.control.store.read() as session:
        assert invariants.tenants(session) == []


async def test_an_administrator_shapes_what_is_below(site: Site) -> None:
    for tenant in ("blue", "red"):
        add_tenant(site.control, tenant)
        add_person(site.control, f"head-of-{tenant}", tenant, "admin")
    await add(site, "head-of-blue", id="sky", parent="blue")
    await change(site, "head-of-blue", "sky", name="Sky")
    await add(site, "head-of-blue", 403, id="sea", parent="main")
    await add(site, "head-of-blue", 403, id="sea", parent="red")
    await change(site, "head-of-blue", "sky", 403, parent="red")
    for stranger in ("head-of-red", "mia"):
        await change(site, stranger, "sky", 403, name="Mine")
        await change(site, stranger, "nowhere", 403, name="Mine")
    await change(site, "admin", "nowhere", 404, name="Mine")
