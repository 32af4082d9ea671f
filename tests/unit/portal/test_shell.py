import re
from pathlib import Path

import aiohttp
import pytest

from portal.layout import STATIC, Layout
from portal.skeletons import skeleton
from tests.unit.portal.canned import TOKEN
from tests.unit.portal.peers import Running, running_portal

PORTAL = "/services/portal/"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "workloads",
        "workloads/w-run",
        "usage",
        "inventory",
        "people",
        "launch?offer=x",
        "courses",
        "courses/new",
        "courses/phys-101",
        "courses/phys-101/open",
        "join?token=x",
    ],
)
async def test_every_page_is_the_small_shell(browser: aiohttp.ClientSession, path: str) -> None:
    async with browser.get(PORTAL + path) as answer:
        text = await answer.text()
        assert answer.status == 200
        assert "My workloads" in text
        policy = answer.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=", text), "the policy forbids inline"
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", text), "nothing comes from elsewhere"


async def test_assets_are_immutable_under_their_digest(browser: aiohttp.ClientSession) -> None:
    async with browser.get(PORTAL) as answer:
        found = re.findall(r'(?:src|href)="(/services/portal/static/[^"]+)"', await answer.text())
    assert any(path.endswith("main.js") for path in found)
    for path in found:
        async with browser.get(path) as answer:
            assert answer.status == 200, path
            assert "immutable" in answer.headers["Cache-Control"]
    async with browser.get(f"{PORTAL}static/{'0' * 16}/main.js") as answer:
        assert answer.status == 404


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("", 'class="two"'),
        ("workloads/w-run", 'class="detail"'),
        ("courses/phys-101/open", 'class="opening"'),
    ],
)
def test_what_stands_there_first_is_laid_out_as_the_page(path: str, shape: str) -> None:
    assert shape in skeleton(path)
    assert shape not in skeleton("people")


def test_the_shell_stays_under_its_budget() -> None:
    layout = Layout()
    eager = {name for name in layout.assets if not name.endswith(".js")} | set(layout.modules())
    assert "course-wizard.js" not in eager, "a student waits for no wizard"
    assert sum(len(layout.assets[name]) for name in eager) < 120_000
    assert sum(path.stat().st_size for path in STATIC.iterdir()) < 230_000


@pytest.mark.parametrize(
    "path", ["courses/UPPER", "courses/a", "courses/phys/open/more", "courses/-x", "join/x"]
)
async def test_what_is_no_course_is_no_page(browser: aiohttp.ClientSession, path: str) -> None:
    async with browser.get(PORTAL + path) as answer:
        assert answer.status == 404


async def test_strangers_go_through_the_hub_and_come_back(running: Running) -> None:
    jar = aiohttp.CookieJar(unsafe=True)
    async with (
        aiohttp.ClientSession(running.url, cookie_jar=jar) as http,
        http.get(f"{PORTAL}workloads/w-run") as answer,
    ):
        assert answer.status == 200
        assert str(answer.url).endswith("/services/portal/workloads/w-run")
        assert TOKEN not in await answer.text()


async def test_health(running: Running) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{running.portal_url}{PORTAL}healthz") as answer,
    ):
        assert answer.status == 200
        assert await answer.json(content_type=None) == {"status": "ok"}


async def test_an_unknown_page_says_so_in_plain_words(browser: aiohttp.ClientSession) -> None:
    async with browser.get(f"{PORTAL}nonsense") as answer:
        assert answer.status == 404
        assert "There is no such page" in await answer.text()


async def test_the_handbook_is_rendered_safely(tmp_path: Path) -> None:
    (tmp_path / "concepts").mkdir()
    (tmp_path / "quickstart.md").write_text(
        "# Quickstart\n\nSee [shares](concepts/share.md#x), ![pic](images/a.png), "
        "<script>alert(1)</script> and [bad](javascript:alert(1)).\n"
    )
    (tmp_path / "concepts" / "share.md").write_text("# Share\n\n[up](../quickstart.md)\n")
    async with running_portal(docs=str(tmp_path)) as running, aiohttp.ClientSession() as http:

        async def text(path: str) -> tuple[int, str]:
            async with http.get(f"{running.url}{PORTAL}help/{path}") as answer:
                return answer.status, await answer.text()

        status, page = await text("")
        assert status == 200
        assert "<h1>Quickstart</h1>" in page
        assert 'href="/services/portal/help/concepts/share#x"' in page
        assert 'src="/services/portal/help/images/a.png"' in page
        assert "<script>alert" not in page
        assert 'href="javascript' not in page
        status, page = await text("concepts/share")
        assert 'href="/services/portal/help/quickstart"' in page
        assert (await text("concepts/../../secret"))[0] == 404
        assert (await text("nothing"))[0] == 404
