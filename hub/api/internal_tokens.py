"""The inner door for tokens for scripts: made for the command line, and told of by the Hub's pages."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal

from fastapi import FastAPI
from pydantic import Field
from sqlmodel import Session, select

from catalog.errors import AccountClosed
from hub import people
from hub.api.schema import Body
from hub.control_context import Control
from hub.hub_api import HubApi
from hub.settings import API_SCOPE
from hub.store import audit
from hub.store.tables import AuditRow

_TOLD_AGAIN_WITHIN = timedelta(minutes=5)


class TokenBody(Body):
    login: str
    note: str = "perijove token"
    expires_s: int = 7 * 86400


class ToldBody(Body):
    """Names are the Hub's; `made` and `ends` are times, or empty."""

    by: str
    owner: str
    act: Literal["issued", "revoked"]
    token: str = Field(max_length=40)
    made: str = Field(max_length=40)
    note: str
    scopes: list[str]
    ends: str = Field(max_length=40)


def mount(app: FastAPI, control: Control, hub: HubApi) -> None:
    """Add the routes to the inner application."""

    @app.post("/internal/tokens")
    async def token(body: TokenBody) -> dict[str, str]:
        person = await asyncio.to_thread(people.by_login, control, body.login)
        if not person.active:
            raise AccountClosed(f"the account {body.login!r} is closed", next="reopen it first")
        # Before it is made: none is there without its line.
        ends = control.clock.now() + timedelta(seconds=body.expires_s)
        detail = {"note": body.note[:80], "may": API_SCOPE, "ends": ends.isoformat()}
        await asyncio.to_thread(
            _record, control, "system", "issued", (person.id, person.tenant_id), detail
        )
        found = await hub.new_token(person.hub_name, body.note, body.expires_s)
        control.tokens.remember(found, person.hub_name)
        return {"token": found}

    @app.post("/internal/tokens/told")
    def told(body: ToldBody) -> dict[str, bool]:
        by, owner = people.actor_of(control, body.by), people.actor_of(control, body.owner)
        detail = {"note": body.note[:80], "token": body.token, "made": body.made}
        if body.act == "issued":
            detail |= {"may": _may(body.scopes), "ends": body.ends or "never"}
        about = owner.person_id, owner.tenant_id
        _record(control, by.person_id, body.act, about, detail)
        return {"told": True}


def _may(scopes: list[str]) -> str:
    return "all that the person may" if "inherit" in scopes else " ".join(sorted(scopes))[:200]


def _record(
    control: Control, by: str, act: str, about: tuple[str, str], detail: Mapping[str, str]
) -> None:
    """One line, also where the same is told again."""
    now = control.clock.now()
    with control.store.write() as session:
        if "made" not in detail or not _was_told(session, now, act, about[0], detail):
            audit.record(session, now, by, f"token-{act}", *about, detail)


def _was_told(
    session: Session, now: datetime, act: str, owner: str, detail: Mapping[str, str]
) -> bool:
    lately = session.exec(
        select(AuditRow.detail).where(
            AuditRow.action == f"token-{act}", AuditRow.object == owner,
            AuditRow.at > now - _TOLD_AGAIN_WITHIN,
        )
    )  # fmt: skip
    return dict(detail) in list(lately)
