"""Reservations for the portal's stand-in: one lab that is held, and a calendar with room from 11:00
on."""

import copy
from typing import Any

from aiohttp import web

BASE = "/services/control/v1/reservations"


def window(start: str, end: str, **more: Any) -> dict[str, Any]:
    return {
        "id": f"20300204T{start.replace(':', '')}Z", "starts_at": f"2030-02-04T{start}:00Z",
        "ends_at": f"2030-02-04T{end}:00Z", "text": f"Mon 4 Feb 2030 {start}-{end} UTC", **more,
    }  # fmt: skip


def held(start: str, end: str, **more: Any) -> dict[str, Any]:
    facts = {
        "state": "upcoming", "reason": "lent until 08:45 to work that can be told to go",
        "held": 4, "used": 0, "short": 0, "lent_until": "2030-02-04T08:45:00Z",
    }  # fmt: skip
    return window(start, end, **facts | more)


def reservation(id: str, name: str, windows: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "id": id, "tenant": "main", "tenant_name": "Main", "name": name, "count": 4,
        "unit": "1/8 GPU, 0.5 CPU, 1 GiB", "gpu_milli": 125, "time_zone": "UTC",
        "first_day": "2030-02-04", "last_day": "2030-02-04", "weekdays": [], "starts": "09:00",
        "length": "2h", "lend_margin": "15m", "no_show": "15m", "created_by": "ada",
        "created_at": "2030-01-01T08:00:00Z", "cancelled_at": None, "can_change": True,
        "windows": windows, "ahead": len(windows), **more,
    }  # fmt: skip


class Reservations:
    """What is held."""

    def __init__(self) -> None:
        self.items = [reservation("r-a", "Lab A", [held("09:00", "11:00", short=1, held=3)])]

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(BASE, self.listing),
            web.post(f"{BASE}/check", self.check),
            web.post(BASE, self.reserve),
            web.get(f"{BASE}/{{id}}", self.one),
            web.delete(f"{BASE}/{{id}}", self.cancel),
            web.post(f"{BASE}/{{id}}/windows/{{start}}/release", self.release),
        ]

    async def listing(self, _: web.Request) -> web.Response:
        return web.json_response({"items": self.items, "next": None})

    async def check(self, request: web.Request) -> web.Response:
        body = await request.json()
        wanted = window(body["starts"], "12:00")
        conflict = {
            "window": wanted, "text": f"{wanted['text']}: 2 of 4 places are missing, because of the"
            " reservation 'Lab A'", "reservations": ["the reservation 'Lab A'"],
            "nearest": window("11:00", "13:00"),
        }  # fmt: skip
        taken = body["starts"] < "11:00"
        return web.json_response(
            {"possible": not taken, "count": body["count"], "unit": "1/8 GPU",
             "windows": [wanted], "conflicts": [conflict] if taken else []}
        )  # fmt: skip

    async def reserve(self, request: web.Request) -> web.Response:
        body = await request.json()
        made = reservation("r-b", body["name"], [held(body["starts"], "13:00")])
        self.items.insert(0, made)
        return web.json_response(made, status=201)

    async def one(self, request: web.Request) -> web.Response:
        return web.json_response(self._found(request))

    async def cancel(self, request: web.Request) -> web.Response:
        gone = self._found(request)
        self.items.remove(gone)
        return web.json_response(gone | {"cancelled_at": "2030-01-02T08:00:00Z"})

    async def release(self, request: web.Request) -> web.Response:
        found = self._found(request)
        found["windows"] = copy.deepcopy(found["windows"])
        found["windows"][0].update(state="released", reason="given up by ada", held=0, short=0)
        return web.json_response(found)

    def _found(self, request: web.Request) -> dict[str, Any]:
        return next(one for one in self.items if one["id"] == request.match_info["id"])
