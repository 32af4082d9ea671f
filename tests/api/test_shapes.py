"""Idempotency keys, pages, streams, OpenAPI."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from fastapi.openapi.models import OpenAPI

from hub.policy import Action
from hub.settings import CONTROL_PREFIX
from tests.site import V1, Site


async def test_one_key_is_one_workload(site: Site) -> None:
    body = {"offer": "cpu", "name": "twice"}
    first = await site.call("mia", "POST", "/workloads", body, key="k1")
    await site.until_status("mia", first.body["id"], "running")
    again = await site.call("mia", "POST", "/workloads", body, key="k1")
    assert (first.status, again.status) == (201, 201)
    assert first.body["id"] == again.body["id"]
    assert again.body["status"] == "running"
    listed = await site.call("mia", "GET", "/workloads", params={"state": "all"})
    assert len(listed.body["items"]) == 1


async def test_a_key_for_another_request_is_a_conflict(site: Site) -> None:
    await site.call("mia", "POST", "/workloads", {"offer": "cpu"}, key="k1")
    for body in ({"offer": "gpu-eighth"}, {"offer": "cpu", "set": {"cpu": "2"}}):
        answer = await site.call("mia", "POST", "/workloads", body, key="k1")
        assert (answer.status, answer.code) == (409, "conflict")


async def test_a_key_is_its_persons_own(site: Site) -> None:
    mine = await site.call("mia", "POST", "/workloads", {"offer": "cpu"}, key="k1")
    theirs = await site.call("noa", "POST", "/workloads", {"offer": "cpu"}, key="k1")
    assert mine.body["id"] != theirs.body["id"]


async def test_a_key_at_the_same_time_is_one_workload(site: Site) -> None:
    answers = await asyncio.gather(
        *(site.call("mia", "POST", "/workloads", {"offer": "cpu"}, key="k") for _ in range(6))
    )
    assert {answer.status for answer in answers} == {201}
    assert len({answer.body["id"] for answer in answers}) == 1


async def test_a_grant_of_one_key_happens_once(site: Site) -> None:
    for _ in range(2):
        answer = await site.call("admin", "POST", "/people/mia/grant", {"credits": "5"}, key="k")
        assert answer.body["balance"] == "105.00"
    answer = await site.call("admin", "POST", "/people/mia/grant", {"credits": "5"}, key="k2")
    assert answer.body["balance"] == "110.00"


async def test_pages_hold_everything_once_newest_first(site: Site) -> None:
    made = []
    for number in range(7):
        made.append(await site.launch("mia", "cpu", name=f"n{number}"))
        if number % 2:
            site.later(seconds=1)
    seen, cursor = [], ""
    while True:
        page = await site.call(
            "mia", "GET", "/workloads", params={"limit": 3, "cursor": cursor, "state": "all"}
        )
        assert len(page.body["items"]) <= 3
        seen += [w["id"] for w in page.body["items"]]
        if page.body["next"] is None:
            break
        cursor = page.body["next"]
    assert sorted(seen) == sorted(made)
    assert len(seen) == len(made)
    assert seen[0] == made[-1]


async def test_pages_of_the_statement_the_audit_and_people(site: Site) -> None:
    for number in range(5):
        await site.call("admin", "POST", "/people/mia/grant", {"credits": "1"}, key=str(number))
    for login, path, least in (
        ("mia", "/usage", 6),
        ("admin", "/audit", 5),
        ("admin", "/people", 3),
    ):
        seen, cursor = [], None
        for _ in range(50):
            given = {"limit": 2} | ({"cursor": cursor} if cursor else {})
            page = (await site.call(login, "GET", path, params=given)).body
            seen += [item.get("id", item.get("login")) for item in page["items"]]
            cursor = page["next"]
            if cursor is None:
                break
        assert cursor is None
        assert len(seen) == len(set(seen)) >= least


async def test_the_history_ends_when_the_workload_has_ended(site: Site) -> None:
    workload = await site.launch("mia", "cpu")
    stream = asyncio.create_task(events_of(site, workload))
    await site.until_status("mia", workload, "running")
    await site.call("mia", "POST", f"/workloads/{workload}/stop")
    await site.until_status("mia", workload, "stopped")
    text = await asyncio.wait_for(stream, 20)
    data = [json.loads(line[6:]) for line in text.splitlines() if line.startswith('data: {"')]
    told = [event["text"] for event in data]
    assert told == ["asked for", "granted", "running", "you stopped it", "you stopped it"]
    assert text.endswith("event: end\ndata: {}\n\n")
    ids = [event["id"] for event in data]
    assert ids == sorted(ids)
    rest = await events_of(site, workload, last=str(ids[2]))
    assert rest.count("id: ") == 2


async def events_of(site: Site, workload: str, last: str = "0") -> str:
    headers = {"Authorization": f"token {site.token_of('mia')}", "Last-Event-ID": last}
    transport = httpx.ASGITransport(site.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://site") as client:
        answer = await client.get(f"{V1}/workloads/{workload}/events", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    return answer.text


@pytest.mark.parametrize("last", ["x", "-1", "²", "1.5"])
async def test_a_last_event_that_is_none(site: Site, last: str) -> None:
    workload = await site.launch("mia", "cpu")
    headers = {
        "Authorization": f"token {site.token_of('mia')}", "Last-Event-ID": last.encode("latin-1")
    }  # fmt: skip
    answer = await site.raw("GET", f"{V1}/workloads/{workload}/events", headers=headers)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "bad-value")


@pytest.fixture
async def description(site: Site) -> dict[str, Any]:
    return (await site.raw("GET", f"{CONTROL_PREFIX}/openapi.json")).json()


async def test_openapi_is_valid_and_every_route_names_its_act(description: dict[str, Any]) -> None:
    OpenAPI.model_validate(description)
    acts = {action.value for action in Action} | {"public"}
    operations = [
        operation for methods in description["paths"].values() for operation in methods.values()
    ]
    assert len(operations) > 25
    for operation in operations:
        assert operation["x-action"] in acts
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids))


async def test_every_reference_of_openapi_leads_somewhere(description: dict[str, Any]) -> None:
    def references(node: object) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [r for value in node.values() for r in references(value)]
        if isinstance(node, list):
            return [r for value in node for r in references(value)]
        return []

    schemas = description["components"]["schemas"]
    found = references(description)
    assert found
    assert {reference.rpartition("/")[2] for reference in found} <= set(schemas)
