"""Work that must go for other work: told in time, stopped, settled, and it waits again."""

import asyncio
from datetime import timedelta

import pytest
from sqlmodel import select

from hub import attempts, leaving
from hub.attempts import EndReason
from hub.endings import Away
from hub.store.tables import AttemptRow, NoticeRow, WorkloadRow
from tests.site import Site, die_once

WHY = "its place goes to real-time work, which comes before standard work"


def tell(site: Site, workload: str, **span: float) -> None:
    """Its attempt must go, that long from now."""
    now = site.control.clock.now()
    away = Away(now + timedelta(**span), EndReason.PREEMPTED, WHY)
    with site.control.store.write() as session:
        row = session.get_one(WorkloadRow, workload)
        attempt = session.get_one(AttemptRow, row.attempt_id)
        leaving.tell_to_go(session, row, attempt, away, now)


async def notices(site: Site, login: str, kind: str) -> list[str]:
    found = (await site.call(login, "GET", "/notices")).body["items"]
    return [n["text"] for n in found if n["kind"] == kind]


async def until_again(site: Site, workload: str, status: str = "running") -> None:
    """Its second attempt has the status."""
    await site.until(
        lambda: attempts_of(site, workload) == 2 and site.row(workload).status == status,
        lambda: f"{status}, but {site.row(workload).status}",
    )


def attempts_of(site: Site, workload: str) -> int:
    with site.control.store.read() as session:
        query = select(AttemptRow.id).where(AttemptRow.workload_id == workload)
        return len(session.exec(query).all())


async def test_it_is_told_stopped_settled_and_started_again_for_the_rest(site: Site) -> None:
    workload = await site.run("mia")
    site.later(minutes=30)
    tell(site, workload, minutes=2)
    seen = await site.view("mia", workload)
    assert (seen["status"], seen["goes_at"]) == ("running", "2026-01-05T09:32:00Z")
    assert (seen["goes_why"], seen["can_extend"]) == (WHY, False)
    (told,) = await notices(site, "mia", "going")
    assert "goes in 2m, at 09:32 UTC" in told
    assert "files in your home are safe" in told
    site.later(minutes=2)
    await until_again(site, workload)
    seen = await site.view("mia", workload)
    assert (seen["cost"], seen["goes_at"], seen["again"]) == ("0.16", None, "")
    assert seen["lease_ends_at"] == "2026-01-05T11:00:00Z"  # what was left of its time
    (again,) = await notices(site, "mia", "again")
    assert f"waits again: {WHY}" in again
    assert "for 1h28m" in again
    site.later(minutes=60)
    await site.call("mia", "POST", f"/workloads/{workload}/stop")
    seen = await site.until_status("mia", workload, "stopped")
    assert (seen["cost"], seen["reason_code"]) == ("0.46", "asked")
    await site.settled()
    assert site.clean() == []
    assert site.engine.launches == list(dict.fromkeys(site.engine.launches))
    assert len(site.engine.launches) == 2


async def test_an_engine_that_missed_the_time_is_asked(site: Site) -> None:
    workload = await site.run("mia")
    tell(site, workload, minutes=2)
    await site.beat()
    site.engine._deadlines[site.engine.launches[0]] = site.clock.now() + timedelta(days=9)
    site.later(minutes=2, seconds=6)
    await until_again(site, workload)
    await site.settled()
    assert site.leaks() == []


async def test_the_engine_knows_the_time_even_if_control_dies(site: Site) -> None:
    workload = await site.run("mia")
    tell(site, workload, minutes=2)
    await site.beat()
    assert site.engine._deadlines[site.engine.launches[0]] == site.clock.now() + timedelta(
        minutes=2
    )
    await site.crash()
    site.later(minutes=2)
    await until_again(site, workload)


async def test_it_waits_until_there_is_room_and_comes_first(site: Site) -> None:
    """Others of its class that waited before it stay behind it."""
    workload = await site.run("mia", "gpu-whole")
    other = await site.run("mia", "gpu-whole")
    waiting = await site.launch("noa", "gpu-whole")
    tell(site, workload, minutes=2)
    site.later(minutes=2)
    await until_again(site, workload)
    assert site.row(waiting).status == "queued"
    assert site.row(other).status == "running"


async def test_the_person_may_stop_it_instead(site: Site) -> None:
    workload = await site.run("mia")
    tell(site, workload, minutes=2)
    await site.call("mia", "POST", f"/workloads/{workload}/stop")
    seen = await site.until_status("mia", workload, "stopped")
    assert seen["reason_code"] == "asked"
    site.later(minutes=5)
    await site.settled()
    assert site.clean() == []


async def test_it_may_be_stopped_while_it_goes(site: Site) -> None:
    """The stop comes after its processes were asked to end and before they have."""
    site.engine.ignores_stop = True
    workload = await site.run("mia")
    tell(site, workload, minutes=2)
    await site.beat()
    site.engine._deadlines[site.engine.launches[0]] = site.clock.now() + timedelta(days=9)
    site.later(minutes=2, seconds=6)
    await site.until(lambda: site.row(workload).status == "stopping", lambda: "its stop")
    await site.call("mia", "POST", f"/workloads/{workload}/stop")
    site.later(seconds=10)
    seen = await site.until_status("mia", workload, "stopped")
    assert (seen["reason_code"], seen["reason"]) == ("asked", "you stopped it")


async def test_what_ends_by_itself_before_has_ended(site: Site) -> None:
    workload = await site.run("mia")
    tell(site, workload, minutes=2)
    await site.beat()
    site.engine.end(site.engine.launches[0])
    seen = await site.until_status("mia", workload, "stopped")
    assert seen["reason_code"] == "exited"


async def test_whose_lease_ends_first_is_not_told(site: Site) -> None:
    workload = await site.run("mia")
    site.later(minutes=119)
    tell(site, workload, minutes=2)
    assert await notices(site, "mia", "going") == []
    site.later(minutes=1)
    seen = await site.until_status("mia", workload, "stopped")
    assert seen["reason_code"] == "lease-ended"


async def test_it_is_told_once_and_an_earlier_time_counts(site: Site) -> None:
    workload = await site.run("mia")
    for minutes in (10, 10, 12, 4):
        tell(site, workload, minutes=minutes)
    assert len(await notices(site, "mia", "going")) == 2
    assert (await site.view("mia", workload))["goes_at"] == "2026-01-05T09:04:00Z"


async def test_a_turn_that_is_held_waits_again_too(site: Site) -> None:
    workload = await site.launch("mia", notify=True)
    await site.until_status("mia", workload, "offered")
    tell(site, workload, minutes=2)
    site.later(minutes=3)
    await site.until(lambda: attempts_of(site, workload) == 2, lambda: "its second turn")
    assert site.row(workload).status == "offered"
    assert (await site.view("mia", workload))["cost"] == "0.00"
    assert site.leaks() == []


async def test_who_took_their_turn_is_not_asked_again(site: Site) -> None:
    workload = await site.launch("mia", notify=True)
    await site.until_status("mia", workload, "offered")
    await site.call("mia", "POST", f"/workloads/{workload}/accept")
    await site.until_status("mia", workload, "running")
    tell(site, workload, minutes=2)
    site.later(minutes=2)
    await until_again(site, workload)


async def test_it_is_warned_once_more_before_it_goes(site: Site) -> None:
    """Unless it is told as shortly before."""
    workload, other = await site.run("mia"), await site.run("noa")
    tell(site, workload, minutes=60)
    tell(site, other, minutes=2)
    await site.beat()
    assert await notices(site, "noa", "ending") == []
    for minutes, told in ((44, 0), (1, 1), (5, 1), (5, 2), (3, 2)):
        site.later(minutes=minutes)
        await site.beat()
        assert len(await notices(site, "mia", "ending")) == told
    said = (await notices(site, "mia", "ending"))[0]
    assert f"goes in 5m: {WHY}. Save your work" in said


async def test_a_start_that_must_go_waits_again_and_costs_nothing(site: Site) -> None:
    site.engine.up_after_s = 1e9
    workload = await site.launch("mia")
    await site.until(lambda: site.engine.launches, lambda: "a launch")
    tell(site, workload, minutes=2)
    await site.beat()
    site.later(minutes=2)
    site.engine.up_after_s = 0.0
    await until_again(site, workload)
    seen = await site.view("mia", workload)
    assert (seen["cost"], seen["lease_ends_at"]) == ("0.00", "2026-01-05T11:02:00Z")
    await site.settled()
    assert site.leaks() == []


async def test_what_it_may_not_pay_any_more_waits_until_it_may(site: Site) -> None:
    workload = await site.run("mia")
    site.later(minutes=60)
    price = site.row(workload).price_per_hour
    set_price(site, workload, 10**9)
    tell(site, workload, minutes=2)
    site.later(minutes=2)
    await site.until(lambda: site.row(workload).reason_code == "credits", lambda: "its wait")
    seen = await site.view("mia", workload)
    assert (seen["status"], seen["cost"]) == ("queued", "0.31")
    assert "credits are needed" in seen["reason"]
    await site.settled()
    set_price(site, workload, price)
    await until_again(site, workload)
    assert site.leaks() == []


def set_price(site: Site, workload: str, price: int) -> None:
    with site.control.store.write() as session:
        session.get_one(WorkloadRow, workload).price_per_hour = price


@pytest.mark.parametrize("beats", range(1, 8))
async def test_control_may_die_after_any_beat(site: Site, beats: int) -> None:
    workload = await site.run("mia")
    site.later(minutes=60)
    tell(site, workload, minutes=2)
    await site.crash()
    await site.beat()
    site.later(minutes=2, seconds=10)
    for _ in range(beats):
        await site.beat()
        await site.crash()
    await until_again(site, workload)
    await site.settled()
    assert len(site.engine.launches) == 2
    assert site.leaks() == []
    with site.control.store.read() as session:
        told = session.exec(select(NoticeRow.id).where(NoticeRow.kind == "again")).all()
    assert len(told) == 1


@pytest.mark.parametrize("step", ["tell_to_go", "send_away", "finish", "mark_step", "mark_ready"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_control_may_die_at_any_step(
    site: Site, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    workload = await site.run("mia")
    site.later(minutes=60)
    module = leaving if step == "tell_to_go" else attempts
    deaths = die_once(monkeypatch, module, step, when)
    try:
        tell(site, workload, minutes=2)
    except SystemError:
        tell(site, workload, minutes=2)
    # The engine missed its time, so that control has to act.
    site.engine._deadlines[site.engine.launches[0]] = site.clock.now() + timedelta(days=9)
    site.reconciler._deadlines[site.engine.launches[0]] = site.clock.now() + timedelta(minutes=2)
    site.later(minutes=2, seconds=6)

    async def there() -> bool:
        if len(deaths) == 1:
            deaths.append("restarted")
            await site.crash()
        return attempts_of(site, workload) == 2 and site.row(workload).status == "running"

    for _ in range(2000):
        try:
            await site.until(there, lambda: "its second start")
        except SystemError:
            continue
        break
    await site.settled()
    assert deaths == [step, "restarted"]
    assert (await site.view("mia", workload))["cost"] == "0.3105"
    assert len(site.engine.launches) == 2
    assert site.leaks() == []


async def test_a_hub_that_is_away_gets_no_second_server(site: Site) -> None:
    """The Hub must forget the first attempt's server before it starts the second."""
    workload = await site.run("mia")
    tell(site, workload, minutes=2)
    await site.beat()
    site.hub.down = True
    site.later(minutes=2)
    for _ in range(5):
        await site.beat()
    site.hub.down = False
    await until_again(site, workload)
    await site.settled()
    assert site.hub.starts == [workload, workload]
    assert len(site.engine.launches) == 2


async def test_the_second_start_waits_until_the_first_is_taken_down(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow Hub that lets go of the first attempt late must not hit the second by it."""
    workload = await site.run("mia")
    real, slow, calls = site.hub.remove, asyncio.Event(), []

    async def remove(name: str, server: str) -> None:
        calls.append(server)
        if len(calls) == 1:
            await slow.wait()
        await real(name, server)

    monkeypatch.setattr(site.hub, "remove", remove)
    tell(site, workload, minutes=2)
    await site.beat()
    site.later(minutes=2)
    for _ in range(20):
        await site.beat()
        await asyncio.sleep(0.005)
    assert (attempts_of(site, workload), site.row(workload).status) == (2, "starting")
    assert site.hub.starts == [workload]
    slow.set()
    await until_again(site, workload)
    await site.settled()
    assert (site.hub.starts, len(site.engine.launches)) == ([workload] * 2, 2)
    assert site.hub.ready == {("mia", workload)}


# ---- the plan decides who goes ------------------------------------------------------------------


def of_class(site: Site, workload: str, priority: str) -> None:
    with site.control.store.write() as session:
        session.get_one(WorkloadRow, workload).priority = priority


async def best_effort(site: Site) -> list[str]:
    """Both devices are held by best-effort work of mia's."""
    found = []
    for _ in range(2):
        workload = await site.launch("mia", "gpu-whole", set={"duration": "4h"})
        of_class(site, workload, "best-effort")
        await site.until_status("mia", workload, "running")
        found.append(workload)
    return found


async def test_real_time_work_waits_no_longer_than_the_notice(site: Site) -> None:
    works = await best_effort(site)
    site.later(minutes=15)
    urgent = await site.launch("noa", "gpu-whole")
    of_class(site, urgent, "real-time")
    await site.beat()
    going = [w for w in works if (await site.view("mia", w))["goes_at"]]
    assert len(going) == 1  # one is enough
    seen = await site.view("mia", going[0])
    assert seen["goes_at"] == "2026-01-05T09:17:00Z"
    assert "its place goes to real-time work" in seen["goes_why"]
    assert "noa" not in seen["goes_why"]
    waiting = await site.view("noa", urgent)
    assert waiting["starts_at"] == "2026-01-05T09:17:00Z"
    for _ in range(3):
        await site.beat()  # nobody else is told meanwhile
    assert len(await notices(site, "mia", "going")) == 1
    site.later(minutes=2)
    await site.until_status("noa", urgent, "running")
    await site.settled()
    assert site.row(going[0]).status == "queued"
    assert site.row(going[0]).again
    await site.call("noa", "POST", f"/workloads/{urgent}/stop")
    await until_again(site, going[0])
    assert site.leaks() == []


async def test_what_began_a_moment_ago_is_protected(site: Site) -> None:
    works = await best_effort(site)
    site.later(minutes=3)
    standard = await site.launch("noa", "gpu-whole")
    for _ in range(6):
        await site.beat()
        assert await notices(site, "mia", "going") == []
        site.later(minutes=1)
    site.later(minutes=1)  # ten minutes after its grant
    await site.beat()
    (told,) = await notices(site, "mia", "going")
    assert "its place goes to standard work" in told
    site.later(minutes=2)
    await site.until_status("noa", standard, "running")
    assert sorted(site.row(w).status for w in works) == ["queued", "running"]


@pytest.mark.parametrize("beats", range(1, 6))
async def test_control_may_die_while_one_makes_room_for_another(site: Site, beats: int) -> None:
    works = await best_effort(site)
    site.later(minutes=15)
    urgent = await site.launch("noa", "gpu-whole")
    of_class(site, urgent, "real-time")
    for minutes in (0, 2):
        site.later(minutes=minutes)
        for _ in range(beats):
            await site.beat()
            await site.crash()
    await site.until_status("noa", urgent, "running")
    await site.settled()
    assert sorted(site.row(w).status for w in works) == ["queued", "running"]
    assert len(await notices(site, "mia", "going")) == 1
    assert site.leaks() == []
