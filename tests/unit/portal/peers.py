"""A portal on 127.0.0.1 between a front door, a Hub and a control that answer from canned data."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

from portal.config import PortalConfig
from portal.server import Server
from tests.unit.portal.canned import TOKEN, Site
from tests.unit.portal.fake_control import FakeControl, problem

SECRET = "client-secret-of-the-portal"
PAGE_SECRET = "page-secret-of-the-portal-0123456789"


def hub_routes(site: Site) -> list[web.RouteDef]:
    async def authorize(request: web.Request) -> web.Response:
        code = secrets.token_urlsafe(8)
        site.codes[code] = request.query["code_challenge"]
        answer = web.HTTPFound(
            f"{request.query['redirect_uri']}?code={code}&state={request.query['state']}"
        )
        if "jupyterhub-session-id" not in request.cookies:
            answer.set_cookie("jupyterhub-session-id", secrets.token_hex(8), path="/")
        raise answer

    async def token(request: web.Request) -> web.Response:
        form = await request.post()
        if form["client_secret"] != SECRET or site.codes.pop(str(form["code"]), None) is None:
            return web.json_response({"error": "invalid_grant"}, status=401)
        return web.json_response({"access_token": TOKEN, "token_type": "Bearer"})

    async def logout(_: web.Request) -> web.Response:
        answer = web.Response(text="<h1>Signed out of the Hub</h1>", content_type="text/html")
        answer.del_cookie("jupyterhub-session-id", path="/")
        return answer

    return [
        web.get("/hub/api/oauth2/authorize", authorize),
        web.post("/hub/api/oauth2/token", token),
        web.get("/hub/logout", logout),
    ]


def peers_app(site: Site) -> web.Application:
    @web.middleware
    async def judge(request: web.Request, handler: Any) -> web.StreamResponse:
        if request.path.startswith("/services/control/v1"):
            site.seen.append(request)
            site.bodies.append(await request.read())
            if site.broken:
                return web.Response(status=502, text="<h1>Bad gateway</h1>")
            if site.closed:
                return problem(
                    403, "account-closed", "this account is closed", "ask an administrator"
                )
            token = request.headers.get("Authorization", "").removeprefix("token ")
            if token not in site.tokens:
                return problem(401, "not-signed-in", "your sign-in has ended", "sign in again")
        return await handler(request)

    app = web.Application(middlewares=[judge])
    app.add_routes([*hub_routes(site), *FakeControl(site).routes()])

    async def lab(_: web.Request) -> web.Response:
        return web.Response(text="<h1>JupyterLab</h1>", content_type="text/html")

    app.add_routes([web.get("/user/{rest:.*}", lab)])
    return app


async def websocket(request: web.Request, url: str) -> web.StreamResponse:
    protocols = [p.strip() for p in request.headers["Sec-WebSocket-Protocol"].split(",")]
    headers = {n: request.headers[n] for n in ("Cookie", "Origin", "Host")
               if n in request.headers}  # fmt: skip
    ours = web.WebSocketResponse(protocols=protocols[:1], max_msg_size=0)
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(url, protocols=protocols, headers=headers, max_msg_size=0) as theirs,
    ):
        await ours.prepare(request)

        async def pump(source: Any, sink: Any) -> None:
            async for message in source:
                if message.type is aiohttp.WSMsgType.TEXT:
                    await sink.send_str(message.data)
                elif message.type is aiohttp.WSMsgType.BINARY:
                    await sink.send_bytes(message.data)
            await sink.close()

        with suppress(ConnectionError, aiohttp.ClientError):
            await asyncio.gather(pump(ours, theirs), pump(theirs, ours))
    return ours


def front_app(ports: dict[str, int]) -> web.Application:
    """The public port: paths of the portal to the portal, the rest to the peers."""

    async def pass_on(request: web.Request) -> web.StreamResponse:
        target = "portal" if request.path.startswith("/services/portal") else "peers"
        url = f"http://127.0.0.1:{ports[target]}{request.raw_path}"
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await websocket(request, url)
        hop = {"transfer-encoding", "connection", "content-length", "content-encoding"}
        headers = {k: v for k, v in request.headers.items() if k.lower() not in hop}
        async with (
            aiohttp.ClientSession() as http,
            http.request(request.method, url, headers=headers, data=await request.read(),
                         allow_redirects=False) as answer,
        ):  # fmt: skip
            out = web.StreamResponse(status=answer.status)
            for key, value in answer.headers.items():
                if key.lower() not in hop:
                    out.headers.add(key, value)
            await out.prepare(request)
            with suppress(ConnectionError):
                async for chunk in answer.content.iter_any():
                    await out.write(chunk)
            return out

    app = web.Application(client_max_size=64 * 2**20)
    app.router.add_route("*", "/{rest:.*}", pass_on)
    return app


@asynccontextmanager
async def listening(app: web.Application, port: int = 0) -> AsyncIterator[int]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    where = web.TCPSite(runner, "127.0.0.1", port)
    await where.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@dataclass
class Running:
    """A portal in front of its peers. `url` is the public address."""

    url: str
    server: Server
    site: Site
    portal_url: str


@asynccontextmanager
async def running_portal(
    site: Site | None = None,
    *,
    panel: bool = False,
    port: int = 0,
    docs: str = "docs",
    lab_assets: str = "",
) -> AsyncIterator[Running]:
    site = site or Site()
    ports: dict[str, int] = {}
    async with (
        listening(peers_app(site)) as peers,
        listening(front_app(ports), port) as front,
        listening(web.Application()) as free,
    ):
        ports["peers"] = peers
        chosen = free
    ports["portal"] = chosen
    async with listening(peers_app(site), peers), listening(front_app(ports), front):
        config = PortalConfig(
            port=chosen, public_url=f"http://127.0.0.1:{front}",
            hub_url=f"http://127.0.0.1:{peers}", control_url=f"http://127.0.0.1:{peers}",
            client_secret=SECRET, page_secret=PAGE_SECRET, docs=docs, lab_assets=lab_assets,
        )  # fmt: skip
        server = Server(config)
        await server.start()
        try:
            if panel:
                await server.open_panel()
            yield Running(config.public_url, server, site, f"http://127.0.0.1:{chosen}")
        finally:
            await server.close()


async def main() -> None:
    """Serve on port 8123, for looking at it."""
    async with running_portal(panel=True, port=8123) as running:
        print(running.url, flush=True)  # noqa: T201
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
