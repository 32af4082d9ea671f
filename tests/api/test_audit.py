"""The audit through the API: who sees which lines, and what is in it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hub import people
from hub.denials import Denials
from hub.policy import Action, Denied, Object, require
from tests.api.who_may import keys
from tests.api.who_may.callers import platform
from tests.site import Site, add_tenant


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Site(tmp_path) as made:
        for tenant, parent in (("blue", "main"), ("sky", "blue"), ("red", "main")):
            add_tenant(made.control, tenant, parent)
        for login, tenant, role in (
            ("tara", "blue", "admin"), ("mia", "sky", "member"), ("otto", "red", "admin"),
        ):  # fmt: skip
            made.person(login, tenant, role)
        yield made


async def lines(site: Site, caller: str = "admin", **params: Any) -> list[dict[str, Any]]:
    answer = await site.call(caller, "GET", "/audit", params={"limit": 500, **params})
    assert answer.status == 200, answer.body
    return answer.body["items"]


async def actions(site: Site, **params: Any) -> list[str]:
    return [line["action"] for line in await lines(site, **params)]


async def test_administrators_see_the_lines_of_their_own_tenants(site: Site) -> None:
    assert {line["tenant"] for line in await lines(site, "tara")} == {"blue", "sky"}
    assert {line["tenant"] for line in await lines(site, "otto")} == {"red"}
    assert {line["tenant"] for line in await lines(site)} >= {"main", "blue", "sky", "red"}
    assert await lines(site, "tara", tenant="red") == []
    assert (await site.call("mia", "GET", "/audit")).status == 403
    assert (await site.call("tara", "GET", "/audit/verify")).status == 403


async def test_lines_are_filtered(site: Site) -> None:
    began = site.clock.now()
    site.later(hours=1)
    body = {"tenant": "sky", "role": "assistant"}
    await site.call("tara", "PUT", "/people/mia/roles", body)
    mia = people.by_login(site.control, "mia")
    for params in (
        {"action": "set-role"}, {"actor": "tara", "action": "set-role"},
        {"object": "mia", "action": "set-role"}, {"object": mia.id, "action": "set-role"},
        {"tenant": "blue", "action": "set-role"}, {"from": (began + timedelta(minutes=1)).isoformat()},
    ):  # fmt: skip
        (line, *_) = await lines(site, **params)
        assert (line["actor_login"], line["object_login"]) == ("tara", "mia"), params
    assert "set-role" not in await actions(site, to=(began + timedelta(minutes=1)).isoformat())
    assert await lines(site, actor="otto", action="set-role") == []
    for bad in (
        {"from": "yesterday"},
        {"to": "0.5"},
        {"from": "2026-01-01T00:00:00"},
        {"cursor": "-1"},
    ):
        assert (await site.call("admin", "GET", "/audit", params=bad)).status == 422


async def test_facts_are_told_in_words_and_kept_as_they_are(site: Site) -> None:
    limit = {"tenant": "sky", "dimension": "credits", "limit": "5", "person": ""}
    assert (await site.call("admin", "PUT", "/quotas", limit)).status == 200
    body = {"credits": "5"}
    assert (await site.call("admin", "POST", "/people/mia/grant", body, key="k")).status == 200
    (set_,) = await lines(site, action="set-quota")
    assert set_["detail"]["limit"] == 5_000_000
    assert (set_["told"]["of what"], set_["told"]["before"]) == ("credits", "no limit")
    assert set_["told"]["after"] == "5.00 credits"
    granted, *_ = await lines(site, action="grant-credits", object="mia")
    assert (granted["detail"], granted["told"]) == (
        {"micro": 5_000_000}, {"amount": "5.00 credits"},
    )  # fmt: skip
    assert (await site.call("admin", "GET", "/audit/verify")).body["sound"]


async def test_pages_hold_every_line_once(site: Site) -> None:
    whole, seen, cursor = await lines(site), list[int](), "0"
    while cursor:
        page = (
            await site.call("admin", "GET", "/audit", params={"limit": 2, "cursor": cursor})
        ).body
        seen += [line["id"] for line in page["items"]]
        cursor = page["next"]
    assert seen == [line["id"] for line in whole]


async def test_the_chain_is_verified_and_its_end_can_be_noted(site: Site) -> None:
    first = (await site.call("admin", "GET", "/audit/verify")).body
    assert (first["sound"], first["lines"]) == (True, len(await lines(site)))
    site.person("new", "sky")
    later = await site.call("admin", "GET", "/audit/verify", params={"noted": first["end"]})
    assert (later.body["sound"], later.body["noted"]) == (True, True)
    lost = await site.call("admin", "GET", "/audit/verify", params={"noted": "f" * 64})
    assert (lost.body["sound"], lost.body["noted"]) == (False, False)


# ---- what the policy refused ----------------------------------------------------------------


async def test_a_denial_is_noted_once_a_minute(site: Site) -> None:
    for _ in range(3):
        assert (await site.call("mia", "GET", "/people")).status == 403
    (line,) = await lines(site, action="denied")
    assert (line["actor_login"], line["detail"]["action"]) == ("mia", "read-people")
    site.later(minutes=1)
    await site.call("mia", "GET", "/people")
    await site.call("mia", "GET", "/nodes")
    assert len(await lines(site, action="denied")) == 3


async def test_who_was_told_that_there_is_nothing_is_noted_too(site: Site) -> None:
    assert (await site.call("otto", "POST", "/people/mia/deactivate")).status == 404
    (line,) = await lines(site, action="denied")
    assert (line["actor_login"], line["object"], line["tenant"]) == ("otto", "person 'mia'", "sky")
    assert line["detail"] == {"action": "manage-people", "told": "not-found"}
    assert (await site.call("otto", "POST", "/people/nobody/deactivate")).status == 404
    assert len(await lines(site, action="denied")) == 1


async def test_nobody_fills_the_audit_by_asking(site: Site) -> None:
    denials, mia = Denials(), people.actor_of(site.control, "mia")
    for number in range(100):
        with pytest.raises(Denied) as refused:
            require(mia, Action.SET_QUOTA, Object(None, ("red",), f"tenant {number}"))
        denials.note(site.control, refused.value)
    assert len(await lines(site, action="denied")) == 30


# ---- what is in it --------------------------------------------------------------------------


async def test_what_matters_is_in_it(site: Site) -> None:
    """Sign-in, refusals, changes of limits and prices, impersonation, drains, keys."""
    signs, node = people.SignIns(), site.control.nodes[0].name
    url, _ = people.invite(site.control, platform(site), "sky", "member", "")
    new = people.NewPerson("new", "a long password")
    people.use_invitation(site.control, signs, url.partition("token=")[2], new)
    people.sign_in(site.control, signs, "new", "a long password")
    with pytest.raises(Exception, match="wrong"):
        people.sign_in(site.control, signs, "new", "another password")
    for method, path, body in (
        ("PUT", "/quotas", {"tenant": "blue", "dimension": "gpu", "limit": "4"}),
        ("PUT", "/prices", {"offer": "cpu", "per_hour": "0.5"}),
        ("POST", f"/nodes/{node}/drain", {"by": "2h"}),
    ):  # fmt: skip
        answer = await site.call("admin", method, path, body)
        assert answer.status == 200, answer.body
    assert (await site.call("mia", "GET", "/people")).status == 403
    keys.add_provider(site)
    issued = keys.add_key(site)
    headers = {"Authorization": f"Bearer {issued.secret}"}
    await site.raw("GET", "/services/control/scim/v2/Users", headers=headers)
    await site.call("admin", "POST", f"/keys/{issued.row.id}/revoke")
    await site.raw("GET", "/services/control/scim/v2/Users", headers=headers)
    await inner(site, "/internal/tokens", {"login": "mia", "note": "test"})
    found = set(await actions(site))
    missing = {
        "sign-in", "sign-in-refused", "invite", "set-quota", "set-price", "drain", "denied",
        "key-issued", "key-first-used", "key-revoked", "key-refused", "person-added",
    } - found  # fmt: skip
    assert missing == set()
    assert any("token" in action for action in found)


async def test_what_people_do_with_their_tokens_is_in_it_once(site: Site) -> None:
    token = {"by": "mia", "owner": "mia", "token": "a7", "made": "2026-03-01T08:00:00Z",
             "note": "nightly", "scopes": ["inherit"], "ends": ""}  # fmt: skip
    another = {**token, "made": "2026-03-01T08:01:00Z"}  # the Hub gives ids again
    for told in (
        {**token, "act": "issued"}, {**token, "act": "issued"}, {**token, "act": "revoked"},
        {**another, "act": "issued"},
    ):  # fmt: skip
        await inner(site, "/internal/tokens/told", told)
    answer = await site.call("admin", "GET", "/audit")
    lines = [line for line in answer.body["items"] if line["action"].startswith("token-")]
    assert [line["action"] for line in lines] == ["token-issued", "token-revoked", "token-issued"]
    assert len({line["actor"] for line in lines}) == 1
    assert lines[2]["detail"] == {
        "note": "nightly", "token": "a7", "made": token["made"], "may": "all that the person may",
        "ends": "never",
    }  # fmt: skip


async def inner(site: Site, path: str, body: dict[str, Any]) -> None:
    import httpx

    assert site.hub.inner
    transport = httpx.ASGITransport(site.hub.inner)
    async with httpx.AsyncClient(transport=transport, base_url="http://control") as client:
        answer = await client.post(path, json=body)
        assert answer.status_code < 300, answer.text
