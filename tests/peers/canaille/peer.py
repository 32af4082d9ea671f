"""PyPI `canaille` as a second OpenID provider: started, driven as a person would, stopped."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.live import ROOT, free_port
from tests.peers.oidc_provider.peer import Visitor
from tests.peers.running import Peer, while_up

HERE = Path(__file__).parent
PYTHON = ROOT / ".envs" / "peers" / "canaille" / "bin" / "python"
INSTALLED = PYTHON.exists()
MISSING = "canaille is not installed (make test installs it)"
PASSWORD = "a long password for tests"
SECRET = "another-secret"


@dataclass(frozen=True)
class Canaille(Peer):
    """A running provider."""

    def entry(self, **more: Any) -> dict[str, Any]:
        """Its entry in the site's oidc.yaml."""
        return {
            "name": self.name, "title": "Canaille", "issuer": self.issuer, "client_id": "perijove",
            "client_secret": SECRET, "scopes": ["openid", "profile", "email", "groups"],
            "allowed": "everyone", **more,
        }  # fmt: skip

    def put(self, login: str, groups: list[str]) -> None:
        """A person is in just these groups from now on."""
        httpx.put(self._person(login), json=groups, trust_env=False).raise_for_status()

    def remove(self, login: str) -> None:
        """A person is deleted."""
        httpx.delete(self._person(login), trust_env=False).raise_for_status()

    def sign_in(self, visitor: Visitor, login: str) -> httpx.Response:
        """Through canaille's own pages: the name, then the password."""
        page = visitor.get(f"/hub/oidc/{self.name}/sign-in", params={"next": "/services/portal/"})
        for _ in range(4):
            if page.url.port != self.port:
                break
            field = {"password": PASSWORD} if 'name="password"' in page.text else {"login": login}
            assert re.search("<form", page.text), page.text
            page = visitor.submit(page, **field)
        return page

    def _person(self, login: str) -> str:
        return f"{self.issuer}/test/people/{login}"


@contextmanager
def running(name: str, site: str, people: dict[str, list[str]], folder: Path) -> Iterator[Canaille]:
    """A provider that knows `people` with their groups, and one client: the site."""
    peer = Canaille(name, free_port())
    client = {
        "client_id": "perijove", "client_secret": SECRET, "client_name": "Perijove",
        "client_uri": site, "redirect_uris": [f"{site}/hub/oidc/{name}/callback"],
        "post_logout_redirect_uris": [f"{site}/hub/login"],
        "scope": ["openid", "profile", "email", "groups"], "response_types": ["code"],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "client_secret_basic",
    }  # fmt: skip
    given = {"folder": str(folder), "port": peer.port, "client": client, "people": people}
    with (folder / "canaille.log").open("wb") as log:
        process = subprocess.Popen(
            [PYTHON, HERE / "run.py"], cwd=folder, stdout=log, stderr=log,
            env={**os.environ, "CANAILLE_PEER": json.dumps(given)},
        )  # fmt: skip
    configuration = f"{peer.issuer}/.well-known/openid-configuration"
    log = folder / "canaille.log"
    with while_up(process, configuration, 60, lambda: log.read_text()[-2000:]):
        yield peer
