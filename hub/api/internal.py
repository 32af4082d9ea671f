"""The door for this machine: the Hub, the supervisor and the local CLI, over control's Unix socket.

Only the owner of the state directory can reach the socket, and each connection's uid is checked
again; there is no other authorization here.
"""

import asyncio
import os
from datetime import datetime
from typing import Any, Literal

from fastapi import FastAPI
from pydantic import Field
from sqlmodel import col, select

from catalog.errors import Busy
from hub import attempts, invariants, passwords, people, starting
from hub.api import errors, internal_identities, internal_lti, internal_tokens
from hub.api.schema import Body
from hub.api.untraced import UNTRACED
from hub.attempts import Step
from hub.coming_up import ComingUp
from hub.control_context import Control
from hub.courses import invitations
from hub.denials import Denials
from hub.hub_api import HubApi
from hub.lifecycle import EndReason, Status, Target
from hub.line import Line
from hub.people import NewPerson, SignIns
from hub.site import site_view
from hub.store.tables import AttemptRow, PersonRow, TenantRow, WorkloadRow
from hub.workloads import LIVE

_PATIENCE_S, _MOST_WAITING = 50.0, 500
"""Of who signs in while a whole class does; the Hub waits for longer (`hub.control_door`)."""
_WAIT_S = 20.0


class SignInBody(Body):
    login: str = Field(max_length=200)
    password: str = Field(max_length=1000)


class LinkBody(Body):
    purpose: Literal["admin", "invitation", "password"]
    token: str


class UseLinkBody(LinkBody):
    login: str = ""
    display_name: str = ""
    email: str = ""
    password: str = ""


class StartBody(Body):
    person: str
    server: str
    args: list[str]
    env: dict[str, str]


def build(control: Control, hub: HubApi, sign_ins: SignIns) -> FastAPI:
    """The application behind the socket."""
    app = FastAPI(
        title="Perijove, this machine only", openapi_url=None, docs_url=None, telemetry=UNTRACED
    )
    app.state.control, app.state.denials = control, Denials()
    errors.install(app)
    _sign_in_routes(app, control, sign_ins)
    internal_identities.mount(app, control, hub)
    internal_tokens.mount(app, control, hub)
    internal_lti.mount(app, control)
    _server_routes(app, control)
    _operator_routes(app, control)
    _drain_routes(app, control)
    return app


def _sign_in_routes(app: FastAPI, control: Control, sign_ins: SignIns) -> None:
    # A hash takes 64 MiB and uses several cores by itself: more at once only delay one another, and
    # those who came in already.
    line = Line(max(1, (os.cpu_count() or 1) // 2), _PATIENCE_S, _MOST_WAITING, _too_many)

    @app.post("/internal/sign-in")
    async def sign_in(body: SignInBody) -> dict[str, str]:
        # Whoever guesses at one account takes no place from the others.
        sign_ins.slow_down(people.plain_login(body.login), control.clock.now())
        async with line.turn():
            return _person(
                await asyncio.to_thread(
                    people.sign_in, control, sign_ins, body.login, body.password
                )
            )

    @app.post("/internal/links/look")
    def look(body: LinkBody) -> dict[str, str]:
        if body.purpose == passwords.PURPOSE:
            return {"login": passwords.look(control, body.token).login}
        link = people.look_at_link(control, body.purpose, body.token)
        with control.store.read() as session:
            tenant = session.get_one(TenantRow, link.tenant_id)
        return {"email": link.email, "tenant_name": tenant.name}

    @app.post("/internal/links/use")
    async def use(body: UseLinkBody) -> dict[str, str]:
        async with line.turn():
            return _person(await asyncio.to_thread(_use_link, control, sign_ins, body))

    @app.get("/internal/persons/{hub_name}")
    def person(hub_name: str) -> dict[str, str]:
        actor = people.actor_of(control, hub_name)
        with control.store.read() as session:
            row = session.get_one(PersonRow, actor.person_id)
        return {
            "hub_name": actor.hub_name, "login": actor.login, "display_name": row.display_name,
        }  # fmt: skip


def _too_many() -> Busy:
    return Busy("too many people sign in at this moment", next="try again in a few seconds")


def _use_link(control: Control, sign_ins: SignIns, body: UseLinkBody) -> PersonRow:
    if body.purpose == "admin":
        return people.use_admin_link(control, sign_ins, body.token, body.password)
    if body.purpose == passwords.PURPOSE:
        return passwords.use(control, sign_ins, body.token, body.password)
    new = NewPerson(body.login, body.password, body.display_name, body.email)
    return people.use_invitation(control, sign_ins, body.token, new, invitations.arrived(control))


def _server_routes(app: FastAPI, control: Control) -> None:
    coming_up = ComingUp(control)

    @app.post("/internal/servers/start")
    async def start(body: StartBody) -> dict[str, str]:
        attempt = await asyncio.to_thread(
            starting.start, control, body.person, body.server, body.args, body.env
        )
        return await _until_up(coming_up, attempt)

    @app.get("/internal/servers/attempts/{attempt}")
    async def wait(attempt: str) -> dict[str, str]:
        return await _until_up(coming_up, attempt)

    @app.get("/internal/servers/{person}/{server}")
    def alive(person: str, server: str) -> dict[str, bool | str]:
        seen = starting.live(control, person, server)
        return {"alive": seen is not None, "url": seen.url if seen else ""}

    @app.post("/internal/servers/{person}/{server}/stop")
    async def stop(person: str, server: str) -> dict[str, bool]:
        """The Hub lets go of a server. Nobody can wish a stop through the Hub, so a server that
        should run goes on: it is the Hub's own trouble, and the reconciler joins them again."""
        if not await asyncio.to_thread(_may_stop, control, person, server):
            return {"gone": False}
        while await asyncio.to_thread(starting.live, control, person, server):  # noqa: ASYNC110 (processes tell nobody when they end)
            await asyncio.sleep(0.05)
        return {"gone": True}


def _operator_routes(app: FastAPI, control: Control) -> None:
    @app.post("/internal/admin-link")
    def admin_link(if_needed: int = 0) -> dict[str, str | None]:
        found = people.admin_link(control, if_needed=bool(if_needed))
        if found is None:
            return {"url": None, "expires_at": None}
        return {"url": found[0], "expires_at": _text(found[1])}

    @app.get("/internal/site")
    def site() -> dict[str, Any]:
        return site_view(control, admin=True).model_dump()

    @app.get("/internal/invariants")
    def broken() -> dict[str, list[str]]:
        return invariants.broken(control)


def _drain_routes(app: FastAPI, control: Control) -> None:
    @app.post("/internal/drain")
    def drain() -> dict[str, int]:
        """Everything stops and is settled, because the site stops; what waits goes on waiting."""
        control.draining = True
        for workload_id in _live_with_place(control):
            attempts.begin_stopping(
                control, workload_id, EndReason.SITE_STOPPED, "the site was stopped"
            )
        return {"left": len(_live_with_place(control))}

    @app.get("/internal/drain")
    def left() -> dict[str, int]:
        return {"left": len(_live_with_place(control))}


async def _until_up(coming_up: ComingUp, attempt: str) -> dict[str, str]:
    """Address and token when it listens, or after a while the attempt alone: ask again then."""
    found = await coming_up.up(attempt, _WAIT_S)
    if found is None:
        return {"attempt": attempt}
    return {"url": found.url, "token": found.token, "attempt": attempt}


def _may_stop(control: Control, hub_name: str, server: str) -> bool:
    """Whether it ends, or has ended; a start that the Hub has no patience for ends by this."""
    with control.store.read() as session:
        found = session.exec(
            select(WorkloadRow)
            .join(PersonRow)
            .where(WorkloadRow.id == server, PersonRow.hub_name == hub_name)
        ).first()
        attempt = session.get(AttemptRow, found.attempt_id) if found and found.attempt_id else None
    if found is None or found.status in {Status.QUEUED, Status.STOPPING}:
        return True
    if found.status == Status.STARTING:
        if attempt is not None and attempt.step == Step.GRANTED:
            return True  # what the Hub lets go of is an earlier attempt
        said = "it was not up in time"
        attempts.begin_stopping(control, found.id, EndReason.START_FAILED, said)
        return True
    return found.target == Target.STOPPED


def _live_with_place(control: Control) -> list[str]:
    """Workloads that hold anything, and turns that are held: not those that only wait."""
    with control.store.read() as session:
        return list(
            session.exec(
                select(WorkloadRow.id)
                .join(AttemptRow, col(AttemptRow.workload_id) == WorkloadRow.id)
                .where(col(AttemptRow.released_at).is_(None), col(WorkloadRow.status).in_(LIVE))
            )
        )


def _person(person: PersonRow) -> dict[str, str]:
    return {"hub_name": person.hub_name, "login": person.login}


def _text(at: datetime) -> str:
    return at.isoformat()
