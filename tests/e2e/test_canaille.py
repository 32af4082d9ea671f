"""A second real provider, of another family: without back-channel logout and ID tokens at refresh."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.live import LiveSite, wait_for
from tests.peers.canaille.peer import INSTALLED, MISSING, Canaille, running
from tests.peers.oidc_provider.peer import Visitor

pytestmark = pytest.mark.skipif(not INSTALLED, reason=MISSING)
V1 = "/services/control/v1"


@pytest.fixture(scope="module")
def campus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LiveSite, Canaille]]:
    folder: Path = tmp_path_factory.mktemp("canaille")
    site = LiveSite(tmp_path_factory.mktemp("site"), {"PERIJOVE_TRUST_EVERYONE": "true"})
    site.home.mkdir(mode=0o700)
    people = {"ada": ["physics"], "eve": ["physics"], "gus": ["guests"]}
    with running("campus", site.url, people, folder) as peer:
        entry = peer.entry(
            allowed="rules", refresh="1s", refusal_ends="account",
            rules=[{"when": {"groups": ["physics", "chemistry"]}, "tenant": "main"},
                   {"when": {"groups": "chemistry"}, "tenant": "chemistry", "role": "instructor"}],
        )  # fmt: skip
        (site.home / "oidc.yaml").write_text(yaml.safe_dump({"providers": [entry]}))
        try:
            site.start()
            site.cli("tenant", "add", "chemistry", "--name", "Chemistry")
            yield site, peer
        finally:
            site.stop()


def call(site: LiveSite, token: str, method: str, path: str, body: Any = None) -> httpx.Response:
    headers = {"Authorization": f"token {token}"}
    return httpx.request(
        method, f"{site.url}{V1}{path}", json=body, headers=headers, timeout=30, trust_env=False
    )


def token_of(site: LiveSite, visitor: Visitor) -> str:
    page = {"X-Perijove-Page": "1", "Sec-Fetch-Site": "same-origin"}
    me = visitor.get("/services/portal/api/v1/me", headers=page).json()
    return site.run("token", "--user", me["person"]["login"]).stdout.strip()


def teaches(site: LiveSite, token: str) -> bool:
    """Whether they may use what only an instructor of chemistry may."""
    found = call(site, token, "GET", "/quotas")
    return found.status_code == 200


def test_a_group_that_changes_takes_effect_at_the_next_refresh(
    campus: tuple[LiveSite, Canaille],
) -> None:
    site, peer = campus
    with Visitor(site.url) as visitor:
        page = peer.sign_in(visitor, "ada")
        assert str(page.url) == f"{site.url}/services/portal/", page.text
        token = token_of(site, visitor)
        assert not teaches(site, token)
        peer.put("ada", ["physics", "chemistry"])
        wait_for("the role", lambda: teaches(site, token), 30)
        peer.put("ada", ["physics"])
        wait_for("the end of it", lambda: not teaches(site, token), 30)


def test_whom_no_rule_names_stays_out(campus: tuple[LiveSite, Canaille]) -> None:
    site, peer = campus
    with Visitor(site.url) as visitor:
        page = peer.sign_in(visitor, "gus")
        assert page.status_code == 403
        assert "does not admit your account" in page.text


def test_a_deleted_person_is_out_and_their_lab_ends_though_they_ask_nothing(
    campus: tuple[LiveSite, Canaille],
) -> None:
    site, peer = campus
    with Visitor(site.url) as visitor:
        peer.sign_in(visitor, "eve")
        token = token_of(site, visitor)
    made = call(site, token, "POST", "/workloads", {"offer": "cpu", "set": {"duration": "1h"}})
    workload = made.json()["id"]
    running = lambda: call(site, token, "GET", f"/workloads/{workload}").json()["status"]  # noqa: E731
    wait_for("the lab", lambda: running() == "running")
    peer.remove("eve")
    # From here on nobody asks on their behalf: the Hub looks after people at work by itself.
    admin = site.run("token", "--user", "admin").stdout.strip()
    ended = lambda: call(site, admin, "GET", f"/workloads/{workload}").json()  # noqa: E731
    wait_for("the lab's end", lambda: ended()["status"] == "stopped", 60)
    assert ended()["reason_code"] == "deactivated"
    refused = call(site, token, "GET", "/me")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "account-closed")
