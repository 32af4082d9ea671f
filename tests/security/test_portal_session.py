"""Nobody opens another's page, and nothing secret reaches a browser's JavaScript."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from bokeh.util.token import generate_jwt_token, generate_session_id, get_token_payload

from portal.door import own_path
from tests.unit.portal.canned import TOKEN
from tests.unit.portal.peers import PAGE_SECRET, SECRET, Running, running_portal

PORTAL = "/services/portal/"
PANELS = f"{PORTAL}panels/launch"
PAGE = {"X-Perijove-Page": "1", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    async with running_portal(panel=True) as portal:
        yield portal


@asynccontextmanager
async def visitor(running: Running) -> AsyncIterator[aiohttp.ClientSession]:
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(running.url, cookie_jar=jar) as http:
        async with http.get(PORTAL) as answer:
            assert answer.status == 200
        yield http


async def page_token(http: aiohttp.ClientSession, path: str = f"{PANELS}?offer=cpu") -> str:
    async with http.get(path) as answer:
        assert answer.status == 200
        found = re.search(r'"token":"([^"]+)"', await answer.text())
    assert found is not None
    return found[1]


async def connect(
    running: Running, http: aiohttp.ClientSession, token: str, origin: str | None = None
) -> str:
    """The first words that the page's websocket answers; raises when it is refused."""
    headers = {"Origin": origin if origin is not None else running.url}
    async with http.ws_connect(
        f"{running.portal_url}{PANELS}/ws", protocols=["bokeh", token], headers=headers
    ) as socket:
        message = await socket.receive(timeout=10)
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise ConnectionRefusedError
        return message.data


REFUSED = (aiohttp.WSServerHandshakeError, ConnectionRefusedError, ConnectionError)


async def test_an_honest_page_connects(running: Running) -> None:
    async with visitor(running) as http:
        assert "msgid" in await connect(running, http, await page_token(http))


async def test_the_page_token_carries_an_opaque_id_only(running: Running) -> None:
    async with visitor(running) as http:
        token = await page_token(http)
        payload = get_token_payload(token)
        cookies = {cookie.value for cookie in http.cookie_jar}
    assert payload["headers"] == {}
    assert payload["cookies"] == {}
    said = str(payload)
    assert TOKEN not in said
    assert not [value for value in cookies if value in said]
    assert set(payload) <= {"headers", "cookies", "arguments", "page", "session_expiry", "app_path"}


def forge(page: str, secret: str | None) -> str:
    key = None if secret is None else secret.encode()
    session_id = generate_session_id(secret_key=key, signed=key is not None)
    payload = {"headers": {}, "cookies": {}, "arguments": {}, "page": page}
    return generate_jwt_token(
        session_id, secret_key=key, signed=key is not None, extra_payload=payload
    )


@pytest.mark.parametrize("secret", [None, "wrong-key"])
async def test_a_forged_token_is_refused(running: Running, secret: str | None) -> None:
    async with visitor(running) as http:
        page = get_token_payload(await page_token(http))["page"]
        with pytest.raises(REFUSED):
            await connect(running, http, forge(page, secret))


async def test_a_page_id_that_was_never_minted_is_refused_even_when_signed(
    running: Running,
) -> None:
    async with visitor(running) as http:
        with pytest.raises(REFUSED):
            await connect(running, http, forge("made-up", PAGE_SECRET))


async def test_anothers_page_is_refused(running: Running) -> None:
    async with visitor(running) as victim, visitor(running) as thief:
        stolen = await page_token(victim)
        with pytest.raises(REFUSED):
            await connect(running, thief, stolen)
        assert "msgid" in await connect(running, victim, stolen)


async def test_a_page_needs_its_cookie(running: Running) -> None:
    async with visitor(running) as http, aiohttp.ClientSession() as bare:
        with pytest.raises(REFUSED):
            await connect(running, bare, await page_token(http))


async def test_a_page_ends_with_the_sign_out(running: Running) -> None:
    async with visitor(running) as http:
        token = await page_token(http)
        async with http.post(f"{PORTAL}sign-out", headers={"Origin": running.url}) as answer:
            assert answer.status == 200
        with pytest.raises(REFUSED):
            await connect(running, http, token)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", ""])
async def test_a_websocket_from_elsewhere_is_refused(running: Running, origin: str) -> None:
    async with visitor(running) as http:
        token = await page_token(http)
        with pytest.raises(REFUSED):
            await connect(running, http, token, origin)


@pytest.mark.parametrize("path", ["", "/autoload.js?bokeh-autoload-element=x", "/metadata"])
async def test_strangers_get_no_panel_page(running: Running, path: str) -> None:
    async with (
        aiohttp.ClientSession(running.url) as http,
        http.get(f"{PANELS}{path}", allow_redirects=False) as answer,
    ):
        assert answer.status == 401


@pytest.mark.parametrize("name", ["bokeh-session-id", "bokeh-token"])
async def test_a_session_cannot_be_chosen_from_outside(running: Running, name: str) -> None:
    async with visitor(running) as http, http.get(f"{PANELS}?{name}=x") as answer:
        assert answer.status == 403


async def test_no_page_holds_a_secret(running: Running) -> None:
    paths = ("", "workloads/w-run", "usage", "help/", "panels/launch?offer=cpu", "panels/usage",
             "panels/inventory")  # fmt: skip
    async with visitor(running) as http:
        secrets = [TOKEN, SECRET, PAGE_SECRET, *(c.value for c in http.cookie_jar)]
        for path in paths:
            async with http.get(PORTAL + path) as answer:
                said = await answer.text() + str(answer.headers)
            assert not [secret for secret in secrets if secret in said], path


async def test_the_cookie_is_for_the_portal_and_no_script(running: Running) -> None:
    async with aiohttp.ClientSession(
        running.url, cookie_jar=aiohttp.CookieJar(unsafe=True)
    ) as http:
        async with http.get(f"{PORTAL}sign-in", allow_redirects=False) as answer:
            there = answer.headers["Location"]
        async with http.get(there, allow_redirects=False) as answer:
            back = answer.headers["Location"]
        async with http.get(back, allow_redirects=False) as answer:
            cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("perijove-portal=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/services/portal/" in cookie
    assert TOKEN not in cookie


CROSS = [
    {},
    {"Origin": "http://evil.example"},
    {"X-Perijove-Page": "1", "Origin": "http://evil.example"},
    {"X-Perijove-Page": "1", "Sec-Fetch-Site": "cross-site"},
    {"X-Perijove-Page": "1", "Sec-Fetch-Site": "same-site"},
    {"X-Perijove-Page": "1", "Sec-Fetch-Site": "none"},
    {"X-Perijove-Page": "1", "Origin": "null"},
    {"X-Perijove-Page": "1"},
    {"Sec-Fetch-Site": "same-origin"},
]


@pytest.mark.parametrize("headers", CROSS)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_acts_from_elsewhere_are_refused(
    running: Running, headers: dict[str, str], method: str
) -> None:
    async with visitor(running) as http:
        before = len(running.site.seen)
        async with http.request(
            method, f"{PORTAL}api/v1/workloads", headers=headers, data=b'{"offer": "cpu"}'
        ) as answer:
            assert answer.status == 403
        assert len(running.site.seen) == before


async def test_reading_needs_the_pages_own_header(running: Running) -> None:
    async with visitor(running) as http:
        async with http.get(f"{PORTAL}api/v1/me") as answer:
            assert answer.status == 403
        cross = {**PAGE, "Sec-Fetch-Site": "cross-site"}
        async with http.get(f"{PORTAL}api/v1/me", headers=cross) as answer:
            assert answer.status == 403


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://evil.example"}])
async def test_nobody_is_signed_out_from_elsewhere(
    running: Running, headers: dict[str, str]
) -> None:
    async with visitor(running) as http:
        async with http.post(f"{PORTAL}sign-out", headers=headers, allow_redirects=False) as answer:
            assert answer.status == 403
        async with http.get(f"{PORTAL}api/v1/me", headers=PAGE) as answer:
            assert answer.status == 200


ELSEWHERE = [
    "http://evil.example/", "//evil.example/services/portal/", "https:evil.example",
    "/services/portal/\\evil", "/services/portalx", "/hub/logout", "/services/portal/../x",
    "/services/portal/%2e%2e/x", "javascript:alert(1)", "/services/portal/\r\nSet-Cookie: a=b", "",
    "http:///services/portal/", "/\t/evil.example",
]  # fmt: skip


@pytest.mark.parametrize("next_page", ELSEWHERE)
def test_signing_in_never_leads_elsewhere(next_page: str) -> None:
    assert own_path(next_page) == PORTAL


def test_signing_in_leads_back_to_an_own_page() -> None:
    assert own_path("/services/portal/launch?offer=a%20b") == "/services/portal/launch?offer=a%20b"


async def test_an_open_redirect_is_refused_for_real(running: Running) -> None:
    async with (
        visitor(running) as http,
        http.get(f"{PORTAL}sign-in", params={"next": "http://evil.example/"}) as answer,
    ):
        assert str(answer.url) == f"{running.url}{PORTAL}"


async def test_a_callback_of_another_browser_is_refused(running: Running) -> None:
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(running.url, cookie_jar=jar) as attacker:
        async with attacker.get(f"{PORTAL}sign-in", allow_redirects=False) as answer:
            there = answer.headers["Location"]
        async with attacker.get(there, allow_redirects=False) as answer:
            back = answer.headers["Location"]
    async with (
        aiohttp.ClientSession(running.url) as victim,
        victim.get(back, allow_redirects=False) as answer,
    ):
        assert answer.status == 403
        assert "Set-Cookie" not in answer.headers
