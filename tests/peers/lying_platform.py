"""A learning system that says whatever a test tells it to, truth and lies alike."""

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from joserfc.jwk import RSAKey

from hub.lti.messages import CLAIM, GRADES, LINKS, ROSTER
from hub.lti.platforms import Platform
from tests.peers.lying_provider import sign

SITE = "https://perijove.example"
CLIENT, DEPLOYMENT = "perijove-tool", "d-1"
LEARNER = "http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"
INSTRUCTOR = "http://purl.imsglobal.org/vocab/lis/v2/membership#Instructor"
GOOD = RSAKey.generate_key(2048, {"kid": "lms", "use": "sig", "alg": "RS256"})
SPARE = RSAKey.generate_key(2048, {"kid": "spare", "use": "sig"})
STRANGER = RSAKey.generate_key(2048, {"kid": "lms"})
Answer = Callable[[web.Request], web.StreamResponse]


@dataclass
class LyingPlatform:
    """`keys` and `raw` are served as they are. `pages` are the roster's, `lines` and `scores` what
    its gradebook has; `asked` is what was asked of it, `forms` what was sent for tokens."""

    issuer: str = ""
    keys: list[dict[str, Any]] = field(default_factory=lambda: [GOOD.as_dict(private=False)])
    raw: dict[str, Answer] = field(default_factory=dict)
    pages: list[list[dict[str, Any]]] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)
    scores: list[dict[str, Any]] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    forms: list[dict[str, Any]] = field(default_factory=list)

    def entry(self, **more: Any) -> dict[str, Any]:
        """Its entry in lti.yaml."""
        return {
            "name": "lms", "title": "Campus", "issuer": self.issuer, "client_id": CLIENT,
            "deployments": [DEPLOYMENT], "auth_login_url": f"{self.issuer}/login",
            "auth_token_url": f"{self.issuer}/token", "jwks_url": f"{self.issuer}/keys", **more,
        }  # fmt: skip

    def platform(self, **more: Any) -> Platform:
        return Platform.model_validate(self.entry(**more))

    def claims(self, _nonce: str, site: str = SITE, **more: Any) -> dict[str, Any]:
        """Of a good launch. A claim that is None is left out."""
        now = int(time.time())
        given = {
            "iss": self.issuer, "aud": CLIENT, "sub": "ada", "iat": now, "exp": now + 60,
            "nonce": _nonce, "name": "Ada Lovelace", "email": "ada@example.org",
            CLAIM + "version": "1.3.0", CLAIM + "message_type": "LtiResourceLinkRequest",
            CLAIM + "deployment_id": DEPLOYMENT, CLAIM + "roles": [LEARNER],
            CLAIM + "target_link_uri": f"{site}/hub/lti/lms/launch",
            CLAIM + "resource_link": {"id": "r-1"},
            CLAIM + "context": {"id": "c-1", "title": "Physics 101"},
            ROSTER: {"context_memberships_url": f"{self.issuer}/roster"},
            GRADES: {
                "lineitems": f"{self.issuer}/lines",
                "scope": ["https://purl.imsglobal.org/spec/lti-ags/scope/lineitem"],
            },
            **more,
        }  # fmt: skip
        return {name: value for name, value in given.items() if value is not None}

    def linking(self, _nonce: str, site: str = SITE, **more: Any) -> dict[str, Any]:
        """Of a good request for links."""
        settings = {
            "deep_link_return_url": f"{self.issuer}/picked", "accept_types": ["ltiResourceLink"],
            "data": "opaque",
        }  # fmt: skip
        return self.claims(
            _nonce, site,
            **{
                CLAIM + "message_type": "LtiDeepLinkingRequest", CLAIM + "roles": [INSTRUCTOR],
                CLAIM + "resource_link": None, LINKS + "deep_linking_settings": settings,
                **more,
            },
        )  # fmt: skip

    async def _answer(self, request: web.Request) -> web.StreamResponse:  # noqa: PLR0911 (a table of addresses)
        path = request.path.removeprefix("/")
        self.asked.append(f"{request.method} {request.path_qs}")
        if path in self.raw:
            return self.raw[path](request)
        if self.failures and path.startswith(("roster", "lines")):
            return web.Response(status=self.failures.pop(0))
        match path, request.method:
            case "keys", _:
                return web.json_response({"keys": self.keys})
            case "token", "POST":
                self.forms.append(dict(await request.post()))
                return web.json_response({"access_token": "t0ken", "expires_in": 3600})
            case "roster", _:
                return self._roster(int(request.query.get("page", "0")))
            case "lines", "GET":
                return web.json_response(self.lines)
            case "lines", "POST":
                number = len(self.lines) + 1
                made = {**await request.json(), "id": f"{self.issuer}/lines/{number}?type=x"}
                self.lines.append(made)
                return web.json_response(made, status=201)
            case _, "POST" if path.endswith("/scores"):
                self.scores.append(json.loads(await request.text()))
                return web.json_response({})
        return web.Response(status=404)

    def _roster(self, page: int) -> web.Response:
        members = self.pages[page] if page < len(self.pages) else []
        headers = {}
        if page + 1 < len(self.pages):
            headers["Link"] = f'<{self.issuer}/roster?page={page + 1}>; rel="next"'
        return web.json_response({"members": members}, headers=headers)


def member(subject: str, role: str = LEARNER, **more: Any) -> dict[str, Any]:
    """A line of a roster."""
    return {
        "user_id": subject, "name": subject.title(), "email": f"{subject}@example.org",
        "roles": [role], "status": "Active", **more,
    }  # fmt: skip


def signed(claims: dict[str, Any], key: RSAKey = GOOD, alg: str = "RS256", **header: Any) -> str:
    return sign(claims, key, alg, **header)


@asynccontextmanager
async def lying_platform() -> AsyncIterator[LyingPlatform]:
    """Running on 127.0.0.1, honest until it is changed."""
    platform = LyingPlatform()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", platform._answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    platform.issuer = f"http://{host}:{port}"
    try:
        yield platform
    finally:
        await runner.cleanup()
