"""Nodes that are taken out of service: nothing new, everybody told, empty in time."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from catalog.asks import Ask
from catalog.inventory import Capacity, Health, Placement
from catalog.placement import BestFit
from catalog.units import GIB
from hub import drains
from hub.drains import Guest, leave_times, out_of_service, part_of, weight
from hub.store.tables import AttemptRow, DrainRow, WorkloadRow
from tests.api.test_healing import node, pass_time
from tests.api.test_preemption import attempts_of, notices, until_again
from tests.site import Site


def site_of(folder: Path, *names: str) -> Site:
    site = Site(folder)
    site.engine.nodes = [node(name) for name in names]
    return site


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Site]:
    async with site_of(tmp_path, "left", "right") as site:
        site.person("mia")
        site.person("noa")
        yield site


def node_of(site: Site, workload: str) -> str:
    with site.control.store.read() as session:
        row = session.get_one(WorkloadRow, workload)
        return session.get_one(AttemptRow, row.attempt_id).node


def make_preemptible(site: Site, workload: str) -> None:
    with site.control.store.write() as session:
        session.get_one(WorkloadRow, workload).preemptible = True


async def drain(site: Site, name: str, by: str = "2h", **more: Any) -> dict[str, Any]:
    answer = await site.call("admin", "POST", f"/nodes/{name}/drain", {"by": by, **more})
    assert answer.status == 200, answer.body
    return answer.body


async def states(site: Site) -> dict[str, str]:
    items = (await site.call("admin", "GET", "/nodes")).body["items"]
    return {one["name"]: one["state"] for one in items}


async def test_nothing_new_is_placed_and_people_are_told(two: Site) -> None:
    workload = await two.run("mia", "gpu-whole")
    name = node_of(two, workload)
    seen = await drain(two, name, reason="a new driver")
    assert (seen["state"], seen["by"], seen["running"]) == ("draining", "2026-01-05T11:00:00Z", 1)
    assert seen["closed"] == (
        f"node {name} is taken out of service by 05 Jan 11:00 UTC: a new driver"
    )
    await two.run("noa", "gpu-whole")
    waiting = await two.launch("noa", "gpu-quarter")
    await two.call("mia", "POST", f"/workloads/{workload}/stop")
    await two.until_status("mia", workload, "stopped")
    await two.settled()
    assert two.row(waiting).status == "queued"
    await two.call("admin", "POST", f"/nodes/{name}/resume")
    await two.until_status("noa", waiting, "running")


async def test_it_is_empty_in_time_and_its_work_starts_elsewhere(two: Site) -> None:
    workload = await two.run("mia", "gpu-whole")
    name = node_of(two, workload)
    await drain(two, name, "1h")
    await two.beat()
    seen = await two.view("mia", workload)
    assert seen["goes_at"] == "2026-01-05T09:59:30Z"
    (told,) = await notices(two, "mia", "going")
    assert f"node {name} is taken out of service by 05 Jan 10:00 UTC" in told
    two.later(minutes=59)
    await two.beat()
    assert two.row(workload).status == "running"  # until the end it may stay
    two.later(seconds=40)
    await until_again(two, workload)
    assert node_of(two, workload) != name
    assert two.clock.now() < datetime(2026, 1, 5, 10, tzinfo=UTC)
    await two.beat()
    assert await states(two) == {name: "empty", node_of(two, workload): "in service"}
    (said,) = await notices(two, "admin", "drained")
    assert f"Node {name} is empty" in said
    await two.settled()
    assert two.leaks() == []


async def test_work_that_hangs_is_gone_in_time_too(two: Site) -> None:
    """It neither heeds the engine's deadline nor ends when it is asked; it is killed."""
    two.engine.ignores_stop = True
    workload = await two.run("mia", "gpu-whole")
    name = node_of(two, workload)
    await drain(two, name, "1h")
    await two.beat()
    two.engine._deadlines[two.engine.launches[0]] = two.clock.now() + timedelta(days=9)
    two.later(minutes=59)
    await pass_time(two, 60)
    assert two.clock.now() == datetime(2026, 1, 5, 10, tzinfo=UTC)
    assert (await states(two))[name] == "empty"


async def test_whose_lease_is_over_by_then_is_not_told(two: Site) -> None:
    workload = await two.run("mia", "gpu-whole")
    await drain(two, node_of(two, workload), "3h")
    await two.beat()
    assert (await two.view("mia", workload))["goes_at"] is None
    assert await notices(two, "mia", "going") == []
    # An extension over the time of the drain is told of it.
    answer = await two.call("mia", "POST", f"/workloads/{workload}/extend", {"by": "2h"})
    assert answer.status == 200, answer.body
    await two.beat()
    assert len(await notices(two, "mia", "going")) == 1


async def test_what_may_be_preempted_moves_as_soon_as_there_is_room(two: Site) -> None:
    workload = await two.run("mia", "gpu-whole", set={"duration": "2h"})
    make_preemptible(two, workload)
    name = node_of(two, workload)
    blocks = await two.run("noa", "gpu-whole", set={"duration": "2h"})
    await drain(two, name, "1h30m")
    await two.beat()
    assert (await two.view("mia", workload))["goes_at"] == "2026-01-05T10:29:30Z"
    await two.call("noa", "POST", f"/workloads/{blocks}/stop")
    await two.until_status("noa", blocks, "stopped")
    await two.beat()
    assert (await two.view("mia", workload))["goes_at"] == "2026-01-05T09:02:00Z"
    two.later(minutes=2)
    await until_again(two, workload)
    assert (await states(two))[name] in {"draining", "empty"}
    assert node_of(two, workload) != name


async def test_a_site_of_one_node_waits_for_the_resume(tmp_path: Path) -> None:
    async with site_of(tmp_path, "only") as site:
        site.person("mia")
        workload = await site.run("mia", "gpu-whole")
        await drain(site, "only", "10m")
        await pass_time(site, 600, 10)
        assert (site.row(workload).status, await states(site)) == ("queued", {"only": "empty"})
        seen = await site.view("mia", workload)
        assert "node only is taken out of service" in seen["again"]
        answer = await site.call("admin", "POST", "/nodes/only/resume")
        assert (answer.status, answer.body["state"]) == (200, "in service")
        await until_again(site, workload)
        await site.settled()
        assert site.leaks() == []


async def test_after_a_resume_work_may_stay(two: Site) -> None:
    workload = await two.run("mia", "gpu-whole", set={"duration": "2h"})
    name = node_of(two, workload)
    await drain(two, name, "1h")
    await two.beat()
    await two.call("admin", "POST", f"/nodes/{name}/resume")
    await two.beat()
    assert (await two.view("mia", workload))["goes_at"] is None
    assert len(await notices(two, "mia", "stays")) == 1
    two.later(minutes=70)
    await two.beat()
    assert (two.row(workload).status, attempts_of(two, workload)) == ("running", 1)
    two.later(minutes=50)
    seen = await two.until_status("mia", workload, "stopped")
    assert seen["reason_code"] == "lease-ended"


async def test_a_drain_that_is_repeated_has_the_new_time(two: Site) -> None:
    workload = await two.run("mia", "gpu-whole")
    name = node_of(two, workload)
    for by, goes in (("30m", "09:29:30"), ("1h", "09:59:30"), ("10m", "09:09:30")):
        await drain(two, name, by)
        await two.beat()
        seen = await two.view("mia", workload)
        assert seen["goes_at"] == f"2026-01-05T{goes}Z"
    with two.control.store.read() as session:
        assert len(session.exec(select(DrainRow)).all()) == 1


@pytest.mark.parametrize("beats", [1, 2, 3, 4])
async def test_control_may_die_during_a_drain(two: Site, beats: int) -> None:
    workload = await two.run("mia", "gpu-whole")
    name = node_of(two, workload)
    await drain(two, name, "10m")
    await two.crash()
    for minutes in (5, 5):
        two.later(minutes=minutes)
        for _ in range(beats):
            await two.beat()
            await two.crash()
    await until_again(two, workload)
    assert node_of(two, workload) != name
    await two.settled()
    assert len(two.engine.launches) == 2
    assert two.leaks() == []


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/nodes/nowhere/drain", {"by": "2h"}, 404, "there is no node 'nowhere'"),
        ("/nodes/nowhere/resume", None, 404, "there is no node"),
        ("/nodes/left/drain", {"by": "soon"}, 422, "neither a time nor a duration"),
        ("/nodes/left/drain", {"by": "2026-01-05T12:00:00"}, 422, "has no time zone"),
        ("/nodes/left/drain", {"by": "2026-01-05T08:59:00Z"}, 422, "not within a year from now"),
        ("/nodes/left/drain", {"by": "9999d"}, 422, "not within a year from now"),
        ("/nodes/left/drain", {}, 422, "by"),
        ("/nodes/drain", {"at_most": 0.25}, 422, "node left alone is 0.5 of the site"),
        ("/nodes/drain", {"at_most": 0}, 422, "at_most"),
        ("/nodes/drain", {"at_most": 0.5, "each": "0s"}, 422, "between a minute and a year"),
    ],
)
async def test_what_cannot_be_is_refused(
    two: Site, path: str, body: Any, status: int, said: str
) -> None:
    answer = await two.call("admin", "POST", path, body)
    assert (answer.status, said in answer.body["error"]["message"]) == (status, True), answer.body


def out(site: Site) -> int:
    """Milli-GPU on nodes that take nothing new."""
    return sum(out_of_service(node)[0] for node in site.control.nodes)


async def test_a_rolling_drain_goes_from_node_to_node(tmp_path: Path) -> None:
    async with site_of(tmp_path, *"abcd") as site:
        people = ("mia", "noa", "ida")
        for login in people:
            site.person(login)
        works = [await site.run(who, "gpu-whole", set={"duration": "8h"}) for who in people]
        answer = await site.call("admin", "POST", "/nodes/drain", {"at_most": 0.25, "each": "1h"})
        assert answer.status == 200, answer.body
        order: list[str] = []
        for _ in range(4):
            await site.beat()
            await site.beat()
            found = [n for n, state in (await states(site)).items() if state == "draining"]
            found += [n for n, state in (await states(site)).items() if state == "empty"]
            assert len(found) == 1, await states(site)
            order += found
            for minutes in (20, 39, 1, 1, 1):
                site.later(minutes=minutes)
                await site.beat()
                await site.settled()
                assert out(site) <= 1000
            assert (await states(site))[found[0]] == "empty"
            running = [w for w in works if site.row(w).status == "running"]
            assert len(running) == 3  # three nodes are always in service
            await site.call("admin", "POST", f"/nodes/{found[0]}/resume")
        assert sorted(order) == list("abcd")
        await site.beat()
        assert set((await states(site)).values()) == {"in service"}
        assert site.leaks() == []


async def test_a_rolling_drain_counts_what_is_out_already(tmp_path: Path) -> None:
    async with site_of(tmp_path, *"abcd") as site:
        site.engine.set_health("d-0", Health.FAILING, "XID 79")
        site.later(seconds=11)
        await site.beat()
        await site.call("admin", "POST", "/nodes/drain", {"at_most": 0.25, "each": "1h"})
        for _ in range(3):
            await site.beat()
        # Only the node that is out anyhow may be worked on.
        assert (await states(site))["a"] == "to be drained"
        site.engine.set_health("d-0", Health.OK)
        site.later(seconds=11)
        for _ in range(3):
            await site.beat()
        assert (await states(site))["a"] in {"draining", "empty"}
        again = await site.call("admin", "POST", "/nodes/drain", {"at_most": 0.5})
        assert (again.status, again.code) == (409, "conflict")
        await site.call("admin", "POST", "/nodes/resume")
        await site.beat()
        assert set((await states(site)).values()) == {"in service"}


def test_only_what_finds_room_leaves_early() -> None:
    soon, last = datetime(2026, 1, 5, 9, tzinfo=UTC), datetime(2026, 1, 5, 18, tzinfo=UTC)
    ask = Ask(1000, GIB, 1000)
    guests = [Guest("a", ask, False), Guest("b", ask, True), Guest("c", ask, True)]
    free = Capacity.of([node("x")])
    times, left = leave_times(guests, free, BestFit(), soon, last)
    assert times == {"a": last, "b": soon, "c": last}
    assert set(leave_times(guests[1:], left, BestFit(), soon, last)[0].values()) == {last}
    full = free.take(Placement("x", 16_000, 0))
    assert set(leave_times(guests, full, BestFit(), soon, last)[0].values()) == {last}
    assert set(leave_times(guests, free, BestFit(), last, soon)[0].values()) == {soon}


def test_a_node_weighs_what_is_the_scarcest_of_the_site_that_it_has() -> None:
    nodes = [node("x", 4), node("y"), replace(node("z"), devices=())]
    assert weight(nodes[0]) == (4000, 16_000, 64 * GIB)
    assert part_of([weight(nodes[0])], nodes) == 800
    assert part_of([weight(nodes[2])], nodes) == 334
    assert part_of([], nodes) == part_of([], []) == 0


async def test_nodes_without_a_gpu_are_not_all_taken_out_at_once(tmp_path: Path) -> None:
    async with site_of(tmp_path, *"abcd") as site:
        plain = [replace(one, devices=()) for one in site.engine.nodes[:2]]
        site.engine.nodes[:2] = plain
        site.later(seconds=11)
        await site.beat()
        answer = await site.call("admin", "POST", "/nodes/drain", {"at_most": 0.5, "each": "1h"})
        assert answer.status == 200, answer.body
        for _ in range(4):
            await site.beat()
        assert sorted(one.name for one in site.control.nodes if one.closed) == ["a", "b"]


async def test_movable_work_of_two_nodes_does_not_leave_early_for_one_place(
    tmp_path: Path,
) -> None:
    async with site_of(tmp_path, *"abc") as site:
        for login in ("mia", "noa"):
            site.person(login)
        works = [await site.run(login, "gpu-whole") for login in ("mia", "noa")]
        for workload in works:
            make_preemptible(site, workload)
        for workload in works:
            await drain(site, node_of(site, workload), "1h")
        for _ in range(3):
            await site.beat()
        goes = sorted([site_goes(site, workload) for workload in works])
        assert goes == [timedelta(minutes=2), timedelta(minutes=59, seconds=30)]


def site_goes(site: Site, workload: str) -> timedelta:
    with site.control.store.read() as session:
        row = session.get_one(WorkloadRow, workload)
        attempt = session.get_one(AttemptRow, row.attempt_id)
    assert attempt.go_at is not None
    return attempt.go_at - site.clock.now()


async def test_when_everybody_was_told_nothing_is_planned(
    two: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    workload = await two.run("mia", "gpu-whole")
    await drain(two, node_of(two, workload), "1h")
    await two.beat()
    await two.settled()
    looks: list[str] = []
    monkeypatch.setattr(drains, "read_world", lambda *_: looks.append("read"))
    for _ in range(3):
        await two.beat()
    assert looks == []
    assert (await two.view("mia", workload))["goes_at"] == "2026-01-05T09:59:30Z"


async def test_what_is_about_to_go_is_not_told_that_it_may_stay(two: Site) -> None:
    """The engine would not hear of it in time, and it would end as if its lease were over."""
    workload = await two.run("mia", "gpu-whole", set={"duration": "2h"})
    name = node_of(two, workload)
    await drain(two, name, "10m")
    await two.beat()
    two.later(minutes=9, seconds=29)
    await two.call("admin", "POST", f"/nodes/{name}/resume")
    assert await notices(two, "mia", "stays") == []
    two.later(seconds=1)
    await until_again(two, workload)


async def test_nothing_is_granted_on_a_node_whose_turn_came_in_the_same_beat(two: Site) -> None:
    waiting = await two.launch("mia", "gpu-whole")
    await two.call("admin", "POST", "/nodes/drain", {"at_most": 0.5, "each": "1h"})
    await two.beat()
    (begun,) = [one.name for one in two.control.nodes if one.closed]
    await two.until_status("mia", waiting, "running")
    assert node_of(two, waiting) != begun
