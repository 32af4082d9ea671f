"""The certified npm `oidc-provider` as a peer: started, driven as a person would, stopped."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx

from hub.up.programs import node_binary
from tests.live import free_port
from tests.peers.running import Peer, while_up

HERE = Path(__file__).parent
INSTALLED = (HERE / "node_modules" / "oidc-provider").is_dir() and node_binary() is not None
MISSING = "the OpenID provider for tests is not installed (make test installs it)"
SECRET = "a secret: with/odd+signs & 100%"


@dataclass(frozen=True)
class Provider(Peer):
    """A running provider."""

    def entry(self, **more: Any) -> dict[str, Any]:
        """Its entry in the site's oidc.yaml."""
        return {
            "name": self.name, "title": f"University {self.name}", "issuer": self.issuer,
            "client_id": "perijove", "client_secret": SECRET, "allowed": "everyone", **more,
        }  # fmt: skip

    def put(self, login: str, claims: dict[str, Any]) -> None:
        """An account is added, or says something else from now on."""
        httpx.put(self._account(login), json=claims, trust_env=False).raise_for_status()

    def remove(self, login: str) -> None:
        """An account is deleted."""
        httpx.delete(self._account(login), trust_env=False).raise_for_status()

    def _account(self, login: str) -> str:
        return f"{self.issuer}/test/accounts/{login}"


@contextmanager
def running(
    name: str, site: str, accounts: dict[str, dict[str, Any]], **client: Any
) -> Iterator[Provider]:
    """A provider that knows `accounts` and one client: the site with the public address `site`."""
    peer = Provider(name, free_port())
    ours = f"{site}/hub/oidc/{name}"
    metadata = {
        "client_id": "perijove",
        "client_secret": SECRET,
        "redirect_uris": [f"{ours}/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "post_logout_redirect_uris": [f"{site}/hub/login"],
        "backchannel_logout_uri": f"{ours}/backchannel-logout",
        "backchannel_logout_session_required": True,
        **client,
    }
    given = {"port": peer.port, "client": metadata, "accounts": accounts}
    node = node_binary()
    assert node is not None
    process = subprocess.Popen(
        [node, HERE / "provider.mjs"],
        env={**os.environ, "OIDC_PEER": json.dumps(given)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with while_up(process, f"{peer.issuer}/.well-known/openid-configuration", 20):
        yield peer


class Visitor(httpx.Client):
    """A browser without a screen: keeps cookies, follows redirects and the first form of a page."""

    def __init__(self, site: str) -> None:
        super().__init__(base_url=site, follow_redirects=True, timeout=30, trust_env=False)

    def sign_in(self, peer: Peer, login: str, next: str = "/services/portal/") -> httpx.Response:
        """Through the provider's own pages, to where the site leads in the end."""
        page = self.get(f"/hub/oidc/{peer.name}/sign-in", params={"next": next})
        while "/interaction/" in str(page.url):
            page = self.submit(page, login=login, password="any")
        return page

    def submit(self, page: httpx.Response, **fields: str) -> httpx.Response:
        """Send the first form of a page, its hidden fields as they are."""
        form = re.search(r"<form[^>]*>.*?</form>", page.text, re.DOTALL)
        assert form is not None, page.text
        action = re.search(r'action="([^"]+)"', form[0])
        data = {
            unescape(name): unescape(value)
            for tag in re.findall(r"<input[^>]*>", form[0])
            for name in re.findall(r'name="([^"]*)"', tag)
            for value in re.findall(r'value="([^"]*)"', tag) or [""]
        }
        target = urljoin(str(page.url), unescape(action[1]) if action else "")
        return self.post(target, data={**data, **fields})


def _answers(peer: Peer) -> bool:
    try:
        return httpx.get(
            f"{peer.issuer}/.well-known/openid-configuration", trust_env=False
        ).is_success
    except httpx.HTTPError:
        return False
