"""A control that answers from canned data, with the routes of the REST API."""

import asyncio
import json
import secrets
from typing import Any

from aiohttp import web

from tests.unit.portal.canned import Site, device, person, soon, workload
from tests.unit.portal.canned_courses import Courses
from tests.unit.portal.canned_reservations import Reservations


def problem(status: int, code: str, message: str, next: str, **more: Any) -> web.Response:
    return web.json_response(
        {"error": {"code": code, "message": message, "next": next, **more}}, status=status
    )


def page(items: list[Any]) -> web.Response:
    return web.json_response({"items": items, "next": None})


class FakeControl:
    """Moves its canned workloads as the real one would."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.courses = site.courses = Courses(site)

    def routes(self) -> list[web.RouteDef]:
        base = "/services/control/v1"
        return [
            web.get(f"{base}/me", self.me),
            web.get(f"{base}/offers", self.offers),
            web.get(f"{base}/workloads", self.workloads),
            web.post(f"{base}/workloads", self.launch),
            web.post(f"{base}/check", self.check),
            web.get(f"{base}/workloads/{{id}}", self.single),
            web.get(f"{base}/workloads/{{id}}/events", self.events),
            web.get(f"{base}/workloads/{{id}}/logs", self.logs),
            web.post(f"{base}/workloads/{{id}}/{{verb}}", self.act),
            web.get(f"{base}/stream", self.stream),
            web.get(f"{base}/usage", self.usage),
            web.get(f"{base}/notices", self.notices),
            web.post(f"{base}/notices/{{id}}/read", self.done),
            web.get(f"{base}/inventory", self.inventory),
            web.get(f"{base}/people", self.people),
            web.post(f"{base}/people/{{login}}/{{verb}}", self.done),
            web.get(f"{base}/quotas", self.quotas),
            web.put(f"{base}/quotas", self.quotas),
            web.get(f"{base}/quotas/use", self.uses),
            web.put(f"{base}/quotas/guaranteed", self.guarantee),
            web.get(f"{base}/tenants", self.tenants),
            web.post(f"{base}/invitations", self.invite),
            web.get(f"{base}/nodes", self.nodes),
            web.post(f"{base}/nodes/{{verb}}", self.act_on_all_nodes),
            web.post(f"{base}/nodes/{{name}}/{{verb}}", self.act_on_node),
            web.post(f"{base}/devices/{{id}}/release", self.release),
            web.get(f"{base}/statement/file", self.statement_file),
            *Reservations().routes(),
            *self.courses.routes(),
        ]

    async def me(self, _: web.Request) -> web.Response:
        await asyncio.sleep(self.site.slow)
        return web.json_response(self.site.me())

    async def offers(self, _: web.Request) -> web.Response:
        await asyncio.sleep(self.site.slow)
        return page(self.site.offers)

    async def workloads(self, request: web.Request) -> web.Response:
        await asyncio.sleep(self.site.slow)
        live = {"queued", "offered", "starting", "running", "stopping"}
        state = request.query.get("state", "all")
        items = [
            one
            for one in self.site.workloads
            if state == "all" or (one["status"] in live) == (state == "active")
        ]
        return page(items)

    async def check(self, request: web.Request) -> web.Response:
        body = await request.json()
        found = next(one for one in self.site.offers if one["id"] == body["offer"])
        answer = dict(found["verdict"])
        cores = int(body.get("set", {}).get("cpu", 2))
        answer["price"] = {"per_hour": f"{float(found['price']['per_hour']) + 0.02 * cores:.2f}"}
        return web.json_response(answer)

    async def launch(self, request: web.Request) -> web.Response:
        body = await request.json()
        found = next(one for one in self.site.offers if one["id"] == body["offer"])
        if found["verdict"]["verdict"] == "denied":
            told = found["verdict"]
            return problem(403, "denied", told["reason"], told["next"], verdict=told)
        made = workload(f"w-{secrets.token_hex(3)}", "starting", body.get("name") or found["title"])
        made["started_at"] = None
        made["progress"] = {"done": 1, "of": 4, "text": "Credits are held"}
        made["share"], made["price"] = found["share"], found["price"]
        self.site.workloads.insert(0, made)
        task = asyncio.ensure_future(self.run_up(made))
        self.site.tasks.add(task)
        task.add_done_callback(self.site.tasks.discard)
        return web.json_response(made, status=201)

    async def run_up(self, made: dict[str, Any]) -> None:
        for done, text in ((2, "Processes are starting"), (3, "JupyterLab is starting")):
            await asyncio.sleep(self.site.start_seconds / 3)
            made["progress"] = {"done": done, "of": 4, "text": text}
            self.site.tell("workloads")
        await asyncio.sleep(self.site.start_seconds / 3)
        made.update(status="running", progress=None, url=f"/user/ada/{made['id']}/lab",
                    started_at=soon(), lease_ends_at=soon(hours=2), can_extend=True)  # fmt: skip
        self.site.tell("workloads")

    async def act(self, request: web.Request) -> web.Response:
        one = self.site.find(request.match_info["id"])
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
                self.site.workloads.insert(0, one)
        self.site.tell("workloads")
        return web.json_response(one)

    async def single(self, request: web.Request) -> web.Response:
        for one in self.site.workloads:
            if one["id"] == request.match_info["id"]:
                return web.json_response(one)
        return problem(404, "not-found", "there is no such workload", "see your workloads")

    async def events(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        texts = ("queued", "Asked for"), ("starting", "1.20 credits held"), ("running", "It runs")
        for number, (status, text) in enumerate(texts):
            event = {"id": number, "at": soon(minutes=number - 3), "status": status, "text": text}
            await answer.write(f"id: {number}\ndata: {json.dumps(event)}\n\n".encode())
        await answer.write(b"event: end\ndata: {}\n\n")
        return answer

    async def logs(self, _: web.Request) -> web.Response:
        return web.json_response({"text": "[I LabApp] JupyterLab 4.6.6 is running\n" * 6})

    async def stream(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        queue: asyncio.Queue[str] = asyncio.Queue()
        self.site.listeners.add(queue)
        try:
            await answer.write(b": hello\n\n")
            while True:
                kind = await queue.get()
                await answer.write(f'data: {{"kind": "{kind}"}}\n\n'.encode())
        finally:
            self.site.listeners.discard(queue)

    async def usage(self, _: web.Request) -> web.Response:
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

    async def notices(self, _: web.Request) -> web.Response:
        return page([
            {"id": "n1", "at": soon(minutes=-2), "kind": "turn", "workload": "w-turn",
             "text": "It is your turn: Protein folding is held for you for 10 minutes",
             "read": False},
            {"id": "n2", "at": soon(minutes=-9), "kind": "out-of-memory", "workload": "w-oom",
             "text": "Big tables ran out of memory", "read": False},
        ])  # fmt: skip

    async def nodes(self, _: web.Request) -> web.Response:
        if not self.site.admin:
            return problem(404, "not-found", "there is no such page", "ask an administrator")
        return page(self.site.nodes)

    async def act_on_node(self, request: web.Request) -> web.Response:
        one = next(n for n in self.site.nodes if n["name"] == request.match_info["name"])
        if request.match_info["verb"] == "resume":
            one.update(state="in service", closed="", by=None, reason="")
            return web.json_response(one)
        body = await request.json()
        if body["by"] == "yesterday":
            return problem(400, "bad-value", "by: 'yesterday' is neither a time nor a duration",
                           "write it like 2h")  # fmt: skip
        one.update(state="draining", by=soon(hours=2), reason=body["reason"],
                   closed="it is being taken out of service")  # fmt: skip
        return web.json_response(one)

    async def act_on_all_nodes(self, _: web.Request) -> web.Response:
        return page(self.site.nodes)

    async def release(self, request: web.Request) -> web.Response:
        for one in self.site.nodes:
            for known in one["devices"]:
                if known["id"] == request.match_info["id"]:
                    known.update(quarantined=False, failed_starts=0)
        return web.json_response(self.site.nodes[0])

    async def statement_file(self, _: web.Request) -> web.Response:
        return web.Response(body=b"when,credits\r\n", content_type="text/csv")

    async def inventory(self, _: web.Request) -> web.Response:
        lost = device("gpu-2", 0, health="lost", emulated=False,
                      health_reason="it vanished from the bus")  # fmt: skip
        return web.json_response({
            "nodes": [
                {
                    "name": node["name"], "cpu_milli": 16000, "cpu_held_milli": 4000,
                    "memory_mib": 65536, "memory_held_mib": 8192,
                    "devices": [lost if one["id"] == "gpu-2" else device(one["id"], 375 + 500 * n)
                                for n, one in enumerate(node["devices"])],
                }
                for node in self.site.nodes
            ],
            "isolation": {"gpu": "none", "cpu": "hard", "memory": "soft"},
            "notes": ["Shares of emulated devices are not isolated"],
        })  # fmt: skip

    async def people(self, _: web.Request) -> web.Response:
        return page([person("ada", "Ada Lovelace"),
                     person("grace", "Grace Hopper", active=False, balance="3.00")])  # fmt: skip

    async def quotas(self, _: web.Request) -> web.Response:
        return page([{"tenant": "main", "person": "", "dimension": "gpu", "limit": 2000,
                      "text": "2 GPUs"}])  # fmt: skip

    async def uses(self, _: web.Request) -> web.Response:
        return page(self.site.uses)

    async def guarantee(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body["amount"].startswith("-"):
            return problem(422, "bad-value", "limit: -1 is negative", "use 0 or more")
        for use in self.site.uses:
            if (use["tenant"], use["dimension"]) == (body["tenant"], body["dimension"]):
                use.update(guaranteed=1000 * int(body["amount"]), borrowed=0)
        return page([])

    async def invite(self, _: web.Request) -> web.Response:
        return web.json_response({"url": "http://127.0.0.1:8000/hub/invite?t=one-time",
                                  "expires_at": soon(days=7)}, status=201)  # fmt: skip

    async def done(self, _: web.Request) -> web.Response:
        return web.json_response(person("grace", "Grace Hopper"))

    async def tenants(self, _: web.Request) -> web.Response:
        return page([{"id": "main", "name": "Main"}])
