"""JupyterLab's files at one address: what is served, how, and what never is."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from deploy import lab_assets as made
from portal import lab_assets
from tests.unit.portal.peers import Running, running_portal

LAB = "/services/portal/lab/"
CORE = "const core = 1;\n" * 4000
MAIN = "load=[t.e(12),t.e(345)];" + "main();\n" * 4000
CHUNK = "chunk();\n" * 4000


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """One with a JupyterLab of four scripts, of which one is small, and a font."""
    static = tmp_path / "environment" / made.STATIC
    static.mkdir(parents=True)
    (static / "index.html").write_text('<script src="{{x}}/main.aa11.js?v=aa11"></script>')
    (static / "main.aa11.js").write_text(MAIN)
    (static / "jlab_core.bb22.js").write_text(CORE)
    (static / "12.cc33.js").write_text(CHUNK)
    (static / "345.dd44.js").write_text("small();")
    (static / "99.ee55.js").write_text(CHUNK)
    (static / "0011.woff").write_bytes(bytes(range(256)))
    return tmp_path / "environment"


@pytest.fixture
def lab(environment: Path, tmp_path: Path) -> tuple[Path, str]:
    """The folder that the portal looks into, and the build that is linked there."""
    place = made.publish(environment)
    assert place is not None
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / place.name).symlink_to(place)
    (folder / "own").symlink_to(place.name)
    (folder / "secret.js").write_text("secret")
    (tmp_path / "secret.js").write_text("secret")
    return folder, place.name


@pytest.fixture
async def portal(lab: tuple[Path, str]) -> AsyncIterator[Running]:
    async with running_portal(lab_assets=str(lab[0])) as running:
        yield running


@pytest.fixture
async def stranger(portal: Running) -> AsyncIterator[aiohttp.ClientSession]:
    """Nobody has signed in, and nothing is unpacked on the way."""
    async with aiohttp.ClientSession(portal.portal_url, auto_decompress=False) as http:
        yield http


async def test_a_script_is_kept_for_ever_and_is_everybodys(
    stranger: aiohttp.ClientSession, lab: tuple[Path, str]
) -> None:
    async with stranger.get(f"{LAB}{lab[1]}/main.aa11.js?v=aa11") as answer:
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["Content-Type"].startswith("text/javascript")
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Set-Cookie" not in answer.headers
        assert "Content-Security-Policy" not in answer.headers


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip, deflate, br, zstd", "gzip"),
        ("br;q=1.0, GZIP;q=0.5", "gzip"),
        ("identity", ""),
        ("br", ""),
    ],
)
async def test_a_script_comes_packed_to_who_unpacks_it(
    stranger: aiohttp.ClientSession, lab: tuple[Path, str], accepted: str, encoding: str
) -> None:
    async with stranger.get(
        f"{LAB}{lab[1]}/main.aa11.js", headers={"Accept-Encoding": accepted}
    ) as answer:
        body = await answer.read()
        assert answer.headers.get("Content-Encoding", "") == encoding
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert int(answer.headers["Content-Length"]) == len(body)
        assert (gzip.decompress(body) if encoding else body).decode() == MAIN


async def test_a_font_is_packed_already(
    stranger: aiohttp.ClientSession, lab: tuple[Path, str]
) -> None:
    async with stranger.get(f"{LAB}{lab[1]}/0011.woff") as answer:
        assert answer.headers["Content-Type"] == "font/woff"
        assert "Content-Encoding" not in answer.headers
        assert await answer.read() == bytes(range(256))


async def test_head_and_the_question_whether_it_has_changed(
    stranger: aiohttp.ClientSession, lab: tuple[Path, str]
) -> None:
    path = f"{LAB}{lab[1]}/main.aa11.js"
    async with stranger.get(path) as answer:
        etag, length = answer.headers["ETag"], answer.headers["Content-Length"]
    async with stranger.head(path) as answer:
        assert (answer.status, await answer.read()) == (200, b"")
        assert answer.headers["Content-Length"] == length
    async with stranger.get(path, headers={"If-None-Match": etag}) as answer:
        assert (answer.status, await answer.read()) == (304, b"")
        assert "immutable" in answer.headers["Cache-Control"]
    plain = {"Accept-Encoding": "identity"}
    async with stranger.get(path, headers=plain) as answer:
        assert answer.headers["ETag"] != etag, "packed and plain are told apart"


@pytest.mark.parametrize(
    "path",
    [
        "{build}/nothing.js",
        "{build}/",
        "{build}",
        "{build}/ahead.txt",
        "{build}/main.aa11.js.gz",
        "{build}/..%2Fsecret.js",
        "{build}/%2e%2e/secret.js",
        "{build}/..%5Csecret.js",
        "{build}/../secret.js",
        "{build}/.hidden.js",
        "{build}/%2Fetc%2Fpasswd",
        "{build}/main.aa11.js%00.css",
        "{build}/main.aa11.js%0A",
        "0000000000000000/main.aa11.js",
        "own/main.aa11.js",
        "../secret.js",
        "secret.js",
        "%2e%2e/main.aa11.js",
    ],
)
async def test_nothing_else_is_served(
    stranger: aiohttp.ClientSession, lab: tuple[Path, str], path: str
) -> None:
    asked = URL(LAB + path.format(build=lab[1]), encoded=True)
    async with stranger.get(asked) as answer:
        assert answer.status == 404
        assert "immutable" not in answer.headers["Cache-Control"]
        assert b"secret" not in await answer.read()


async def test_a_file_that_leads_elsewhere_is_not_linked_by_its_name(
    lab: tuple[Path, str],
) -> None:
    folder, build = lab
    assert lab_assets.find(folder, build, "main.aa11.js", gzip=True) is not None
    for name in ("../secret.js", "..", ".", "", "x/../main.aa11.js", "main.aa11.js\n"):
        assert lab_assets.find(folder, build, name, gzip=True) is None
    for other in ("..", ".", "own", "", f"{build}/.."):
        assert lab_assets.find(folder, other, "main.aa11.js", gzip=True) is None


async def test_who_is_signed_in_learns_what_will_be_needed(
    portal: Running, stranger: aiohttp.ClientSession, lab: tuple[Path, str]
) -> None:
    async with stranger.get(f"{LAB}ahead.json") as answer:
        assert answer.status == 404
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(portal.url, cookie_jar=jar) as person:
        async with person.get("/services/portal/") as answer:
            assert answer.status == 200
        async with person.get(f"{LAB}ahead.json") as answer:
            addresses = await answer.json()
        base = f"{LAB}{lab[1]}/"
        assert addresses == [
            f"{base}jlab_core.bb22.js?v=bb22",
            f"{base}12.cc33.js?v=cc33",
            f"{base}main.aa11.js?v=aa11",
        ]
        for address in addresses:
            async with person.get(address) as answer:
                assert answer.status == 200


async def test_without_a_folder_nothing_is_promised(tmp_path: Path) -> None:
    assert lab_assets.ahead(tmp_path / "missing") == []
    async with (
        running_portal() as running,
        aiohttp.ClientSession(running.portal_url) as http,
        http.get(f"{LAB}{'0' * 16}/main.js") as answer,
    ):
        assert answer.status == 404
