"""Faults below the work: silent nodes, failing devices, starts that fail again and again."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session

from catalog.errors import Conflict
from catalog.inventory import Device, Health, Node, Vendor
from catalog.units import GIB
from hub import grants, held_shares
from hub.control_context import Control
from hub.store.tables import AttemptRow, WorkloadRow
from spawners.engine import EndCause, PermanentError, TemporaryError
from tests.api.test_preemption import attempts_of, notices, until_again
from tests.site import V1, Site


def node(name: str, devices: int = 1) -> Node:
    """A node of emulated devices that are named after it."""
    return Node(
        name, 16_000, 64 * GIB,
        tuple(
            Device(f"{name}-{i}", Vendor.EMULATED, "Emulated 24G", 24 * 1024, i)
            for i in range(devices)
        ),
    )  # fmt: skip


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Site]:
    """A site with two nodes of one device each."""
    site = Site(tmp_path)
    site.engine.nodes = [node("left"), node("right")]
    async with site:
        site.person("mia")
        site.person("noa")
        yield site


def where(site: Site, workload: str) -> str:
    """The node that its last launched attempt was placed on."""
    return site.engine.specs[site.engine.launches[-1]].node


async def pass_time(site: Site, seconds: int, step: int = 5) -> None:
    for _ in range(0, seconds, step):
        site.later(seconds=step)
        await site.beat()


async def test_what_ran_on_a_silent_node_starts_elsewhere(two: Site) -> None:
    workload = await two.run("mia", "gpu-whole")
    first = where(two, workload)
    two.later(minutes=30)
    two.engine.silent = {first}
    await pass_time(two, 60)
    assert two.row(workload).status == "running"  # it may answer again
    two.later(seconds=15)
    await until_again(two, workload)
    assert where(two, workload) != first
    (told,) = await notices(two, "mia", "again")
    assert "its node did not answer for 1m" in told
    assert "it starts anew: files in your home are safe" in told
    await two.settled()
    assert two.leaks() == []


async def test_it_is_paid_until_the_node_was_seen_last(two: Site) -> None:
    workload = await two.run("mia")
    two.later(minutes=60)
    await two.beat()  # the inventory is read: the node answers
    two.engine.silent = {where(two, workload)}
    two.later(seconds=10)
    await two.beat()  # from now on it is missing
    await pass_time(two, 70)
    await until_again(two, workload)
    assert 300_000 <= two.row(workload).cost <= 302_000
    assert two.leaks() == []


async def test_a_node_that_answers_again_in_time_loses_nothing(two: Site) -> None:
    workload = await two.run("mia")
    two.engine.silent = {where(two, workload)}
    await pass_time(two, 45)
    two.engine.silent = set()
    await pass_time(two, 60)
    assert two.row(workload).status == "running"
    assert attempts_of(two, workload) == 1


async def test_nothing_new_is_placed_on_a_node_that_is_missing(two: Site) -> None:
    two.engine.silent = {"left"}
    await pass_time(two, 15)
    await two.run("mia", "gpu-whole")
    waiting = await two.launch("mia", "gpu-whole")
    await pass_time(two, 30)
    assert two.row(waiting).status == "queued"


async def test_leftovers_of_a_node_that_came_back_are_stopped_before_it_is_used(
    two: Site,
) -> None:
    left = await two.run("mia", "gpu-whole")
    lost = where(two, left)
    await two.run("noa", "gpu-whole")
    leftover = two.engine.launches[0]
    two.engine.silent = {lost}
    await pass_time(two, 80)
    assert two.row(left).status == "queued"
    two.engine.ignores_stop = True
    two.engine.silent = set()
    for _ in range(20):
        await pass_time(two, 1, 1)
        running = [o.attempt_id for o in two.engine.observe() if o.exit is None]
        assert leftover not in running or two.row(left).status == "queued"
    await until_again(two, left)
    assert leftover not in [o.attempt_id for o in two.engine.observe() if o.exit is None]
    await two.settled()
    assert two.leaks() == []


@pytest.mark.parametrize("beats", [1, 2, 3, 5])
async def test_control_may_die_while_a_node_is_silent(two: Site, beats: int) -> None:
    workload = await two.run("mia", "gpu-whole")
    two.engine.silent = {where(two, workload)}
    for _ in range(4):
        await pass_time(two, 10 * beats, 10)
        await two.crash()
    await pass_time(two, 80)
    await until_again(two, workload)
    two.engine.silent = set()
    await pass_time(two, 60)
    await two.settled()
    assert len(two.engine.launches) == 2
    assert two.leaks() == []


async def test_an_engine_out_of_reach_for_a_while_loses_nothing(two: Site) -> None:
    workload = await two.run("mia")
    two.later(seconds=11)
    two.engine.failures["inventory"] = TemporaryError("no route to host")
    await two.beat()
    await pass_time(two, 120)
    assert two.row(workload).status == "running"


async def test_a_clock_that_jumps_gives_nobody_up(two: Site) -> None:
    """Only what is missing each time it is looked for is silent."""
    workload = await two.run("mia", "cpu")
    two.later(minutes=40)
    await two.beat()
    assert two.row(workload).status == "running"
    assert attempts_of(two, workload) == 1


async def test_work_leaves_a_device_that_fails(two: Site) -> None:
    workload = await two.run("mia", "gpu-whole")
    first = where(two, workload)
    two.later(minutes=30)
    two.engine.set_health(f"{first}-0", Health.FAILING, "XID 79")
    await pass_time(two, 40)
    await until_again(two, workload)
    assert where(two, workload) != first
    (told,) = await notices(two, "mia", "again")
    assert "a device below it failed: XID 79" in told
    await two.settled()
    assert two.leaks() == []


async def test_a_driver_that_stumbles_once_ends_nothing(two: Site) -> None:
    workload = await two.run("mia", "gpu-whole")
    device = f"{where(two, workload)}-0"
    two.engine.set_health(device, Health.GONE, "nvml timed out")
    await pass_time(two, 10)
    two.engine.set_health(device, Health.OK)
    await pass_time(two, 60)
    assert (two.row(workload).status, attempts_of(two, workload)) == ("running", 1)


async def test_an_end_by_itself_on_a_failing_device_is_the_devices(two: Site) -> None:
    workload = await two.run("mia", "gpu-whole")
    two.engine.set_health(f"{where(two, workload)}-0", Health.FAILING, "XID 48")
    two.later(seconds=10)
    await two.beat()
    two.engine.end(two.engine.launches[0], EndCause.EXITED, 134)
    await until_again(two, workload)


async def test_what_was_not_saved_is_not_paid(two: Site) -> None:
    workload = await two.run("mia")
    two.later(minutes=30)
    saved = await two.call("mia", "POST", f"/workloads/{workload}/saved")
    assert (saved.status, saved.body["saved_at"]) == (200, "2026-01-05T09:30:00Z")
    two.later(minutes=20)
    two.engine.set_health(f"{where(two, workload)}-0", Health.FAILING, "XID 79")
    await pass_time(two, 40)
    await until_again(two, workload)
    seen = await two.view("mia", workload)
    assert two.row(workload).cost == 150_000
    lines = (await two.call("mia", "GET", "/usage")).body["items"]
    (refund,) = [line for line in lines if line["kind"] == "refund"]
    assert (refund["workload"], refund["text"]) == (workload, "lost by a fault, not by you")
    assert 99_000 <= int(float(refund["amount"]) * 1e6) <= 101_000
    assert seen["saved_at"] == "2026-01-05T09:30:00Z"
    # What must be done anew is given anew: 90 minutes were left when it saved.
    assert two.row(workload).duration_s == 90 * 60


async def test_after_five_faults_it_is_not_started_again(two: Site) -> None:
    workload = await two.run("mia", "gpu-whole")
    for count in range(6):
        name = where(two, workload)
        two.engine.set_health(f"{name}-0", Health.FAILING, "XID 79")
        await pass_time(two, 30)
        if count < 5:
            await two.until(
                lambda count=count: (
                    attempts_of(two, workload) == count + 2
                    and two.row(workload).status == "running"
                ),
                lambda: "its next start",
            )
            two.engine.set_health(f"{name}-0", Health.OK)
            await pass_time(two, 10)
    seen = await two.until_status("mia", workload, "failed")
    assert seen["reason_code"] == "device-failed"
    assert "that was the 6th time, so it is not started again" in seen["reason"]
    assert two.leaks() == []


async def test_a_turn_that_is_held_on_a_lost_node_after_five_faults_ends(two: Site) -> None:
    """And whoever else waits is not held up by it."""
    workload = await two.launch("mia", "gpu-whole", notify=True)
    await two.until_status("mia", workload, "offered")
    attempt_id = two.row(workload).attempt_id
    with two.control.store.write() as session:
        held = session.get_one(AttemptRow, attempt_id)
        lost = held.node
        for number in range(2, 7):
            facts: dict[str, Any] = held.model_dump(exclude={"id", "number", "go_reason", "held"})
            facts["released_at"] = two.clock.now()
            session.add(
                AttemptRow(**facts, id=f"a-{number}", number=number, go_reason="lost", held=0)
            )
    two.later(seconds=15)
    two.engine.silent = {lost}
    await pass_time(two, 75)
    seen = await two.until_status("mia", workload, "failed")
    assert "that was the 6th time" in seen["reason"]
    await two.run("noa", "gpu-whole")
    assert two.leaks() == []


async def test_one_that_goes_wrong_holds_up_nobody(
    two: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, bad = held_shares.hold, ""

    def refuses(control: Control, session: Session, attempt: AttemptRow, *more: Any) -> None:
        if attempt.workload_id == bad:
            raise Conflict("it has no room")
        real(control, session, attempt, *more)

    monkeypatch.setattr(held_shares, "hold", refuses)
    bad = await two.launch("mia", "gpu-quarter")
    other = await two.launch("noa", "gpu-quarter")
    await two.until_status("noa", other, "running")
    assert two.row(bad).status == "queued"
    assert two.leaks() == []
    bad, waits = "", bad
    await two.until_status("mia", waits, "running")


async def test_who_stops_it_while_its_device_fails_has_stopped_it(two: Site) -> None:
    workload = await two.run("mia", "gpu-whole")
    two.engine.ignores_stop = True
    two.engine.set_health(f"{where(two, workload)}-0", Health.FAILING, "XID 79")
    await two.until(
        lambda: two.later(seconds=5) or two.row(workload).status == "stopping", lambda: "its stop"
    )
    await two.call("mia", "POST", f"/workloads/{workload}/stop")
    two.later(seconds=10)
    seen = await two.until_status("mia", workload, "stopped")
    assert seen["reason_code"] == "asked"


async def fail_a_start(site: Site, login: str, **more: object) -> None:
    site.engine.up_after_s = 1e9
    before = len(site.engine.launches)
    workload = await site.launch(login, "gpu-whole", **more)
    await site.until(lambda: len(site.engine.launches) > before, lambda: "a launch")
    site.engine.end(site.engine.launches[-1], EndCause.EXITED, 1)
    await site.until_status(login, workload, "failed")
    await site.settled()
    site.engine.up_after_s = 0.0


async def admin_notices(site: Site, kind: str) -> list[str]:
    return await notices(site, "admin", kind)


async def test_three_failed_starts_in_a_row_put_a_device_in_quarantine(two: Site) -> None:
    for login in ("mia", "noa", "mia"):
        await fail_a_start(two, login)
    (bad,) = {spec.node for spec in two.engine.specs.values()}
    (said,) = await admin_notices(two, "quarantine")
    assert f"Device {bad}-0 on node {bad} is in quarantine: 3 starts in a row failed" in said
    await two.run("mia", "gpu-whole")
    assert two.engine.specs[two.engine.launches[-1]].node != bad
    nodes = (await two.call("admin", "GET", "/nodes")).body["items"]
    (device,) = next(n for n in nodes if n["name"] == bad)["devices"]
    assert (device["health"], device["quarantined"]) == ("failing", True)
    assert device["health_reason"] == "3 starts in a row failed on it"
    waiting = await two.launch("noa", "gpu-whole")
    await two.beat()
    assert two.row(waiting).status == "queued"
    answer = await two.call("admin", "POST", f"/devices/{bad}-0/release")
    assert answer.status == 200, answer.body
    await two.until_status("noa", waiting, "running")
    again = await two.call("admin", "POST", f"/devices/{bad}-0/release")
    assert (again.status, again.code) == (409, "conflict")
    unknown = await two.call("admin", "POST", "/devices/none/release")
    assert unknown.status == 404


async def test_a_device_that_its_engine_cannot_set_up_counts_too(two: Site) -> None:
    for login in ("mia", "noa", "mia"):
        two.engine.failures["launch"] = PermanentError("no MPS daemon on it")
        workload = await two.launch(login, "gpu-whole")
        await two.until_status(login, workload, "failed")
        await two.settled()
    assert len(await admin_notices(two, "quarantine")) == 1


async def test_a_start_that_comes_up_clears_the_count(two: Site) -> None:
    for login in ("mia", "noa"):
        await fail_a_start(two, login)
    workload = await two.run("mia", "gpu-whole")
    await two.call("mia", "POST", f"/workloads/{workload}/stop")
    await two.until_status("mia", workload, "stopped")
    await two.settled()
    for login in ("noa", "mia"):
        await fail_a_start(two, login)
    assert await admin_notices(two, "quarantine") == []


async def test_a_trouble_of_ones_own_takes_out_nothing(two: Site) -> None:
    for _ in range(8):
        await fail_a_start(two, "mia")
    assert await admin_notices(two, "quarantine") == []
    await two.run("noa", "gpu-whole")


async def test_a_start_that_a_person_stopped_counts_against_nothing(two: Site) -> None:
    for _ in range(4):
        two.engine.up_after_s = 1e9
        before = len(two.engine.launches)
        workload = await two.launch("mia", "gpu-whole")
        await two.until(lambda n=before: len(two.engine.launches) > n, lambda: "a launch")
        await two.call("mia", "POST", f"/workloads/{workload}/stop")
        await two.until_status("mia", workload, "stopped")
        await two.settled()
    assert await admin_notices(two, "quarantine") == []


async def test_what_runs_on_a_device_in_quarantine_goes_on(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.engine.nodes = [replace(node("only"), name="only")]
    async with site:
        site.person("mia")
        site.person("noa")
        site.person("ida")
        workload = await site.run("mia", "gpu-quarter")
        site.engine.up_after_s = 1e9
        for login in ("noa", "noa", "ida"):
            before = len(site.engine.launches)
            other = await site.launch(login, "gpu-quarter")
            await site.until(lambda n=before: len(site.engine.launches) > n, lambda: "a launch")
            site.engine.end(site.engine.launches[-1], EndCause.EXITED, 1)
            await site.until_status(login, other, "failed")
            await site.settled()
        await pass_time(site, 60)
        assert site.row(workload).status == "running"
        assert len(await admin_notices(site, "quarantine")) == 1


async def test_its_own_server_says_that_it_saved_and_nobody_elses(two: Site) -> None:
    """The token that a server was started with is good for this one act on its own workload."""
    workload, other = await two.run("mia"), await two.run("noa")
    tokens = two.settings.run_dir / "tokens"
    for attempt in two.engine.launches:
        (tokens / attempt).write_text(f"token-of-{attempt}")
    mine, theirs = (f"token-of-{attempt}" for attempt in two.engine.launches)

    async def say(whose: str, token: str, act: str = "saved") -> int:
        headers = {"Authorization": f"token {token}"}
        path = f"{V1}/workloads/{whose}/{act}"
        return (await two.raw("POST", path, headers=headers)).status_code

    assert await say(workload, mine) == 200
    assert two.row(workload).saved_at == two.clock.now()
    assert await say(workload, theirs) == 401
    assert await say(other, mine) == 401
    assert await say(workload, "") == 401
    assert await say(workload, mine, "stop") == 401
    two.hub.down = True
    assert await say(workload, mine) == 200
    two.hub.down = False
    await two.call("mia", "POST", f"/workloads/{workload}/stop")
    await two.until_status("mia", workload, "stopped")
    assert await say(workload, mine) == 401
    ended = await two.call("mia", "POST", f"/workloads/{workload}/saved")
    assert (ended.status, ended.code) == (409, "conflict")


async def test_a_fault_in_planning_holds_up_no_end(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    workload = await site.run("mia")

    def broken(control: Control) -> list[WorkloadRow]:
        raise RuntimeError("a row that cannot be planned")

    monkeypatch.setattr(grants, "give_what_fits", broken)
    site.engine.end(site.engine.launches[-1], EndCause.EXITED, 0)
    running = asyncio.create_task(site.reconciler.run())
    try:
        async with asyncio.timeout(30):
            while (await site.view("mia", workload))["status"] == "running":
                site.control.wake()
    finally:
        running.cancel()
    assert (await site.view("mia", workload))["status"] in {"stopped", "succeeded"}
