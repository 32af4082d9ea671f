"""Signing in through a real OpenID provider, on a whole site, and signing out for good."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import httpx
import pytest
import yaml
from playwright.sync_api import expect, sync_playwright

from tests.live import LiveSite, wait_for
from tests.peers.oidc_provider.peer import INSTALLED, MISSING, Provider, Visitor, running

pytestmark = pytest.mark.skipif(not INSTALLED, reason=MISSING)

# The same words everywhere: only (issuer, subject) may tell these people apart.
ADA = {
    "name": "Ada Lovelace",
    "email": "ada@example.org",
    "email_verified": True,
    "preferred_username": "ada",
    "groups": ["gpu"],
}
ACCOUNTS = {"ada": ADA, "eve": {**ADA, "name": "Eve", "groups": ["guests"]}}
PAGE = {"X-Perijove-Page": "1", "Sec-Fetch-Site": "same-origin"}


@dataclass
class Campus:
    """A site with two providers that say the same of their people."""

    site: LiveSite
    north: Provider
    south: Provider

    def visitor(self) -> Visitor:
        return Visitor(self.site.url)


@pytest.fixture(scope="module")
def campus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campus]:
    site = LiveSite(tmp_path_factory.mktemp("site"), {"PERIJOVE_TRUST_EVERYONE": "true"})
    site.home.mkdir(mode=0o700)
    with (
        running("north", site.url, ACCOUNTS) as north,
        running(
            "south", site.url, ACCOUNTS,
            token_endpoint_auth_method="client_secret_post", id_token_signed_response_alg="ES256",
        ) as south,
    ):  # fmt: skip
        entries = [
            north.entry(),
            south.entry(
                scopes=["openid", "profile", "email", "groups"], allowed={"groups": ["gpu"]}
            ),
        ]
        (site.home / "oidc.yaml").write_text(yaml.safe_dump({"providers": entries}))
        try:
            yield Campus(site.start(), north, south)
        finally:
            site.stop()


def me(visitor: Visitor) -> httpx.Response:
    """Who the portal's session is, by the API on the visitor's behalf."""
    return visitor.get("/services/portal/api/v1/me", headers=PAGE)


def test_the_sign_in_page_offers_the_providers_and_keeps_the_way(campus: Campus) -> None:
    page = campus.visitor().get("/hub/login", params={"next": "/services/portal/?a=1&b=2"})
    assert "Sign in with University north" in page.text
    link = re.search(r'href="(/hub/oidc/south/sign-in[^"]*)"', page.text)
    assert link is not None
    with campus.visitor() as visitor:
        there = visitor.get(unescape(link[1]))
        assert str(there.url).startswith(campus.south.issuer)


@pytest.mark.parametrize("which", ["north", "south"])
def test_a_person_signs_in_and_reaches_the_portal(campus: Campus, which: str) -> None:
    peer: Provider = getattr(campus, which)
    with campus.visitor() as visitor:
        page = visitor.sign_in(peer, "ada")
        assert page.status_code == 200, page.text
        assert str(page.url) == f"{campus.site.url}/services/portal/"
        assert me(visitor).json()["person"]["display_name"] == "Ada Lovelace"


def test_the_same_subject_email_and_name_at_two_providers_are_two_people(campus: Campus) -> None:
    found = []
    for peer in (campus.north, campus.south, campus.north):
        with campus.visitor() as visitor:
            visitor.sign_in(peer, "ada")
            found.append(me(visitor).json()["person"])
    assert found[0]["hub_name"] == found[2]["hub_name"]
    assert found[0]["hub_name"] != found[1]["hub_name"]
    assert found[0]["login"] != found[1]["login"]
    assert {person["email"] for person in found} == {"ada@example.org"}
    assert not any("ada" in person["hub_name"] + person["login"] for person in found)


def test_nobody_gets_in_without_a_claim_that_is_demanded(campus: Campus) -> None:
    with campus.visitor() as visitor:
        page = visitor.sign_in(campus.south, "eve")
        assert page.status_code == 403
        assert "does not admit your account" in page.text
        assert me(visitor).status_code == 401


def test_cancelling_at_the_provider_is_told_in_plain_words(campus: Campus) -> None:
    with campus.visitor() as visitor:
        page = visitor.get("/hub/oidc/north/sign-in")
        abort = re.search(r'href="([^"]*/abort)"', page.text)
        assert abort is not None
        page = visitor.get(unescape(abort[1]))
        assert page.status_code == 403
        assert "it was cancelled" in page.text


def callback_of(visitor: Visitor, peer: Provider, login: str = "ada") -> str:
    """Where the provider sends the visitor, not yet gone there."""
    page = visitor.get(f"/hub/oidc/{peer.name}/sign-in")
    visitor.follow_redirects = False
    for _ in range(12):
        if page.has_redirect_location:
            there = str(page.url.join(page.headers["location"]))
            if "/callback?" in there:
                visitor.follow_redirects = True
                return there
            page = visitor.get(there)
        else:
            page = visitor.submit(page, login=login, password="any")
    raise AssertionError("the provider never sent the visitor back")


def test_a_callback_works_in_its_own_browser_only_and_once(campus: Campus) -> None:
    with campus.visitor() as visitor, campus.visitor() as other:
        back = callback_of(visitor, campus.north)
        other.get("/hub/oidc/north/sign-in")  # a trip of its own does not help it
        stolen = other.get(back)
        assert stolen.status_code == 403
        assert "did not begin in this browser" in stolen.text
        trip = visitor.cookies.get("perijove-trip", path="/hub/oidc/north")
        assert visitor.get(back).status_code == 200
        assert me(visitor).status_code in {200, 401}
        visitor.cookies.set("perijove-trip", trip or "", path="/hub/oidc/north")
        again = visitor.get(back)
        assert again.status_code == 403
        assert "did not begin in this browser" in again.text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"state": "x"}, "did not begin in this browser"),
        ({"state": None}, "did not begin in this browser"),
        ({"iss": "http://evil.example"}, "comes from another issuer"),
        ({"iss": None}, "comes from another issuer"),
        ({"code": None}, "carries no code"),
        ({"code": "x"}, "refused to confirm"),
    ],
)
def test_a_changed_callback_is_refused(
    campus: Campus, change: dict[str, str | None], words: str
) -> None:
    with campus.visitor() as visitor:
        back = httpx.URL(callback_of(visitor, campus.north))
        for name, value in change.items():
            removed = back.copy_remove_param(name)
            back = removed if value is None else removed.copy_add_param(name, value)
        page = visitor.get(back)
        assert page.status_code == 403
        assert words in unescape(page.text)
        assert "Traceback" not in page.text
        assert not visitor.cookies.get("jupyterhub-hub-login", path="/hub/")


@pytest.mark.parametrize(
    "next_page", ["https://evil.example/", "//evil.example", "/\\evil.example"]
)
def test_signing_in_never_leads_elsewhere(campus: Campus, next_page: str) -> None:
    with campus.visitor() as visitor:
        page = visitor.sign_in(campus.north, "ada", next_page)
        assert str(page.url) == f"{campus.site.url}/services/portal/"


def test_a_provider_that_nobody_named_is_not_found(campus: Campus) -> None:
    for path in ("sign-in", "callback"):
        page = campus.visitor().get(f"/hub/oidc/nobody/{path}")
        assert page.status_code == 404
        assert "There is no such way to sign in" in page.text


def copies(visitor: Visitor) -> httpx.Cookies:
    """What a thief of this browser's cookies would hold."""
    return httpx.Cookies(visitor.cookies)


def test_signing_out_ends_the_session_here_and_at_the_provider(campus: Campus) -> None:
    with campus.visitor() as visitor, campus.visitor() as thief:
        visitor.sign_in(campus.north, "ada")
        assert me(visitor).status_code == 200
        thief.cookies = copies(visitor)
        assert me(thief).status_code == 200
        page = visitor.post("/services/portal/sign-out", headers={"Origin": campus.site.url})
        assert "You are signed out here" in page.text
        link = re.search(r'<a class="button" href="([^"]+)"', page.text)
        assert link is not None
        asked = visitor.get(unescape(link[1]))  # the provider asks whether it should end its too
        assert str(asked.url).startswith(campus.north.issuer)
        page = visitor.submit(asked, logout="yes")
        assert str(page.url) == f"{campus.site.url}/hub/login"
        # Nothing that was copied before opens anything.
        assert me(thief).status_code == 401
        assert "/hub/login" in str(thief.get("/hub/home").url)
        # And the provider asks who it is, as it did the first time.
        assert "/interaction/" in str(visitor.get("/hub/oidc/north/sign-in").url)


def test_a_logout_at_the_provider_ends_the_session_here_but_no_token_for_scripts(
    campus: Campus,
) -> None:
    with campus.visitor() as visitor:
        visitor.sign_in(campus.north, "ada")
        login = me(visitor).json()["person"]["login"]
        token = campus.site.run("token", "--user", login).stdout.strip()
        assert visitor.get("/hub/home").url.path == "/services/portal/"
        asked = visitor.get(f"{campus.north.issuer}/session/end")
        visitor.submit(asked, logout="yes")
        wait_for("the session to end", lambda: me(visitor).status_code == 401)
        assert "/hub/login" in str(visitor.get("/hub/home").url)
        assert campus.site.get("/services/control/v1/me", token)[0] == 200


@pytest.mark.parametrize("body", [{}, {"logout_token": "x"}, {"logout_token": "a.b.c"}])
def test_nobody_else_can_end_sessions(campus: Campus, body: dict[str, str]) -> None:
    answer = campus.visitor().post("/hub/oidc/north/backchannel-logout", data=body)
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_exemption_from_xsrf_is_for_that_path_only(campus: Campus) -> None:
    for path in ("/hub/oidc/north/sign-in", "/hub/oidc/north/callback", "/hub/login"):
        assert campus.visitor().post(path, data={"logout_token": "x"}).status_code in {403, 405}


def test_a_closed_account_gets_in_no_more(campus: Campus) -> None:
    with campus.visitor() as visitor, campus.visitor() as later:
        visitor.sign_in(campus.north, "eve")
        login = me(visitor).json()["person"]["login"]
        admin = campus.site.run("token", "--user", "admin").stdout.strip()
        closed = httpx.post(
            f"{campus.site.url}/services/control/v1/people/{login}/deactivate",
            headers={"Authorization": f"token {admin}"}, json={}, trust_env=False,
        )  # fmt: skip
        assert closed.is_success, closed.text
        assert me(visitor).status_code == 403
        page = later.sign_in(campus.north, "eve")
        assert page.status_code == 403
        assert "This account is closed" in page.text


def test_no_log_holds_a_code_a_state_or_a_token(campus: Campus) -> None:
    with campus.visitor() as visitor:
        good = callback_of(visitor, campus.north)
        visitor.get(good)
    with campus.visitor() as visitor:
        bad = callback_of(visitor, campus.north)
        visitor.cookies.clear()
        assert visitor.get(bad).status_code == 403
    with campus.visitor() as visitor:  # what the provider refuses is logged too
        wrong = str(httpx.URL(callback_of(visitor, campus.north)).copy_set_param("code", "C0DE-x"))
        assert visitor.get(wrong).status_code == 403
    secrets = [
        v for url in (good, bad, wrong) for k, v in httpx.URL(url).params.items() if k != "iss"
    ]
    assert len(secrets) >= 6
    logs = {
        path: path.read_text(errors="replace") for path in Path(campus.site.home / "logs").iterdir()
    }
    assert any("/hub/oidc/north/callback" in text for text in logs.values())
    leaked = [(path.name, s) for path, text in logs.items() for s in [*secrets, "eyJ"] if s in text]
    assert leaked == []


def test_a_mistake_in_the_file_is_one_clear_error(campus: Campus, tmp_path: Path) -> None:
    site = LiveSite(tmp_path)
    site.home.mkdir(mode=0o700)
    (site.home / "oidc.yaml").write_text(
        yaml.safe_dump({"providers": [{**campus.north.entry(), "alowed": "everyone"}]})
    )
    done = site.run("up", timeout_s=60)
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert f"{site.home / 'oidc.yaml'}: providers[0] (north): alowed" in said
    assert "Traceback" not in said


def test_in_a_real_browser(campus: Campus, chromium: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(30_000)
        page.goto(f"{campus.site.url}/", wait_until="commit")
        page.get_by_role("link", name="Sign in with University north").click()
        page.get_by_placeholder("Enter any login").fill("ada")
        page.get_by_placeholder("and password").fill("any")
        page.get_by_role("button", name="Sign-in").click()
        page.get_by_role("button", name="Continue").click()
        page.wait_for_url(f"{campus.site.url}/services/portal/", wait_until="commit")
        page.get_by_role("button", name="Your account: Ada Lovelace").click()
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url(f"{campus.north.issuer}/session/end**", wait_until="commit")
        page.get_by_role("button", name="Yes, sign me out").click()
        page.wait_for_url(f"{campus.site.url}/hub/login", wait_until="commit")
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        browser.close()


def test_the_identity_is_issuer_and_subject_in_the_audit(campus: Campus) -> None:
    """What an administrator can check: the sign-ins name the issuer."""
    admin = campus.site.run("token", "--user", "admin").stdout.strip()
    status, body = campus.site.get("/services/control/v1/audit?limit=200", admin)
    assert status == 200
    said = {line["object"] for line in json.loads(body)["items"] if line["action"] == "sign-in"}
    assert campus.north.issuer in said
