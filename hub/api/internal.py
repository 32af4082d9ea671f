"""The door for this machine: the Hub, the supervisor and the local CLI, over control's Unix socket.

Only the owner of the state directory can reach the socket, and each connection's uid is checked
again; there is no other authorization here.
"""

import asyncio
import time
from datetime import datetime
from typing import Any, Literal

from fastapi import FastAPI
from pydantic import Field
from sqlmodel import col, select

from catalog.errors import AccountClosed
from hub import attempts, invariants, passwords, people, starting
from hub.api import errors, internal_identities, internal_lti
from hub.api.schema import Body
from hub.attempts import Step
from hub.control_context import Control
from hub.courses import invitations
from hub.hub_api import HubApi
from hub.lifecycle import EndReason, Status, Target
from hub.people import NewPerson, SignIns
from hub.site import site_view
from hub.store import audit
from hub.store.tables import AttemptRow, PersonRow, TenantRow, WorkloadRow
from hub.workloads import LIVE

_WAIT_S = 20.0
_LOOK_EVERY_S = 0.02


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


class TokenBody(Body):
    login: str
    note: str = "perijove token"
    expires_s: int = 7 * 86400


class StartBody(Body):
    person: str
    server: str
    args: list[str]
    env: dict[str, str]


def build(control: Control, hub: HubApi, sign_ins: SignIns) -> FastAPI:
    """The application behind the socket."""
    app = FastAPI(title="Perijove, this machine only", openapi_url=None, docs_url=None)
    app.state.control = control
    errors.install(app)
    _sign_in_routes(app, control, sign_ins)
    internal_identities.mount(app, control, hub)
    internal_lti.mount(app, control)
    _server_routes(app, control)
    _operator_routes(app, control, hub)
    _drain_routes(app, control)
    return app


def _sign_in_routes(app: FastAPI, control: Control, sign_ins: SignIns) -> None:
    @app.post("/internal/sign-in")
    def sign_in(body: SignInBody) -> dict[str, str]:
        return _person(people.sign_in(control, sign_ins, body.login, body.password))

    @app.post("/internal/links/look")
    def look(body: LinkBody) -> dict[str, str]:
        if body.purpose == passwords.PURPOSE:
            return {"login": passwords.look(control, body.token).login}
        link = people.look_at_link(control, body.purpose, body.token)
        with control.store.read() as session:
            tenant = session.get_one(TenantRow, link.tenant_id)
        return {"email": link.email, "tenant_name": tenant.name}

    @app.post("/internal/links/use")
    def use(body: UseLinkBody) -> dict[str, str]:
        if body.purpose == "admin":
            return _person(people.use_admin_link(control, sign_ins, body.token, body.password))
        if body.purpose == passwords.PURPOSE:
            return _person(passwords.use(control, sign_ins, body.token, body.password))
        new = NewPerson(body.login, body.password, body.display_name, body.email)
        then = invitations.arrived(control)
        return _person(people.use_invitation(control, sign_ins, body.token, new, then))

    @app.get("/internal/persons/{hub_name}")
    def person(hub_name: str) -> dict[str, str]:
        actor = people.actor_of(control, hub_name)
        with control.store.read() as session:
            row = session.get_one(PersonRow, actor.person_id)
        return {
            "hub_name": actor.hub_name, "login": actor.login, "display_name": row.display_name,
        }  # fmt: skip


def _server_routes(app: FastAPI, control: Control) -> None:
    @app.post("/internal/servers/start")
    async def start(body: StartBody) -> dict[str, str]:
        attempt = await asyncio.to_thread(
            starting.start, control, body.person, body.server, body.args, body.env
        )
        return await _until_up(control, attempt)

    @app.get("/internal/servers/attempts/{attempt}")
    async def wait(attempt: str) -> dict[str, str]:
        return await _until_up(control, attempt)

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


def _operator_routes(app: FastAPI, control: Control, hub: HubApi) -> None:
    @app.post("/internal/tokens")
    async def token(body: TokenBody) -> dict[str, str]:
        person = await asyncio.to_thread(people.by_login, control, body.login)
        if not person.active:
            raise AccountClosed(f"the account {body.login!r} is closed", next="reopen it first")
        found = await hub.new_token(person.hub_name, body.note, body.expires_s)
        control.tokens.remember(found, person.hub_name)
        await asyncio.to_thread(_audit_token, control, person, body.note)
        return {"token": found}

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


async def _until_up(control: Control, attempt: str) -> dict[str, str]:
    """Address and token when it listens, or after a while the attempt alone: ask again then."""
    until = time.monotonic() + _WAIT_S
    while time.monotonic() < until:
        found = await asyncio.to_thread(starting.started, control, attempt)
        if found is not None:
            return {"url": found.url, "token": found.token, "attempt": attempt}
        await asyncio.sleep(_LOOK_EVERY_S)
    return {"attempt": attempt}


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


def _audit_token(control: Control, person: PersonRow, note: str) -> None:
    with control.store.write() as session:
        audit.record(
            session, control.clock.now(), "system", "token-issued", person.id, person.tenant_id,
            {"note": note[:80]},
        )  # fmt: skip


def _person(person: PersonRow) -> dict[str, str]:
    return {"hub_name": person.hub_name, "login": person.login}


def _text(at: datetime) -> str:
    return at.isoformat()
