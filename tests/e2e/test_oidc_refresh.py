"""What a real provider says later counts too: groups that change, people who are gone."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import yaml

from tests.live import LiveSite, wait_for
from tests.peers.oidc_provider.peer import INSTALLED, MISSING, Provider, Visitor, running

pytestmark = pytest.mark.skipif(not INSTALLED, reason=MISSING)

STAFF = {"name": "Ada Lovelace", "email": "ada@example.org", "groups": ["physics"]}
SCOPES = ["openid", "profile", "email", "groups", "offline_access"]
RULES = [{"when": {"groups": "physics"}, "tenant": "physics", "home": True, "credits": 50}]
PAGE = {"X-Perijove-Page": "1", "Sec-Fetch-Site": "same-origin"}
V1 = "/services/control/v1"


@dataclass
class Campus:
    """*Quick* is asked again each second, *slow* only when it says something itself, and *plain*
    never: it gives no refresh tokens."""

    site: LiveSite
    quick: Provider
    slow: Provider
    plain: Provider

    def visitor(self) -> Visitor:
        return Visitor(self.site.url)

    def call(self, token: str, method: str, path: str, body: Any = None) -> httpx.Response:
        return httpx.request(
            method, f"{self.site.url}{V1}{path}", json=body, timeout=30, trust_env=False,
            headers={"Authorization": f"token {token}"},
        )  # fmt: skip


@pytest.fixture(scope="module")
def campus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campus]:
    settings = {"PERIJOVE_TRUST_EVERYONE": "true", "PERIJOVE_LEAVE_GRACE": "3s"}
    site = LiveSite(tmp_path_factory.mktemp("site"), settings)
    site.home.mkdir(mode=0o700)
    with (
        running("quick", site.url, {"ada": STAFF}) as quick,
        running("slow", site.url, {"ada": STAFF, "eve": STAFF, "joe": STAFF}) as slow,
        running("plain", site.url, {"ada": STAFF}) as plain,
    ):
        more: dict[str, Any] = {"scopes": SCOPES, "rules": RULES}
        entries = [
            quick.entry(refresh="1s", **more),
            slow.entry(refresh="1h", **more | {"allowed": "rules"}),
            plain.entry(logout_ends="account"),
        ]
        (site.home / "oidc.yaml").write_text(yaml.safe_dump({"providers": entries}))
        try:
            site.start()
            site.cli("tenant", "add", "physics", "--name", "Physics")
            yield Campus(site, quick, slow, plain)
        finally:
            site.stop()


def me(visitor: Visitor) -> httpx.Response:
    return visitor.get("/services/portal/api/v1/me", headers=PAGE)


def token_of(campus: Campus, visitor: Visitor) -> str:
    login = me(visitor).json()["person"]["login"]
    return campus.site.run("token", "--user", login).stdout.strip()


def a_lab(campus: Campus, token: str) -> str:
    """A notebook that runs."""
    made = campus.call(token, "POST", "/workloads", {"offer": "cpu", "set": {"duration": "1h"}})
    assert made.status_code == 201, made.text
    workload = made.json()["id"]
    wait_for("the lab", lambda: status_of(campus, workload) == "running")
    return workload


def status_of(campus: Campus, workload: str) -> str:
    """As an administrator sees it: its owner may be out."""
    return as_admin(campus, workload)["status"]


def as_admin(campus: Campus, workload: str) -> dict[str, Any]:
    admin = campus.site.run("token", "--user", "admin").stdout.strip()
    return campus.call(admin, "GET", f"/workloads/{workload}").json()


def test_a_group_that_changes_takes_effect_at_the_next_refresh(campus: Campus) -> None:
    with campus.visitor() as visitor:
        assert visitor.sign_in(campus.quick, "ada").status_code == 200
        person = me(visitor).json()["person"]
        token = token_of(campus, visitor)
        workload = a_lab(campus, token)
        campus.quick.put("ada", {**STAFF, "groups": []})
        # The token of somebody who had the role dies with it; work is warned and then ends.
        wait_for("the token's end", lambda: campus.call(token, "GET", "/me").status_code == 401, 60)
        wait_for("the lab's end", lambda: status_of(campus, workload) == "stopped", 60)
        # The account is open as before, without the role.
        assert me(visitor).status_code == 200
        campus.quick.put("ada", STAFF)
        fresh = campus.site.run("token", "--user", person["login"]).stdout.strip()
        wait_for("the role", lambda: me(visitor).status_code == 200 and launches(campus, fresh), 30)


def launches(campus: Campus, token: str) -> bool:
    found = campus.call(token, "POST", "/check", {"offer": "cpu", "tenant": "physics"})
    return found.status_code == 200 and found.json()["verdict"] != "denied"


def test_a_deleted_person_is_out_at_once_after_a_logout_by_the_provider(campus: Campus) -> None:
    with campus.visitor() as visitor:
        visitor.sign_in(campus.slow, "eve")
        token = token_of(campus, visitor)
        workload = a_lab(campus, token)
        assert campus.call(token, "GET", "/me").status_code == 200
        campus.slow.remove("eve")
        asked = visitor.get(f"{campus.slow.issuer}/session/end")
        visitor.submit(asked, logout="yes")
        wait_for("403", lambda: campus.call(token, "GET", "/me").status_code == 403)
        said = campus.call(token, "GET", "/me").json()["error"]
        assert said["code"] == "account-closed"
        assert said["next"]
        wait_for("the lab's end", lambda: status_of(campus, workload) == "stopped", 30)
        assert as_admin(campus, workload)["reason_code"] == "deactivated"
        assert me(visitor).status_code == 403
    audit = json.loads(campus.site.get(f"{V1}/audit?limit=200", admin_token(campus))[1])["items"]
    closed = [line for line in audit if line["action"] == "person-deactivated"]
    assert closed[0]["detail"] == {"closed_by": f"provider:{campus.slow.issuer}"}
    # The provider vouches again, so the account opens again.
    campus.slow.put("eve", STAFF)
    with campus.visitor() as visitor:
        assert visitor.sign_in(campus.slow, "eve").status_code == 200
        assert me(visitor).status_code == 200


def test_a_provider_that_cannot_be_asked_may_close_accounts_by_its_logout(campus: Campus) -> None:
    with campus.visitor() as visitor:
        visitor.sign_in(campus.plain, "ada")
        token = token_of(campus, visitor)
        assert campus.call(token, "GET", "/me").status_code == 200
        visitor.submit(visitor.get(f"{campus.plain.issuer}/session/end"), logout="yes")
        wait_for("403", lambda: campus.call(token, "GET", "/me").status_code == 403)
    with campus.visitor() as visitor:
        visitor.sign_in(campus.plain, "ada")
        assert me(visitor).status_code == 200


def admin_token(campus: Campus) -> str:
    return campus.site.run("token", "--user", "admin").stdout.strip()


def test_a_second_identity_takes_proof_of_both(campus: Campus) -> None:
    with campus.visitor() as visitor, campus.visitor() as other, campus.visitor() as later:
        visitor.sign_in(campus.quick, "ada")
        mine = me(visitor).json()["person"]["login"]
        page = visitor.get("/hub/oidc/slow/link", params={"next": "/services/portal/"})
        assert "Another way to sign in" in page.text
        page = visitor.submit(page)
        while "/interaction/" in str(page.url):
            page = visitor.submit(page, login="joe", password="any")
        assert page.status_code == 200, page.text
        later.sign_in(campus.slow, "joe")
        assert me(later).json()["person"]["login"] == mine
        # Somebody else's identity is not taken, nor are two accounts merged.
        other.sign_in(campus.slow, "eve")
        page = other.submit(other.get("/hub/oidc/quick/link"))
        while "/interaction/" in str(page.url):
            page = other.submit(page, login="ada", password="any")
        assert page.status_code == 409
        assert "belongs to another account" in page.text


def test_nobody_links_without_being_signed_in_or_from_elsewhere(campus: Campus) -> None:
    with campus.visitor() as visitor:
        assert "/hub/login" in str(visitor.get("/hub/oidc/slow/link").url)
        visitor.sign_in(campus.quick, "ada")
        forged = visitor.post("/hub/oidc/slow/link", headers={"Origin": "https://evil.example"})
        assert forged.status_code == 403


def test_whom_no_rule_names_stays_out(campus: Campus) -> None:
    campus.slow.put("gus", {"name": "Gus", "groups": ["guests"]})
    with campus.visitor() as visitor:
        page = visitor.sign_in(campus.slow, "gus")
        assert page.status_code == 403
        assert "does not admit your account" in page.text
