"""A workload from the wish to the end, through the API, with time in the test's hand."""

from pathlib import Path

import pytest

from catalog.units import parse_credits
from hub import workloads
from quotas.admission import plan
from spawners.engine import EndCause
from tests.site import Site


async def money_of(site: Site, login: str) -> dict[str, int]:
    usage = (await site.call(login, "GET", "/usage")).body
    return {name: parse_credits(usage[name]) for name in ("balance", "held", "spent")}


def attempt_of(site: Site) -> str:
    """The attempt that was launched last."""
    return site.engine.launches[-1]


async def notices(site: Site, login: str, kind: str) -> list[str]:
    found = (await site.call(login, "GET", "/notices")).body["items"]
    return [n["text"] for n in found if n["kind"] == kind]


async def test_it_starts_is_paid_for_while_it_runs_and_gives_the_rest_back(site: Site) -> None:
    workload = await site.launch("mia")
    assert (await site.view("mia", workload))["status"] == "queued"
    running = await site.until_status("mia", workload, "running")
    assert running["url"].endswith(f"/user/mia/{workload}/lab")
    assert running["share"] == {
        "milli": 250, "memory_mib": 6144, "mode": "emulated", "emulated": True,
        "model": "Emulated 24G",
    }  # fmt: skip
    assert await money_of(site, "mia") == {"balance": 99_400_000, "held": 600_000, "spent": 0}
    site.later(minutes=30)
    await site.call("mia", "POST", f"/workloads/{workload}/stop")
    ended = await site.until_status("mia", workload, "stopped")
    assert (ended["cost"], ended["reason_code"]) == ("0.15", "asked")
    assert await money_of(site, "mia") == {"balance": 99_850_000, "held": 0, "spent": 150_000}
    await site.settled()
    assert site.clean() == []


async def test_the_lease_ends_it(site: Site) -> None:
    workload = await site.run("mia")
    site.later(hours=2)
    ended = await site.until_status("mia", workload, "stopped")
    assert (ended["reason_code"], ended["cost"]) == ("lease-ended", "0.60")
    assert len(await notices(site, "mia", "ended")) == 1
    await site.settled()
    assert site.clean() == []


async def test_an_engine_that_missed_the_deadline_is_asked(site: Site) -> None:
    workload = await site.run("mia")
    site.engine._deadlines[attempt_of(site)] = site.clock.now().replace(year=2099)
    site.later(hours=2, seconds=6)
    ended = await site.until_status("mia", workload, "stopped")
    assert (ended["reason_code"], ended["cost"]) == ("lease-ended", "0.60")


async def test_warnings_come_once_at_15_and_at_5_minutes(site: Site) -> None:
    await site.run("mia")
    counts = []
    for minutes in (104, 2, 3, 5, 2, 2):  # 16, 14, 11, 6, 4, 2 minutes are left
        site.later(minutes=minutes)
        await site.beat()
        await site.beat()
        counts.append(len(await notices(site, "mia", "ending")))
    assert counts == [0, 1, 1, 1, 2, 2]


async def test_an_extension_moves_the_end_and_the_warnings(site: Site) -> None:
    workload = await site.run("mia")
    site.later(minutes=110)
    await site.beat()
    assert len(await notices(site, "mia", "ending")) == 1
    before = await site.view("mia", workload)
    assert before["can_extend"]
    answer = await site.call("mia", "POST", f"/workloads/{workload}/extend", {"by": "1h"})
    assert answer.status == 200, answer.body
    assert answer.body["lease_ends_at"] > before["lease_ends_at"]
    assert (await money_of(site, "mia"))["held"] == 900_000
    await site.beat()
    site.later(minutes=30)  # past the old end
    await site.beat()
    assert (await site.view("mia", workload))["status"] == "running"
    site.later(minutes=26)
    await site.beat()
    assert len(await notices(site, "mia", "ending")) == 2
    site.later(minutes=20)
    ended = await site.until_status("mia", workload, "stopped")
    assert (ended["cost"], ended["reason_code"]) == ("0.90", "lease-ended")
    await site.settled()
    assert site.clean() == []


async def test_an_extension_of_one_key_happens_once(site: Site) -> None:
    workload = await site.run("mia")
    first = await site.call("mia", "POST", f"/workloads/{workload}/extend", {"by": "1h"}, key="k")
    again = await site.call("mia", "POST", f"/workloads/{workload}/extend", {"by": "1h"}, key="k")
    assert first.body["lease_ends_at"] == again.body["lease_ends_at"]
    assert (await money_of(site, "mia"))["held"] == 900_000
    assert site.leaks() == []


async def test_an_extension_that_credits_do_not_reach_is_refused(tmp_path: Path) -> None:
    async with Site(tmp_path, starter_credits="0.7") as site:
        site.person("mia")
        workload = await site.run("mia")
        answer = await site.call("mia", "POST", f"/workloads/{workload}/extend", {"by": "1h"})
        assert (answer.status, answer.code) == (403, "credits")
        assert (await money_of(site, "mia"))["held"] == 600_000
        assert site.leaks() == []


async def test_an_extension_reaches_no_further_ahead_than_the_offer_allows(site: Site) -> None:
    workload = await site.run("mia")  # 2 hours, of an offer that allows 8
    far = await site.call("mia", "POST", f"/workloads/{workload}/extend", {"by": "6h1m"})
    assert far.status == 409
    assert "at most 8h at a time" in far.body["error"]["message"]
    near = await site.call("mia", "POST", f"/workloads/{workload}/extend", {"by": "6h"})
    assert near.status == 200


async def test_an_extension_that_delays_others_is_refused(site: Site) -> None:
    first = await site.run("mia", "gpu-whole")
    second = await site.run("mia", "gpu-whole")
    waiting = await site.launch("noa", "gpu-whole")
    seen = await site.view("noa", waiting)
    assert (seen["status"], seen["reason_code"]) == ("queued", "capacity")
    answer = await site.call("mia", "POST", f"/workloads/{first}/extend", {"by": "1h"})
    assert answer.status == 200  # there is another place that becomes free as early
    assert not (await site.view("mia", second))["can_extend"]
    answer = await site.call("mia", "POST", f"/workloads/{second}/extend", {"by": "1h"})
    assert (answer.status, answer.code) == (409, "conflict")
    assert "wait longer" in answer.body["error"]["message"]
    await site.call("mia", "POST", f"/workloads/{second}/stop")
    await site.until_status("noa", waiting, "running")


async def test_a_list_plans_few_extensions_and_promises_none_that_one_look_denies(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = [await site.run("mia", "gpu-quarter") for _ in range(4)]
    plans: list[object] = []
    monkeypatch.setattr(workloads, "plan", lambda *a, **k: plans.append(a) or plan(*a, **k))
    alone = (await site.call("admin", "GET", "/workloads?everybody=true")).body["items"]
    assert (all(seen["can_extend"] for seen in alone), plans) == (True, [])
    await site.run("mia", "gpu-whole")
    for _ in range(3):
        await site.launch("noa", "gpu-whole")
    seen = (await site.call("admin", "GET", "/workloads?everybody=true")).body["items"]
    assert len(plans) <= 3
    listed = {one["id"] for one in seen if one["can_extend"]}
    plans.clear()
    exact = {id for id in running if (await site.view("mia", id))["can_extend"]}
    assert len(plans) <= len(running)
    assert listed <= exact


async def test_what_waits_starts_when_there_is_room_and_not_later_than_promised(
    site: Site,
) -> None:
    for _ in range(2):
        await site.run("mia", "gpu-whole", set={"duration": "1h"})
    waiting = await site.launch("noa", "gpu-whole")
    seen = await site.view("noa", waiting)
    assert seen["position"] == 1
    assert seen["starts_at"] == "2026-01-05T10:00:00Z"
    assert [a["offer"] for a in seen["alternatives"]] == ["cpu"]
    site.later(hours=1)
    await site.until_status("noa", waiting, "running")


async def fill(site: Site) -> list[str]:
    return [await site.run("mia", "gpu-whole") for _ in range(2)]


async def test_a_turn_is_held_for_ten_minutes_until_it_is_accepted(site: Site) -> None:
    running = await fill(site)
    waiting = await site.launch("noa", "gpu-whole", notify=True)
    await site.call("mia", "POST", f"/workloads/{running[0]}/stop")
    seen = await site.until_status("noa", waiting, "offered")
    assert seen["offered_until"] is not None
    assert len(await notices(site, "noa", "your-turn")) == 1
    assert site.engine.launches[2:] == []
    site.later(minutes=9)
    answer = await site.call("noa", "POST", f"/workloads/{waiting}/accept")
    assert answer.status == 200, answer.body
    seen = await site.until_status("noa", waiting, "running")
    assert seen["lease_ends_at"] == "2026-01-05T10:09:00Z"
    again = await site.call("noa", "POST", f"/workloads/{waiting}/accept")
    assert again.status == 409


async def test_a_missed_turn_goes_to_the_next_and_costs_nothing(site: Site) -> None:
    running = await fill(site)
    first = await site.launch("noa", "gpu-whole", notify=True)
    site.later(seconds=1)
    second = await site.launch("noa", "gpu-whole")
    await site.call("mia", "POST", f"/workloads/{running[0]}/stop")
    await site.until_status("noa", first, "offered")
    site.later(minutes=10)
    late = await site.call("noa", "POST", f"/workloads/{first}/accept")
    assert late.status == 409
    seen = await site.until_status("noa", first, "stopped")
    assert (seen["reason_code"], seen["cost"]) == ("turn-missed", "0.00")
    assert len(await notices(site, "noa", "ended")) == 1
    await site.until_status("noa", second, "running")
    assert site.leaks() == []


async def test_a_turn_that_waits_never_breaks_what_was_promised_to_the_next(site: Site) -> None:
    await fill(site)
    site.person("zoe")
    first = await site.launch("noa", "gpu-whole", notify=True)
    site.later(minutes=1)
    second = await site.launch("zoe", "gpu-whole", set={"duration": "2h"})
    site.later(minutes=1)
    third = await site.launch("noa", "gpu-whole")
    promised = (await site.view("noa", third))["starts_at"]
    assert promised == "2026-01-05T11:10:00Z"
    site.later(minutes=58)
    await site.until_status("noa", first, "offered")
    await site.until_status("zoe", second, "running")
    site.later(minutes=9)
    await site.call("noa", "POST", f"/workloads/{first}/accept")
    await site.until_status("noa", first, "running")
    assert (await site.view("noa", third))["starts_at"] <= promised


async def test_a_cancelled_wait_costs_nothing(site: Site) -> None:
    await fill(site)
    waiting = await site.launch("noa", "gpu-whole")
    answer = await site.call("noa", "POST", f"/workloads/{waiting}/stop")
    assert (answer.body["status"], answer.body["reason_code"]) == ("stopped", "cancelled")
    assert (await money_of(site, "noa"))["balance"] == 100_000_000


async def test_out_of_memory_is_explained_with_a_larger_relaunch(site: Site) -> None:
    workload = await site.run("mia")
    site.later(minutes=6)
    site.engine.end(attempt_of(site), EndCause.OUT_OF_MEMORY, -9, 2 * 2**30)
    seen = await site.until_status("mia", workload, "failed")
    assert seen["reason_code"] == "out-of-memory"
    assert "2 GiB of 2 GiB" in seen["reason"]
    assert seen["suggestion"] == {"memory": "4Gi"}
    again = await site.call(
        "mia", "POST", f"/workloads/{workload}/relaunch", {"set": seen["suggestion"]}
    )
    assert again.status == 201, again.body
    larger = await site.until_status("mia", again.body["id"], "running")
    assert larger["memory_mib"] == 4096
    assert (await site.view("mia", workload))["cost"] == "0.03"


@pytest.mark.parametrize(
    ("cause", "code", "status", "reason"),
    [
        (EndCause.EXITED, 0, "stopped", "exited"),
        (EndCause.EXITED, 3, "failed", "exited"),
        (EndCause.LOST, None, "failed", "lost"),
    ],
)
async def test_what_ended_by_itself_says_why(
    site: Site, cause: EndCause, code: int | None, status: str, reason: str
) -> None:
    workload = await site.run("mia")
    site.engine.end(attempt_of(site), cause, code)
    seen = await site.until_status("mia", workload, status)
    assert seen["reason_code"] == reason
    assert seen["reason"]
    await site.settled()
    assert site.leaks() == []


async def test_draining_stops_and_settles_everything_and_keeps_the_queue(site: Site) -> None:
    running = await fill(site)
    waiting = await site.launch("noa", "gpu-whole")
    assert site.hub.inner is not None
    status, left = await site.hub._call("POST", "/internal/drain", {})
    assert (status, left["left"]) == (200, 2)
    for workload in running:
        seen = await site.until_status("mia", workload, "stopped")
        assert seen["reason_code"] == "site-stopped"
    assert (await site.view("noa", waiting))["status"] in {"queued", "starting", "running"}


async def test_closing_an_account_ends_everything_of_it(site: Site) -> None:
    running = await site.run("mia")
    await fill_other(site)
    waiting = await site.launch("mia", "gpu-whole")
    answer = await site.call("admin", "POST", "/people/mia/deactivate")
    assert (answer.status, answer.body["active"]) == (200, False)
    for workload in (running, waiting):
        seen = await site.until_status("admin", workload, "stopped")
        assert seen["reason_code"] == "deactivated"
    assert site.hub.ended_sessions == ["mia"]
    assert (await site.call("mia", "GET", "/me")).status == 403
    again = await site.call("admin", "POST", "/people/mia/activate")
    assert again.body["active"]
    assert (await site.call("mia", "GET", "/me")).status == 200


async def fill_other(site: Site) -> None:
    await site.run("noa", "gpu-whole")


async def test_a_full_home_opens_a_free_rescue_page(site: Site) -> None:
    workload = await site.launch("mia")
    object.__setattr__(site.settings, "home_quota", "1Ki")
    home = site.settings.spaces_dir / "homes" / "mia"
    home.mkdir(parents=True)
    (home / "data").write_bytes(b"x" * 4096)
    seen = await site.until_status("mia", workload, "running")
    assert "full" in seen["notes"][0]
    assert seen["share"]["milli"] == 0
    assert await money_of(site, "mia") == {"balance": 100_000_000, "held": 0, "spent": 0}
    assert site.leaks() == []
    site.later(minutes=30)
    await site.call("mia", "POST", f"/workloads/{workload}/stop")
    ended = await site.until_status("mia", workload, "stopped")
    assert ended["cost"] == "0.00"
    await site.settled()
    assert site.clean() == []
