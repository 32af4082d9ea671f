import asyncio
import json
from typing import Any

import aiohttp

from tests.unit.portal.canned import TOKEN
from tests.unit.portal.peers import Running

API = "/services/portal/api/v1/"


async def test_the_visitors_token_goes_to_control_and_nowhere_else(
    running: Running, browser: aiohttp.ClientSession, page: dict[str, str]
) -> None:
    async with browser.get(f"{API}me", headers=page) as answer:
        assert answer.status == 200
        assert (await answer.json())["person"]["login"] == "ada"
        assert TOKEN not in str(answer.headers) + await answer.text()
        assert "Set-Cookie" not in answer.headers
    seen = running.site.seen[-1]
    assert seen.headers["Authorization"] == f"token {TOKEN}"
    assert "Cookie" not in seen.headers


async def test_a_body_query_and_idempotency_key_arrive(
    running: Running, browser: aiohttp.ClientSession, page: dict[str, str]
) -> None:
    headers = {**page, "Idempotency-Key": "k-1"}
    body = {"offer": "gpu-quarter", "set": {}}
    async with browser.post(f"{API}workloads?x=a%20b", json=body, headers=headers) as answer:
        assert answer.status == 201
        assert (await answer.json())["status"] == "starting"
    seen = running.site.seen[-1]
    assert seen.headers["Idempotency-Key"] == "k-1"
    assert seen.query["x"] == "a b"
    assert json.loads(running.site.bodies[-1]) == body


async def test_errors_of_control_pass_in_its_own_words(
    browser: aiohttp.ClientSession, page: dict[str, str]
) -> None:
    body = {"offer": "gpu-whole", "set": {}}
    async with browser.post(f"{API}workloads", json=body, headers=page) as answer:
        assert answer.status == 403
        error = (await answer.json())["error"]
    assert error["code"] == "denied"
    assert error["verdict"]["verdict"] == "denied"


async def test_an_ended_sign_in_drops_the_session(
    running: Running, browser: aiohttp.ClientSession, page: dict[str, str]
) -> None:
    running.site.tokens.clear()
    for _ in range(2):
        async with browser.get(f"{API}me", headers=page) as answer:
            assert answer.status == 401
            assert (await answer.json())["error"]["sign_in"] == "/services/portal/sign-in"
    assert len(running.site.seen) == 1, "the second try does not even reach control"
    async with browser.get("/services/portal/", allow_redirects=False) as answer:
        assert answer.status == 302


async def test_events_arrive_as_they_happen(
    running: Running, browser: aiohttp.ClientSession, page: dict[str, str]
) -> None:
    async with browser.get(f"{API}stream", headers=page) as answer:
        assert answer.content_type == "text/event-stream"
        assert await answer.content.readuntil(b"\n\n") == b": hello\n\n"
        running.site.tell("offers")
        async with asyncio.timeout(5):
            assert await answer.content.readuntil(b"\n\n") == b'data: {"kind": "offers"}\n\n'
    async with asyncio.timeout(5):
        while running.site.listeners:  # noqa: ASYNC110 (a bounded poll)
            await asyncio.sleep(0.02)


async def test_a_body_over_the_limit_is_refused_and_the_next_request_works(
    running: Running, browser: aiohttp.ClientSession, page: dict[str, str]
) -> None:
    before = len(running.site.seen)
    big: Any = b"x" * (50 * 2**20)
    async with browser.post(f"{API}check", data=big, headers=page) as answer:
        assert answer.status == 413
        assert (await answer.json())["error"]["code"] == "too-large"
    assert len(running.site.seen) == before
    async with browser.get(f"{API}me", headers=page) as answer:
        assert answer.status == 200


async def test_paths_stay_inside_controls_api(
    running: Running, browser: aiohttp.ClientSession, page: dict[str, str]
) -> None:
    from yarl import URL

    for path in ("..%2f..%2finternal/tokens", "%2e%2e/%2e%2e/x", "a//b", "a%2fb", "a%5c..%5cb%00"):
        url = URL(f"{running.url}{API}{path}", encoded=True)
        async with browser.get(url, headers=page) as answer:
            assert answer.status in {400, 404}, path
    assert all(seen.path.startswith("/services/control/v1/") for seen in running.site.seen)


async def test_control_down_is_said_in_plain_words(
    running: Running, browser: aiohttp.ClientSession, page: dict[str, str]
) -> None:
    from dataclasses import replace

    portal = running.server.portal
    portal.config = replace(portal.config, control_url="http://127.0.0.1:9")
    async with browser.get(f"{API}me", headers=page) as answer:
        assert answer.status == 503
        assert (await answer.json())["error"]["code"] == "unavailable"
