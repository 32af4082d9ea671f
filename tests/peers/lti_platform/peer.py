"""Open edX's own code of an LTI 1.3 platform as a peer: started, asked, stopped."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from joserfc.jwk import RSAKey

from tests.live import ROOT, free_port
from tests.peers.running import Peer, while_up

HERE = Path(__file__).parent
PYTHON = ROOT / ".envs" / "peers" / "lti_platform" / "bin" / "python"
INSTALLED = PYTHON.exists()
MISSING = "the learning system for tests is not installed (make test installs it)"
CLIENT, DEPLOYMENT = "perijove-tool", "deployment-1"


@dataclass(frozen=True)
class Platform(Peer):
    """A running platform."""

    def entry(self, **more: Any) -> dict[str, Any]:
        """Its entry in the site's lti.yaml."""
        return {
            "name": self.name, "title": "Campus Courses", "issuer": self.issuer,
            "client_id": CLIENT, "deployments": [DEPLOYMENT],
            "auth_login_url": f"{self.issuer}/authorize",
            "auth_token_url": f"{self.issuer}/token", "jwks_url": f"{self.issuer}/jwks", **more,
        }  # fmt: skip

    def link(self, user: str, context: str, kind: str = "LtiResourceLinkRequest") -> str:
        """What somebody clicks in a course there."""
        return f"{self.issuer}/start/{user}/{context}?type={kind}"

    def seen(self) -> dict[str, Any]:
        """Scores, lines of the gradebook, links that were picked, and what was asked."""
        return httpx.get(f"{self.issuer}/seen", trust_env=False).json()

    def has(self, people: dict[str, dict[str, Any]]) -> None:
        """These are its people from now on."""
        httpx.post(f"{self.issuer}/people", json=people, trust_env=False).raise_for_status()


@contextmanager
def running(
    name: str, site: str, people: dict[str, dict[str, Any]], **more: Any
) -> Iterator[Platform]:
    """A platform whose `people` are in all of its courses; its tool is the site at this address."""
    platform, ours = Platform(name, free_port()), f"{site}/hub/lti/{name}"
    given = {
        "port": platform.port, "client_id": CLIENT, "deployment": DEPLOYMENT, "people": people,
        "key": RSAKey.generate_key(2048).as_pem(private=True).decode(),
        "tool": {
            "login": f"{ours}/login", "launch": f"{ours}/launch",
            "deep_link": f"{ours}/deep-link", "jwks": f"{site}/hub/lti/jwks",
        },
        **more,
    }  # fmt: skip
    process = subprocess.Popen(
        [PYTHON, HERE / "server.py"],
        # Bytecode is kept: the second start takes a tenth of the first.
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", "LTI_PEER": json.dumps(given)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with while_up(process, f"{platform.issuer}/jwks", 60):
        yield platform
