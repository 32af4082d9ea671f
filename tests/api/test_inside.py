"""What a running server is told of itself by its own token: time, share, money, messages, visits."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hub import extending, people, starting
from hub.courses import visits
from hub.store.course_tables import VisitRow
from tests.site import V1, Answer, Site, add_tenant


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Site]:
    """A course with a student and an assistant."""
    async with Site(tmp_path) as site:
        add_tenant(site.control, "blue")
        site.person("mia", "blue")
        site.person("max", "blue")
        site.person("ana", "blue", "assistant")
        yield site


async def started(site: Site, login: str, offer: str = "gpu-quarter", **answers: str) -> str:
    """A running workload whose server has a token of its own: ``s-ID``."""
    workload = await site.run(login, offer, set=answers)
    starting._keep_token(site.control, site.row(workload).attempt_id or "", f"s-{workload}")
    return workload


async def inside(
    site: Site, workload: str, path: str = "", method: str = "GET", body: Any = None, *,
    token: str = "", key: str = "", **params: Any,
) -> Answer:  # fmt: skip
    """As the server of a workload asks."""
    headers = {"Authorization": f"token {token or f's-{workload}'}"}
    if key:
        headers["Idempotency-Key"] = key
    answer = await site.raw(
        method, f"{V1}/workloads/{workload}/inside{path}", headers=headers, json=body,
        params=params,
    )  # fmt: skip
    return Answer(answer.status_code, answer.json())


async def look(site: Site, workload: str) -> dict[str, Any]:
    answer = await inside(site, workload)
    assert answer.status == 200, answer.body
    return answer.body


def seconds_left(seen: dict[str, Any]) -> float:
    ends, now = (datetime.fromisoformat(seen[name]) for name in ("ends_at", "now"))
    return (ends - now).total_seconds()


async def test_it_is_told_what_it_holds_and_what_is_left(lab: Site) -> None:
    workload = await started(lab, "mia", duration="1h")
    lab.later(minutes=10)
    seen = await look(lab, workload)
    assert seen["status"] == "running"
    assert seen["share_text"] == "1/4 of Emulated 24G, 6 GiB, emulated"
    assert seen["memory"]["limit_mib"] == 2048
    assert (seen["cost"], seen["per_hour"]) == ("0.05", "0.30")
    assert [line["text"] for line in seen["left"]] == ["99.70 credits left"]
    assert 49 * 60 < seconds_left(seen) <= 50 * 60
    assert seen["going"] is None
    assert seen["page"].endswith(f"/services/portal/workloads/{workload}")


async def test_budgets_that_it_uses_are_told(lab: Site) -> None:
    body = {
        "tenant": "blue",
        "person": "*",
        "dimension": "gpu-hours",
        "limit": "2",
        "period": "week",
    }
    assert (await lab.call("admin", "PUT", "/quotas", body)).status == 200
    workload = await started(lab, "mia", duration="1h")
    texts = [line["text"] for line in (await look(lab, workload))["left"]]
    assert texts[1:] == ["1.75 GPU-hours left this week"]


async def test_far_from_the_end_nothing_is_planned(
    lab: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    workload = await started(lab, "mia", duration="2h")
    monkeypatch.setattr(extending, "read_world", lambda *_: pytest.fail("it read the world"))
    seen = await look(lab, workload)
    assert seen["extend"] == {"possible": None, "by": "1h", "why_not": ""}


async def test_near_the_end_it_says_by_how_much(lab: Site) -> None:
    workload = await started(lab, "mia", duration="30m")
    lab.later(minutes=16)
    seen = await look(lab, workload)
    assert seen["extend"] == {"possible": True, "by": "1h", "why_not": ""}
    first = await inside(lab, workload, "/extend", "POST", {}, key="click-1")
    again = await inside(lab, workload, "/extend", "POST", {}, key="click-1")
    assert first.status == again.status == 200
    assert seconds_left(first.body) - seconds_left(seen) == 3600
    assert again.body["lease_ends_at"] == first.body["lease_ends_at"]


async def test_it_extends_by_less_where_credits_reach_for_less(lab: Site) -> None:
    body = {"tenant": "blue", "person": "*", "dimension": "gpu-hours", "limit": "0.25"}
    assert (await lab.call("admin", "PUT", "/quotas", body)).status == 200
    workload = await started(lab, "mia", duration="30m")
    lab.later(minutes=20)
    assert (await look(lab, workload))["extend"] == {
        "possible": True, "by": "30m", "why_not": "",
    }  # fmt: skip
    assert (await inside(lab, workload, "/extend", "POST", {})).status == 200
    lab.later(minutes=30)
    seen = (await look(lab, workload))["extend"]
    assert seen["possible"] is False
    assert "GPU-hours" in seen["why_not"]


async def test_it_says_why_not_when_others_wait(lab: Site) -> None:
    """The site is full, and somebody waits for the very place."""
    workload = await started(lab, "mia", "gpu-quarter", duration="30m")
    for number in range(40):
        login = f"p{number}"
        lab.person(login, "blue")
        answer = await lab.call(
            login, "POST", "/workloads", {"offer": "gpu-quarter", "set": {"duration": "8h"}}
        )
        assert answer.status == 201
        await lab.beat()
        if (await lab.view(login, answer.body["id"]))["status"] == "queued":
            break
    await lab.settled()
    lab.later(minutes=16)
    seen = (await look(lab, workload))["extend"]
    assert seen["possible"] is False
    assert "in the queue would have to wait longer" in seen["why_not"]
    refused = await inside(lab, workload, "/extend", "POST", {})
    assert refused.status == 409
    assert "wait longer" in refused.body["error"]["message"]


async def test_work_that_must_go_is_told_when_and_why(lab: Site) -> None:
    workload = await started(lab, "mia", duration="4h")
    answer = await lab.call(
        "admin", "POST", "/nodes/here/drain", {"by": "30m", "reason": "a new driver"}
    )
    assert answer.status == 200, answer.body
    await lab.beat()
    seen = await look(lab, workload)
    assert seen["going"] is not None
    assert seen["ends_at"] == seen["going"]["at"]
    assert "a new driver" in seen["going"]["reason"]
    assert seconds_left(seen) <= 30 * 60
    assert seen["extend"]["possible"] is False


async def test_a_broadcast_wakes_those_who_wait_and_nobody_else(lab: Site) -> None:
    mine, other = await started(lab, "mia"), await started(lab, "max")
    add_tenant(lab.control, "red")
    mark, other_mark = (await look(lab, mine))["mark"], (await look(lab, other))["mark"]
    waiting = asyncio.create_task(inside(lab, mine, mark=mark, wait=30))
    beside = asyncio.create_task(inside(lab, other, mark=other_mark, wait=30))
    await lab.until(lambda: len(lab.control.bus._listeners) == 2, lambda: "both wait")
    await lab.call("admin", "POST", "/announcements", {"tenant": "red", "text": "not for them"})
    assert not waiting.done()
    said = await lab.call("ana", "POST", "/announcements", {"tenant": "blue", "text": "Save now"})
    async with asyncio.timeout(5):
        seen, beside_seen = (await waiting).body, (await beside).body
    assert [one["text"] for one in seen["announcements"]] == ["Save now"]
    assert [one["text"] for one in beside_seen["announcements"]] == ["Save now"]
    away = await inside(lab, mine, f"/announcements/{said.body['id']}/seen", "POST")
    assert away.status == 200
    assert (await look(lab, mine))["announcements"] == []
    assert len((await look(lab, other))["announcements"]) == 1


async def test_a_wait_without_news_ends_with_the_same_mark(lab: Site) -> None:
    workload = await started(lab, "mia")
    mark = (await look(lab, workload))["mark"]
    answer = await inside(lab, workload, mark=mark, wait=1)
    assert (answer.status, answer.body["mark"]) == (200, mark)
    too_long = await inside(lab, workload, mark=mark, wait=600)
    assert too_long.status == 422


async def test_a_token_is_good_for_its_own_workload_only(lab: Site) -> None:
    mine, other = await started(lab, "mia"), await started(lab, "max")
    for path, method, body in (
        ("", "GET", None), ("/extend", "POST", {}), ("/announcements/m-1/seen", "POST", None),
        ("/visits/v-1/answer", "POST", {"allow": True}), ("/visits/v-1/end", "POST", None),
    ):  # fmt: skip
        answer = await inside(lab, other, path, method, body, token=f"s-{mine}")
        assert answer.status == 401, path
    elsewhere = await lab.raw("GET", f"{V1}/me", headers={"Authorization": f"token s-{mine}"})
    assert elsewhere.status_code == 401


async def test_a_stopped_server_is_told_nothing_more(lab: Site) -> None:
    workload = await started(lab, "mia")
    await lab.call("mia", "POST", f"/workloads/{workload}/stop")
    await lab.until_status("mia", workload, "stopped")
    assert (await inside(lab, workload)).status == 401
    seen = await lab.call("mia", "GET", f"/workloads/{workload}/inside")
    assert seen.body["extend"]["possible"] is False
    assert seen.body["ends_at"] is None


async def test_it_works_while_the_hub_is_away(lab: Site) -> None:
    workload = await started(lab, "mia")
    lab.hub.down = True
    assert (await inside(lab, workload)).status == 200


async def asked_to_visit(site: Site, workload: str, at: datetime) -> str:
    row, visitor = site.row(workload), people.by_login(site.control, "ana").id
    with site.control.store.write() as session:
        session.add(
            VisitRow(
                id=f"v-{workload}", workload_id=workload, tenant_id="blue",
                student_id=row.person_id, visitor_id=visitor, reason="to look at your loss",
                asked_at=at,
            )
        )  # fmt: skip
    return f"v-{workload}"


async def test_a_visit_is_asked_for_agreed_to_and_ended_inside(lab: Site) -> None:
    workload = await started(lab, "mia")
    visit = await asked_to_visit(lab, workload, lab.clock.now())
    (asked,) = (await look(lab, workload))["visits"]
    assert (asked["visitor"], asked["reason"], asked["ends_at"]) == (
        "Ana", "to look at your loss", None,
    )  # fmt: skip
    answer = await inside(lab, workload, f"/visits/{visit}/answer", "POST", {"allow": True})
    assert (answer.status, answer.body["allowed"]) == (200, True)
    (open_,) = (await look(lab, workload))["visits"]
    assert open_["ends_at"] is not None
    assert (await inside(lab, workload, f"/visits/{visit}/end", "POST")).status == 200
    assert (await look(lab, workload))["visits"] == []


async def test_a_question_that_lapsed_is_not_shown(lab: Site) -> None:
    workload = await started(lab, "mia")
    await asked_to_visit(lab, workload, lab.clock.now())
    lab.later(seconds=visits.PATIENCE.total_seconds() + 1)
    assert (await look(lab, workload))["visits"] == []


async def test_another_workloads_visit_is_not_answered_here(lab: Site) -> None:
    mine, other = await started(lab, "mia"), await started(lab, "max")
    visit = await asked_to_visit(lab, other, lab.clock.now())
    answer = await inside(lab, mine, f"/visits/{visit}/answer", "POST", {"allow": True})
    assert answer.status == 404


@pytest.mark.parametrize("body", [{}, {"allow": "yes"}, {"allow": True, "more": 1}, []])
async def test_an_answer_is_yes_or_no(lab: Site, body: Any) -> None:
    workload = await started(lab, "mia")
    visit = await asked_to_visit(lab, workload, lab.clock.now())
    answer = await inside(lab, workload, f"/visits/{visit}/answer", "POST", body)
    assert answer.status == 422
    assert (await look(lab, workload))["visits"][0]["ends_at"] is None


async def test_the_first_warning_is_told_at_fifteen_minutes(lab: Site) -> None:
    """The notice in the portal and the server's own warning are about the same moment."""
    workload = await started(lab, "mia", duration="1h")
    seen = await look(lab, workload)
    assert seen["warn_minutes"] == [15, 5]
    lab.clock.advance(timedelta(seconds=seconds_left(seen)) - timedelta(minutes=15))
    await lab.beat()
    notices = (await lab.call("mia", "GET", "/notices")).body["items"]
    assert any(notice["kind"] == "ending" for notice in notices)
