"""Quotas that make no sense, a tree of tenants that was damaged, clocks that jump: clear errors, or
stated behaviour."""

import contextlib
import sqlite3
from datetime import timedelta
from typing import Any

import pytest

from catalog.units import parse_credits
from hub import invariants
from tests.site import Site, add_tenant

QUOTA = {"tenant": "main", "person": "*", "dimension": "gpu", "limit": "1"}


async def limits(site: Site) -> list[dict[str, Any]]:
    return (await site.call("admin", "GET", "/quotas")).body["items"]


NONSENSE: tuple[tuple[dict[str, Any], int], ...] = (
    ({"limit": "-1"}, 422),
    ({"limit": "-0.5"}, 422),
    ({"limit": "1e400"}, 422),
    ({"limit": "99999999999999999999"}, 422),
    ({"limit": "NaN"}, 422),
    ({"limit": "a lot"}, 422),
    ({"limit": ""}, 422),
    ({"limit": 5}, 422),
    ({"limit": "1/0"}, 422),
    ({"limit": "9" * 21}, 422),
    ({"dimension": "workloads", "limit": "-3"}, 422),
    ({"dimension": "workloads", "limit": "1.5"}, 422),
    ({"dimension": "memory", "limit": "-1Gi"}, 422),
    ({"dimension": "memory", "limit": "1 Zettabyte"}, 422),
    ({"dimension": "credits", "limit": "-10", "person": ""}, 422),
    ({"dimension": "gpu-hours", "limit": "-10", "person": ""}, 422),
    ({"dimension": "luck"}, 422),
    ({"period": "fortnight"}, 422),
    ({"tenant": "nowhere"}, 404),
    ({"person": "nobody"}, 404),
)


async def test_a_quota_that_makes_no_sense_is_refused_and_changes_nothing(site: Site) -> None:
    before = await limits(site)
    for change, status in NONSENSE:
        answer = await site.call("admin", "PUT", "/quotas", {**QUOTA, **change})
        assert answer.status == status, (change, answer.body)
        error = answer.body["error"]
        assert error["message"], change
        assert error["next"], change
    assert await limits(site) == before


async def test_a_limit_below_what_is_in_use_stops_nothing_and_lets_nothing_more_in(
    site: Site,
) -> None:
    running = await site.run("mia", "gpu-half")
    lower = await site.call("admin", "PUT", "/quotas", {**QUOTA, "limit": "1/4"})
    assert lower.status == 200
    await site.beat()
    assert (await site.view("mia", running))["status"] == "running"
    more = await site.launch("mia", "gpu-eighth")
    await site.beat()
    seen = await site.view("mia", more)
    assert seen["status"] == "queued"
    assert "your own limit is 1/4 GPU, in use now: 1/2 GPU" in seen["reason"]
    refused = await site.call("mia", "POST", "/workloads", {"offer": "gpu-half"})
    assert refused.status == 403
    assert "your own limit is 1/4 GPU" in refused.body["error"]["message"]
    extended = await site.call("mia", "POST", f"/workloads/{running}/extend", {"by": "15m"})
    assert extended.status in {200, 409}, "it is judged, and nothing breaks"
    assert site.leaks() == []


# ---- a tree that was damaged -------------------------------------------------------------------


def damage(site: Site, statement: str) -> None:
    """As a hand in the file would, past every check."""
    with contextlib.closing(sqlite3.connect(str(site.control.store.url.database))) as database:
        database.execute(statement)
        database.commit()


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE tenant SET parent_id = 'optics' WHERE id = 'physics'", "its own parent"),
        ("UPDATE tenant SET parent_id = 'optics' WHERE id = 'optics'", "its own parent"),
        ("UPDATE tenant SET parent_id = 'gone' WHERE id = 'physics'", "does not exist"),
        ("UPDATE tenant SET parent_id = NULL WHERE id = 'optics'", "without a parent"),
        (
            "INSERT INTO quota SELECT 'optics', '', 'gpu', -5, 0, '' FROM tenant LIMIT 1",
            "is negative",
        ),
    ],
)
async def test_a_damaged_tree_is_named_and_the_site_goes_on(
    site: Site, statement: str, said: str
) -> None:
    add_tenant(site.control, "physics")
    add_tenant(site.control, "optics", "physics")
    site.person("ole", "optics")
    before = await site.run("mia")
    damage(site, statement)
    with site.control.store.read() as session:
        found = invariants.tenants(session)
    assert [line for line in found if said in line], found
    assert (await site.call("ole", "GET", "/me")).status == 200
    assert (await site.call("ole", "GET", "/offers")).status == 200
    assert (await site.call("admin", "GET", "/quotas/use")).status == 200
    assert (await site.call("ole", "POST", "/workloads", {"offer": "cpu"})).status in {201, 403}
    await site.settled()
    assert (await site.view("mia", before))["status"] == "running"


# ---- clocks that jump --------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [timedelta(hours=-5), timedelta(days=-400), timedelta(seconds=-1)])
async def test_a_clock_that_goes_back_ends_nothing_and_charges_nothing_twice(
    site: Site, jump: timedelta
) -> None:
    running = await site.run("mia", "gpu-half", set={"duration": "2h"})
    waits = [await site.launch("noa", "gpu-whole") for _ in range(2)]
    site.later(minutes=30)
    await site.beat()
    site.clock.advance(jump)
    for _ in range(3):
        site.later(seconds=1)
        await site.beat()
    seen = await site.view("mia", running)
    assert seen["status"] == "running"
    assert parse_credits(seen["cost"]) >= 0
    assert site.leaks() == []
    await site.call("mia", "POST", f"/workloads/{running}/stop")
    await site.until_status("mia", running, "stopped")
    ended = await site.view("mia", running)
    assert 0 <= parse_credits(ended["cost"]) <= parse_credits("1.20")
    for workload in waits:
        await site.call("noa", "POST", f"/workloads/{workload}/stop")
    await site.settled()
    assert site.clean() == []


async def test_a_clock_that_leaps_ahead_ends_leases_and_charges_no_more_than_was_held(
    site: Site,
) -> None:
    running = await site.run("mia", "gpu-half", set={"duration": "2h"})
    turn = await site.launch("noa", "gpu-half", notify=True)
    await site.beat()
    held = parse_credits((await site.view("mia", running))["held"])
    site.later(days=400)
    await site.until_status("mia", running, "stopped")
    await site.until_status("noa", turn, "stopped")
    assert (await site.view("mia", running))["reason_code"] == "lease-ended"
    assert (await site.view("noa", turn))["reason_code"] == "turn-missed"
    assert parse_credits((await site.view("mia", running))["cost"]) == held
    site.clock.advance(timedelta(days=-400))
    await site.settled()
    again = await site.run("mia", "gpu-quarter")
    assert (await site.view("mia", again))["status"] == "running"
    assert site.leaks() == []
