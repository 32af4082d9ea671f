"""A whole site with a campus sign-in: a department with an instructor, and one beside it."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.live import LiveSite
from tests.peers.oidc_provider.peer import Provider, running

STUDENTS = 120
PORTAL = "/services/portal/"


def account(login: str, name: str, *groups: str) -> dict[str, Any]:
    return {
        "name": name, "email": f"{login}@example.edu", "email_verified": True,
        "preferred_username": login, "groups": list(groups),
    }  # fmt: skip


ACCOUNTS = {
    "ines": account("ines", "Ines Torres", "physics-staff"),
    "omar": account("omar", "Omar Haddad", "chemistry-admins"),
    "tara": account("tara", "Tara Lind"),
    "zoe": account("zoe", "Zoe Ada"),
    **{f"s{n:03}": account(f"s{n:03}", f"Student {n:03}") for n in range(3)},
}
"""Tara becomes an assistant by the list that Ines uploads; Zoe is on no list."""
RULES = [
    {"when": {"groups": "physics-staff"}, "tenant": "physics", "role": "instructor", "home": True},
    {"when": {"groups": "chemistry-admins"}, "tenant": "chemistry", "role": "admin", "home": True},
]


def roster(folder: Path) -> Path:
    """120 students and an assistant, as a registrar's office exports them."""
    lines = ["Student ID,Name,E-mail,Role", "00-991,Tara Lind,tara@example.edu,assistant"]
    lines += [f"26-{n:03},Student {n:03},s{n:03}@example.edu," for n in range(STUDENTS)]
    file = folder / "roster.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
    return file


def repository(folder: Path) -> Path:
    """A git repository with one notebook and a page to read."""
    work = folder / "phys101"
    work.mkdir(parents=True)
    (work / "README.md").write_text("# Week 1\n\nMeasure the pendulum.\n")
    git = ["git", "-c", "user.name=Ines", "-c", "user.email=ines@example.edu"]
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "week 1"]):
        subprocess.run([*git, *words], cwd=work, check=True, env=_plain())
    return work


def _plain() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}


@dataclass
class Campus:
    """A running site; each person has a browser of their own."""

    site: LiveSite
    peer: Provider
    browser: Browser
    material: Path
    contexts: dict[str, BrowserContext] = field(default_factory=dict)

    def open(self, login: str, path: str = "", **options: Any) -> Page:
        """A page of the portal as `login`, signed in at the provider's own pages on the way."""
        page = self.context(login, **options).new_page()
        page.goto(self.site.url + PORTAL + path, wait_until="commit")
        if "/hub/login" in page.url:
            self.sign_in(page, login)
        return page

    def context(self, login: str, **options: Any) -> BrowserContext:
        if login not in self.contexts:
            size = {"width": 1280, "height": 900}
            self.contexts[login] = self.browser.new_context(**{"viewport": size, **options})
            self.contexts[login].set_default_timeout(60_000)
        return self.contexts[login]

    def sign_in(self, page: Page, login: str) -> None:
        """Through the provider's sign-in and consent."""
        page.get_by_role("link", name=f"Sign in with {self.peer.entry()['title']}").click()
        page.get_by_placeholder("Enter any login").fill(login)
        page.get_by_placeholder("and password").fill("any")
        page.get_by_role("button", name="Sign-in").click()
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("button", name="Your account")).to_be_visible()

    def close(self) -> None:
        for context in self.contexts.values():
            context.close()


@contextmanager
def campus(folder: Path, browser: Browser) -> Iterator[Campus]:
    """Started, with the two departments and 2,000 credits for physics."""
    with tempfile.TemporaryDirectory(prefix="perijove-materials-") as materials:
        Path(materials).chmod(0o755)  # git reads it without rights, which pytest's folders forbid
        yield from _campus(folder, browser, repository(Path(materials)))


def _campus(folder: Path, browser: Browser, material: Path) -> Iterator[Campus]:
    site = LiveSite(
        folder, {"PERIJOVE_TRUST_EVERYONE": "true", "PERIJOVE_MATERIALS": str(material.parent)}
    )
    site.home.mkdir(mode=0o700)
    with running("uni", site.url, ACCOUNTS) as peer:
        entry = peer.entry(rules=RULES, scopes=["openid", "profile", "email", "groups"])
        (site.home / "oidc.yaml").write_text(yaml.safe_dump({"providers": [entry]}))
        try:
            site.start()
            for name in ("physics", "chemistry"):
                site.cli("tenant", "add", name, "--name", name.title(), "--kind", "department")
            site.cli("credits", "grant", "physics", "2000")
            site.cli("quota", "set", "--tenant", "physics", "--dimension", "gpu", "--limit", "2")
            found = Campus(site, peer, browser, material)
            yield found
            found.close()
        finally:
            site.stop()
