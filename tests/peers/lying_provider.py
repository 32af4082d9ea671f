"""An OpenID provider that says whatever a test tells it to, truth and lies alike."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

CLIENT = "perijove"
GOOD = RSAKey.generate_key(2048, {"kid": "good", "use": "sig", "alg": "RS256"})
SPARE = RSAKey.generate_key(2048, {"kid": "spare", "use": "sig"})
CURVE = ECKey.generate_key("P-256", {"kid": "curve"})
EDWARDS = OKPKey.generate_key("Ed25519", {"kid": "edwards"})
STRANGER = RSAKey.generate_key(2048, {"kid": "good"})
"""Not the provider's, though it takes the name of a key that is."""
Key = RSAKey | ECKey | OctKey | OKPKey


def sign(claims: dict[str, Any], key: Key = GOOD, alg: str = "RS256", **header: Any) -> str:
    """A signed token; the key's name is in its header unless `kid` says otherwise."""
    head = {"alg": alg, "kid": key.kid, **header}
    return jwt.encode({k: v for k, v in head.items() if v is not None}, claims, key, [alg])


@dataclass
class LyingProvider:
    """`document`, `keys`, `userinfo` are served as they are; `id_token` makes the answer to a code
    from honest claims. Counts what is fetched in `fetched`."""

    issuer: str = ""
    document: dict[str, Any] = field(default_factory=dict)
    keys: list[dict[str, Any]] = field(
        default_factory=lambda: [k.as_dict(private=False) for k in (GOOD, CURVE, EDWARDS)]
    )
    userinfo: dict[str, Any] = field(default_factory=lambda: {"sub": "ada"})
    id_token: Callable[[dict[str, Any]], str] = sign
    token: dict[str, Any] = field(default_factory=dict)
    raw: dict[str, web.Response] = field(default_factory=dict)
    nonce: str = ""
    asked: list[tuple[dict[str, Any], str]] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)

    def honest(self) -> dict[str, Any]:
        """The claims of a good ID token."""
        now = int(time.time())
        return {
            "iss": self.issuer, "aud": CLIENT, "sub": "ada", "iat": now, "exp": now + 60,
            "nonce": self.nonce, "name": "Ada", "email": "ada@example.org", "sid": "s1",
        }  # fmt: skip

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix("/")
        self.fetched.append(path)
        if path in self.raw:
            return self.raw[path]
        if path == ".well-known/openid-configuration":
            return web.json_response(self.document)
        if path == "keys":
            return web.json_response({"keys": self.keys})
        if path == "userinfo":
            return web.json_response(self.userinfo)
        form = dict(await request.post())
        self.asked.append((form, request.headers.get("Authorization", "")))
        made = {
            "id_token": self.id_token(self.honest()),
            "access_token": "a",
            "token_type": "Bearer",
        }
        return web.json_response({**made, **self.token})


@asynccontextmanager
async def lying_provider() -> AsyncIterator[LyingProvider]:
    """Running on 127.0.0.1, honest until it is changed."""
    provider = LyingProvider()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", provider._answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    provider.issuer = base = f"http://{host}:{port}"
    provider.document = {
        "issuer": base, "authorization_endpoint": f"{base}/authorize",
        "token_endpoint": f"{base}/token", "jwks_uri": f"{base}/keys",
        "userinfo_endpoint": f"{base}/userinfo", "end_session_endpoint": f"{base}/end?tenant=1",
        "authorization_response_iss_parameter_supported": True,
    }  # fmt: skip
    try:
        yield provider
    finally:
        await runner.cleanup()
