"""Signing in and out, and what each door says to whoever should not pass, on a live site."""

import re
import sqlite3
from collections.abc import Callable
from http.cookiejar import CookieJar

import httpx
import pytest

from tests.e2e.conftest import PASSWORD, Api, Visitor, processes_of
from tests.live import LiveSite, wait_for

PORTAL = "/services/portal/"


@pytest.fixture(scope="module")
def site(make_site: Callable[..., LiveSite]) -> LiveSite:
    return make_site().start()


@pytest.fixture(scope="module")
def admin(site: LiveSite) -> Api:
    return Api(site)


@pytest.fixture
def visitor(site: LiveSite) -> Visitor:
    return Visitor(site)


def invited(site: LiveSite, admin: Api, login: str) -> Visitor:
    """A new person who has just made an account and is signed in."""
    made = Visitor(site)
    url = admin.post("/invitations", {"tenant": "main"})["url"]
    assert made.accept_invitation(url, login).status_code == 200
    return made


def test_looking_at_the_first_link_does_not_use_it_up_and_signing_in_does(
    site: LiveSite, visitor: Visitor
) -> None:
    link = site.cli("admin-link")["url"]
    visitor.http.get(link)
    page = visitor.http.get(link)
    assert "Sign in as administrator" in page.text
    assert not _signed_in(visitor)
    done = visitor.submit(page, password="", password_again="")
    assert (done.status_code, done.url.path) == (200, PORTAL)
    assert _signed_in(visitor)
    again = Visitor(site).http.get(link)
    assert again.status_code == 404
    assert "used already" in again.text
    assert "perijove admin-link" in again.text
    replayed = Visitor(site)
    replayed.http.get("/hub/login")
    refused = replayed.http.post("/hub/welcome", data={"token": link.partition("=")[2]})
    assert refused.status_code in {403, 404}
    assert not _signed_in(replayed)


def test_a_renewed_link_kills_the_older_one(site: LiveSite, visitor: Visitor) -> None:
    old, new = (site.cli("admin-link")["url"] for _ in range(2))
    assert visitor.http.get(old).status_code == 404
    assert "Sign in as administrator" in visitor.http.get(new).text


def test_a_link_that_nobody_made_says_so_and_is_not_a_stack_trace(visitor: Visitor) -> None:
    for token in ("", "x", "é" * 200, "%00", "../../etc/passwd"):
        page = visitor.http.get("/hub/welcome", params={"token": token})
        assert page.status_code == 404, token
        assert "not known" in page.text


def test_an_invited_person_makes_an_account_and_signs_in_by_password(
    site: LiveSite, admin: Api, visitor: Visitor
) -> None:
    url = admin.post("/invitations", {"tenant": "main"})["url"]
    for login, password, problem in (
        ("Ro Ot", PASSWORD, "lower-case letters"),
        ("mia", "short", "10 to 256 characters"),
        ("admin", PASSWORD, "is taken"),
    ):
        page = visitor.accept_invitation(url, login, password)
        assert (page.status_code, problem in page.text) == (400, True), page.text
        assert password not in page.text
    assert visitor.accept_invitation(url, "mia").url.path == PORTAL
    assert "used already" in visitor.http.get(url).text
    other = Visitor(site)
    assert other.sign_in("mia").url.path == PORTAL
    assert _signed_in(other)
    assert Api(site, "mia").get("/me")["person"]["login"] == "mia"


def test_wrong_passwords_slow_down_and_tell_nothing(site: LiveSite, admin: Api) -> None:
    invited(site, admin, "slow")
    said: dict[str, list[str]] = {"slow": [], "nobody-here": []}
    for login, texts in said.items():
        for _ in range(9):
            page = Visitor(site).sign_in(login, "not the password")
            assert page.status_code in {403, 429}
            texts.append(_problem(page))
    assert said["slow"] == said["nobody-here"]  # whether there is an account is not told
    assert "name or the password is wrong" in said["slow"][0]
    assert "too many wrong passwords" in said["slow"][8].lower()
    right = Visitor(site)
    assert "too many wrong passwords" in _problem(right.sign_in("slow")).lower()
    assert not _signed_in(right)


@pytest.mark.parametrize(
    "next_",
    [
        "https://evil.example/", "//evil.example/", "\\\\evil.example", "/\\evil.example",
        "http:evil.example", "/hub/../\\evil.example", "https:///evil.example", "\t//evil.example",
    ],
)  # fmt: skip
def test_signing_in_never_leads_to_another_site(
    site: LiveSite, visitor: Visitor, next_: str
) -> None:
    visitor.http.follow_redirects = False
    page = visitor.http.get("/hub/login", params={"next": next_})
    if not page.is_redirect:
        Api(site)  # the Hub answers
        sent = visitor.submit(page, username="mia", password=PASSWORD)
        _stays(site, sent)
    _stays(site, page)
    _stays(site, visitor.http.get(f"{PORTAL}sign-in", params={"next": next_}))


def test_a_form_of_another_site_does_nothing(site: LiveSite, admin: Api) -> None:
    link = site.cli("admin-link")["url"]
    stranger = httpx.Client(base_url=site.url, headers={"Origin": "https://evil.example"})
    for path, form in (
        ("/hub/welcome", {"token": link.partition("=")[2], "password": ""}),
        ("/hub/login", {"username": "mia", "password": PASSWORD}),
    ):
        answer = stranger.post(path, data=form)
        assert answer.status_code == 403, (path, answer.status_code)
    assert not stranger.cookies.get("jupyterhub-session-id")
    assert "Sign in as administrator" in Visitor(site).http.get(link).text  # still unused


def test_signing_out_ends_the_session_everywhere(site: LiveSite, admin: Api) -> None:
    person = invited(site, admin, "leaver")
    started = Api(site, "leaver").run("cpu")
    lab = person.http.get(started["url"])
    assert (lab.status_code, lab.url.path.endswith("/lab")) == (200, True)
    assert _signed_in(person)
    thief = Visitor(site)
    _copy(person.http.cookies.jar, thief.http.cookies.jar)
    assert _signed_in(thief)
    left = person.http.get("/hub/logout")
    assert left.url.path == "/hub/login"
    assert not _signed_in(thief)
    for who in (person, thief):
        for path in ("/hub/token", PORTAL):
            assert who.http.get(path).url.path == "/hub/login", path
        wait_for("the notebook knows", lambda who=who: _at_login(who, started["url"]))
    contents = f"/user/leaver/{started['id']}/api/contents"
    thief.http.follow_redirects = False
    assert thief.http.get(contents, headers={"Accept": "application/json"}).status_code == 403
    assert processes_of(started["id"])  # work goes on; only the browser was signed out
    Api(site, "leaver").stop(started["id"])


def test_a_closed_account_is_out_at_once(site: LiveSite, admin: Api) -> None:
    person = invited(site, admin, "gone")
    api = Api(site, "gone")
    own = person.token("gone")
    started = api.run("gpu-quarter")
    assert person.http.get(started["url"]).status_code == 200
    done = site.run("people", "deactivate", "gone")
    assert done.returncode == 0, done.stderr
    for token in (api.token, own):
        assert site.get("/services/control/v1/me", token)[0] in {401, 403}
        assert site.get("/hub/api/user", token)[0] in {401, 403}
    assert not _signed_in(person)
    wait_for("its server is gone", lambda: not processes_of(started["id"]), 20)
    refused = Visitor(site).sign_in("gone")
    assert refused.status_code == 403
    assert "name or the password is wrong" in _problem(refused)
    mint = site.run("token", "--user", "gone", "--json")
    assert mint.returncode != 0
    assert "closed" in mint.stdout
    ended = next(
        w for w in admin.get("/workloads", everybody="true", state="ended")["items"]
        if w["id"] == started["id"]
    )  # fmt: skip
    assert ended["reason_code"] == "deactivated"
    assert ended["held"] == "0.00"
    site.cli("people", "activate", "gone")
    assert Visitor(site).sign_in("gone").url.path == PORTAL


def test_a_token_without_the_scope_opens_nothing(site: LiveSite, admin: Api) -> None:
    person = invited(site, admin, "scoped")
    full = person.token("scoped")
    made = httpx.post(
        f"{site.url}/hub/api/users/scoped/tokens",
        json={"scopes": ["read:users!user"]},
        headers={"Authorization": f"token {full}"},
    )
    assert made.status_code == 201, made.text
    status, body = site.get("/services/control/v1/me", made.json()["token"])
    assert status == 401
    assert b"perijove token" in body
    assert site.get("/services/control/v1/me", full)[0] == 200
    for garbage in ("x", "pj_1_2", "é", "a" * 5000):
        assert site.get("/services/control/v1/me", garbage)[0] in {400, 401, 431}


def test_the_hub_starts_nothing_that_was_not_granted(site: LiveSite, admin: Api) -> None:
    person = invited(site, admin, "sly")
    own = person.token("sly")
    for server in ("", "mine", "w-0000000000"):
        answer = httpx.post(
            f"{site.url}/hub/api/users/sly/servers/{server}",
            headers={"Authorization": f"token {own}"},
        )
        assert answer.status_code == 403, answer.text
    page = person.http.get("/hub/spawn/sly/mine")
    assert page.url.path == PORTAL
    # Whoever holds control's own token gets no further: the Spawner asks control.
    secret = (site.home / "secrets" / "hub_control").read_text().strip()
    address = f"{site.url}/hub/api/users/sly/servers/mine"
    service = httpx.Client(headers={"Authorization": f"token {secret}"}, timeout=60)
    asked = service.post(address)
    assert asked.status_code in {202, 409}  # 409: it failed before it answered

    def told() -> str:
        # While the Hub tidies up after a failed start it answers 400, and only then says why.
        answer = service.get(f"{address}/progress")
        return answer.text if answer.status_code == 200 else ""

    said = asked.text + wait_for("the Hub says why", told)
    assert "nothing was granted for it" in said
    assert "start a notebook from the menu" in said.lower()
    assert "Traceback" not in said
    assert Api(site, "sly").get("/workloads")["items"] == []


def test_the_hubs_own_pages_lead_to_the_portal(site: LiveSite, admin: Api) -> None:
    person = invited(site, admin, "wanderer")
    for path in ("/", "/hub/", "/hub/home", "/hub/spawn", "/hub/spawn/wanderer"):
        assert person.http.get(path).url.path == PORTAL, path
    api = Api(site, "wanderer")
    ended = api.stop(api.run("cpu")["id"])
    wanted = f"{PORTAL}workloads/{ended['id']}"
    address = f"/user/wanderer/{ended['id']}/lab"
    wait_for("it leads there", lambda: person.http.get(address).url.path == wanted)
    assert person.http.get(address).status_code == 200


def test_pages_hold_no_token_and_no_cookie(site: LiveSite, admin: Api) -> None:
    person = invited(site, admin, "reader")
    own = Api(site, "reader").token
    secrets = [str(c.value) for c in person.http.cookies.jar if c.name != "_xsrf"]
    assert secrets
    for path in (PORTAL, f"{PORTAL}usage", f"{PORTAL}workloads", "/hub/token"):
        text = person.http.get(path).text
        assert not [s for s in (*secrets, own) if s in text], path
    text = person.http.get(PORTAL).text
    assert not re.search(r"[\"'=: ][0-9a-f]{32}[\"'& ]", text)  # the form of a Hub token
    with sqlite3.connect(f"file:{site.home}/hub/hub.sqlite?mode=ro", uri=True) as hub:
        prefixes = [row[0] for row in hub.execute("SELECT prefix FROM api_tokens")]
    assert prefixes
    assert not [p for p in prefixes if re.search(rf"\b{re.escape(p)}[0-9a-zA-Z_-]{{20,}}", text)]


def _signed_in(visitor: Visitor) -> bool:
    """Whether the portal shows this browser its pages and has its data for them."""
    headers = {"X-Perijove-Page": "1", "Accept": "application/json"}
    data = visitor.http.get(f"{PORTAL}api/v1/me", headers=headers)
    page = visitor.http.get(PORTAL)
    shown = page.url.path == PORTAL and page.status_code == 200
    assert shown is (data.status_code == 200), (page.url, data.text)
    return shown


def _at_login(visitor: Visitor, url: str) -> bool:
    """A notebook asks the Hub again every ten seconds."""
    return visitor.http.get(url).url.path == "/hub/login"


def _problem(page: httpx.Response) -> str:
    found = re.search(r'role="alert">([^<]*)<', page.text)
    return found[1].strip() if found else ""


def _stays(site: LiveSite, answer: httpx.Response) -> None:
    """No redirect of it leaves the site, as a browser would read it."""
    to = answer.headers.get("location", "/").strip().replace("\\", "/")
    assert to.startswith(site.url) or re.match(r"/(?!/)", to), to


def _copy(source: CookieJar, target: CookieJar) -> None:
    for cookie in source:
        target.set_cookie(cookie)
