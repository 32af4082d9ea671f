"""Two scanners of others against a running site: each finding is mended, or explained here.

docs/security.md says the same in words. A finding that no line explains fails the test.
"""

import json
import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Api, Visitor, make_site
from tests.live import ROOT, LiveSite

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]
__all__ = ["make_site"]  # the fixture of the other tests of whole sites

PEERS = ROOT / ".envs" / "peers"
SCHEMATHESIS = PEERS / "schemathesis" / "bin" / "schemathesis"
WAPITI = [PEERS / "wapiti" / "bin" / "python", ROOT / "tests" / "peers" / "wapiti" / "run.py"]
API = "/services/control"
SECONDS = 240
"""How long one scan looks. 150 were enough for all operations beside one other test, and too few
(135 of 138) beside two."""

RULE = "ST202 Schema-valid request rejected"
"""A rule that JSON Schema cannot say was broken: an offer that is not on the menu, a time that is
none, limits that contradict each other. It is explained when the answer names the place and what to
do next, which `_explained` looks at."""
SIBLING = "ST205 Allow header mismatch"
"""`Allow` names more than the description does there: the address fits another one too, which takes
that method (`…/lti/score` is also `…/lti/{context}`). `_sibling` looks for it."""

HUB = (
    "JupyterHub's own pages and its policy, which says who may frame them and nothing about scripts"
)
SCRIPT = "the page's own script reads it and sends it back: that is how it guards against forgery"
PLAIN = "this site has no https; where the public address has it, the cookie has the flag"
PAGES = {
    "Content Security Policy Configuration": HUB,
    "Clickjacking Protection": "frame-ancestors of the policy says it, and is what browsers follow",
    "HttpOnly Flag cookie": SCRIPT,
    "Secure Flag cookie": PLAIN,
}
"""What wapiti calls it → why it stays. Neither is a hole that a parameter opens: those all fail."""


@pytest.fixture(scope="module")
def site(make_site: Callable[..., LiveSite]) -> LiveSite:
    """Two courses, a student of one of them, a lab that runs and a second one."""
    found = make_site(PERIJOVE_TRUST_EVERYONE="true").start()
    admin, today = Api(found), datetime.now(UTC).date()
    for name in ("physics", "chemistry"):
        days = {
            "first_day": str(today - timedelta(days=1)),
            "last_day": str(today + timedelta(days=90)),
        }
        lab = {"lab": {"offer": "cpu", "set": {}}, "student": {"limits": {}, "credits": "0"}}
        admin.post("/courses", {"id": name, "name": name.title(), **days, **lab})
    link = admin.post("/invitations", {"tenant": "physics", "role": "member"})["url"]
    assert Visitor(found).accept_invitation(link, "mia").status_code == 200
    admin.post("/people/mia/grant", {"credits": "100"})
    Api(found, "mia").run("cpu")
    admin.launch("cpu")
    return found


@pytest.mark.parametrize("login", ["mia", "admin"])
def test_schemathesis_finds_nothing_unexplained(site: LiveSite, login: str, tmp_path: Path) -> None:
    """All operations of the served description, every check; the student first, since what the
    administrator makes up stays."""
    api = Api(site, login)
    done = subprocess.run(
        [
            SCHEMATHESIS, "run", f"{site.url}{API}/openapi.json",
            "-H", f"Authorization: token {api.token}", "--checks", "all",
            "--phases", "coverage,fuzzing", "--continue-on-failure", "--max-examples", "1",
            "--seed", "1", "--generation-database", "none", "--no-shrink",
            "--max-time", str(SECONDS), "--request-timeout", "20", "--no-color",
            "--output-truncate", "false", "--report", "json", "--report-json-path", "report.json",
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=2 * SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode in {0, 1}, done.stdout[-3000:] + done.stderr[-3000:]
    report = json.loads((tmp_path / "report.json").read_text())
    operations = report["operations"]
    assert operations["tested"] == operations["total"] > 100, operations
    assert not report["errors"], report["errors"]
    found, served = findings(done.stdout), json.loads(site.get(f"{API}/openapi.json")[1])["paths"]
    assert sum(one["count"] for one in report["failures"]) <= len(found), done.stdout[-3000:]
    assert [one for one in found if not _explained(*one, served)] == []
    # The scan may have ended the token that it came with; the account must be there still.
    assert Api(site, login).get("/me")["person"]["login"] == login


def findings(said: str) -> list[tuple[str, str]]:
    """(operation, what was found with its answer) of each finding that schemathesis prints."""
    parts = re.split(r"^_+ ([A-Z]+ /\S*) _+$", said, flags=re.MULTILINE)
    return [
        (operation, text)
        for operation, body in zip(parts[1::2], parts[2::2], strict=True)
        for text in re.split(r"^- (?=ST\d+ )", body, flags=re.MULTILINE)[1:]
    ]


def _explained(operation: str, text: str, served: dict[str, Any]) -> bool:
    if text.startswith(SIBLING):
        return "Missing" not in text and _sibling(operation, text, served)
    if not text.startswith(RULE) or "[422]" not in text:
        return False
    body = re.search(r"`(\{\"error\":.*\})`", text)
    error: dict[str, Any] = json.loads(body[1])["error"] if body else {}
    return error.get("code") == "bad-value" and bool(error.get("message") and error.get("next"))


def _sibling(operation: str, text: str, served: dict[str, Any]) -> bool:
    """Whether each method that `Allow` names too many is served at an address of the same form."""
    extra = re.search(r"Undocumented methods advertised: ([A-Z, ]+)", text)
    path = operation.partition(" ")[2]
    forms = {form: re.sub(r"\{[^}]+\}", "[^/]+", form) for form in served}
    taken = {m.upper() for form in forms if re.fullmatch(forms[form], path) for m in served[form]}
    return extra is not None and set(extra[1].split(", ")) <= taken


def test_wapiti_finds_nothing_unexplained(site: LiveSite, tmp_path: Path) -> None:
    """The portal, the Hub's pages and the public paths, with the cookies of a student."""
    visitor = Visitor(site)
    assert visitor.sign_in("mia").status_code == 200
    (tmp_path / "cookies.json").write_text(json.dumps(_cookies(visitor)))
    pages = [f"{site.url}{path}" for path in ("/hub/login", "/hub/home", f"{API}/openapi.json")]
    done = subprocess.run(
        [
            *WAPITI, "-u", f"{site.url}/services/portal/",
            *(word for page in pages for word in ("-s", page)),
            "-x", f"{site.url}/hub/logout*", "--scope", "domain", "-c", tmp_path / "cookies.json",
            "--drop-set-cookie", "-d", "5", "-m", ATTACKS, "--no-bugreport",
            "--max-scan-time", "40", "--max-attack-time", "8",
            "--store-session", tmp_path / "session", "--store-config", tmp_path / "config",
            "-f", "json", "-o", tmp_path / "report.json",
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=2 * SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["infos"]["crawled_pages_nbr"] > 3, report["infos"]
    found = {
        (kind, one["path"].partition("?")[0], one["info"])
        for group in ("vulnerabilities", "anomalies")
        for kind, several in report[group].items()
        for one in several
    }
    assert {one for one in found if one[0] not in PAGES} == set()
    # wapiti follows the way to the Hub's sign-in page and calls what it finds there by the first
    # address; that the portal's own pages have a policy is looked at here.
    page = visitor.http.get("/services/portal/")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


def _cookies(visitor: Visitor) -> dict[str, Any]:
    """As wapiti's cookie file has them: each keeps its path, for the names are not unique."""
    kept: dict[str, Any] = {}
    for one in visitor.http.cookies.jar:
        kept.setdefault(one.path, {})[one.name] = {
            "value": one.value, "expires": None, "secure": False, "port": None, "version": 0,
        }  # fmt: skip
    return {"127.0.0.1": kept}


ATTACKS = (
    "cookieflags,csp,crlf,exec,file,http_headers,permanentxss,redirect,sql,ssrf,xss,xxe,methods"
)
"""Those that need no server of somebody else's to answer."""
