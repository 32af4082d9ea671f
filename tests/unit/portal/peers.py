"""A Hub, a control and a front door on 127.0.0.1 that answer in the shapes of the REST API.

They hold canned workloads in every state and move them as the real ones would.
"""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
from aiohttp import web

from portal.config import PortalConfig
from portal.server import Server

SECRET = "client-secret-of-the-portal"
TOKEN = "hub-token-of-the-visitor"
PAGE_SECRET = "page-secret-of-the-portal-0123456789"


def soon(**kwargs: float) -> str:
    return (datetime.now(UTC) + timedelta(**kwargs)).isoformat()


def share(milli: int, memory: int = 0) -> dict[str, Any]:
    return {
        "milli": milli,
        "memory_mib": memory or 24 * milli,
        "mode": "emulated" if milli else "none",
        "emulated": bool(milli),
        "model": "Emulated 24 GiB" if milli else "",
    }


def verdict(kind: str, price: str, **more: Any) -> dict[str, Any]:
    words = {
        "fits": "starts now",
        "waits": "all 2 devices are held",
        "denied": "this needs 1 GPU and you may hold 1/2 GPU at a time",
    }
    return {
        "verdict": kind,
        "reason": words[kind],
        "code": "quota-person-gpu" if kind == "denied" else "",
        "next": "choose half a GPU or less, or ask your administrator" if kind == "denied" else "",
        "position": 2 if kind == "waits" else None,
        "starts_at": soon(minutes=38) if kind == "waits" else None,
        "alternatives": [
            {
                "offer": "gpu-eighth",
                "set": {},
                "price": {"per_hour": "0.30"},
                "text": "1/8 GPU notebook starts now",
            }
        ]
        if kind != "fits"
        else [],
        "price": {"per_hour": price},
        "cost": f"{float(price) * 2:.2f}",
        **more,
    }


def fields(gpu: str) -> list[dict[str, Any]]:
    def one(name: str, mode: str, label: str, value: str, **more: Any) -> dict[str, Any]:
        empty = {"min": None, "max": None, "step": None, "choices": None, "help": ""}
        return {"name": name, "mode": mode, "label": label, "value": value, **empty, **more}

    return [
        one("gpu", "fixed", "GPU share", gpu, help="Held for you alone"),
        one("cpu", "adjustable", "CPU cores", "2", min="1", max="8", step="1"),
        one("memory", "adjustable", "Memory", "4Gi", min="1Gi", max="16Gi", step="1Gi"),
        one("duration", "adjustable", "Duration", "2h", choices=["30m", "1h", "2h", "4h", "8h"],
            help="It ends then, unless you extend it"),
    ]  # fmt: skip


def offer(id: str, title: str, summary: str, milli: int, price: str, kind: str = "fits",
          free: int = 5, of: int = 8) -> dict[str, Any]:  # fmt: skip
    return {
        "id": id,
        "kind": "notebook",
        "title": title,
        "summary": summary,
        "icon": "notebook",
        "price": {"per_hour": price},
        "fields": fields(str(milli / 1000))[0 if milli else 1 :],
        "share": share(milli),
        "availability": {"free": free, "of": of, "text": f"{free} of {of} free"},
        "verdict": verdict(kind, price),
    }


def workload(id: str, status: str, title: str = "Quarter GPU notebook", milli: int = 250,
             **more: Any) -> dict[str, Any]:  # fmt: skip
    ended = status in {"stopped", "failed"}
    running = status in {"running", "stopping"}
    return {
        "id": id,
        "name": title,
        "kind": "notebook",
        "status": status,
        "target": "stopped" if ended or status == "stopping" else "running",
        "url": f"/user/ada/{id}/lab" if running else "",
        "share": share(milli),
        "cost": "0.31" if running or ended else "0.00",
        "reason": "",
        "reason_code": "",
        "next": "",
        "offer": "gpu-quarter",
        "offer_title": "Quarter GPU notebook",
        "set": {},
        "cpu": "2",
        "memory_mib": 4096,
        "price": {"per_hour": "0.60"},
        "held": "1.20" if not ended else "0.00",
        "owner": "ada",
        "tenant": "main",
        "created_at": soon(minutes=-32),
        "started_at": soon(minutes=-31) if running or ended else None,
        "ended_at": soon(minutes=-1) if ended else None,
        "lease_ends_at": soon(minutes=89) if running else None,
        "offered_until": soon(minutes=8, seconds=30) if status == "offered" else None,
        "can_extend": running,
        "notify": False,
        "position": 2 if status == "queued" else None,
        "starts_at": soon(minutes=38) if status == "queued" else None,
        "alternatives": verdict("waits", "0.60")["alternatives"] if status == "queued" else [],
        "progress": {"done": 2, "of": 4, "text": "JupyterLab is starting"}
        if status == "starting"
        else None,
        "notes": [],
        "suggestion": None,
        **more,
    }


def standard_workloads() -> list[dict[str, Any]]:
    return [
        workload("w-run", "running", "Vision lab"),
        workload("w-soon", "running", "Quick look", 125, lease_ends_at=soon(minutes=4, seconds=12)),
        workload("w-start", "starting", "Half GPU notebook", 500),
        workload("w-wait", "queued", "Whole GPU notebook", 1000,
                 reason="all 2 devices are held", notify=True),
        workload("w-turn", "offered", "Protein folding", 500),
        workload("w-oom", "failed", "Big tables", reason_code="out-of-memory",
                 reason="it ran out of memory: it used 4.0 GiB of 4.0 GiB",
                 next="relaunch it with 8 GiB", suggestion={"memory": "8Gi"}),
        workload("w-done", "stopped", "First steps", 0, reason="you stopped it",
                 reason_code="asked"),
    ]  # fmt: skip


def standard_offers() -> list[dict[str, Any]]:
    return [
        offer("cpu", "CPU notebook", "JupyterLab for code that needs no GPU.", 0, "0.05",
              free=12, of=16),
        offer("gpu-eighth", "1/8 GPU notebook", "For first steps and small models.", 125, "0.30",
              free=9, of=16),
        offer("gpu-quarter", "1/4 GPU notebook", "The usual choice for a course.", 250, "0.60"),
        offer("gpu-half", "1/2 GPU notebook", "Training of middling models.", 500, "1.20",
              kind="waits", free=0, of=4),
        offer("gpu-whole", "Whole GPU notebook", "A device all to yourself.", 1000, "2.40",
              kind="denied", free=0, of=2),
    ]  # fmt: skip


@dataclass
class Site:
    """What the fake control knows; tests change it."""

    offers: list[dict[str, Any]] = field(default_factory=standard_offers)
    workloads: list[dict[str, Any]] = field(default_factory=standard_workloads)
    seen: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    admin: bool = True
    emulated: bool = True
    tokens: set[str] = field(default_factory=lambda: {TOKEN})
    broken: bool = False
    listeners: set[asyncio.Queue[str]] = field(default_factory=set)
    slow: float = 0.0
    codes: dict[str, str] = field(default_factory=dict)
    no_credits: bool = False
    start_seconds: float = 2.0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def tell(self, kind: str) -> None:
        for queue in self.listeners:
            queue.put_nowait(kind)

    def find(self, id: str) -> dict[str, Any]:
        for one in self.workloads:
            if one["id"] == id:
                return one
        raise web.HTTPNotFound

    def me(self) -> dict[str, Any]:
        def line(dimension: str, scope: str, used: int, limit: int | None, text: str) -> Any:
            return {"dimension": dimension, "scope": scope, "used": used, "limit": limit,
                    "text": text}  # fmt: skip

        return {
            "person": person("ada", "Ada Lovelace"),
            "platform_admin": self.admin,
            "balance": "84.20",
            "held": "2.40",
            "spent": "13.40",
            "meter": [
                line("gpu", "you", 375, 500, "3/8 of 1/2 GPU"),
                line("gpu", "Main", 1250, 2000, "1.25 of 2 GPUs"),
                line("cpu", "you", 4000, 8000, "4 of 8 cpu"),
                line("memory", "you", 8 << 30, 32 << 30, "8 of 32 GiB"),
                line("credits", "you", 15_800_000, 100_000_000, "84.20 left of 100.00"),
            ],
            "site": {
                "emulated": self.emulated,
                "trust_everyone": False,
                "warnings": ["memory limits are not enforced on this machine: no cgroups"],
                "version": "0.1.0",
            },
            "unread": 2,
        }


def person(login: str, name: str, **more: Any) -> dict[str, Any]:
    return {
        "login": login,
        "display_name": name,
        "email": f"{login}@example.org",
        "active": True,
        "hub_name": login,
        "memberships": [{"tenant": "main", "tenant_name": "Main", "role": "member"}],
        "balance": "84.20",
        **more,
    }


def device(id: str, held: int, **more: Any) -> dict[str, Any]:
    return {
        "id": id, "node": "lab-1", "vendor": "emulated", "model": "Emulated 24 GiB",
        "memory_mib": 24576, "health": "ok", "health_reason": "", "held_milli": held,
        "emulated": True, "untested": False, "sharing": "emulated", **more,
    }  # fmt: skip


def problem(status: int, code: str, message: str, next: str, **more: Any) -> web.Response:
    return web.json_response(
        {"error": {"code": code, "message": message, "next": next, **more}}, status=status
    )


def page(items: list[Any]) -> web.Response:
    return web.json_response({"items": items, "next": None})


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


def control_routes(site: Site) -> list[web.RouteDef]:
    base = "/services/control/v1"

    async def me(_: web.Request) -> web.Response:
        await asyncio.sleep(site.slow)
        return web.json_response(site.me())

    async def offers(_: web.Request) -> web.Response:
        await asyncio.sleep(site.slow)
        return page(site.offers)

    async def workloads(request: web.Request) -> web.Response:
        await asyncio.sleep(site.slow)
        live = {"queued", "offered", "starting", "running", "stopping"}
        state = request.query.get("state", "all")
        items = [
            one
            for one in site.workloads
            if state == "all" or (one["status"] in live) == (state == "active")
        ]
        return page(items)

    async def check(request: web.Request) -> web.Response:
        body = await request.json()
        found = next(one for one in site.offers if one["id"] == body["offer"])
        answer = dict(found["verdict"])
        cores = int(body.get("set", {}).get("cpu", 2))
        answer["price"] = {"per_hour": f"{float(found['price']['per_hour']) + 0.02 * cores:.2f}"}
        return web.json_response(answer)

    async def launch(request: web.Request) -> web.Response:
        body = await request.json()
        found = next(one for one in site.offers if one["id"] == body["offer"])
        if found["verdict"]["verdict"] == "denied":
            told = found["verdict"]
            return problem(403, "denied", told["reason"], told["next"], verdict=told)
        made = workload(f"w-{secrets.token_hex(3)}", "starting", body.get("name") or found["title"])
        made["started_at"] = None
        made["progress"] = {"done": 1, "of": 4, "text": "Credits are held"}
        made["share"], made["price"] = found["share"], found["price"]
        site.workloads.insert(0, made)
        task = asyncio.ensure_future(run_up(made))
        site.tasks.add(task)
        task.add_done_callback(site.tasks.discard)
        return web.json_response(made, status=201)

    async def run_up(made: dict[str, Any]) -> None:
        for done, text in ((2, "Processes are starting"), (3, "JupyterLab is starting")):
            await asyncio.sleep(site.start_seconds / 3)
            made["progress"] = {"done": done, "of": 4, "text": text}
            site.tell("workloads")
        await asyncio.sleep(site.start_seconds / 3)
        made.update(status="running", progress=None, url=f"/user/ada/{made['id']}/lab",
                    started_at=soon(), lease_ends_at=soon(hours=2), can_extend=True)  # fmt: skip
        site.tell("workloads")

    async def act(request: web.Request) -> web.Response:
        one = site.find(request.match_info["id"])
        match request.match_info["verb"]:
            case "stop":
                one.update(status="stopped", ended_at=soon(), url="", reason="you stopped it",
                           reason_code="asked")  # fmt: skip
            case "extend":
                one["lease_ends_at"] = soon(hours=1, minutes=20)
            case "notify":
                one["notify"] = (await request.json())["on"]
            case "accept":
                one.update(status="starting", progress={"done": 0, "of": 4, "text": "Accepted"})
            case "relaunch":
                one = workload(f"w-{secrets.token_hex(3)}", "starting", one["name"])
                site.workloads.insert(0, one)
        site.tell("workloads")
        return web.json_response(one)

    async def single(request: web.Request) -> web.Response:
        for one in site.workloads:
            if one["id"] == request.match_info["id"]:
                return web.json_response(one)
        return problem(404, "not-found", "there is no such workload", "see your workloads")

    async def events(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        texts = ("queued", "Asked for"), ("starting", "1.20 credits held"), ("running", "It runs")
        for number, (status, text) in enumerate(texts):
            event = {"id": number, "at": soon(minutes=number - 3), "status": status, "text": text}
            await answer.write(f"id: {number}\ndata: {json.dumps(event)}\n\n".encode())
        await answer.write(b"event: end\ndata: {}\n\n")
        return answer

    async def logs(_: web.Request) -> web.Response:
        return web.json_response({"text": "[I LabApp] JupyterLab 4.6.6 is running\n" * 6})

    async def stream(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        queue: asyncio.Queue[str] = asyncio.Queue()
        site.listeners.add(queue)
        try:
            await answer.write(b": hello\n\n")
            while True:
                kind = await queue.get()
                await answer.write(f'data: {{"kind": "{kind}"}}\n\n'.encode())
        finally:
            site.listeners.discard(queue)

    async def usage(_: web.Request) -> web.Response:
        kinds = (("grant", "100.00", "starter credits"), ("hold", "-1.20", "held for Vision lab"),
                 ("settle", "0.89", "returned: Vision lab cost 0.31"))  # fmt: skip
        items = [
            {"id": f"e{n}", "at": soon(hours=-3 * (12 - n)), "kind": kinds[min(n, 1 + n % 2)][0],
             "amount": kinds[min(n, 1 + n % 2)][1], "workload": "w-run",
             "workload_name": "Vision lab", "text": kinds[min(n, 1 + n % 2)][2]}
            for n in range(12)
        ][::-1]  # fmt: skip
        return web.json_response({"balance": "84.20", "held": "2.40", "spent": "13.40",
                                  "gpu_hours": "21.4", "items": items, "next": None})  # fmt: skip

    async def notices(_: web.Request) -> web.Response:
        return page([
            {"id": "n1", "at": soon(minutes=-2), "kind": "turn", "workload": "w-turn",
             "text": "It is your turn: Protein folding is held for you for 10 minutes",
             "read": False},
            {"id": "n2", "at": soon(minutes=-9), "kind": "out-of-memory", "workload": "w-oom",
             "text": "Big tables ran out of memory", "read": False},
        ])  # fmt: skip

    async def inventory(_: web.Request) -> web.Response:
        return web.json_response({
            "nodes": [{
                "name": "lab-1", "cpu_milli": 16000, "cpu_held_milli": 4000, "memory_mib": 65536,
                "memory_held_mib": 8192,
                "devices": [device("emu-0", 875), device("emu-1", 375),
                            device("gpu-2", 0, health="lost", emulated=False,
                                   health_reason="it vanished from the bus")],
            }],
            "isolation": {"gpu": "none", "cpu": "hard", "memory": "soft"},
            "notes": ["Shares of emulated devices are not isolated"],
        })  # fmt: skip

    async def people(_: web.Request) -> web.Response:
        return page([person("ada", "Ada Lovelace"),
                     person("grace", "Grace Hopper", active=False, balance="3.00")])  # fmt: skip

    async def quotas(_: web.Request) -> web.Response:
        return page([{"tenant": "main", "person": "", "dimension": "gpu", "limit": 2000,
                      "text": "2 GPUs"}])  # fmt: skip

    async def invite(_: web.Request) -> web.Response:
        return web.json_response({"url": "http://127.0.0.1:8000/hub/invite?t=one-time",
                                  "expires_at": soon(days=7)}, status=201)  # fmt: skip

    async def done(_: web.Request) -> web.Response:
        return web.json_response(person("grace", "Grace Hopper"))

    async def tenants(_: web.Request) -> web.Response:
        return page([{"id": "main", "name": "Main"}])

    return [
        web.get(f"{base}/me", me),
        web.get(f"{base}/offers", offers),
        web.get(f"{base}/workloads", workloads),
        web.post(f"{base}/workloads", launch),
        web.post(f"{base}/check", check),
        web.get(f"{base}/workloads/{{id}}", single),
        web.get(f"{base}/workloads/{{id}}/events", events),
        web.get(f"{base}/workloads/{{id}}/logs", logs),
        web.post(f"{base}/workloads/{{id}}/{{verb}}", act),
        web.get(f"{base}/stream", stream),
        web.get(f"{base}/usage", usage),
        web.get(f"{base}/notices", notices),
        web.post(f"{base}/notices/{{id}}/read", done),
        web.get(f"{base}/inventory", inventory),
        web.get(f"{base}/people", people),
        web.post(f"{base}/people/{{login}}/{{verb}}", done),
        web.get(f"{base}/quotas", quotas),
        web.put(f"{base}/quotas", quotas),
        web.get(f"{base}/tenants", tenants),
        web.post(f"{base}/invitations", invite),
    ]


def peers_app(site: Site) -> web.Application:
    @web.middleware
    async def judge(request: web.Request, handler: Any) -> web.StreamResponse:
        if request.path.startswith("/services/control/v1"):
            site.seen.append(request)
            site.bodies.append(await request.read())
            if site.broken:
                return web.Response(status=502, text="<h1>Bad gateway</h1>")
            token = request.headers.get("Authorization", "").removeprefix("token ")
            if token not in site.tokens:
                return problem(401, "not-signed-in", "your sign-in has ended", "sign in again")
        return await handler(request)

    app = web.Application(middlewares=[judge])
    app.add_routes([*hub_routes(site), *control_routes(site)])

    async def lab(_: web.Request) -> web.Response:
        return web.Response(text="<h1>JupyterLab</h1>", content_type="text/html")

    app.add_routes([web.get("/user/{rest:.*}", lab)])
    return app


def front_app(ports: dict[str, int]) -> web.Application:
    """The public port: paths of the portal to the portal, the rest to the peers."""

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
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True
    )
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
    site: Site | None = None, *, panel: bool = False, port: int = 0, docs: str = "docs"
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
            client_secret=SECRET, page_secret=PAGE_SECRET, docs=docs,
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
