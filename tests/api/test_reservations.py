"""Reservations through the API, with time in the test's hand: 09:00 on Monday 5 January 2026."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from sqlmodel import col, select

from catalog.asks import Ask
from hub import holds, people, reserving
from hub.store.tables import AttemptRow, AuditRow, QuotaRow, WindowRow
from hub.world import Limits, read_world
from quotas.reservations import Hold
from quotas.windows import Rule
from tests.site import MENU, Answer, Site, add_tenant

LAB = {
    "tenant": "blue", "name": "Lab A", "count": 8, "offer": "gpu-quarter",
    "first_day": "2026-01-05", "starts": "11:00", "length": "2h",
}  # fmt: skip
"""All that the site has: two devices, in quarters."""
KEY = "20260105T1100Z"


@pytest.fixture
async def campus(tmp_path: Path) -> AsyncIterator[Site]:
    menu = yaml.safe_load(MENU.read_text())
    batch = {
        "id": "batch", "kind": "notebook", "title": "Batch", "summary": "It can be told to go.",
        "price_per_hour": "0.1", "priority": "best-effort", "preemptible": True,
        "fields": {"cpu": {"fixed": 1}, "memory": {"fixed": "1Gi"}, "gpu": {"fixed": "1/4"},
                   "duration": {"fixed": "8h"}},
    }  # fmt: skip
    menu["offers"].append(batch)
    file = tmp_path / "menu.yaml"
    file.write_text(yaml.safe_dump(menu))
    async with Site(tmp_path, menu=file) as site:
        add_tenant(site.control, "blue")
        add_tenant(site.control, "red")
        site.person("ian", "blue", "instructor")
        site.person("mia", "blue")
        site.person("max", "blue")
        site.person("rob", "red")
        site.person("rita", "red", "instructor")
        for tenant in ("blue", "red"):
            bound(site, tenant, 2000)
        yield site


def bound(site: Site, tenant: str, limit: int | None, guaranteed: int = 0) -> None:
    """What the tenant may hold of GPU, and what is always there for it."""
    with site.control.store.write() as session:
        row = session.get(QuotaRow, (tenant, "", "gpu")) or QuotaRow(
            tenant_id=tenant, person_id="", dimension="gpu"
        )
        row.limit, row.guaranteed = limit, guaranteed
        session.add(row)


async def reserve(site: Site, login: str = "ian", key: str = "", **changes: Any) -> dict[str, Any]:
    answer = await site.call(login, "POST", "/reservations", LAB | changes, key=key)
    assert answer.status == 201, answer.body
    return answer.body


async def refused(site: Site, login: str = "ian", **changes: Any) -> Answer:
    answer = await site.call(login, "POST", "/reservations", LAB | changes)
    assert answer.status >= 400, answer.body
    assert answer.body["error"]["next"]
    return answer


def held_now(site: Site) -> tuple[Hold, ...]:
    with site.control.store.read() as session:
        return read_world(site.control, session, Limits(session)).holds


async def window(site: Site, reservation: str, login: str = "ian") -> dict[str, Any]:
    return (await site.call(login, "GET", f"/reservations/{reservation}")).body["windows"][0]


async def notices(site: Site, login: str, kind: str = "going") -> list[str]:
    found = (await site.call(login, "GET", "/notices")).body["items"]
    return [notice["text"] for notice in found if notice["kind"] == kind]


def reservation_of(site: Site, workload: str) -> str:
    with site.control.store.read() as session:
        found = session.exec(select(AttemptRow).where(AttemptRow.workload_id == workload)).one()
    return found.reservation


async def test_it_is_held_outsiders_wait_and_members_come(campus: Site) -> None:
    made = await reserve(campus)
    (first,) = made["windows"]
    assert (first["state"], first["held"], first["id"]) == ("upcoming", 8, KEY)
    assert first["text"] == "Mon 5 Jan 2026 11:00-13:00 UTC"
    campus.later(hours=1, minutes=50)
    assert (await window(campus, made["id"]))["state"] == "clearing"
    outsider = await campus.launch("rob")  # two hours, in a quarter that would still be taken
    await campus.beat()
    waits = await campus.view("rob", outsider)
    assert waits["status"] == "queued"
    assert "held for a reservation" in waits["reason"]
    assert waits["starts_at"] == "2026-01-05T13:00:00Z"
    campus.later(minutes=11)
    assert (await window(campus, made["id"]))["state"] == "open"
    member = await campus.run("mia")
    assert reservation_of(campus, member) == f"{made['id']}@{KEY}"
    now = await window(campus, made["id"])
    assert (now["state"], now["held"], now["used"]) == ("used", 7, 1)
    assert now["reason"] == "1 of 8 places are in use"
    assert (await campus.view("rob", outsider))["status"] == "queued"
    campus.later(minutes=30)
    await campus.beat()
    assert (await window(campus, made["id"]))["held"] == 7
    await campus.call("mia", "POST", f"/workloads/{member}/stop")
    await campus.until_status("mia", member, "stopped")
    assert (await window(campus, made["id"]))["held"] == 8


async def test_what_runs_at_the_end_goes_on_and_nothing_is_held_any_more(campus: Site) -> None:
    made = await reserve(campus)
    campus.later(hours=2)
    member = await campus.run("mia")
    campus.later(minutes=119)
    longer = await campus.call("mia", "POST", f"/workloads/{member}/extend", {"by": "1h"})
    assert longer.status == 200, longer.body
    await campus.beat()
    campus.later(minutes=2)
    outsider = await campus.run("rob")
    assert reservation_of(campus, outsider) == ""
    assert (await campus.view("mia", member))["status"] == "running"
    seen = await window(campus, made["id"])
    assert (seen["state"], seen["reason"], seen["held"]) == ("over", "people came", 0)
    assert (await campus.call("ian", "GET", "/reservations")).body["items"] == []
    ended = await campus.call("ian", "GET", "/reservations", params={"state": "ended"})
    assert [item["id"] for item in ended.body["items"]] == [made["id"]]


async def test_what_ends_before_it_may_run_until_then(campus: Site) -> None:
    await reserve(campus)
    short = await campus.launch("rob", set={"duration": "1h"})
    await campus.until_status("rob", short, "running")
    answer = await campus.call("rob", "POST", f"/workloads/{short}/extend", {"by": "2h"})
    assert (answer.status, answer.code) == (409, "conflict")
    assert "held" in answer.body["error"]["message"]


async def test_held_places_are_lent_to_what_can_be_told_to_go(campus: Site) -> None:
    made = await reserve(campus)
    lent = await campus.run("rob", "batch")  # for eight hours: far into the window
    assert (await window(campus, made["id"]))["short"] == 0
    campus.later(hours=1, minutes=44)
    await campus.beat()
    assert await notices(campus, "rob") == []
    campus.later(minutes=1)
    await campus.beat()
    (told,) = await notices(campus, "rob")
    assert "its place was lent and is reserved from 11:00 UTC on" in told
    campus.later(minutes=2)
    await campus.until_status("rob", lent, "queued")
    campus.later(minutes=14)
    for workload in [await campus.launch("mia") for _ in range(8)]:
        await campus.until_status("mia", workload, "running")
    assert (await window(campus, made["id"]))["used"] == 8
    assert campus.leaks() == []


async def test_what_is_of_another_kind_takes_no_place_off(campus: Site) -> None:
    made = await reserve(campus)
    campus.later(hours=2)
    member = await campus.run("mia", "cpu")
    assert reservation_of(campus, member) == ""
    seen = await window(campus, made["id"])
    assert (seen["state"], seen["held"], seen["used"]) == ("open", 8, 0)


async def test_who_is_in_a_held_place_stays_though_it_is_borrowed(campus: Site) -> None:
    await reserve(campus, count=4, offer="gpu-half")
    bound(campus, "red", None, guaranteed=2000)
    campus.later(hours=2)
    inside = [await campus.run(login, "gpu-half") for login in ("mia", "mia", "max", "max")]
    campus.later(minutes=30)
    outsider = await campus.launch("rob", "gpu-half")
    await campus.beat()
    assert (await campus.view("rob", outsider))["status"] == "queued"
    assert await notices(campus, "mia") == await notices(campus, "max") == []
    for workload in inside[:2]:
        assert (await campus.view("mia", workload))["status"] == "running"


async def test_nobody_comes_and_it_is_given_up_once(campus: Site) -> None:
    made = await reserve(campus, no_show="20m")
    outsider = await campus.launch("rob", set={"duration": "8h"})
    campus.later(hours=2, minutes=19, seconds=59)
    await campus.beat()
    assert (await window(campus, made["id"]))["reason"].startswith("held until 11:20 UTC")
    assert (await campus.view("rob", outsider))["status"] == "queued"
    campus.later(seconds=1)
    await campus.until_status("rob", outsider, "running")
    seen = await window(campus, made["id"])
    assert (seen["state"], seen["held"]) == ("released", 0)
    await campus.beat()
    (told,) = await notices(campus, "ian", "window-released")
    assert "nobody came to Mon 5 Jan 2026 11:00-13:00 UTC" in told
    late = await campus.run("mia")
    assert reservation_of(campus, late) == ""
    assert (await window(campus, made["id"]))["state"] == "released"


async def test_who_came_early_is_not_said_to_be_away(campus: Site) -> None:
    await campus.run("mia", set={"duration": "8h"})
    await reserve(campus, count=1, no_show="20m")
    campus.later(hours=2, minutes=20)
    await campus.beat()
    (told,) = await notices(campus, "ian", "window-released")
    assert "nobody came" not in told
    assert "who is here came before Mon 5 Jan 2026 11:00-13:00 UTC, on places of their own" in told


async def test_what_nobody_came_to_is_not_told_when_it_is_over(campus: Site) -> None:
    made = await reserve(campus, no_show="20m")
    campus.later(hours=4)
    await campus.beat()
    assert (await window(campus, made["id"]))["state"] != "on"
    assert await notices(campus, "ian", "window-released") == []


async def test_who_comes_early_has_a_place_of_the_window(campus: Site) -> None:
    made = await reserve(campus)
    campus.later(hours=1, minutes=30)
    early = await campus.run("mia")  # until 12:30
    gone = await campus.run("max")
    await campus.call("max", "POST", f"/workloads/{gone}/stop")
    await campus.until_status("max", gone, "stopped")
    campus.later(minutes=30)
    await campus.beat()
    seen = await window(campus, made["id"])
    assert (seen["state"], seen["held"], seen["used"], seen["short"]) == ("used", 7, 1, 0)
    await campus.call("mia", "POST", f"/workloads/{early}/stop")
    await campus.until_status("mia", early, "stopped")
    assert (await window(campus, made["id"]))["held"] == 8


async def test_who_left_before_it_began_was_not_there(campus: Site) -> None:
    made = await reserve(campus)
    campus.later(hours=1, minutes=30)
    gone = await campus.run("mia")
    await campus.call("mia", "POST", f"/workloads/{gone}/stop")
    await campus.until_status("mia", gone, "stopped")
    campus.later(minutes=45)
    await campus.beat()
    assert (await window(campus, made["id"]))["state"] == "released"


async def test_who_came_and_left_keeps_it_held(campus: Site) -> None:
    made = await reserve(campus)
    campus.later(hours=2)
    member = await campus.run("mia")
    await campus.call("mia", "POST", f"/workloads/{member}/stop")
    await campus.until_status("mia", member, "stopped")
    campus.later(minutes=40)
    await campus.beat()
    assert (await window(campus, made["id"]))["state"] == "used"
    with campus.control.store.read() as session:
        row = session.exec(select(WindowRow)).one()
    assert row.first_used_at == campus.clock.now() - timedelta(minutes=40)
    assert row.released_at is None


async def test_it_is_cancelled_and_what_runs_goes_on(campus: Site) -> None:
    made = await reserve(campus)
    campus.later(hours=2)
    member = await campus.run("mia")
    outsider = await campus.launch("rob")
    for _ in range(2):
        gone = await campus.call("ian", "DELETE", f"/reservations/{made['id']}")
        assert gone.status == 200
        assert gone.body["cancelled_at"] == "2026-01-05T11:00:00Z"
        assert gone.body["windows"][0]["reason"] == "it was cancelled"
    await campus.until_status("rob", outsider, "running")
    assert (await campus.view("mia", member))["status"] == "running"
    with campus.control.store.read() as session:
        acts = session.exec(
            select(AuditRow.action).where(AuditRow.object == made["id"]).order_by(col(AuditRow.id))
        ).all()
    assert acts == ["reserve", "cancel-reservation"]


async def test_one_window_is_given_up_and_the_next_stays(campus: Site) -> None:
    made = await reserve(campus, last_day="2026-01-12", weekdays=["mon"])
    path = f"/reservations/{made['id']}/windows"
    for start in (KEY, "2026-01-05T11:00:00Z", "2026-01-05T12:00:00+01:00"):
        given = await campus.call("ian", "POST", f"{path}/{start}/release")
        assert given.status == 200, given.body
        states = [w["state"] for w in given.body["windows"]]
        assert states == ["released", "upcoming"]
    assert given.body["windows"][0]["reason"] == "given up by ian"
    for start in ("20260105T1130Z", "monday", "9999-99-99"):
        assert (await campus.call("ian", "POST", f"{path}/{start}/release")).status == 404
    listed = (await campus.call("mia", "GET", "/reservations")).body["items"]
    assert [w["id"] for w in listed[0]["windows"]] == ["20260112T1100Z"]
    campus.later(hours=5)
    over = await campus.call("ian", "POST", f"{path}/{KEY}/release")
    assert (over.status, over.code) == (409, "conflict")


async def test_a_conflict_names_the_window_and_the_nearest_free_one(campus: Site) -> None:
    await reserve(campus, count=6)
    said = await refused(campus, name="Lab B", count=3, starts="12:00")
    assert (said.status, said.code) == (409, "conflict")
    assert said.body["error"]["message"] == (
        "Mon 5 Jan 2026 12:00-14:00 UTC: 1 of 3 places is missing, because of the reservation"
        " 'Lab A'; the nearest free window is Mon 5 Jan 2026 13:00-15:00 UTC"
    )
    wish = LAB | {"count": 3, "starts": "12:00", "last_day": "2026-01-19", "weekdays": ["mon"]}
    checked = await campus.call("ian", "POST", "/reservations/check", wish)
    assert checked.status == 200, checked.body
    assert not checked.body["possible"]
    assert len(checked.body["windows"]) == 3
    (conflict,) = checked.body["conflicts"]
    assert conflict["nearest"]["starts_at"] == "2026-01-05T13:00:00Z"
    assert conflict["reservations"] == ["the reservation 'Lab A'"]
    free = await campus.call("ian", "POST", "/reservations/check", wish | {"starts": "13:00"})
    assert free.body["possible"]
    assert (await campus.call("ian", "GET", "/reservations")).body["items"][0]["name"] == "Lab A"


async def test_reservations_of_others_are_not_named(campus: Site) -> None:
    await reserve(campus, name="Secret plan")
    said = await refused(campus, "rita", tenant="red", name="Ours")
    assert "because of a reservation of others" in said.body["error"]["message"]
    assert "Secret" not in str(said.body)


async def test_a_lease_that_still_runs_is_in_the_way(campus: Site) -> None:
    await campus.run("rob", "gpu-quarter", set={"duration": "8h"})
    said = await refused(campus)
    assert "1 of 8 places is missing, because of work that still runs then" in str(said.body)
    assert "Mon 5 Jan 2026 17:00-19:00 UTC" in said.body["error"]["message"]


async def test_the_ceiling_of_the_tenant_holds(campus: Site) -> None:
    bound(campus, "blue", 1000)
    never = await refused(campus, count=5)
    assert (never.status, never.code) == (403, "quota")
    assert "1.25 GPU would be held, and the limit of Blue is 1 GPU" in str(never.body)
    await reserve(campus, count=2)
    later = await refused(campus, count=3, starts="12:30")
    assert (later.status, later.code) == (409, "conflict")
    assert "with 1/2 GPU held already" in later.body["error"]["message"]
    assert "the nearest free window is Mon 5 Jan 2026 13:00-15:00 UTC" in str(later.body)


async def test_without_a_ceiling_only_the_platforms_administrator_reserves(campus: Site) -> None:
    bound(campus, "blue", None)
    never = await refused(campus, count=1)
    assert (never.status, never.code) == (403, "quota")
    assert "Blue has neither a limit nor a guarantee of GPU" in never.body["error"]["message"]
    await reserve(campus, "admin", count=1)
    bound(campus, "blue", None, guaranteed=1000)
    await reserve(campus, count=3)
    more = await refused(campus, count=1)
    assert "the limit of Blue is 1 GPU with 1 GPU held already" in more.body["error"]["message"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lend_margin": "61m"}, "lend_margin: 1h1m is not between 5m and 1h"),
        ({"no_show": "61m", "length": "8h"}, "no_show: 1h1m is not between 1m and 1h"),
        ({"no_show": "31m", "length": "1h"}, "no_show: 31m is not between 1m and 30m"),
    ],
)
async def test_staff_keep_nothing_unused_for_long(
    campus: Site, changes: dict[str, Any], said: str
) -> None:
    answer = await refused(campus, **changes)
    assert (answer.status, said in answer.body["error"]["message"]) == (422, True)
    await reserve(campus, "admin", **changes)


async def test_a_foreign_tenant_is_answered_as_one_that_there_is_not(campus: Site) -> None:
    said = [await refused(campus, tenant=tenant) for tenant in ("red", "grey")]
    assert [one.status for one in said] == [404, 404]
    words = [str(one.body["error"]) for one in said]
    assert words[0].replace("red", "grey") == words[1]


async def test_a_change_between_the_judgement_and_the_writing_is_seen(
    campus: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in the way is found before anybody is kept from writing, and again if need be."""
    real, seen = reserving._judge, []

    def judge(case: Any) -> Any:
        found = real(case)
        seen.append(len(found))
        if len(seen) == 1:
            other = reserving.Wish(
                "red", "first", 8, Ask(0, 0, 250), _rule(), "UTC", timedelta(minutes=15),
                timedelta(minutes=15),
            )  # fmt: skip
            reserving.reserve(campus.control, people.actor_of(campus.control, "admin"), other)
        return found

    monkeypatch.setattr(reserving, "_judge", judge)
    said = await refused(campus)
    assert (said.status, seen) == (409, [0, 0, 1])
    seen.append(0)
    await reserve(campus, starts="14:00")
    assert seen[4:] == [0]  # nothing had changed


def _rule() -> Rule:
    day = datetime(2026, 1, 5, 11, tzinfo=UTC)
    return Rule(day.date(), day.date(), day.time(), timedelta(hours=2), ZoneInfo("UTC"))


async def test_the_same_key_reserves_once(campus: Site) -> None:
    first = await reserve(campus, key="k")
    again = await reserve(campus, key="k")
    assert first["id"] == again["id"]
    other = await campus.call("ian", "POST", "/reservations", LAB | {"count": 1}, key="k")
    assert (other.status, other.code) == (409, "conflict")


async def test_of_many_at_once_as_many_are_held_as_there_is_room_for(campus: Site) -> None:
    wish = LAB | {"count": 3}
    asked = [campus.call("ian", "POST", "/reservations", wish) for _ in range(6)]
    found = sorted([answer.status for answer in await asyncio.gather(*asked)])
    assert found == [201, 201, 409, 409, 409, 409]
    assert sum(len(hold.placements) for hold in held_now(campus)) == 6


async def test_who_may(campus: Site) -> None:
    made = await reserve(campus)
    path = f"/reservations/{made['id']}"
    assert (await campus.call("mia", "GET", path)).status == 200
    assert not (await campus.call("mia", "GET", path)).body["can_change"]
    assert (await campus.call("rob", "GET", path)).status == 404
    assert (await campus.call("rob", "GET", "/reservations")).body["items"] == []
    assert (await campus.call("mia", "DELETE", path)).status == 403
    assert (await campus.call("rita", "DELETE", path)).status == 404
    assert (await campus.call("mia", "POST", f"{path}/windows/{KEY}/release")).status == 403
    assert (await campus.call("mia", "POST", "/reservations", LAB)).status == 403
    assert (await campus.call("rita", "POST", "/reservations", LAB)).status == 404
    absent = await campus.call("rita", "DELETE", "/reservations/r-0000000000")
    assert absent.status == 404
    assert (await campus.call("admin", "DELETE", path)).status == 200


async def test_what_is_held_for_others_is_not_shown_as_free(campus: Site) -> None:
    async def free(login: str, offer: str = "gpu-quarter") -> int:
        offers = (await campus.call(login, "GET", "/offers")).body["items"]
        return next(o["availability"]["free"] for o in offers if o["id"] == offer)

    assert await free("rob") == 8
    await reserve(campus, count=6)  # from 11:00; a notebook of two hours would reach into it
    campus.later(hours=1)
    assert (await free("rob"), await free("rob", "batch"), await free("mia")) == (2, 8, 8)
    await campus.run("mia")
    assert (await free("rob"), await free("mia")) == (2, 7)


async def test_a_clock_that_jumps_holds_nothing_twice(campus: Site) -> None:
    made = await reserve(campus)
    outsider = await campus.launch("rob", set={"duration": "8h"})
    await campus.beat()
    campus.later(hours=3)  # nobody came by then, it seems
    await campus.until_status("rob", outsider, "running")
    assert (await window(campus, made["id"]))["state"] == "released"
    campus.later(hours=-3)
    await campus.beat()
    seen = await window(campus, made["id"])
    assert (seen["state"], seen["held"], seen["short"]) == ("upcoming", 7, 1)
    campus.later(hours=2, minutes=5)
    await campus.beat()
    member = await campus.run("mia")
    assert reservation_of(campus, member) == f"{made['id']}@{KEY}"
    assert (await window(campus, made["id"]))["state"] == "used"
    await campus.beat()
    with campus.control.store.read() as session:
        row = session.exec(select(WindowRow)).one()
    assert (row.released_at, row.release_reason) == (None, "")
    campus.later(hours=40)
    await campus.beat()
    campus.later(hours=-40)
    await campus.beat()
    assert campus.leaks() == []


async def test_a_device_that_fails_moves_what_is_held(campus: Site) -> None:
    made = await reserve(campus, count=4)
    where = {s.device_id for h in campus.control.held.values() for p in h for s in p.shares}
    (used,) = where
    campus.engine.nodes = [
        replace(node, devices=tuple(d for d in node.devices if d.id != used))
        for node in campus.engine.nodes
    ]
    campus.later(seconds=11)
    await campus.beat()
    seen = await window(campus, made["id"])
    assert (seen["held"], seen["short"]) == (4, 0)
    assert used not in {
        s.device_id for h in campus.control.held.values() for p in h for s in p.shares
    }


async def test_control_that_was_away_finds_everything_as_the_time_says(campus: Site) -> None:
    made = await reserve(campus)
    campus.later(hours=2, minutes=1)
    await campus.crash()
    member = await campus.run("mia")
    assert reservation_of(campus, member) == f"{made['id']}@{KEY}"
    assert (await window(campus, made["id"]))["held"] == 7


async def test_local_time_is_the_places_own(campus: Site) -> None:
    made = await reserve(
        campus, time_zone="Europe/Berlin", first_day="2026-03-23", last_day="2026-03-30",
        weekdays=["mon"],
    )  # fmt: skip
    assert [w["starts_at"] for w in made["windows"]] == [
        "2026-03-23T10:00:00Z", "2026-03-30T09:00:00Z",
    ]  # fmt: skip
    assert made["windows"][1]["text"] == "Mon 30 Mar 2026 11:00-13:00 CEST"


async def test_whole_nodes(campus: Site) -> None:
    plain = {name: value for name, value in LAB.items() if name != "offer"}
    made = await campus.call(
        "ian", "POST", "/reservations", plain | {"count": 1, "whole_node": True}
    )
    assert made.status == 201, made.body
    assert made.body["unit"] == "whole node"
    two = await campus.call(
        "ian", "POST", "/reservations", plain | {"count": 2, "whole_node": True}
    )
    assert (two.status, two.code) == (403, "denied")


BAD: list[tuple[dict[str, Any], int, str]] = [
    ({"count": 0}, 422, "count: 0 is not between 1 and 500"),
    ({"count": -3}, 422, "count: -3"),
    ({"count": 10**9}, 422, "count: 1000000000"),
    ({"count": 9}, 403, "there is room for 8 at the most"),
    ({"length": "0m"}, 422, "length: 0s is not between 5m and 14d"),
    ({"length": "400d"}, 422, "length: 400d"),
    ({"length": "9999d9h"}, 422, "length: 9999d9h"),
    ({"length": "soon"}, 422, "length: 'soon' is not a duration"),
    ({"starts": "25:00"}, 422, "starts: '25:00' is not a time of day"),
    ({"starts": "09:00Z"}, 422, "starts: "),
    ({"first_day": "2026-02-30"}, 422, "first_day: '2026-02-30' is not a day"),
    ({"first_day": "2026-01-04"}, 422, "has begun already"),
    ({"starts": "08:00"}, 422, "has begun already"),
    ({"last_day": "2026-01-01", "weekdays": ["mon"]}, 422, "before the first day"),
    ({"last_day": "2030-01-01", "weekdays": ["mon"]}, 422, "more than a year"),
    ({"last_day": "2026-01-12"}, 422, "the days of the week must be named"),
    ({"weekdays": ["someday"]}, 422, "weekdays.0"),
    ({"last_day": "2026-01-12", "weekdays": ["mon", "tue"], "length": "2d"}, 422,
     "it overlaps itself"),
    ({"time_zone": "Mars/Olympus"}, 422, "time_zone: there is no 'Mars/Olympus'"),
    ({"time_zone": "../../etc/passwd"}, 422, "time_zone: there is no"),
    ({"time_zone": ""}, 422, "time_zone: there is no"),
    ({"time_zone": "America"}, 422, "time_zone: there is no"),
    ({"offer": "nothing"}, 404, "there is no offer"),
    ({"offer": ""}, 422, "a place of nothing"),
    ({"offer": "", "gpu": "1.5"}, 422, "gpu: 1.5 is more than one device"),
    ({"offer": "", "gpu": "-1"}, 422, "gpu: '-1' is negative"),
    ({"offer": "", "gpu": "3"}, 403, "nothing here is large enough"),
    ({"offer": "", "gpu": "1", "models": ["H100"]}, 403, "there is no H100 here"),
    ({"offer": "", "gpu": "1", "whole_node": True}, 422, "whole_node: it has all"),
    ({"gpu": "1"}, 422, "offer: it says all"),
    ({"tenant": "nobody"}, 404, "there is no tenant 'nobody'"),
    ({"tenant": "red"}, 404, "there is no tenant 'red'"),
    ({"lend_margin": "1m"}, 422, "lend_margin: 1m is not between 5m and 1d"),
    ({"no_show": "0s"}, 422, "no_show: 0s is not between 1m and 14d"),
    ({"count": 100, "last_day": "2026-12-31", "weekdays": ["mon", "tue", "wed", "thu", "fri"]},
     422, "are more than 20,000"),
    ({"surprise": 1}, 422, "surprise: there is no such field"),
]  # fmt: skip


async def test_bad_input_is_named_and_holds_nothing(campus: Site) -> None:
    for changes, status, said in BAD:
        answer = await refused(campus, **changes)
        assert (answer.status, said in answer.body["error"]["message"]) == (status, True), answer
        checked = await campus.call("ian", "POST", "/reservations/check", LAB | changes)
        assert checked == answer
    assert (await campus.call("ian", "GET", "/reservations")).body["items"] == []


async def test_no_tenant_fills_the_calendar(campus: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.reserving.MOST_OF_A_TENANT", 2)
    await reserve(campus, count=1)
    await reserve(campus, count=1)
    said = await refused(campus, count=1)
    assert (said.status, said.code) == (409, "conflict")


async def test_pages_follow_each_other(campus: Site) -> None:
    made = []
    for number in range(3):
        made.append((await reserve(campus, count=1, name=f"Lab {number}"))["id"])
        campus.later(seconds=1)
    seen, cursor = [], ""
    for _ in range(3):
        found = await campus.call(
            "ian", "GET", "/reservations", params={"limit": 1, "cursor": cursor}
        )
        seen += [item["id"] for item in found.body["items"]]
        cursor = found.body["next"]
    assert seen == made[::-1]
    assert cursor is None
    wrong = await campus.call("ian", "GET", "/reservations", params={"cursor": "x"})
    assert wrong.status == 422


def test_names_of_windows() -> None:
    at = datetime.fromisoformat("2026-01-05T12:00:00+01:00")
    assert holds.name_of(at) == KEY
    assert holds.beginning_of(KEY) == at
