"""JupyterLab comes from one address of the portal, and a second server loads nothing of it again."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, expect

from tests.browser.conftest import FLAGS, PATIENCE_MS
from tests.browser.signed_in import sign_in
from tests.browser.test_first_light import run_cell
from tests.live import ROOT, LiveSite, free_port, wait_for

SHARED = "/services/portal/lab/"
OWN = re.compile(r"/user/[^/]+/[^/]+/static/lab/")
LAUNCHER = "Python 3 (ipykernel)"
LOAD_FONT = "url => new FontFace('probe', `url(${url})`).load().then(face => face.status)"
STATIC = ROOT / ".envs" / "notebook" / "share" / "jupyter" / "lab" / "static"


@pytest.fixture
def person(browser: Browser, chromium: Path, tmp_path: Path) -> Iterator[BrowserContext]:
    """A browser with a cache on disk, as people have one."""
    context = browser.browser_type.launch_persistent_context(
        tmp_path / "profile", executable_path=chromium, args=FLAGS
    )
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


class Traffic:
    """What a page asked for, and what of it came over the network."""

    def __init__(self, page: Page) -> None:
        self._answers: dict[str, dict[str, Any]] = {}
        self._from_memory: set[str] = set()
        cdp: CDPSession = page.context.new_cdp_session(page)
        cdp.send("Network.enable")
        cdp.on("Network.responseReceived", self._answered)
        cdp.on("Network.requestServedFromCache", self._remembered)

    def _answered(self, event: dict[str, Any]) -> None:
        self._answers[event["requestId"]] = event["response"]

    def _remembered(self, event: dict[str, Any]) -> None:
        self._from_memory.add(event["requestId"])

    @property
    def asked(self) -> list[str]:
        return [answer["url"] for answer in self._answers.values()]

    @property
    def loaded(self) -> list[dict[str, Any]]:
        return [
            answer
            for id_, answer in self._answers.items()
            if not answer.get("fromDiskCache") and id_ not in self._from_memory
        ]


def started(site: LiveSite, name: str) -> dict[str, Any]:
    return site.cli("run", "--offer", "gpu-quarter", "--name", name, "--wait")


def open_lab(context: BrowserContext, url: str) -> tuple[Page, Traffic]:
    page = context.new_page()
    traffic = Traffic(page)
    page.goto(f"{url}?reset")
    expect(page.get_by_title(LAUNCHER).first).to_be_visible()
    return page, traffic


def test_a_second_server_loads_nothing_of_jupyterlab(
    person: BrowserContext, site: LiveSite
) -> None:
    sign_in(person.new_page(), site)
    first, second = started(site, "first"), started(site, "second")
    page, once = open_lab(person, first["url"])
    page.close()
    page, again = open_lab(person, second["url"])

    for traffic in (once, again):
        assert not [url for url in traffic.asked if OWN.search(url)]
    shared = [answer for answer in once.loaded if SHARED in answer["url"]]
    assert all(answer["status"] == 200 for answer in shared)
    assert not [answer["url"] for answer in again.loaded if SHARED in answer["url"]]
    assert len([url for url in again.asked if SHARED in url]) > 20
    assert len(again.loaded) < 40

    run_cell(page, "import os; print('none', 'PERIJOVE_LAB_ASSETS' in os.environ, "
             "os.environ['PERIJOVE_GPU_MEMORY_MIB'])", "none False 6144")  # fmt: skip
    for workload in (first, second):
        site.cli("stop", workload["id"], "--wait")


def test_the_menu_fetches_it_ahead_while_the_person_reads(
    person: BrowserContext, site: LiveSite
) -> None:
    page = person.new_page()
    menu = Traffic(page)
    sign_in(page, site)
    ahead = page.evaluate("prefix => fetch(prefix + 'ahead.json').then(a => a.json())", SHARED)
    assert len(ahead) > 10
    wait_for("all of it has come", lambda: _all_asked(page, menu, ahead))

    workload = started(site, "lab")
    lab, traffic = open_lab(person, workload["url"])
    wanted = {url for url in traffic.asked if SHARED in url}
    loaded = [answer for answer in traffic.loaded if SHARED in answer["url"]]
    there = {url for url in wanted if url.removeprefix(site.url) in ahead}
    assert len(there) > 20, "the list is of what JupyterLab loads"
    assert not {answer["url"] for answer in loaded} & there
    assert len(loaded) < len(wanted) / 2
    lab.close()
    site.cli("stop", workload["id"], "--wait")


def _all_asked(page: Page, menu: Traffic, ahead: list[str]) -> bool:
    page.wait_for_timeout(50)  # lets the events of the page come in
    paths = {url[url.find(SHARED) :] for url in menu.asked if SHARED in url}
    return set(ahead) <= paths


def test_who_saves_data_fetches_nothing_ahead(browser: Browser, site: LiveSite) -> None:
    context = browser.new_context()
    context.set_default_timeout(PATIENCE_MS)
    context.add_init_script(
        "Object.defineProperty(navigator, 'connection', {value: {saveData: true}})"
    )
    page = context.new_page()
    page.clock.install()
    menu = Traffic(page)
    sign_in(page, site)
    page.clock.run_for(20_000)
    assert not [url for url in menu.asked if SHARED in url]
    context.close()


def test_servers_of_an_environment_without_assets_bring_their_own(
    page: Page, tmp_path: Path
) -> None:
    """As of an environment that an earlier version made."""
    real = (ROOT / ".envs" / "notebook").resolve()
    bare = tmp_path / "environment"
    bare.mkdir()
    (bare / "bin").symlink_to(real / "bin")
    record = json.loads((real / "perijove-env.json").read_text())
    (bare / "perijove-env.json").write_text(json.dumps(record | {"bin": str(bare / "bin")}))
    site = LiveSite(tmp_path, {"PERIJOVE_ENVS": str(bare)})
    try:
        sign_in(page, site.start())
        lab, traffic = open_lab(page.context, started(site, "lab")["url"])
        assert len([url for url in traffic.asked if OWN.search(url)]) > 20
        assert not [url for url in traffic.asked if SHARED in url]
        assert (
            lab.evaluate("prefix => fetch(prefix + 'ahead.json').then(a => a.json())", SHARED) == []
        )
    finally:
        site.stop()


def test_with_subdomains_it_comes_from_the_main_address(page: Page, tmp_path: Path) -> None:
    port = free_port()
    main = f"http://gpu.localhost:{port}"
    settings = {"PERIJOVE_SUBDOMAINS": "true", "PERIJOVE_PUBLIC_URL": main}
    site = LiveSite(tmp_path, settings, port)
    try:
        sign_in(page, site.start())
        # From the menu: unlike a browser, this machine may not know names below localhost.
        page.get_by_role("button", name="Start: 1/4 GPU notebook", exact=True).click()
        opener = page.get_by_role("link", name=re.compile("Open JupyterLab")).first
        url = opener.get_attribute("href") or ""
        assert url.startswith(f"http://admin.gpu.localhost:{port}/user/")
        lab, traffic = open_lab(page.context, url)
        shared = [url for url in traffic.asked if SHARED in url]
        assert len(shared) > 20
        assert all(url.startswith(f"{main}{SHARED}") for url in shared)
        assert not [url for url in traffic.asked if OWN.search(url)]
        build = shared[0].split(SHARED)[1].split("/")[0]
        font = next(STATIC.glob("*.woff2")).name
        assert lab.evaluate(LOAD_FONT, f"{main}{SHARED}{build}/{font}") == "loaded"
    finally:
        site.stop()
