"""The rescue server as a real process, behind a stand-in for the Hub's sign-in."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from aiohttp import web

from spawners.local.rescue import rescue_argv
from spawners.local.rescue.page import Disk, render_page, size
from spawners.local.rescue.usage import Entry, UsageMap
from tests.contract.engines import free_port

pytestmark = pytest.mark.slow

PREFIX = "/user/ada/"


@pytest.fixture
async def hub_url() -> AsyncIterator[str]:
    """Knows two people: the token ``t-NAME`` is NAME's; the code of a sign-in names who signed."""

    async def user(request: web.Request) -> web.Response:
        name = request.headers["Authorization"].removeprefix("token t-")
        scopes = ["access:servers!server=ada/"]
        model = {"name": name, "kind": "user", "admin": False, "groups": [], "scopes": scopes}
        return web.json_response(model) if name in {"ada", "eve"} else web.Response(status=403)

    async def token(request: web.Request) -> web.Response:
        return web.json_response({"access_token": f"t-{(await request.post())['code']}"})

    app = web.Application()
    app.router.add_get("/hub/api/user", user)
    app.router.add_post("/hub/api/oauth2/token", token)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield f"http://127.0.0.1:{port}/hub/api"
    await runner.cleanup()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    (home / "data").mkdir(parents=True)
    (home / "data" / "big <b>.bin").write_bytes(b"x" * 500_000)
    (home / ".cache" / "pip").mkdir(parents=True)
    (tmp_path / "precious").write_text("x")
    return home


@pytest.fixture
async def server(hub_url: str, home: Path) -> AsyncIterator[str]:
    """The address of the server."""
    url = f"http://127.0.0.1:{free_port()}"
    env = {
        "PATH": os.defpath,
        "HOME": str(home),
        "JUPYTERHUB_API_TOKEN": "t-server",
        "JUPYTERHUB_API_URL": hub_url,
        "JUPYTERHUB_BASE_URL": "/",
        "JUPYTERHUB_CLIENT_ID": "jupyterhub-user-ada",
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES": '["access:servers!server=ada/"]',
        "JUPYTERHUB_SERVICE_PREFIX": PREFIX,
        "JUPYTERHUB_SERVICE_URL": url + PREFIX,
        "JUPYTERHUB_USER": "ada",
    }
    process = await asyncio.create_subprocess_exec(*rescue_argv(sys.executable), env=env, cwd="/")
    transport = httpx.AsyncHTTPTransport(retries=10)
    try:
        async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
            for _ in range(200):
                try:
                    if (await client.get(f"{url}{PREFIX}api")).status_code == 200:
                        break
                except httpx.ConnectError:
                    assert process.returncode is None
        yield url
    finally:
        process.kill()
        await process.wait()


@pytest.fixture
async def browser(server: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server, timeout=20, trust_env=False) as client:
        yield client


async def sign_in(browser: httpx.AsyncClient, name: str) -> httpx.Response:
    """Through the Hub and back, as a browser does; answers the page after it."""
    away = await browser.get(f"{PREFIX}lab")
    assert away.status_code == 302
    asked = urlsplit(away.headers["location"])
    assert asked.path == "/hub/api/oauth2/authorize"
    state = parse_qs(asked.query)["state"][0]
    back = await browser.get(f"{PREFIX}oauth_callback", params={"code": name, "state": state})
    assert back.status_code == 302
    return await browser.get(back.headers["location"])


def token_of(page: str) -> str:
    found = re.search(r'name="_xsrf" value="([^"]+)"', page)
    assert found
    return found[1]


async def test_the_owner_sees_what_fills_the_home_and_deletes(
    browser: httpx.AsyncClient, home: Path
) -> None:
    page = await sign_in(browser, "ada")
    assert page.status_code == 200
    assert "data/big &lt;b&gt;.bin" in page.text
    assert "<b>" not in page.text
    form = {"_xsrf": token_of(page.text), "path": b"data/big <b>.bin".hex()}
    after = await browser.post(f"{PREFIX}delete", data=form)
    assert after.status_code == 200
    assert "Deleted data/big" in after.text
    assert not (home / "data" / "big <b>.bin").exists()
    emptied = await browser.post(f"{PREFIX}empty", data={"_xsrf": token_of(after.text)})
    assert "Emptied .cache/pip." in emptied.text


async def test_a_form_from_elsewhere_is_refused(browser: httpx.AsyncClient, home: Path) -> None:
    await sign_in(browser, "ada")
    for token in ({}, {"_xsrf": "forged"}):
        refused = await browser.post(f"{PREFIX}delete", data={"path": b"data".hex(), **token})
        assert refused.status_code == 403
    assert (home / "data").exists()


@pytest.mark.parametrize("path", [b"../precious".hex(), b"/etc/hosts".hex(), "not hexadecimal"])
async def test_no_path_leaves_the_home(browser: httpx.AsyncClient, home: Path, path: str) -> None:
    page = await sign_in(browser, "ada")
    form = {"_xsrf": token_of(page.text), "path": path}
    assert (await browser.post(f"{PREFIX}delete", data=form)).status_code == 400
    assert (home.parent / "precious").exists()


async def test_another_person_is_refused(browser: httpx.AsyncClient) -> None:
    assert (await sign_in(browser, "eve")).status_code == 403


async def test_nobody_deletes_nothing(browser: httpx.AsyncClient, home: Path) -> None:
    refused = await browser.post(f"{PREFIX}delete", data={"path": b"data".hex()})
    assert refused.status_code == 403
    assert (home / "data").exists()


async def test_the_hub_finds_it_ready_and_pages_allow_nothing_foreign(
    browser: httpx.AsyncClient,
) -> None:
    ready = await browser.get(f"{PREFIX}api")
    assert ready.status_code == 200
    page = await sign_in(browser, "ada")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "http" not in page.text.replace("http-equiv", "")


def test_an_empty_home_and_a_count_that_stopped_early() -> None:
    text = render_page(UsageMap(0, [], complete=False), Disk(0, 100), prefix="/p/", xsrf="t")
    assert "Nothing here takes any room." in text
    assert "counting stopped early" in text


def test_names_that_are_not_text_can_be_shown_and_sent_back() -> None:
    name = os.fsdecode(b"caf\xe9")
    usage = UsageMap(10, [Entry(name, 10, is_folder=False)], complete=True)
    text = render_page(usage, Disk(1, 2), prefix="/p/", xsrf="t")
    assert b"caf\xe9".hex() in text
    text.encode()


def test_sizes_are_rounded_for_people() -> None:
    assert [size(n) for n in (0, 1023, 1536, 5 * 2**30)] == ["0 B", "1023 B", "1.5 KiB", "5 GiB"]
