"""A stand-in for control: the REST API's shapes over real HTTP, with a workload's life in steps.

Each look at a workload moves it one step along `site.life`, so that no test waits for time.
"""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse

from hub.api.schema import (
    CheckBody,
    DrainBody,
    Event,
    ExtendBody,
    GrantBody,
    GuaranteeBody,
    InventoryView,
    InviteBody,
    LaunchBody,
    Me,
    NodeState,
    NotifyBody,
    OfferView,
    PersonView,
    PriceBody,
    QuotaBody,
    RelaunchBody,
    RollBody,
    Statement,
    TenantBody,
    TenantChange,
    TenantView,
    TransferBody,
    Usage,
    VerdictView,
    WorkloadView,
)
from tests.unit.cli import (
    fake_announcements,
    fake_courses,
    fake_desk,
    fake_people,
    fake_reservations,
)

V1 = "/services/control/v1"
TOKEN = "hub-token-of-ada"
PRICE = {"per_hour": "0.20"}
SHARE = {"milli": 250, "memory_mib": 6144, "mode": "emulated", "emulated": True, "model": "E24"}
ALTERNATIVE = {
    "offer": "notebook-gpu-1-8", "set": {"duration": "1h"}, "price": PRICE, "text": "1/8 GPU",
}  # fmt: skip
NOW = datetime.now(UTC)
FITS = {
    "verdict": "fits", "reason": "it fits on node-1", "code": "fits", "next": "", "position": None,
    "starts_at": None, "alternatives": [], "price": PRICE, "cost": "0.40",
}  # fmt: skip
WAITS = FITS | {
    "verdict": "waits", "reason": "every device is held", "code": "full", "position": 2,
    "starts_at": NOW + timedelta(hours=1), "alternatives": [ALTERNATIVE],
}  # fmt: skip
DENIED = FITS | {
    "verdict": "denied", "reason": "your quota is 1/2 GPU and 1/2 is held", "code": "quota-gpu",
    "next": "stop something, or ask your administrator for more", "alternatives": [ALTERNATIVE],
}  # fmt: skip


ACCOUNT = {
    "tenant": "main", "name": "Main", "balance": "10.00", "people": "200.00", "held": "0.40",
    "spent": "3.00",
}  # fmt: skip
PRICED = {
    "offer": "gpu-quarter", "title": "Quarter GPU", "per_hour": "0.30", "starts_at": None,
    "in_effect": True,
}  # fmt: skip
STATEMENT = {
    "of": "tenant-main", "starts_at": NOW, "ends_at": NOW, "opening": "1.00", "closing": "0.40",
    "used": "0.60", "by_offer": [{"id": "gpu-quarter", "used": "0.60"}], "by_person": [],
    "items": [
        {
            "id": "7", "at": NOW, "kind": "settle", "tenant": "main", "person": "ada",
            "amount": "0.00", "held": "-0.60", "used": "0.60", "balance": "0.40",
            "offer": "gpu-quarter", "workload": "w1", "workload_name": "my-lab", "text": "used",
        }
    ],
    "next": None,
}  # fmt: skip


@dataclass
class Site:
    """What the fake serves, how it misbehaves, and what it was asked."""

    verdict: dict[str, Any] = field(default_factory=lambda: dict(FITS))
    life: list[str] = field(default_factory=lambda: ["starting", "running"])
    workloads: dict[str, dict[str, Any]] = field(default_factory=dict)
    by_key: dict[str, str] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=lambda: {TOKEN})
    trouble: list[Response] = field(default_factory=list)
    """Answered instead, one by one, before anything is done."""
    lose_answers: int = 0
    """How many answers get lost after the work was done."""
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    minted: list[dict[str, Any]] = field(default_factory=list)
    log: str = "one\ntwo\nthree\n"
    stream_breaks: int = 0

    def bodies(self, method: str, path: str) -> list[Any]:
        return [body for m, p, body in self.asked if (m, p) == (method, path)]

    def add(self, id: str, name: str, status: str = "queued", **changes: Any) -> dict[str, Any]:
        ended = status in {"stopped", "failed"}
        self.workloads[id] = {
            "id": id, "name": name, "kind": "notebook", "status": status, "target": "running",
            "url": f"/user/ada/{id}/", "share": SHARE, "cost": "0.05", "reason": "", "next": "",
            "reason_code": "", "offer": "gpu-quarter", "offer_title": "Quarter", "set": {},
            "cpu": "2", "memory_mib": 4096, "price": PRICE, "held": "0.40", "owner": "ada",
            "tenant": "main", "created_at": NOW, "started_at": None,
            "ended_at": NOW if ended else None, "lease_ends_at": NOW + timedelta(hours=2),
            "offered_until": None, "preemptible": False, "active_at": None, "idle_stop_at": None,
            "borrowed": False, "goes_at": None, "goes_why": "", "again": "", "saved_at": None,
            "can_extend": True, "notify": False, "position": None,
            "starts_at": None, "alternatives": [], "progress": None, "notes": [],
            "suggestion": None,
        } | changes  # fmt: skip
        return self.workloads[id]

    def look(self, id: str) -> dict[str, Any]:
        workload = self.workloads[id]
        if workload["status"] == "stopping":
            workload.update(status="stopped", ended_at=NOW)
        elif workload["status"] not in {"running", "stopped", "failed"} and self.life:
            step = self.life.pop(0)
            workload["status"] = step
            if step == "failed":
                workload.update(
                    ended_at=NOW, reason="it used 4 GiB of 4 GiB", reason_code="out-of-memory",
                    next="relaunch it larger", suggestion={"memory": "8Gi"},
                )  # fmt: skip
        return workload


class Trouble(Exception):
    """Answer this instead."""

    def __init__(self, response: Response) -> None:
        self.response = response


def said(status: int, code: str, message: str = "no", **more: Any) -> JSONResponse:
    error = {"code": code, "message": message, "next": "do this"} | more
    return JSONResponse({"error": json.loads(json.dumps(error, default=str))}, status)


def page(items: list[Any], next: str | None = None) -> dict[str, Any]:
    return {"items": items, "next": next}


def person(login: str) -> dict[str, Any]:
    role = {"tenant": "main", "tenant_name": "Main", "role": "admin"}
    return {
        "login": login, "display_name": "Ada L", "email": "", "active": True,
        "hub_name": "p-1", "memberships": [role], "balance": "99.60",
    }  # fmt: skip


def build(box: list[Site]) -> FastAPI:
    """The API; `box[0]` is the site of the test that runs."""

    async def door(request: Request) -> None:
        site, raw = box[0], await request.body()
        body = json.loads(raw) if raw else None
        site.asked.append((request.method, request.url.path.removeprefix(V1), body))
        site.headers.append(dict(request.headers))
        if site.trouble:
            raise Trouble(site.trouble.pop(0))
        if request.url.path.startswith(V1):
            token = request.headers.get("authorization", "").removeprefix("token ")
            if token not in site.tokens:
                raise Trouble(said(401, "not-signed-in", "this token is not known"))

    app = FastAPI(dependencies=[Depends(door)])

    @app.exception_handler(Trouble)
    async def _(_: Request, trouble: Trouble) -> Response:
        return trouble.response

    @app.exception_handler(KeyError)
    async def _(_: Request, missing: KeyError) -> Response:
        return said(404, "not-found", f"there is no {missing}")

    fake_people.add(app)
    for add in (
        _reading,
        _launching,
        _acting,
        _telling,
        _administration,
        _money,
        _quotas,
        _nodes,
        _internal,
    ):
        add(app, box)
    fake_reservations.add(app)
    fake_courses.add(app)
    fake_announcements.add(app)
    fake_desk.add(app)
    return app


def _reading(app: FastAPI, box: list[Site]) -> None:
    @app.get(V1 + "/me", response_model=Me)
    async def _() -> Any:
        meter = {
            "dimension": "gpu",
            "scope": "you",
            "used": 250,
            "limit": 500,
            "text": "1/4 of 1/2",
        }
        share = {"scope": "you", "share": 0.032, "text": "you used 3.2 % of the site lately"}
        site = {"emulated": True, "trust_everyone": False, "warnings": [], "version": "0.1.0"}
        return {
            "person": person("ada"), "platform_admin": False, "balance": "99.60", "held": "0.40",
            "spent": "0", "meter": [meter], "fair_share": [share], "site": site, "unread": 1,
        }  # fmt: skip

    @app.get(V1 + "/offers")
    async def _() -> Any:
        offer = OfferView.model_validate(
            {
                "id": "gpu-quarter", "kind": "notebook", "title": "Quarter GPU",
                "summary": "", "icon": "", "price": PRICE, "fields": [], "share": SHARE,
                "availability": {"free": 5, "of": 8, "text": "5 of 8 free"},
                "verdict": box[0].verdict,
            }
        )  # fmt: skip
        return page([offer])

    @app.get(V1 + "/usage", response_model=Usage)
    async def _() -> Any:
        line = {
            "id": "1", "at": NOW, "kind": "hold", "amount": "-0.40", "workload": "w1",
            "workload_name": "my-lab", "text": "held for my-lab",
        }  # fmt: skip
        return {
            "balance": "99.60", "held": "0.40", "spent": "0", "gpu_hours": "0", "items": [line],
            "next": None,
        }  # fmt: skip

    @app.get(V1 + "/notices")
    async def _() -> Any:
        return page(
            [
                {
                    "id": "n1",
                    "at": NOW,
                    "kind": "ended",
                    "workload": None,
                    "text": "hi",
                    "read": False,
                }
            ]
        )

    @app.post(V1 + "/notices/{id}/read", status_code=204)
    async def _(id: str) -> None: ...

    @app.get(V1 + "/inventory", response_model=InventoryView)
    async def _() -> Any:
        device = {
            "id": "emulated-0", "node": "node-1", "vendor": "emulated", "model": "E24",
            "memory_mib": 24576, "health": "ok", "health_reason": "", "held_milli": 250,
            "emulated": True, "untested": False, "sharing": "emulated",
        }  # fmt: skip
        node = {
            "name": "node-1", "cpu_milli": 8000, "cpu_held_milli": 2000, "memory_mib": 16384,
            "memory_held_mib": 4096, "devices": [device],
        }  # fmt: skip
        return {"nodes": [node], "isolation": {"gpu": "none"}, "notes": []}


def _launching(app: FastAPI, box: list[Site]) -> None:
    @app.post(V1 + "/check", response_model=VerdictView)
    async def _(body: CheckBody) -> Any:
        return box[0].verdict

    @app.post(V1 + "/workloads", response_model=WorkloadView)
    async def _(body: LaunchBody, request: Request) -> Any:
        site = box[0]
        if site.verdict["verdict"] == "denied":
            raise Trouble(said(403, "quota-gpu", site.verdict["reason"], verdict=site.verdict))
        key = request.headers["idempotency-key"]
        if key not in site.by_key:
            site.by_key[key] = f"w{len(site.workloads) + 1}"
            waiting = {k: site.verdict[k] for k in ("position", "starts_at", "alternatives")}
            site.add(site.by_key[key], body.name, reason=site.verdict["reason"], **waiting)
        if site.lose_answers:
            site.lose_answers -= 1
            raise Trouble(HTMLResponse("503 : Service Unavailable", 503))
        return site.workloads[site.by_key[key]]

    @app.get(V1 + "/workloads")
    async def _(state: str = "active", cursor: str = "0", limit: int = 100) -> Any:
        ended = {"active": [None], "ended": [NOW], "all": [None, NOW]}[state]
        found = [w for w in box[0].workloads.values() if w["ended_at"] in ended]
        start = int(cursor)
        rest = str(start + limit) if len(found) > start + limit else None
        return page([WorkloadView.model_validate(w) for w in found[start : start + limit]], rest)

    @app.get(V1 + "/workloads/{id}", response_model=WorkloadView)
    async def _(id: str) -> Any:
        return box[0].look(id)


def _acting(app: FastAPI, box: list[Site]) -> None:
    @app.post(V1 + "/workloads/{id}/stop", response_model=WorkloadView)
    async def _(id: str) -> Any:
        box[0].workloads[id].update(status="stopping", target="stopped")
        return box[0].workloads[id]

    @app.post(V1 + "/workloads/{id}/extend", response_model=WorkloadView)
    async def _(id: str, body: ExtendBody) -> Any:
        return box[0].workloads[id]

    @app.post(V1 + "/workloads/{id}/accept", response_model=WorkloadView)
    async def _(id: str) -> Any:
        return box[0].workloads[id]

    @app.post(V1 + "/workloads/{id}/notify", response_model=WorkloadView)
    async def _(id: str, body: NotifyBody) -> Any:
        return box[0].workloads[id]

    @app.post(V1 + "/workloads/{id}/relaunch", response_model=WorkloadView)
    async def _(id: str, body: RelaunchBody, request: Request) -> Any:
        assert request.headers["idempotency-key"]
        return box[0].add("again-" + id, box[0].workloads[id]["name"], set=body.set)


def _telling(app: FastAPI, box: list[Site]) -> None:
    @app.get(V1 + "/workloads/{id}/logs")
    async def _(id: str, tail: int = 200) -> Any:
        return {"text": "".join(box[0].log.splitlines(keepends=True)[-tail:])}

    @app.get(V1 + "/workloads/{id}/events")
    async def _(id: str, request: Request) -> Response:
        site, last = box[0], int(request.headers.get("last-event-id", "0"))
        _ = site.workloads[id]

        async def stream() -> AsyncIterator[str]:
            yield ": hello\n\n"
            for number, status in enumerate(("queued", "starting", "running"), start=1):
                if number <= last:
                    continue
                event = Event(id=number, at=NOW, status=status, text=f"step {number}")
                yield f"id: {number}\ndata: {event.model_dump_json()}\n\n"
                if site.stream_breaks:
                    site.stream_breaks -= 1
                    await asyncio.sleep(0)
                    raise ConnectionError("cut off by the test")
            yield "event: end\ndata: {}\n\n"

        return StreamingResponse(stream(), media_type="text/event-stream")


def _administration(app: FastAPI, box: list[Site]) -> None:
    @app.post(V1 + "/people/{login}/grant", response_model=PersonView)
    async def _(login: str, body: GrantBody) -> Any:
        return person(login)

    @app.post(V1 + "/people/{login}/{act}", response_model=PersonView)
    async def _(login: str, act: str) -> Any:
        return person(login) | {"active": act == "activate"}

    @app.post(V1 + "/invitations")
    async def _(body: InviteBody) -> Any:
        return {"url": "/hub/invite?code=abc", "expires_at": NOW}


def _money(app: FastAPI, box: list[Site]) -> None:
    @app.get(V1 + "/accounts")
    async def _() -> Any:
        return page([ACCOUNT])

    @app.post(V1 + "/tenants/{tenant}/grant")
    async def _(tenant: str, body: GrantBody) -> Any:
        return page([ACCOUNT])

    @app.post(V1 + "/credits/transfer")
    async def _(body: TransferBody) -> Any:
        return page([ACCOUNT])

    @app.get(V1 + "/environments")
    async def _() -> Any:
        return page([{"name": "default", "python": "3.11", "packages": 100, "made_at": NOW}])

    @app.get(V1 + "/prices")
    async def _() -> Any:
        return page([PRICED, PRICED | {"starts_at": NOW, "in_effect": False}])

    @app.put(V1 + "/prices")
    async def _(body: PriceBody) -> Any:
        return page([PRICED])

    @app.get(V1 + "/statement", response_model=Statement)
    async def _(request: Request) -> Any:
        return STATEMENT

    @app.get(V1 + "/statement/file")
    async def _(request: Request) -> Response:
        return Response(f"a whole {request.query_params['format']} file".encode())


def _quotas(app: FastAPI, box: list[Site]) -> None:
    @app.get(V1 + "/quotas")
    async def _() -> Any:
        return page(
            [{"tenant": "main", "person": "", "dimension": "gpu", "limit": 500, "text": "1/2 GPU"}]
        )

    @app.put(V1 + "/quotas")
    async def _(body: QuotaBody) -> Any:
        return body.model_dump() | {"text": ""}

    @app.put(V1 + "/quotas/guaranteed")
    async def _(body: GuaranteeBody) -> Any:
        return page([])

    @app.get(V1 + "/tenants")
    async def _() -> Any:
        return page([])

    @app.post(V1 + "/tenants", response_model=TenantView)
    async def _(body: TenantBody) -> Any:
        return {"id": body.id, "name": body.name, "parent": body.parent, "kind": body.kind}

    @app.put(V1 + "/tenants/{tenant}", response_model=TenantView)
    async def _(tenant: str, body: TenantChange) -> Any:
        return {"id": tenant, "name": body.name, "parent": body.parent, "kind": "group"}

    @app.post(V1 + "/menu/reload")
    async def _() -> Any:
        return {"offers": 5}


def _nodes(app: FastAPI, box: list[Site]) -> None:
    def state(name: str, word: str = "in service") -> dict[str, Any]:
        by = NOW + timedelta(hours=2) if word == "draining" else None
        device = {
            "id": f"{name}-0", "model": "L4", "health": "failing", "held_milli": 0,
            "health_reason": "3 starts in a row failed on it", "failed_starts": 3,
            "quarantined": True,
        }  # fmt: skip
        return NodeState.model_validate(
            {
                "name": name, "state": word, "closed": "", "by": by, "empty_at": None,
                "reason": "", "running": 1, "devices": [device],
            }
        ).model_dump()  # fmt: skip

    @app.get(V1 + "/nodes")
    async def _() -> Any:
        return page([state("gpu-07", "draining")])

    @app.post(V1 + "/nodes/drain")
    async def _(body: RollBody) -> Any:
        return page([state("gpu-07", "to be drained")])

    @app.post(V1 + "/nodes/resume")
    async def _() -> Any:
        return page([state("gpu-07")])

    @app.post(V1 + "/nodes/{node}/drain", response_model=NodeState)
    async def _(node: str, body: DrainBody) -> Any:
        return state(node, "draining")

    @app.post(V1 + "/nodes/{node}/resume", response_model=NodeState)
    async def _(node: str) -> Any:
        return state(node)

    @app.post(V1 + "/devices/{device}/release", response_model=NodeState)
    async def _(device: str) -> Any:
        return state("gpu-07")


def _internal(app: FastAPI, box: list[Site]) -> None:
    @app.post("/internal/tokens")
    async def _(body: dict[str, Any]) -> Any:
        site = box[0]
        if body["login"] not in {"admin", "ada"}:
            return said(404, "not-found", f"there is no {body['login']}")
        site.minted.append(body)
        site.tokens.add(token := f"minted-{len(site.minted)}")
        return {"token": token}

    @app.post("/internal/admin-link")
    async def _() -> Any:
        return {"url": "http://127.0.0.1:8000/hub/first?code=abc", "expires_at": NOW}


@contextmanager
def served(app: FastAPI, uds: Path | None = None) -> Iterator[str]:
    """Serve on a free port of 127.0.0.1, or on a Unix socket; yields the address."""
    place: dict[str, Any] = {"uds": str(uds)} if uds else {"host": "127.0.0.1", "port": 0}
    server = uvicorn.Server(
        uvicorn.Config(
            app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1, **place
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive(), "the fake control did not start"
        assert time.monotonic() < until, "the fake control did not start in time"
        time.sleep(0.01)
    try:
        port = "" if uds else server.servers[0].sockets[0].getsockname()[1]
        yield str(uds) if uds else f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)
