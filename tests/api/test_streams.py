"""A stream is judged again while it lasts: a revoked token hears nothing more."""

import asyncio

import httpx
import pytest
from pytest import MonkeyPatch  # noqa: PT013 (a type)

from hub.api import streams
from tests.site import V1, Site


@pytest.fixture(autouse=True)
def quick_heartbeat(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.02)


async def follow(site: Site, path: str) -> str:
    """All that a stream of mia says until it ends."""
    headers = {"Authorization": f"token {site.token_of('mia')}"}
    transport = httpx.ASGITransport(site.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://site") as client:
        return (await client.get(f"{V1}{path}", headers=headers)).text


@pytest.mark.parametrize("which", ["/stream", "/workloads/{}/events"])
async def test_a_revoked_token_ends_the_stream(site: Site, which: str) -> None:
    workload = await site.launch("mia", "cpu")
    await site.until_status("mia", workload, "running")
    listening = asyncio.create_task(follow(site, which.format(workload)))
    token = site.token_of("mia")
    await beats(site, 3)
    assert not listening.done()
    site.hub.down = True  # nothing new is known of the token: the stream goes on
    await beats(site, 3)
    assert not listening.done()
    site.hub.down = False
    site.hub.tokens.pop(token)
    said = await asyncio.wait_for(listening, 20)
    assert "event: end" not in said


async def beats(site: Site, count: int) -> None:
    """Let so many heartbeats pass."""
    asked = site.hub.asked_of_tokens
    await site.until(
        lambda: site.hub.asked_of_tokens >= asked + count, lambda: "the stream is not judged again"
    )
