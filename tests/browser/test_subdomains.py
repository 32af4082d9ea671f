"""With subdomains, code of one person that another opens cannot act as the visitor."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.signed_in import sign_in
from tests.browser.test_first_light import run_cell
from tests.live import LiveSite, free_port, wait_for

STEAL = """async ([url, method]) => {
    try {
        const answer = await fetch(url, {
            method, credentials: "include", headers: {"Content-Type": "application/json"},
            body: method === "POST" ? "{}" : undefined,
        });
        return answer.status;
    } catch (error) { return "refused by the browser"; }
}"""
"""What a page with bad intentions would try with the visitor's cookies."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    port = free_port()
    settings = {
        "PERIJOVE_SUBDOMAINS": "true",
        # Browsers find this machine under every name below localhost.
        "PERIJOVE_PUBLIC_URL": f"http://gpu.localhost:{port}",
    }
    live = LiveSite(tmp_path_factory.mktemp("site"), settings, port)
    try:
        yield live.start()
    finally:
        live.stop()


def token_of(site: LiveSite) -> str:
    return site.run("token", "--user", "admin").stdout.strip()


def running_url(site: LiveSite, token: str) -> str:
    status, body = site.get("/services/control/v1/workloads?state=active", token)
    assert status == 200, body
    return next(iter(json.loads(body)["items"]))["url"]


def test_a_notebook_has_an_origin_of_its_own(page: Page, site: LiveSite) -> None:
    sign_in(page, site)
    token = token_of(site)
    card = page.get_by_role("article").filter(has_text="1/4 GPU notebook").first
    card.get_by_role("button", name=re.compile("^Start")).click()
    opener = page.get_by_role("link", name=re.compile("Open JupyterLab"))
    expect(opener.first).to_be_visible()
    with page.context.expect_page() as opened:
        opener.first.click()
    lab = opened.value
    run_cell(
        lab, "import os; print('memory', os.environ['PERIJOVE_GPU_MEMORY_MIB'])", "memory 6144"
    )
    main = f"http://gpu.localhost:{site.port}"
    assert lab.url.startswith(f"http://admin.gpu.localhost:{site.port}/user/admin/")
    assert wait_for("its address is told", lambda: running_url(site, token)).startswith(
        f"http://admin.gpu.localhost:{site.port}/user/admin/"
    )

    # The main host does not serve it, and its own host does not serve the portal.
    path = lab.url.split(str(site.port), 1)[1].split("?")[0]
    assert at(site, "gpu.localhost", path) == 302  # the Hub's, which leads to the right host
    assert at(site, "admin.gpu.localhost", "/services/portal/") != 200
    assert at(site, "admin.gpu.localhost", "/services/control/healthz") != 200

    # From inside the notebook, with the visitor's cookies at hand:
    for url, method in (
        (f"{main}/services/portal/api/v1/me", "GET"),
        (f"{main}/services/portal/api/v1/workloads", "POST"),
        (f"{main}/hub/api/user", "GET"),
        (f"{main}/hub/api/users/admin/tokens", "POST"),
    ):
        assert lab.evaluate(STEAL, [url, method]) == "refused by the browser", url
    assert len(json.loads(site.get("/services/control/v1/workloads", token)[1])["items"]) == 1
    cookies = lab.evaluate("document.cookie")
    assert "perijove-portal" not in cookies


def at(site: LiveSite, host: str, path: str) -> int:
    """Status of a page as asked for under another host name; redirects are not followed."""
    headers = {"Host": f"{host}:{site.port}"}
    return httpx.get(f"{site.url}{path}", headers=headers, timeout=10).status_code


def test_after_the_proxy_was_killed_the_hosts_are_there_again(site: LiveSite) -> None:
    site.kill("proxy")
    wait_for("the site is ready", site.is_ready, 30)
    status, _ = site.get("/services/portal/")
    assert status in {200, 302}


def test_a_bare_address_is_refused(tmp_path: Path) -> None:
    live = LiveSite(tmp_path, {"PERIJOVE_SUBDOMAINS": "true"})
    done = live.run("up")
    assert done.returncode == 1
    assert "PERIJOVE_SUBDOMAINS needs a name" in done.stdout + done.stderr
    assert "PERIJOVE_PUBLIC_URL" in done.stdout + done.stderr
