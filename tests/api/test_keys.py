"""Keys of services: shown once, stored hashed, bounded in time, and in the audit."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import col, select

from catalog.errors import NotSignedIn
from hub import service_keys
from hub.rare import Rarely
from hub.settings import SCIM_PREFIX
from hub.store.access_tables import ServiceKeyRow
from hub.store.tables import AuditRow
from tests.api.who_may import keys
from tests.site import Answer, Site

USERS = f"{SCIM_PREFIX}/Users"
BODY = {"name": "Entra", "provider": "uni", "life": "30d"}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Site(tmp_path) as made:
        keys.add_provider(made)
        yield made


async def issue(site: Site, **changes: object) -> Answer:
    return await site.call("admin", "POST", "/keys", BODY | changes)


async def uses(site: Site, key: str) -> int:
    answer = await site.raw("GET", USERS, headers={"Authorization": f"Bearer {key}"})
    return answer.status_code


def lines(site: Site) -> list[tuple[str, str, str]]:
    with site.control.store.read() as session:
        rows = session.exec(select(AuditRow).where(col(AuditRow.action).startswith("key-"))).all()
    return [(row.action, row.actor, row.detail.get("why", "")) for row in rows]


async def test_a_key_is_shown_once_and_stored_hashed(site: Site) -> None:
    made = (await issue(site)).body
    assert made["key"].startswith(f"pj_{made['id']}_")
    assert len(made["key"].removeprefix(f"pj_{made['id']}_")) >= 20
    assert made["url"].endswith(SCIM_PREFIX)
    assert await uses(site, made["key"]) == 200
    listed = (await site.call("admin", "GET", "/keys")).body["items"]
    assert [(one["id"], one["state"]) for one in listed] == [(made["id"], "active")]
    assert "key" not in listed[0]
    with site.control.store.read() as session:
        row = session.get_one(ServiceKeyRow, made["id"])
    assert made["key"] not in row.model_dump_json()
    assert all(made["key"] not in str(line) for line in lines(site))


@pytest.mark.parametrize(
    ("change", "field"),
    [({"life": "401d"}, "400 days"), ({"life": "30s"}, "400 days"), ({"name": "  "}, "name"),
     ({"provider": "gone"}, "provider"), ({"tenant": "gone"}, "tenant"), ({"life": "x"}, "duration")],
)  # fmt: skip
async def test_what_is_wrong_is_named(site: Site, change: dict[str, str], field: str) -> None:
    answer = await issue(site, **change)
    assert answer.status in {404, 422}
    assert field in answer.body["error"]["message"]
    assert (await site.call("admin", "GET", "/keys")).body["items"] == []


async def test_a_key_dies_at_its_end_by_revocation_and_by_renewal(site: Site) -> None:
    made = (await issue(site)).body
    renewed = (await site.call("admin", "POST", f"/keys/{made['id']}/renew", {"life": "1d"})).body
    assert renewed["id"] == made["id"]
    assert [await uses(site, one["key"]) for one in (made, renewed)] == [401, 200]
    site.later(days=1)
    assert await uses(site, renewed["key"]) == 401
    again = (await site.call("admin", "POST", f"/keys/{made['id']}/renew", {})).body
    assert await uses(site, again["key"]) == 200
    for _ in range(2):
        revoked = await site.call("admin", "POST", f"/keys/{made['id']}/revoke")
        assert revoked.body["state"] == "revoked"
    assert await uses(site, again["key"]) == 401
    answer = await site.call("admin", "POST", f"/keys/{made['id']}/renew", {})
    assert (answer.status, answer.code) == (409, "conflict")


async def test_issue_use_refusal_and_revocation_are_in_the_audit_and_refusals_bounded(
    site: Site,
) -> None:
    made = (await issue(site)).body
    for _ in range(3):
        assert await uses(site, made["key"]) == 200
    forged = f"pj_{made['id']}_{'A' * 43}"
    for _ in range(5):
        assert await uses(site, forged) == 401
    await site.call("admin", "POST", f"/keys/{made['id']}/revoke")
    for _ in range(2):
        site.later(minutes=1)
        assert await uses(site, made["key"]) == 401
    by_key = f"key:{made['id']}"
    assert [(action, why) for action, _, why in lines(site)] == [
        ("key-issued", ""), ("key-first-used", ""), ("key-refused", "wrong secret"),
        ("key-revoked", ""), ("key-refused", "revoked"), ("key-refused", "revoked"),
    ]  # fmt: skip
    assert {actor for action, actor, _ in lines(site) if action == "key-refused"} == {by_key}


async def test_a_key_is_good_for_nothing_else(site: Site) -> None:
    made = (await issue(site)).body
    for path in ("/me", "/people", "/keys", "/workloads"):
        answer = await site.raw(
            "GET", f"/services/control/v1{path}", headers={"Authorization": f"Bearer {made['key']}"}
        )
        assert answer.status_code == 401


@given(st.text(max_size=250) | st.from_regex(r"pj_k?-?[a-z0-9]{0,12}_?\S{0,60}", fullmatch=True))
def test_what_is_no_key_is_refused_in_the_same_words(text: str) -> None:
    id_ = service_keys._id_in(text)
    assert "_" not in id_
    assert text.startswith(f"pj_{id_}_") or not id_


async def test_unknown_keys_leave_no_trace(site: Site) -> None:
    before = len(lines(site))
    for key in (
        "",
        "x",
        "pj_",
        "pj_k-1_",
        "pj__x",
        f"pj_k-zzzzzzzzzz_{'A' * 43}",
        "pj_" + "a" * 999,
    ):
        with pytest.raises(NotSignedIn) as refused:
            service_keys.service_of(site.control, key, Rarely())
        assert refused.value.message == "this key is not valid here"
    assert len(lines(site)) == before


def test_rarely_is_once_in_a_span_and_bounded() -> None:
    from catalog.clock import ManualClock

    clock, rarely, minute = ManualClock(), Rarely(), timedelta(minutes=1)
    assert rarely.first("a", clock.now(), minute)
    assert not rarely.first("a", clock.now(), minute)
    assert rarely.first("b", clock.now(), minute)
    clock.advance(timedelta(minutes=1))
    assert rarely.first("a", clock.now(), minute)
    assert [rarely.fewer("c", clock.now(), minute, 2) for _ in range(4)] == [
        True,
        True,
        False,
        False,
    ]
    for number in range(25_000):
        rarely.first(str(number), clock.now(), minute)
    assert len(rarely._told) <= 10_000
