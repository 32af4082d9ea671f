"""A whole control without a network: real store, real use cases, real API; engine and Hub are fakes
that sign the same contracts, and the test owns the clock."""

import asyncio
import copy
import functools
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import httpx
import pytest
from fastapi import FastAPI
from sqlmodel import col, select

from catalog.allocator import Allocator
from catalog.clock import ManualClock
from catalog.discovery.emulated import EmulatedSet
from catalog.inventory import Node
from catalog.units import GIB
from hub import invariants, people, prices, starting
from hub.api import app as public
from hub.api import internal
from hub.bus import Bus
from hub.control_context import Control
from hub.menu import MenuSource
from hub.policy import ROOT_TENANT, Actor
from hub.reconciler import Reconciler
from hub.settings import CONTROL_PREFIX, PACKAGE_ROOT, Settings
from hub.store.course_tables import CourseRow
from hub.store.schema import upgrade
from hub.store.store import Store
from hub.store.tables import AttemptRow, DeviceRow, PersonRow, ShareRow, TenantRow, WorkloadRow
from spawners.fake import FakeEngine
from tests.peers.fake_hub import FakeHub

V1 = f"{CONTROL_PREFIX}/v1"
NODES = (Node("here", 16_000, 64 * GIB, EmulatedSet().devices()),)
MENU = PACKAGE_ROOT / "catalog" / "menu.yaml"
PATIENCE_S = 20.0
"""Of a test that waits for threads; a machine with little to spare may need some of it."""


def settings_in(folder: Path, **changes: Any) -> Settings:
    """Settings with everything inside `folder`, and a notebook environment that is none."""
    home, env = folder / "home", folder / "env"
    for path in (home / "run", home / "secrets", env):
        path.mkdir(parents=True, exist_ok=True)
    facts = {"python": sys.executable, "bin": str(Path(sys.executable).parent), "env": {}}
    (env / "perijove-env.json").write_text(json.dumps(facts))
    given = {"home": home, "spaces": folder / "spaces", "envs": env, "trust_everyone": True}
    return Settings(**{**given, **changes})


def build_control(
    settings: Settings, clock: ManualClock, engine: FakeEngine, menu: Path = MENU
) -> Control:
    """Control on a migrated database, with the root tenant and the first administrator."""
    store = Store(settings.database)
    file = store.url.database
    if store.is_sqlite and file and not Path(file).exists():
        Path(file).write_bytes(_migrated())
    upgrade(store)
    control = Control(
        settings=settings, store=store, clock=clock, placer=Allocator(), menu=MenuSource(menu),
        engine=engine, bus=Bus(), pepper="pepper", limits=engine.limits(), nodes=list(engine.nodes),
    )  # fmt: skip
    prices.attach(control)
    people.prepare_site(control)
    return control


@functools.cache
def _migrated() -> bytes:
    """An empty SQLite database at the newest schema: migrating takes long, copying does not."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "control.sqlite"
        store = Store(f"sqlite:///{file}")
        upgrade(store)
        store.close()  # the last one to close brings the write-ahead log in
        return file.read_bytes()


_routes = functools.cache(public.routes)


def _application() -> FastAPI:
    """Routes cost half a second, and FastAPI keeps every application alive that includes a module's
    router: one set of them serves all sites of a run, each with a state of its own."""
    app = copy.copy(_routes())
    app.middleware_stack = None
    return app


_first_sign_ins = functools.cache(people.SignIns)


def _sign_ins() -> people.SignIns:
    """Nobody's failures yet. Its decoy took as long as all the rest of a site: one serves a run."""
    made = copy.copy(_first_sign_ins())
    made._failures = {}
    return made


def add_tenant(control: Control, tenant_id: str, parent: str = ROOT_TENANT) -> None:
    with control.store.write() as session:
        session.add(
            TenantRow(
                id=tenant_id, parent_id=parent, name=tenant_id.title(), kind="course",
                created_at=control.clock.now(),
            )
        )  # fmt: skip


def add_course(control: Control, tenant_id: str, **facts: Any) -> None:
    """A course that goes on for years, unless `facts`, by column, say otherwise; its tenant must be
    there."""
    usual = {
        "first_day": "2020-01-01", "last_day": "2099-12-31", "time_zone": "UTC",
        "lab_offer": "cpu", "created_by": "test", "created_at": control.clock.now(),
    }  # fmt: skip
    with control.store.write() as session:
        session.add(CourseRow(tenant_id=tenant_id, **(usual | facts)))


def add_person(
    control: Control, login: str, tenant: str = ROOT_TENANT, role: str = "member"
) -> Actor:
    with control.store.write() as session:
        person = people.add_person(
            control, session, login, login, login.title(), "", tenant, role, actor="system"
        )
        session.flush()
        return people.actor_from(session, person)


def leaks(control: Control) -> list[str]:
    """What is held though nothing lives, or any invariant that is broken; empty when clean."""
    found = [said for problems in invariants.broken(control).values() for said in problems]
    with control.store.read() as session:
        open_attempts = set(
            session.exec(select(AttemptRow.id).where(col(AttemptRow.released_at).is_(None)))
        )
        held: dict[str, int] = {}
        for share in session.exec(select(ShareRow).where(col(ShareRow.released_at).is_(None))):
            held[share.device_id] = held.get(share.device_id, 0) + share.milli
            if share.attempt_id not in open_attempts:
                found.append(f"{share.attempt_id} ended and holds {share.device_id}")
        found += [
            f"{device.id} says {device.held_milli}, shares {held}"
            for device in session.exec(select(DeviceRow))
            if device.held_milli != held.get(device.id, 0)
        ]
    return found


@dataclass(frozen=True)
class Answer:
    """A status and the JSON that came with it."""

    status: int
    body: dict[str, Any]

    @property
    def code(self) -> str:
        return self.body["error"]["code"]


class Site:
    """Control, its reconciler, its API and the fakes around it. Use `async with`."""

    def __init__(self, folder: Path, *, menu: Path = MENU, **changes: Any) -> None:
        self.clock = ManualClock()
        self.engine = FakeEngine(NODES, self.clock)
        self.hub = FakeHub(self.clock)
        self.settings = settings_in(folder, **changes)
        self._menu = menu

    async def __aenter__(self) -> Self:
        self._boot()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._halt()
        await self.hub.quit()
        self.control.store.close()

    def _boot(self) -> None:
        self.control = build_control(self.settings, self.clock, self.engine, self._menu)
        starting.prepare_spaces(self.control)
        self.control.bus.attach(asyncio.get_running_loop())
        self.reconciler = Reconciler(self.control, self.hub)  # type: ignore[arg-type]
        self.app = _application()
        public.serve(self.app, self.control, self.hub, self._ready)  # type: ignore[arg-type]
        self.hub.inner = internal.build(self.control, self.hub, _sign_ins())  # type: ignore[arg-type]

    async def _halt(self) -> None:
        tasks = list(self.reconciler._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def crash(self) -> None:
        """Control is killed and comes back: only the store, the engine and the Hub remember."""
        await self._halt()
        self.control.store.close()
        self._boot()
        await asyncio.to_thread(self.reconciler._adopt)

    async def _ready(self) -> str:
        return "" if await self.hub.alive() else "hub"

    # ---- people -----------------------------------------------------------------------------

    def token_of(self, login: str) -> str:
        with self.control.store.read() as session:
            person = session.exec(select(PersonRow).where(PersonRow.login == login)).one()
        token = f"{login}-token"
        self.hub.tokens[token] = person.hub_name
        return token

    def person(self, login: str, tenant: str = ROOT_TENANT, role: str = "member") -> Actor:
        return add_person(self.control, login, tenant, role)

    # ---- the API ----------------------------------------------------------------------------

    async def raw(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None,
        content: Any = None, json: Any = None, params: Mapping[str, Any] | None = None,
    ) -> httpx.Response:  # fmt: skip
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://site") as client:
            return await client.request(
                method, path, headers=dict(headers or {}), content=content, json=json,
                params=params,
            )  # fmt: skip

    async def call(
        self, login: str, method: str, path: str, body: Any = None, *, key: str = "",
        params: Mapping[str, Any] | None = None,
    ) -> Answer:  # fmt: skip
        """As a person with a good token."""
        headers = {"Authorization": f"token {self.token_of(login)}"}
        if key:
            headers["Idempotency-Key"] = key
        answer = await self.raw(
            method, path if path.startswith("/services") else V1 + path, headers=headers,
            json=body, params=params,
        )  # fmt: skip
        return Answer(answer.status_code, answer.json())

    async def launch(self, login: str, offer: str = "gpu-quarter", **more: Any) -> str:
        """Its workload's id; the launch must be accepted."""
        answer = await self.call(login, "POST", "/workloads", {"offer": offer, **more})
        assert answer.status == 201, answer.body
        return answer.body["id"]

    async def view(self, login: str, workload: str) -> dict[str, Any]:
        return (await self.call(login, "GET", f"/workloads/{workload}")).body

    def row(self, workload: str) -> WorkloadRow:
        """As the store has it: while the Hub is away the API cannot be asked."""
        with self.control.store.read() as session:
            return session.get_one(WorkloadRow, workload)

    async def run(self, login: str, offer: str = "gpu-quarter", **more: Any) -> str:
        """Launched and running."""
        workload = await self.launch(login, offer, **more)
        await self.until_status(login, workload, "running")
        return workload

    # ---- time -------------------------------------------------------------------------------

    async def beat(self) -> None:
        await self.reconciler.beat()

    async def until(self, done: Callable[[], Any], what: Callable[[], str]) -> None:
        """Beat until it is so. The clock stands still meanwhile."""
        end = time.monotonic() + PATIENCE_S
        while True:
            await self.beat()
            found = done()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            assert time.monotonic() < end, f"never came: {what()}"
            await asyncio.sleep(0.005)

    async def until_status(self, login: str, workload: str, status: str) -> dict[str, Any]:
        """Beat until the workload has the status; fails at once when it ended with another."""
        seen: dict[str, Any] = {}

        async def there() -> bool:
            seen.update(await self.view(login, workload))
            ended = seen["status"] in {"stopped", "failed"}
            assert not ended or seen["status"] == status, seen
            return seen["status"] == status

        await self.until(there, lambda: f"{status}, but {seen.get('status')}: {seen.get('reason')}")
        return seen

    def later(self, **span: float) -> None:
        self.clock.advance(timedelta(**span))

    async def settled(self) -> None:
        """Beat until no task of the reconciler is at work and no server starts."""

        def quiet() -> bool:
            return not self.reconciler._tasks and not self.hub._pending

        await self.until(quiet, lambda: f"quiet, but {list(self.reconciler._tasks)}")

    def leaks(self) -> list[str]:
        return leaks(self.control)

    def clean(self) -> list[str]:
        """Leaks, and anything that still runs or is held; empty after everything ended."""
        found = self.leaks()
        with self.control.store.read() as session:
            still = session.exec(
                select(AttemptRow.id).where(col(AttemptRow.released_at).is_(None))
            ).all()
        found += [f"attempt {a} holds its place" for a in still]
        found += [f"the Hub has {server}" for server in self.hub.ready]
        found += [f"{o.attempt_id} runs" for o in self.engine.observe() if o.exit is None]
        return found


def die_once(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, step: str, when: str
) -> list[str]:
    """Let the first call of a step raise SystemError, ``before`` or ``after`` it did its work. The
    list that is returned has the step in it from then on."""
    real: Callable[..., Any] = getattr(module, step)
    deaths: list[str] = []

    def dies_once(*args: Any, **more: Any) -> Any:
        if deaths:
            return real(*args, **more)
        deaths.append(step)
        if when == "after":
            real(*args, **more)
        raise SystemError("killed")

    monkeypatch.setattr(module, step, dies_once)
    return deaths
