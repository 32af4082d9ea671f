"""Whole sites with live notebooks: their starter, a person with a browser, a caller of the API."""

import asyncio
import contextlib
import json
import re
import uuid
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import httpx
import psutil
import pytest

from tests.leftovers import end, groups_of, with_environment
from tests.live import LiveSite, wait_for

PASSWORD = "a long enough password"
SMALL_MENU = """
offers:
  - id: cpu
    kind: notebook
    title: CPU notebook
    price_per_hour: 0.05
    fields:
      cpu: {default: 0.5, min: 0.5, max: 4}
      memory: {default: 512Mi, min: 256Mi, max: 8Gi}
      duration: {default: 1h, min: 1m, max: 8h}
  - id: gpu-quarter
    kind: notebook
    title: 1/4 GPU notebook
    price_per_hour: 36
    fields:
      gpu: {fixed: 1/4}
      cpu: {default: 0.5, min: 0.5, max: 4}
      memory: {default: 512Mi, min: 256Mi, max: 8Gi}
      duration: {default: 1h, min: 1m, max: 8h}
"""
"""Small and short; a second of the dear one costs a hundredth of a credit, so that no charge hides."""


class Api:
    """The REST API with one token; each answer's error fails the test unless it is asked for."""

    def __init__(self, site: LiveSite, login: str = "admin") -> None:
        self.site = site
        self.token = site.cli("token", "--user", login)["token"]
        self.http = httpx.Client(
            base_url=f"{site.url}/services/control/v1",
            headers={"Authorization": f"token {self.token}"},
            timeout=30, trust_env=False,
            transport=httpx.HTTPTransport(retries=5),
        )  # fmt: skip

    def get(self, path: str, **query: str) -> dict[str, Any]:
        answer = self.http.get(path, params=query)
        assert answer.is_success, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None, **headers: str) -> dict[str, Any]:
        answer = self.http.post(path, json=body or {}, headers=headers)
        assert answer.is_success, answer.text
        return answer.json()

    def workload(self, workload_id: str) -> dict[str, Any]:
        return self.get(f"/workloads/{workload_id}")

    def launch(self, offer: str, **answers: str) -> dict[str, Any]:
        return self.post("/workloads", {"offer": offer, "set": answers})

    def run(self, offer: str, **answers: str) -> dict[str, Any]:
        """Launch and wait until it runs."""
        return self.until(self.launch(offer, **answers)["id"], "running")

    def until(self, workload_id: str, *status: str, within_s: float = 60) -> dict[str, Any]:
        """Wait until it has that status; another end fails at once."""

        def look() -> dict[str, Any] | None:
            with contextlib.suppress(httpx.TransportError, AssertionError):
                found = self.workload(workload_id)
                ended = found["status"] in {"stopped", "failed"}
                if found["status"] in status or ended:
                    return found
            return None

        found = wait_for(f"{workload_id} is {status}", look, within_s)
        assert found["status"] in status, found
        return found

    def stop(self, workload_id: str) -> dict[str, Any]:
        self.post(f"/workloads/{workload_id}/stop")
        return self.until(workload_id, "stopped", "failed")


class Visitor:
    """A person with a browser that keeps cookies and follows redirects, and no script."""

    def __init__(self, site: LiveSite) -> None:
        self.site = site
        self.http = httpx.Client(
            base_url=site.url, follow_redirects=True, timeout=30, trust_env=False,
            headers={"Accept": "text/html", "Sec-Fetch-Site": "same-origin"},
        )  # fmt: skip

    def submit(self, page: httpx.Response, **values: str) -> httpx.Response:
        """Fill in the form of a page and send it."""
        given = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text)
        form = {name: unescape(value) for name, value in given} | values
        action = re.search(r'<form[^>]*action="([^"]*)"', page.text)
        assert action, page.text[:2000]
        return self.http.post(page.url.join(unescape(action[1])), data=form)

    def use_admin_link(self, password: str = "") -> "Visitor":
        link = self.site.cli("admin-link")["url"]
        page = self.submit(self.http.get(link), password=password, password_again=password)
        assert page.status_code == 200, page.text
        return self

    def accept_invitation(self, url: str, login: str, password: str = PASSWORD) -> httpx.Response:
        page = self.http.get(url)
        return self.submit(page, login=login, password=password, password_again=password)

    def sign_in(self, login: str, password: str = PASSWORD) -> httpx.Response:
        return self.submit(self.http.get("/hub/login"), username=login, password=password)

    def xsrf(self, prefix: str) -> str:
        """The XSRF cookie that pages below `prefix` were given."""
        return next(
            str(c.value)
            for c in self.http.cookies.jar
            if c.name == "_xsrf" and c.path.rstrip("/") == prefix.rstrip("/")
        )

    def token(self, login: str) -> str:
        """A token of one's own with all that one may do, as the Hub gives to a signed-in person."""
        self.http.get("/hub/token")
        answer = self.http.post(
            f"/hub/api/users/{quote(login)}/tokens",
            json={"note": "my own", "expires_in": 3600},
            headers={
                "X-XSRFToken": self.xsrf("/hub/"),
                "Referer": f"{self.site.url}/hub/token",
                "Accept": "application/json",
            },
        )
        assert answer.status_code in {200, 201}, answer.text
        return answer.json()["token"]


def in_kernel(address: str, token: str, code: str, within_s: float = 60) -> str:
    """Run code in a fresh kernel of the notebook server at `address`; what it printed.

    Raises aiohttp.ClientError or AssertionError when the server goes away meanwhile.
    """
    return asyncio.run(asyncio.wait_for(_in_kernel(address, token, code), within_s))


async def _in_kernel(address: str, token: str, code: str) -> str:
    headers = {"Authorization": f"token {token}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        async with http.post(f"{address}/api/kernels", json={"name": "python3"}) as answer:
            assert answer.status == 201, await answer.text()
            kernel = (await answer.json())["id"]
        async with http.ws_connect(f"{address}/api/kernels/{kernel}/channels") as socket:
            asked = uuid.uuid4().hex
            await socket.send_json(_execute(asked, code))
            return await _printed(socket, asked)


async def _printed(socket: aiohttp.ClientWebSocketResponse, asked: str) -> str:
    printed, to_come = "", {"execute_reply", "idle"}  # by two channels, in either order
    async for raw in socket:
        if raw.type is not aiohttp.WSMsgType.TEXT:
            continue
        message = json.loads(raw.data)
        if message["parent_header"].get("msg_id") != asked:
            continue
        match message["header"]["msg_type"]:
            case "stream":
                printed += message["content"]["text"]
            case "error":
                printed += f"{message['content']['ename']}: {message['content']['evalue']}\n"
            case "status":
                to_come.discard(message["content"]["execution_state"])
            case kind:
                to_come.discard(kind)
        if not to_come:
            return printed
    raise AssertionError(f"the kernel went away; before that it printed {printed!r}")


def _execute(message_id: str, code: str) -> dict[str, Any]:
    content = {"code": code, "silent": False, "store_history": False, "user_expressions": {},
               "allow_stdin": False, "stop_on_error": True}  # fmt: skip
    header = {"msg_id": message_id, "username": "", "session": uuid.uuid4().hex, "version": "5.3",
              "msg_type": "execute_request", "date": ""}  # fmt: skip
    return {"header": header, "parent_header": {}, "metadata": {}, "content": content,
            "channel": "shell", "buffers": []}  # fmt: skip


def processes_of(workload_id: str) -> set[int]:
    """Every process that carries the workload's name in its environment."""
    wanted = f"PERIJOVE_WORKLOAD={workload_id}"
    return with_environment(lambda line: line == wanted)


def server_of(workload_id: str) -> int:
    """The pid of its server, the oldest of its processes; 0 when there is none."""
    ages: dict[float, int] = {}
    for pid in processes_of(workload_id):
        with contextlib.suppress(psutil.Error):
            ages[psutil.Process(pid).create_time()] = pid
    return ages[min(ages)] if ages else 0


def groups_left(site: LiveSite) -> list[Path]:
    """Control groups of attempts of this site."""
    return groups_of(site.home / "run" / "engine" / "runs")


@pytest.fixture(scope="module")
def make_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., LiveSite]]:
    """Makes sites that are not started yet: ``make_site(PERIJOVE_X="…")``; ends them all."""
    made: list[LiveSite] = []

    def make(**settings: str) -> LiveSite:
        folder = tmp_path_factory.mktemp("site")
        menu = folder / "menu.yaml"
        menu.write_text(SMALL_MENU)
        made.append(LiveSite(folder, {"PERIJOVE_MENU": str(menu), **settings}))
        return made[-1]

    yield make
    for site in made:
        end(site)


def problems(site: LiveSite) -> list[str]:
    """What `perijove doctor` finds wrong with the ledger, the audit and the database."""
    done = site.run("doctor", "--json")
    items = json.loads(done.stdout)["items"]
    watched = {"ledger", "database", "hub-database", "migrations"}
    assert any(item["name"] == "ledger" for item in items), items
    return [
        f"{i['name']}: {i['text']}" for i in items if i["name"] in watched and i["level"] != "ok"
    ]
