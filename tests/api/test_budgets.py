"""Limits of a period: set, shown with their reset, and never overspent at check, launch, grant and
extension."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from catalog.units import MICRO
from hub import budgets
from hub.store import day_use
from hub.store.tables import DayUseRow
from quotas.ledger import Owner
from quotas.limits import Dimension
from tests.site import Answer, Site, add_tenant

HOUR = 1000 * 3600
"""Milli-GPU × seconds."""


async def limit(site: Site, value: str | None, dimension: str = "gpu-hours", **more: str) -> Answer:
    body = {"dimension": dimension, "limit": value, "person": "*", "period": "day"} | more
    return await site.call("admin", "PUT", "/quotas", body)


async def check(site: Site, login: str = "mia", **set_: str) -> Any:
    body = {"offer": "gpu-quarter", "set": set_}
    return (await site.call(login, "POST", "/check", body)).body


def at(site: Site, moment: str) -> None:
    """Turn the clock to a time of a day to come."""
    target = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert target > site.clock.now()
    site.clock.advance(target - site.clock.now())


async def stop(site: Site, login: str, workload: str) -> None:
    await site.call(login, "POST", f"/workloads/{workload}/stop")
    await site.until_status(login, workload, "stopped")


@pytest.fixture
def noon(site: Site) -> Site:
    at(site, "2030-11-20T12:00:00")  # a Wednesday
    return site


async def test_a_lease_that_would_overspend_is_denied_with_the_reset_and_the_next_step(
    noon: Site,
) -> None:
    await limit(noon, "1")
    assert (await check(noon, duration="4h"))["verdict"] == "fits"
    workload = await noon.run("mia", set={"duration": "2h"})
    seen = await check(noon, duration="3h")
    assert (seen["verdict"], seen["code"]) == ("denied", "quota")
    assert seen["reason"] == (
        "your own limit is 1 GPU-hour a day, in use now: 0.5 GPU-hours;"
        " it resets on 21 November 00:00 UTC"
    )
    assert seen["next"] == (
        "choose a shorter time, ask again after 21 November 00:00 UTC,"
        " or ask an administrator for a larger budget"
    )
    assert (await check(noon, duration="2h"))["verdict"] == "fits"
    assert (await check(noon, "noa", duration="4h"))["verdict"] == "fits"
    refused = await noon.call(
        "mia", "POST", "/workloads", {"offer": "gpu-quarter", "set": {"duration": "3h"}}
    )
    assert (refused.status, refused.body["error"]["verdict"]["code"]) == (403, "quota")
    longer = await noon.call("mia", "POST", f"/workloads/{workload}/extend", {"by": "3h"})
    assert (longer.status, longer.code) == (403, "quota")
    longer = await noon.call("mia", "POST", f"/workloads/{workload}/extend", {"by": "2h"})
    assert longer.status == 200
    assert noon.leaks() == []


async def test_more_than_the_limit_itself_is_never_said_to_fit_later(noon: Site) -> None:
    await limit(noon, "0.4")
    seen = await check(noon, duration="2h")
    assert seen["reason"] == ("0.5 GPU-hours is wanted and your own limit is 0.4 GPU-hours a day")
    assert "ask again after" not in seen["next"]


async def test_what_was_not_used_can_be_used_again(noon: Site) -> None:
    await limit(noon, "1")
    workload = await noon.run("mia", set={"duration": "4h"})
    assert (await check(noon, duration="1h"))["verdict"] == "denied"
    noon.later(hours=1)
    await stop(noon, "mia", workload)
    assert (await check(noon, duration="3h"))["verdict"] == "fits"
    assert (await check(noon, duration="4h"))["verdict"] == "denied"


async def test_the_period_begins_anew_and_a_lease_across_it_counts_in_both(noon: Site) -> None:
    await limit(noon, "0.5")
    at(noon, "2030-11-20T23:00:00")
    await noon.run("mia", set={"duration": "3h"})  # 0.25 on each side, and 0.25 more on the next
    assert (await check(noon, duration="1h"))["verdict"] == "fits"
    assert (await check(noon, duration="2h"))["verdict"] == "denied"
    at(noon, "2030-11-21T03:00:00")
    await noon.settled()
    seen = (await noon.call("mia", "GET", "/me")).body["meter"][0]
    assert seen["text"] == ("0.5 of 0.5 GPU-hours a day, resets on 22 November 00:00 UTC")
    assert (await check(noon, duration="15m"))["verdict"] == "denied"
    at(noon, "2030-11-22T00:00:00")
    assert (await check(noon, duration="2h"))["verdict"] == "fits"
    assert noon.leaks() == []


@pytest.mark.parametrize(
    ("period", "resets"),
    [("day", "21 November"), ("week", "25 November"), ("month", "1 December")],
)
async def test_the_reset_is_stated(noon: Site, period: str, resets: str) -> None:
    answer = await limit(noon, "10", period=period)
    [line] = [row for row in answer.body["items"] if row["dimension"] == "gpu-hours"]
    assert line["text"] == f"10 GPU-hours a {period}, resets on {resets} 00:00 UTC"
    assert (line["limit"], line["period"]) == (10 * HOUR, period)


async def test_days_begin_by_the_calendar_of_the_site(tmp_path: Path) -> None:
    async with Site(tmp_path, time_zone="Asia/Kolkata") as site:
        site.person("mia")
        at(site, "2030-11-20T18:00:00")  # half past eleven at night there
        answer = await limit(site, "1")
        assert "21 November 00:00 IST" in answer.body["items"][-1]["text"] or any(
            "21 November 00:00 IST" in row["text"] for row in answer.body["items"]
        )
        workload = await site.run("mia", set={"duration": "2h"})
        at(site, "2030-11-20T19:00:00")
        await stop(site, "mia", workload)
        with site.control.store.write() as session:
            day_use.count_ended(session, site.settings.zone)
            rows = {
                row.day: row.amount
                for row in session.exec(_rows()) if row.dimension == "gpu-hours"
            }  # fmt: skip
        assert rows == {"2030-11-20": HOUR // 8, "2030-11-21": HOUR // 8}
        assert site.leaks() == []


def _rows() -> Any:
    from sqlmodel import select

    return select(DayUseRow)


async def test_a_tenants_limit_counts_everybody_below_it(noon: Site) -> None:
    add_tenant(noon.control, "physics")
    add_tenant(noon.control, "optics", "physics")
    noon.person("ada", "optics")
    noon.person("pia", "physics")
    await limit(noon, "1", tenant="physics", person="", period="month")
    await noon.run("ada", set={"duration": "3h"})
    seen = await check(noon, "pia", duration="2h")
    assert seen["reason"] == (
        "Physics's limit is 1 GPU-hour a month, in use now: 0.75 GPU-hours;"
        " it resets on 1 December 00:00 UTC"
    )
    assert (await check(noon, "mia", duration="8h"))["verdict"] == "fits"


async def test_credits_of_a_person_and_of_a_tenant_by_period(noon: Site) -> None:
    assert (await limit(noon, "1", "credits", period="week")).status == 200
    workload = await noon.run("mia", set={"duration": "2h"})  # 0.60
    seen = await check(noon, duration="2h")
    assert (seen["verdict"], seen["code"]) == ("denied", "credits")
    assert "your own limit is 1.00 credits a week, in use now: 0.60 credits" in seen["reason"]
    noon.later(hours=1)
    await stop(noon, "mia", workload)
    assert (await check(noon, duration="2h"))["verdict"] == "fits"
    at(noon, "2030-11-25T00:00:00")
    assert (await check(noon, duration="3h"))["verdict"] == "fits"


async def two_at_once(site: Site, duration: str) -> tuple[str, str]:
    """Mia's runs; Noa's was asked for a second later, before anything was granted."""
    first = await site.launch("mia", set={"duration": duration})
    site.later(seconds=1)
    second = await site.launch("noa", set={"duration": duration})
    await site.until_status("mia", first, "running")
    await site.settled()
    return first, second


async def test_two_that_were_asked_for_at_once_do_not_overspend_together(noon: Site) -> None:
    """The second waits, with the budget's words, and nothing is kept for it meanwhile."""
    await limit(noon, "1", person="", tenant="main")
    first, second = await two_at_once(noon, "3h")
    seen = await noon.view("noa", second)
    assert (seen["status"], seen["reason_code"]) == ("queued", "quota")
    assert "Main's limit is 1 GPU-hour a day" in seen["reason"]
    assert (seen["starts_at"], seen["next"][:22]) == (None, "choose a shorter time,")
    for _ in range(3):
        await noon.beat()
    told = (await noon.call("noa", "GET", "/notices")).body["items"]
    assert [one["kind"] for one in told] == ["waits"]
    noon.later(hours=1)
    await stop(noon, "mia", first)
    await noon.until_status("noa", second, "running")
    assert noon.leaks() == []


@pytest.mark.parametrize("period", ["", "week"])
async def test_two_at_once_do_not_overspend_credits_together(noon: Site, period: str) -> None:
    put = await limit(noon, "1", "credits", person="", tenant="main", period=period)
    assert put.status == 200, put.body
    first, second = await two_at_once(noon, "2h")  # 0.60 each
    seen = await noon.view("noa", second)
    assert (seen["status"], seen["reason_code"]) == ("queued", "credits")
    await stop(noon, "mia", first)
    await noon.until_status("noa", second, "running")
    assert noon.leaks() == []


async def test_what_one_asked_for_already_counts_before_it_starts(noon: Site) -> None:
    await limit(noon, "1")
    await noon.launch("mia", set={"duration": "3h"})
    noon.later(seconds=1)
    seen = await check(noon, duration="2h")
    assert (seen["verdict"], seen["code"]) == ("denied", "quota")
    assert "in use now: 0.75 GPU-hours" in seen["reason"]
    assert (await check(noon, duration="1h"))["verdict"] == "fits"


async def test_what_starts_after_the_reset_is_judged_by_the_next_period(noon: Site) -> None:
    await limit(noon, "0.5")
    workload = await noon.run("mia", set={"duration": "2h"})
    at(noon, "2030-11-20T14:00:00")
    await noon.until_status("mia", workload, "stopped")
    at(noon, "2030-11-20T20:30:00")
    for login in ("noa", "ida"):
        if login == "ida":
            noon.person("ida")
        await limit(noon, "100", person=login)
        await noon.run(login, "gpu-whole", set={"duration": "4h"})
    seen = await check(noon, duration="1h")
    assert (seen["verdict"], seen["starts_at"]) == ("waits", "2030-11-21T00:30:00Z")


async def test_a_turn_that_may_be_taken_after_the_reset_is_set_aside_there_too(noon: Site) -> None:
    await limit(noon, "0.25")
    at(noon, "2030-11-20T22:55:00")
    workload = await noon.launch("mia", set={"duration": "1h"}, notify=True)
    await noon.until_status("mia", workload, "offered")
    uses = _uses(noon, "mia")
    [gpu] = [use for use in uses if use.budget.dimension is Dimension.GPU_HOURS]
    day = datetime(2030, 11, 20, 12, tzinfo=UTC)
    spans = [budgets.span_at(gpu.budget.period, day + timedelta(days=n), UTC) for n in range(2)]
    assert [gpu.in_span(span, UTC) for span in spans] == [HOUR // 4, 250 * 300]


def _uses(site: Site, login: str) -> Any:
    from hub import people

    person = people.by_login(site.control, login)
    with site.control.store.read() as session:
        return budgets.uses_of(site.control, session, Owner(person.tenant_id, person.id))


async def test_tokens_are_counted_and_never_overspent(noon: Site) -> None:
    await limit(noon, "1000", "tokens")
    owner = _owner(noon, "mia")
    with noon.control.store.write() as session:
        budgets.use_tokens(noon.control, session, owner, 600)
        budgets.use_tokens(noon.control, session, owner, 400)
        with pytest.raises(budgets.Refused, match="1,000 tokens a day, in use now: 1,000 tokens"):
            budgets.use_tokens(noon.control, session, owner, 1)
    noon.later(days=1)
    with noon.control.store.write() as session:
        budgets.use_tokens(noon.control, session, owner, 1)
    assert noon.leaks() == []


def _owner(site: Site, login: str) -> Owner:
    from hub import people

    person = people.by_login(site.control, login)
    return Owner(person.tenant_id, person.id)


async def test_an_hour_that_was_free_of_charge_counts_nothing(noon: Site) -> None:
    """A start that fails holds nothing of a period afterwards."""
    await limit(noon, "0.5")
    workload = await noon.launch("mia", set={"duration": "2h"})
    assert noon.row(workload).price_per_hour == 300_000
    await noon.call("mia", "POST", f"/workloads/{workload}/stop")
    await noon.until_status("mia", workload, "stopped")
    assert (await check(noon, duration="2h"))["verdict"] == "fits"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"dimension": "gpu", "limit": "1", "period": "day"}, "has no period"),
        ({"dimension": "gpu-hours", "limit": "1", "period": "year"}, "period"),
        ({"dimension": "gpu-hours", "limit": "-1", "period": "day"}, "negative"),
        ({"dimension": "gpu-hours", "limit": "1e9", "period": "day"}, "not a quantity"),
        ({"dimension": "tokens", "limit": "0.5", "period": "day"}, "whole number"),
        ({"dimension": "credits", "limit": "1", "person": "mia"}, "what was granted"),
        ({"dimension": "gpu-hours", "limit": "99999999999999999", "period": "day"}, "absurd"),
    ],
)
async def test_limits_that_mean_nothing(site: Site, body: dict[str, str], said: str) -> None:
    answer = await site.call("admin", "PUT", "/quotas", body)
    assert (answer.status, answer.code) == (422, "bad-value")
    assert said in answer.body["error"]["message"]


async def test_a_zone_that_there_is_not_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such time zone"):
        Site(tmp_path, time_zone="Mars/Olympus")


async def test_counting_again_changes_nothing_and_the_counters_are_checked(noon: Site) -> None:
    workload = await noon.run("mia", set={"duration": "2h"})
    noon.later(hours=1)
    await stop(noon, "mia", workload)
    for _ in range(2):
        with noon.control.store.write() as session:
            day_use.count_ended(session, noon.settings.zone)
    with noon.control.store.read() as session:
        assert day_use.problems(session) == []
        rows = {row.dimension: row.amount for row in session.exec(_rows())}
    assert rows == {"gpu-hours": HOUR // 4, "credits": 3 * MICRO // 10}
