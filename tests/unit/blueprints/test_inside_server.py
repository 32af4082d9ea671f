"""The extension of the notebook server, without a notebook server: one look at a time however many
pages ask, control's own words passed on, and calm while control is away."""

import asyncio
import importlib
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from tornado import httpserver, netutil, web

from blueprints.notebook import JUPYTER_CONFIG


@pytest.fixture(scope="module")
def parts() -> Iterator[dict[str, ModuleType]]:
    """Its modules, found as Jupyter finds them."""
    folder = str(JUPYTER_CONFIG / "server")
    sys.path.append(folder)
    names = ("upstream", "watch", "memory")
    yield {name: importlib.import_module(f"perijove_inside.{name}") for name in names}
    sys.path.remove(folder)


def seen(mark: str, used_mib: int = 7) -> dict[str, Any]:
    return {"mark": mark, "memory": {"used_mib": used_mib, "limit_mib": 100}}


class Scripted:
    """Control as it is told to be: each look answers the next line when it is let go."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.lines: asyncio.Queue[Any] = asyncio.Queue()

    async def look(self, mark: str, wait_s: int) -> dict[str, Any]:
        self.asked.append(mark)
        line = await self.lines.get()
        if isinstance(line, Exception):
            raise line
        return line


@pytest.fixture
def control() -> Scripted:
    return Scripted()


async def test_many_pages_cost_one_look(parts: dict[str, ModuleType], control: Scripted) -> None:
    watch = parts["watch"].Watch(control)
    pages = [asyncio.create_task(watch.after("", 20)) for _ in range(5)]
    control.lines.put_nowait(seen("a"))
    async with asyncio.timeout(5):
        answers = await asyncio.gather(*pages)
    assert {answer["mark"] for answer in answers} == {"a.1"}
    assert len(control.asked) <= 2  # the one that is answered, and the next, which waits
    watch._task.cancel()


async def test_a_page_waits_for_news_and_gets_it(
    parts: dict[str, ModuleType], control: Scripted
) -> None:
    watch = parts["watch"].Watch(control)
    control.lines.put_nowait(seen("a"))
    first = await watch.after("", 5)
    page = asyncio.create_task(watch.after(first["mark"], 20))
    control.lines.put_nowait(seen("a"))  # nothing new: the page goes on waiting
    control.lines.put_nowait(seen("b"))
    async with asyncio.timeout(5):
        assert (await page)["inside"]["mark"] == "b"
    watch._task.cancel()


async def test_control_away_is_said_with_what_was_known(
    parts: dict[str, ModuleType], control: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts["watch"], "RETRY_S", 0.0)
    watch = parts["watch"].Watch(control)
    control.lines.put_nowait(seen("a"))
    first = await watch.after("", 5)
    control.lines.put_nowait(parts["upstream"].Away("refused"))
    away = await watch.after(first["mark"], 5)
    assert (away["reachable"], away["inside"]["mark"]) == (False, "a")
    control.lines.put_nowait(seen("a"))
    back = await watch.after(away["mark"], 5)
    assert back["reachable"] is True
    assert control.asked[:3] == ["", "a", ""]  # after trouble it asks without waiting for news
    watch._task.cancel()


async def test_a_refusal_is_passed_on_and_asked_again(
    parts: dict[str, ModuleType], control: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts["watch"], "RETRY_S", 0.0)
    watch, refused = parts["watch"].Watch(control), parts["upstream"].Refused
    control.lines.put_nowait(refused(401, {"message": "closed"}))
    with pytest.raises(refused, match="closed"):
        await watch.after("", 5)
    control.lines.put_nowait(seen("a"))
    async with asyncio.timeout(5):
        while True:
            try:
                answer = await watch.after("", 1)
                break
            except refused:
                await asyncio.sleep(0)
    assert answer["inside"]["mark"] == "a"
    watch._task.cancel()


async def test_nobody_asks_and_control_is_left_alone(
    parts: dict[str, ModuleType], control: Scripted
) -> None:
    now = [0.0]
    watch = parts["watch"].Watch(control, clock=lambda: now[0])
    control.lines.put_nowait(seen("a"))
    await watch.after("", 5)
    now[0] = parts["watch"].IDLE_S + 1
    control.lines.put_nowait(seen("a"))
    async with asyncio.timeout(5):
        await watch._task
    assert watch._task.done()


async def test_memory_is_measured_here_where_control_cannot(
    parts: dict[str, ModuleType], control: Scripted
) -> None:
    watch = parts["watch"].Watch(control)
    assert watch.learn(seen("a", used_mib=0))["inside"]["memory"]["used_mib"] > 1
    assert watch.learn(seen("b", used_mib=5))["inside"]["memory"]["used_mib"] == 5


Answer = Callable[[web.RequestHandler], Awaitable[None] | None]


async def asked(parts: dict[str, ModuleType], answer: Answer) -> tuple[Any, list[Any]]:
    """What the upstream makes of an answer of a real server, and what that server was asked."""
    requests: list[Any] = []

    class Handler(web.RequestHandler):
        async def get(self) -> None:
            requests.append(self.request)
            answer(self)

        post = get

    server = httpserver.HTTPServer(web.Application([(".*", Handler)]))
    sockets = netutil.bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/v1"
    upstream = parts["upstream"].Upstream(url, "w-1", "the-token")
    try:
        return await upstream.post("extend", {"by": ""}, "key-1"), requests
    except (parts["upstream"].Refused, parts["upstream"].Away) as error:
        return error, requests
    finally:
        server.stop()
        await server.close_all_connections()


async def test_it_asks_with_its_own_token_about_its_own_workload(
    parts: dict[str, ModuleType],
) -> None:
    got, (request,) = await asked(parts, lambda handler: handler.finish({"mark": "a"}) and None)
    assert got == {"mark": "a"}
    assert request.path == "/v1/workloads/w-1/inside/extend"
    assert request.headers["Authorization"] == "token the-token"
    assert request.headers["Idempotency-Key"] == "key-1"
    assert json.loads(request.body) == {"by": ""}


def says(status: int, body: str) -> Answer:
    def answer(handler: web.RequestHandler) -> None:
        handler.set_status(status)
        handler.finish(body)

    return answer


NO = json.dumps({"error": {"code": "conflict", "message": "others wait", "next": "save"}})


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (409, NO, "Refused"),
        (401, NO, "Refused"),
        (404, "<h1>a proxy's own page</h1>", "Away"),
        (404, '{"error": "a text"}', "Away"),
        (500, NO, "Away"),
        (503, "", "Away"),
        (302, "", "Away"),
        (200, "no JSON", "Away"),
    ],
)
async def test_a_refusal_has_controls_words_and_the_rest_is_trouble(
    parts: dict[str, ModuleType], status: int, body: str, kind: str
) -> None:
    error, _ = await asked(parts, says(status, body))
    assert type(error).__name__ == kind
    if kind == "Refused":
        assert (error.status, error.error["message"]) == (status, "others wait")
