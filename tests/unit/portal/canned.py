"""Canned answers in the shapes of the REST API: workloads and offers in every state."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

TOKEN = "hub-token-of-the-visitor"


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
        "preemptible": False,
        "borrowed": False,
        "goes_at": None,
        "goes_why": "",
        "again": "",
        "saved_at": None,
        "active_at": soon(minutes=-2) if running else None,
        "idle_stop_at": None,
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


def standard_nodes() -> list[dict[str, Any]]:
    """As administrators see them: one in service, one being drained, one that is silent."""
    return [
        node_state("lab-1", "in service", [("emu-0", {}), ("emu-1", {"failed_starts": 1}),
                                           ("gpu-2", {"quarantined": True, "failed_starts": 3})]),
        node_state("lab-2", "draining", [("emu-3", {})], by=soon(hours=2), reason="new fans",
                   closed="it is being taken out of service"),
        node_state("lab-3", "silent", [("emu-4", {})], closed="it has not answered for 3 min"),
    ]  # fmt: skip


def standard_uses() -> list[dict[str, Any]]:
    """What tenants hold: a department that borrows, and a course below it."""

    def use(tenant: str, parent: str | None, dimension: str, *amounts: int | None) -> Any:
        used, guaranteed, limit, borrowed = amounts
        return {"tenant": tenant, "name": tenant.title(), "parent": parent, "text": "",
                "dimension": dimension, "used": used, "guaranteed": guaranteed, "limit": limit,
                "borrowed": borrowed}  # fmt: skip

    return [
        use("chemistry", "main", "gpu", 250, 2000, None, 0),
        use("main", None, "gpu", 3250, 4000, 8000, 0),
        use("main", None, "memory", 8 << 30, 0, 64 << 30, 0),
        use("main", None, "cpu", 4000, 0, None, 0),
        use("optics", "physics", "gpu", 1500, 0, 2000, 1500),
        use("physics", "main", "gpu", 3000, 2000, 4000, 1000),
        use("physics", "main", "cpu", 0, 0, None, 0),
    ]


def node_state(
    name: str, state: str, devices: list[tuple[str, dict[str, Any]]], **more: Any
) -> dict[str, Any]:
    return {
        "name": name, "state": state, "closed": "", "by": None, "empty_at": None, "reason": "",
        "running": 2 if state == "in service" else 1,
        "devices": [
            {"id": id, "model": "Emulated 24 GiB", "health": "ok", "health_reason": "",
             "held_milli": 0, "failed_starts": 0, "quarantined": False, **facts}
            for id, facts in devices
        ],
        **more,
    }  # fmt: skip


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
    closed: bool = False
    """The visitor's account is."""
    listeners: set[asyncio.Queue[str]] = field(default_factory=set)
    slow: float = 0.0
    codes: dict[str, str] = field(default_factory=dict)
    no_credits: bool = False
    start_seconds: float = 2.0
    uses: list[dict[str, Any]] = field(default_factory=standard_uses)
    nodes: list[dict[str, Any]] = field(default_factory=standard_nodes)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    courses: Any = None
    """What the fake control knows of courses (`canned_courses`), once it is made."""

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
            "fair_share": [
                {"scope": "you", "share": 0.032, "text": "you used 3.2 % of the site lately"},
                {"scope": "Main", "share": 0.5, "text": "Main used 50.0 % of the site lately"},
            ],
            "balance": "84.20",
            "held": "2.40",
            "spent": "13.40",
            "meter": [
                line("gpu", "you", 375, 500, "3/8 of 1/2 GPU"),
                line("gpu", "Main", 1250, 2000, "1.25 of 2 GPUs"),
                line("cpu", "you", 4000, 8000, "4 of 8 CPU"),
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
