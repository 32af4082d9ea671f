"""Every route of the public API × everybody who may call it: one declared table of statuses."""

import asyncio
import importlib
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from sqlmodel import select

from catalog.asks import Ask
from catalog.units import MICRO
from hub import attempts, grants, launching, people, reserving, transfers
from hub.api import app as public
from hub.lifecycle import EndReason
from hub.policy import Actor
from hub.settings import CONTROL_PREFIX, SCIM_PREFIX
from hub.sight import Sight
from hub.store.tables import DeviceRow, NoticeRow, QuotaRow
from quotas.windows import Rule
from tests.api.who_may import keys
from tests.api.who_may.callers import (
    CALLERS,
    EVERYBODY,
    MANAGED,
    OWNER_CREATES,
    OWNER_ONLY,
    PLATFORM_ONLY,
    STAFF,
    TEACHERS,
    TENANT_ADMINS,
    Rows,
    nothing,
    platform,
    statuses,
    whole,
)
from tests.site import Site, add_tenant


def queued(site: Site, owner: Actor, *, notify: bool = False) -> str:
    wish = launching.Wish("cpu", {}, notify=notify)
    return launching.launch(site.control, owner, wish).id


def offered(site: Site, owner: Actor) -> str:
    workload = queued(site, owner, notify=True)
    grants.give_what_fits(site.control)
    return workload


def running(site: Site, owner: Actor) -> str:
    workload = queued(site, owner)
    grants.give_what_fits(site.control)
    attempts.mark_ready(site.control, site.row(workload).attempt_id or "")
    return workload


def ended(site: Site, owner: Actor) -> str:
    workload = queued(site, owner)
    attempts.begin_stopping(site.control, workload, EndReason.CANCELLED, "you cancelled it")
    return workload


def noticed(site: Site, owner: Actor) -> str:
    workload = offered(site, owner)
    with site.control.store.read() as session:
        return session.exec(select(NoticeRow.id).where(NoticeRow.workload_id == workload)).one()


def funded(site: Site, owner: Actor) -> str:
    transfers.grant_to_tenant(site.control, platform(site), owner.tenant_id, 5 * MICRO, "once")
    return owner.tenant_id


LAB = {
    "tenant": "blue", "cpu": "0.001", "first_day": "2026-01-06", "starts": "09:00", "length": "1h",
}  # fmt: skip


def reserved(site: Site, owner: Actor) -> str:
    """Of the course, in its only window."""
    at = datetime(2026, 1, 6, 9, tzinfo=UTC)
    rule = Rule(at.date(), at.date(), at.time(), timedelta(hours=1), UTC)
    wish = reserving.Wish(
        "blue", "lab", 1, Ask(1, 0), rule, "UTC", timedelta(minutes=5), timedelta(minutes=15)
    )
    return reserving.reserve(site.control, platform(site), wish)


def reserved_window(site: Site, owner: Actor) -> str:
    return f"{reserved(site, owner)} 20260106T0900Z"


def open_account(site: Site, owner: Actor) -> str:
    people.set_active(
        site.control, platform(site), people.by_login(site.control, owner.login), active=True
    )
    return owner.login


def a_node(site: Site, owner: Actor) -> str:
    return site.control.nodes[0].name


def a_node_of_three(site: Site, owner: Actor) -> str:
    """A site on which one node may be out."""
    (here, *_) = site.engine.nodes
    devices = [replace(d, id=f"{d.id}-{n}") for n in "abc" for d in here.devices]
    site.control.sight = Sight(
        tuple(replace(here, name=f"n{i}", devices=(d,)) for i, d in enumerate(devices))
    )
    return ""


def in_quarantine(site: Site, owner: Actor) -> str:
    device = site.control.nodes[0].devices[0]
    with site.control.store.write() as session:
        row = session.get(DeviceRow, device.id) or DeviceRow(
            id=device.id, node=site.control.nodes[0].name, model=device.model
        )
        row.quarantined_at = site.clock.now()
        session.add(row)
    return device.id


W = "/workloads/{id}"
TABLE: Rows = {
    ("GET", "/offers"): (nothing, None, EVERYBODY),
    ("POST", "/check"): (nothing, {"offer": "cpu"}, EVERYBODY),
    ("POST", "/menu/reload"): (nothing, None, PLATFORM_ONLY),
    ("GET", "/inventory"): (nothing, None, EVERYBODY),
    ("POST", "/workloads"): (
        nothing, {"offer": "cpu"}, "401 201 201 201 201 201 201 201 403 401 503",
    ),
    ("GET", "/workloads"): (running, None, EVERYBODY),
    ("GET", W): (running, None, STAFF),
    ("POST", f"{W}/stop"): (running, None, STAFF),
    ("POST", f"{W}/extend"): (running, {"by": "15m"}, STAFF),
    ("POST", f"{W}/saved"): (running, None, OWNER_ONLY),
    ("POST", f"{W}/active"): (running, None, OWNER_ONLY),
    ("POST", f"{W}/relaunch"): (ended, {}, OWNER_CREATES),
    ("POST", f"{W}/accept"): (offered, None, OWNER_ONLY),
    ("POST", f"{W}/notify"): (queued, {"on": True}, OWNER_ONLY),
    ("GET", f"{W}/logs"): (running, None, "401 200 404 403 403 200 404 200 403 401 503"),
    ("GET", f"{W}/events"): (ended, None, STAFF),
    ("GET", "/stream"): (nothing, None, EVERYBODY),
    ("GET", "/me"): (nothing, None, EVERYBODY),
    ("GET", "/usage"): (nothing, None, EVERYBODY),
    ("GET", "/notices"): (nothing, None, EVERYBODY),
    ("POST", "/notices/{id}/read"): (
        noticed, None, "401 200 404 404 404 404 404 404 403 401 503",
    ),
    ("GET", "/people"): (nothing, None, TENANT_ADMINS),
    ("POST", "/people/{id}/deactivate"): (open_account, None, MANAGED),
    ("POST", "/people/{id}/activate"): (open_account, None, MANAGED),
    ("POST", "/people/{id}/grant"): (open_account, {"credits": "1"}, PLATFORM_ONLY),
    ("POST", "/invitations"): (
        nothing, {"tenant": "blue"}, "401 403 403 403 403 201 403 201 403 401 503",
    ),
    ("GET", "/tenants"): (nothing, None, TENANT_ADMINS),
    ("POST", "/tenants"): (
        nothing, {"id": "sky", "parent": "blue"}, "401 403 403 403 403 201 403 201 403 401 503",
    ),
    ("PUT", "/tenants/{id}"): (
        funded, {"name": "Blue"}, "401 403 403 403 403 200 403 200 403 401 503",
    ),
    ("GET", "/quotas"): (nothing, None, TEACHERS),
    ("GET", "/quotas/use"): (nothing, None, TEACHERS),
    ("PUT", "/quotas"): (
        nothing, {"tenant": "blue", "dimension": "gpu", "limit": "4"}, PLATFORM_ONLY,
    ),
    ("PUT", "/quotas/guaranteed"): (
        nothing, {"tenant": "blue", "dimension": "gpu", "amount": "1"}, PLATFORM_ONLY,
    ),
    ("GET", "/reservations"): (nothing, None, EVERYBODY),
    ("GET", "/reservations/{id}"): (
        reserved, None, "401 200 200 200 200 200 404 200 403 401 503",
    ),
    ("POST", "/reservations/check"): (
        nothing, LAB, "401 403 403 200 200 200 404 200 403 401 503",
    ),
    ("POST", "/reservations"): (nothing, LAB, "401 403 403 201 201 201 404 201 403 401 503"),
    ("DELETE", "/reservations/{id}"): (
        reserved, None, "401 403 403 200 200 200 404 200 403 401 503",
    ),
    ("POST", "/reservations/{id}/windows/{id}/release"): (
        reserved_window, None, "401 403 403 200 200 200 404 200 403 401 503",
    ),
    ("GET", "/audit"): (nothing, None, TENANT_ADMINS),
    ("GET", "/audit/verify"): (nothing, None, PLATFORM_ONLY),
    ("GET", "/nodes"): (nothing, None, PLATFORM_ONLY),
    ("POST", "/nodes/drain"): (a_node_of_three, {"at_most": 0.5}, PLATFORM_ONLY),
    ("POST", "/nodes/resume"): (nothing, None, PLATFORM_ONLY),
    ("POST", "/nodes/{id}/drain"): (a_node, {"by": "2h"}, PLATFORM_ONLY),
    ("POST", "/nodes/{id}/resume"): (a_node, None, PLATFORM_ONLY),
    ("POST", "/devices/{id}/release"): (in_quarantine, None, PLATFORM_ONLY),
    ("GET", "/accounts"): (nothing, None, TEACHERS),
    ("POST", "/tenants/{id}/grant"): (funded, {"credits": "1"}, PLATFORM_ONLY),
    ("POST", "/credits/transfer"): (
        funded, {"from": {"tenant": "blue"}, "to": {"person": "mia"}, "credits": "1"},
        "401 403 403 403 200 200 403 200 403 401 503",
    ),
    ("GET", "/statement"): (nothing, None, EVERYBODY),
    ("GET", "/statement/file"): (nothing, None, EVERYBODY),
    ("GET", "/prices"): (nothing, None, EVERYBODY),
    ("PUT", "/prices"): (nothing, {"offer": "cpu", "per_hour": "0.5"}, PLATFORM_ONLY),
}  # fmt: skip
for module in sorted(Path(__file__).with_name("who_may").glob("rows_*.py")):
    TABLE |= importlib.import_module(f"tests.api.who_may.{module.stem}").ROWS
PUBLIC = {("GET", f"{CONTROL_PREFIX}/healthz"), ("GET", f"{CONTROL_PREFIX}/openapi.json")}


@pytest.fixture
async def campus(tmp_path: Path) -> AsyncIterator[Site]:
    async with Site(tmp_path) as site:
        add_tenant(site.control, "blue")
        add_tenant(site.control, "red")
        with site.control.store.write() as session:  # or only the platform's might reserve
            session.add(QuotaRow(tenant_id="blue", person_id="", dimension="cpu", limit=16_000))
        for login, role in (
            ("mia", "member"), ("max", "member"), ("ana", "assistant"), ("ian", "instructor"),
            ("tara", "admin"), ("dan", "member"),
        ):  # fmt: skip
            site.person(login, "blue", role)
        site.person("otto", "red", "admin")
        dan = people.by_login(site.control, "dan")
        people.set_active(site.control, platform(site), dan, active=False)
        keys.issue_both(site)
        yield site


def headers_of(site: Site, caller: str) -> dict[str, str]:
    site.hub.down, site.hub.scopeless = False, set()
    login = {
        "owner": "mia", "member": "max", "assistant": "ana", "instructor": "ian", "admin": "tara",
        "other-admin": "otto", "closed": "dan", "scopeless": "mia",
    }.get(caller, "admin")  # fmt: skip
    if caller == "anonymous":
        return {}
    if caller in {"service", "expired-key"}:
        return {"Authorization": f"Bearer {keys.of(site, caller)}"}
    token = site.token_of(login)
    if caller == "scopeless":
        site.hub.scopeless = {token}
    site.hub.down = caller == "hub-down"
    return {"Authorization": f"token {token}"}


async def status_of_stream(site: Site, path: str, headers: dict[str, str]) -> int:
    """A stream has no end of its own: go away after its first words."""
    found: list[int] = []
    heard, asked = asyncio.Event(), asyncio.Event()

    async def receive() -> dict[str, Any]:
        if not asked.is_set():
            asked.set()
            return {"type": "http.request", "body": b"", "more_body": False}
        await heard.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            found.append(message["status"])
        elif message.get("body"):
            heard.set()

    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
        "path": path, "raw_path": path.encode(), "query_string": b"", "headers": raw,
        "scheme": "http", "server": ("site", 80), "client": ("here", 1), "root_path": "",
    }  # fmt: skip
    async with asyncio.timeout(20):
        await site.app(scope, receive, send)
    return found[0]


def told(path: str, body: dict[str, Any]) -> set[str]:
    """What an error says, in the shape of the API or in SCIM's."""
    if path.startswith(SCIM_PREFIX):
        assert body["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
        return {"status", *body}
    assert set(body["error"]) == {"code", "message", "next"}
    return {"status", *body["error"]}


@pytest.mark.parametrize("route", TABLE, ids=" ".join)
async def test_who_may_call_it(campus: Site, route: tuple[str, str]) -> None:
    make, body, expected = TABLE[route]
    method, path = route
    owner, found = people.actor_of(campus.control, "mia"), []
    for caller in CALLERS:
        made = make(campus, owner)
        address = whole(path)
        for part in made.split():
            address = address.replace("{id}", part, 1)
        headers = headers_of(campus, caller)
        if path == "/stream":
            found.append(await status_of_stream(campus, address, headers))
        else:
            answer = await campus.raw(method, address, headers=headers, json=body)
            found.append(answer.status_code)
            if answer.status_code >= 400:
                assert told(path, answer.json()) > {"status"}
        campus.clock.advance(timedelta(seconds=1))
    assert dict(zip(CALLERS, found, strict=True)) == statuses(expected)


def routes() -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for context in iter_route_contexts(public.routes().routes):
        route = getattr(context, "route", context)
        assert isinstance(route, APIRoute), route
        path = getattr(context, "path", route.path)
        found |= {(method, path) for method in route.methods or ()}
    return found


def test_every_route_has_its_row() -> None:
    rows = {(method, whole(path)) for method, path in TABLE} | PUBLIC
    plain = {(method, re.sub(r"\{\w+\}", "{id}", path)) for method, path in routes()}
    assert plain == rows


@pytest.mark.parametrize("path", sorted(path for _, path in PUBLIC))
async def test_what_is_public_asks_for_nothing(campus: Site, path: str) -> None:
    assert (await campus.raw("GET", path)).status_code == 200


async def test_healthz_says_what_is_missing(campus: Site) -> None:
    campus.hub.down = True
    answer = await campus.raw("GET", f"{CONTROL_PREFIX}/healthz")
    assert (answer.status_code, answer.json()["waiting_for"]) == (503, "hub")


@pytest.mark.parametrize("kind", ["workloads", "people"])
async def test_what_is_not_yours_is_answered_like_what_is_not_there(
    campus: Site, kind: str
) -> None:
    owner = people.actor_of(campus.control, "mia")
    theirs = running(campus, owner) if kind == "workloads" else "mia"
    act = "stop" if kind == "workloads" else "deactivate"
    unknown = "w-0000000000" if kind == "workloads" else "nobody"
    for caller in ("max", "otto"):
        real = await campus.call(caller, "POST", f"/{kind}/{theirs}/{act}")
        none = await campus.call(caller, "POST", f"/{kind}/{unknown}/{act}")
        assert real.status == none.status == 404
        told = str(real.body).replace(theirs, "X"), str(none.body).replace(unknown, "X")
        assert told[0] == told[1]


async def test_everybodys_list_holds_what_each_may_see(campus: Site) -> None:
    owner = people.actor_of(campus.control, "mia")
    workload = running(campus, owner)
    for caller, sees in (("max", False), ("ana", True), ("otto", False), ("admin", True)):
        found = await campus.call(caller, "GET", "/workloads", params={"everybody": True})
        assert (workload in [w["id"] for w in found.body["items"]]) == sees


async def test_administrators_see_their_own_tenants_alone(campus: Site) -> None:
    for caller, sees in (("tara", {"blue"}), ("otto", {"red"}), ("admin", {"blue", "red", "main"})):
        tenants = await campus.call(caller, "GET", "/tenants")
        assert {t["id"] for t in tenants.body["items"]} == sees
    people_of_red = await campus.call("otto", "GET", "/people")
    assert [p["login"] for p in people_of_red.body["items"]] == ["otto"]


async def test_no_tenant_administrator_closes_the_platform_administrator(campus: Site) -> None:
    site_admin = campus.person("sam", "main", "admin")
    answer = await campus.call(site_admin.login, "POST", "/people/admin/deactivate")
    assert answer.status == 404
    assert people.by_login(campus.control, "admin").active
